/* The embedded database: WAL, synchronous=FULL (an acknowledged commit survives a power cut), BEGIN
 * IMMEDIATE (a deferred transaction ignores the busy handler when it becomes a writer). */
#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/uuid.h"
#include "verifier/db/db_driver.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { STATEMENTS_MAX = 192, BUSY_STEP_US = 2000 };

struct statement {
    const char *sql; /* the literal's address is the key */
    sqlite3_stmt *handle;
    bool in_use;
};

struct sqlite_db {
    struct db db;
    sqlite3 *handle;
    bool is_broken;
    bool is_begun; /* a transaction, by us */
    int64_t lock_until_ms, busy_since_ms;
    int64_t touched;
    struct statement statements[STATEMENTS_MAX];
    size_t statement_count, next_to_evict;
};

struct sqlite_rows {
    struct db_rows rows;
    struct statement *statement;
};

static struct sqlite_db *sqlite_of(struct db *db)
{
    return (struct sqlite_db *)db;
}

static sqlite3_stmt *handle_of(struct db_rows *rows)
{
    return ((struct sqlite_rows *)rows)->statement->handle;
}

static int broken(struct sqlite_db *db, int code, const char *doing, const char *message,
                  struct error *err)
{
    db->is_broken = true;
    return error_set(err, ERROR_TEMPORARY, code, "%s: %s", doing, message);
}

static int failed(struct sqlite_db *db, const char *doing, struct error *err)
{
    const char *message = sqlite3_errmsg(db->handle);
    switch (sqlite3_errcode(db->handle) & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(err, ERROR_TEMPORARY, DB_BUSY, "%s: %s", doing, message);
    case SQLITE_CONSTRAINT:
        return error_set(err, ERROR_PERMANENT, DB_CONFLICT, "%s: %s", doing, message);
    case SQLITE_FULL:
        return error_set(err, ERROR_TEMPORARY, ENOSPC, "%s: %s", doing, message);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        return broken(db, DB_BROKEN, doing, message, err);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return error_set(err, ERROR_PERMANENT, EILSEQ, "%s: %s", doing, message);
    default:
        return error_set(err, ERROR_BUG, 0, "%s: %s", doing, message);
    }
}

/* sqlite's own handler sleeps in steps of up to 100 ms, which starves some writers among many. */
static int wait_for_lock(void *ctx, int tries)
{
    struct sqlite_db *db = ctx;
    if (tries == 0)
        db->busy_since_ms = mono_ms();
    int64_t until_ms = db->lock_until_ms ? db->lock_until_ms : db->busy_since_ms + DB_WAIT_MS;
    if (mono_ms() >= until_ms)
        return 0;
    usleep((useconds_t)(BUSY_STEP_US / 2 + random_u64() % BUSY_STEP_US));
    return 1;
}

static void sqlite_close(struct db *base)
{
    struct sqlite_db *db = sqlite_of(base);
    for (size_t i = 0; i < db->statement_count; i++)
        sqlite3_finalize(db->statements[i].handle);
    must(sqlite3_close(db->handle) == SQLITE_OK);
    free(db);
}

static int sqlite_script(struct db *base, const char *sql, struct error *err)
{
    struct sqlite_db *db = sqlite_of(base);
    if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        return failed(db, "sqlite", err);
    return 0;
}

/* A commit to a file that was moved, replaced or removed succeeds, but its rows are lost. */
static int begin(struct db *base, const char *sql, struct error *err)
{
    struct sqlite_db *db = sqlite_of(base);
    int has_moved = 0;
    sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved);
    if (has_moved)
        return broken(db, DB_BROKEN, "sqlite", "the database file was moved or replaced", err);
    if (db_run(base, NULL, err, sql, DB_NO_ARGS) != 0) /* kept prepared, as a script is not */
        return -1;
    db->is_begun = true;
    return 0;
}

static int sqlite_begin(struct db *base, struct error *err)
{
    return begin(base, "BEGIN IMMEDIATE", err);
}

int db_sqlite_begin_until(struct db *base, int64_t until_ms, struct error *err)
{
    sqlite_of(base)->lock_until_ms = until_ms;
    int result = sqlite_begin(base, err);
    sqlite_of(base)->lock_until_ms = 0;
    return result;
}

bool db_sqlite_is_open(const struct db *base)
{
    return !sqlite3_get_autocommit(((const struct sqlite_db *)base)->handle);
}

bool db_sqlite_is_idle(const struct db *base)
{
    const struct sqlite_db *db = (const struct sqlite_db *)base;
    for (size_t i = 0; i < db->statement_count; i++)
        if (db->statements[i].in_use)
            return false;
    return true;
}

/* Deferred: in WAL mode the first read fixes the snapshot for all that follow. */
static int sqlite_begin_reading(struct db *base, struct error *err)
{
    return begin(base, "BEGIN DEFERRED", err);
}

static void sqlite_rollback(struct db *base)
{
    struct error ignored;
    sqlite_of(base)->is_begun = false;
    if (db_sqlite_is_open(base))
        sqlite_script(base, "ROLLBACK", &ignored);
}

static int sqlite_commit(struct db *base, struct error *err)
{
    struct sqlite_db *db = sqlite_of(base);
    int result = db_run(base, NULL, err, "COMMIT", DB_NO_ARGS);
    db->is_begun = false;
    if (result == 0 || err->code == DB_LOST)
        return result;
    /* Still inside the transaction: then it has certainly not happened. */
    if (!sqlite3_get_autocommit(db->handle)) {
        sqlite_rollback(base);
        return -1;
    }
    return broken(db, DB_UNKNOWN, "commit", err->message, err);
}

/* clock_timestamp(): the database's clock is the clock of this machine. */
static void clock_of_machine(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count, (void)values;
    char text[WALL_TEXT_BYTES];
    wall_format(wall_us(), text);
    sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
}

/* A free entry, or that of a statement which is not in use. */
static struct statement *entry_for_statement(struct sqlite_db *db)
{
    if (db->statement_count < STATEMENTS_MAX)
        return &db->statements[db->statement_count++];
    size_t tries = 0;
    while (db->statements[db->next_to_evict].in_use) {
        must(++tries < STATEMENTS_MAX);
        db->next_to_evict = (db->next_to_evict + 1) % STATEMENTS_MAX;
    }
    struct statement *statement = &db->statements[db->next_to_evict];
    db->next_to_evict = (db->next_to_evict + 1) % STATEMENTS_MAX;
    sqlite3_finalize(statement->handle);
    return statement;
}

static struct statement *statement_for(struct sqlite_db *db, const char *sql, struct error *err)
{
    sqlite3_stmt *handle;
    for (size_t i = 0; i < db->statement_count; i++)
        if (db->statements[i].sql == sql && !db->statements[i].in_use)
            return &db->statements[i];
    if (sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle, NULL) !=
        SQLITE_OK) {
        failed(db, "prepare", err);
        return NULL;
    }
    struct statement *statement = entry_for_statement(db);
    *statement = (struct statement){.sql = sql, .handle = handle};
    return statement;
}

static void bind(sqlite3_stmt *handle, int index, const struct db_value *value)
{
    int result = SQLITE_OK;
    switch (value->type) {
    case DB_NULL:
        result = sqlite3_bind_null(handle, index);
        break;
    case DB_INT:
        result = sqlite3_bind_int64(handle, index, value->integer);
        break;
    case DB_REAL:
        result = sqlite3_bind_double(handle, index, value->real);
        break;
    case DB_TEXT:
        result = sqlite3_bind_text(handle, index, value->text, -1, SQLITE_TRANSIENT);
        break;
    }
    must(result == SQLITE_OK);
}

static struct db_rows *sqlite_query(struct db *base, const char *sql, const struct db_value *values,
                                    size_t count, struct error *err)
{
    struct sqlite_db *db = sqlite_of(base);
    /* After a full disk, say. What comes now would be committed by itself. */
    if (db->is_begun && !db_sqlite_is_open(base)) {
        error_set(err, ERROR_TEMPORARY, DB_LOST, "the transaction was rolled back");
        return NULL;
    }
    struct statement *statement = statement_for(db, sql, err);
    if (!statement)
        return NULL;
    /* SQLite reads $1 as a name and numbers names by their first place in the text. */
    for (size_t i = 0; i < count; i++) {
        char name[8] = {'$', (char)('0' + (i + 1) % 10), '\0'};
        if (i + 1 >= 10) {
            name[1] = (char)('0' + (i + 1) / 10);
            name[2] = (char)('0' + (i + 1) % 10);
        }
        int index = sqlite3_bind_parameter_index(statement->handle, name);
        must(index > 0);
        bind(statement->handle, index, &values[i]);
    }
    statement->in_use = true;
    struct sqlite_rows *rows = must_calloc(1, sizeof *rows);
    rows->rows.db = base;
    rows->statement = statement;
    return &rows->rows;
}

static int sqlite_next(struct db_rows *rows, struct error *err)
{
    struct sqlite_db *db = sqlite_of(rows->db);
    switch (sqlite3_step(handle_of(rows))) {
    case SQLITE_ROW:
        return 1;
    case SQLITE_DONE:
        db->touched = sqlite3_changes64(db->handle);
        return 0;
    default:
        return failed(db, "sqlite", err);
    }
}

static bool sqlite_is_null(struct db_rows *rows, int column)
{
    return sqlite3_column_type(handle_of(rows), column) == SQLITE_NULL;
}

static int64_t sqlite_get_int(struct db_rows *rows, int column)
{
    return sqlite3_column_int64(handle_of(rows), column);
}

static double sqlite_get_real(struct db_rows *rows, int column)
{
    return sqlite3_column_double(handle_of(rows), column);
}

static const char *sqlite_get_text(struct db_rows *rows, int column)
{
    return (const char *)sqlite3_column_text(handle_of(rows), column);
}

static void sqlite_end(struct db_rows *rows)
{
    struct statement *statement = ((struct sqlite_rows *)rows)->statement;
    sqlite3_reset(statement->handle);
    sqlite3_clear_bindings(statement->handle);
    statement->in_use = false;
    free(rows);
}

static int64_t sqlite_touched(struct db *base)
{
    return sqlite_of(base)->touched;
}

static bool sqlite_is_broken(const struct db *base)
{
    return ((const struct sqlite_db *)base)->is_broken;
}

static const struct db_driver sqlite_driver = {
    .kind = DB_SQLITE,
    .close = sqlite_close,
    .is_broken = sqlite_is_broken,
    .begin = sqlite_begin,
    .begin_reading = sqlite_begin_reading,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .query = sqlite_query,
    .next = sqlite_next,
    .is_null = sqlite_is_null,
    .get_int = sqlite_get_int,
    .get_real = sqlite_get_real,
    .get_text = sqlite_get_text,
    .end = sqlite_end,
    .touched = sqlite_touched,
    .script = sqlite_script,
};

/* What is not there may be mounted later. */
static int refuse_file(const char *doing, const char *path, struct error *err)
{
    error_errno(err, "cannot %s %s", doing, path);
    if (err->code == ENOENT)
        err->class = ERROR_TEMPORARY;
    return -1;
}

/* Nobody else can read the file from its first byte on; -wal and -shm get its mode. An existing
 * file is not opened: closing a descriptor of it would drop the locks of this process's other
 * connections. */
static int make_file(const char *path, struct error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? 0 : refuse_file("create", path, err);
    close(fd);
    return 0;
}

/* SQLite refuses at once, without its busy handler, to turn on WAL while another connection writes:
 * a second verifier that starts at the same moment. */
static int set_up(struct sqlite_db *db, struct error *err)
{
    int64_t deadline_ms = mono_ms() + DB_WAIT_MS;
    struct error why;
    while (sqlite_script(&db->db,
                         "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                         "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF;",
                         &why) != 0) {
        if (why.code != DB_BUSY || mono_ms() >= deadline_ms) {
            *err = why;
            return -1;
        }
        usleep(BUSY_STEP_US);
    }
    return 0;
}

/* Its statistics of memory, which nobody reads, cost a lock that all connections share for each
 * allocation. Too late for a program that has used SQLite before: then it keeps them. */
static void forgo_statistics(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static struct sqlite_db *open_file(const char *name, int flags, struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, forgo_statistics);
    struct sqlite_db *db = must_calloc(1, sizeof *db);
    db->db.driver = &sqlite_driver;
    if (sqlite3_open_v2(name, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        error_set(err, ERROR_TEMPORARY, DB_BROKEN, "cannot open %s: %s", name,
                  db->handle ? sqlite3_errmsg(db->handle) : "out of memory");
        sqlite_close(&db->db);
        return NULL;
    }
    sqlite3_busy_handler(db->handle, wait_for_lock, db);
    must(sqlite3_create_function(db->handle, "clock_timestamp", 0, SQLITE_UTF8, NULL,
                                 clock_of_machine, NULL, NULL) == SQLITE_OK);
    return db;
}

struct db *db_sqlite_open(const char *path, struct error *err)
{
    if (make_file(path, err) != 0)
        return NULL;
    struct sqlite_db *db = open_file(path, SQLITE_OPEN_READWRITE, err);
    if (!db || set_up(db, err) == 0)
        return db ? &db->db : NULL;
    error_wrap(err, "%s", path);
    sqlite_close(&db->db);
    return NULL;
}

/* ---- reading only ---------------------------------------------------------------------------- */

/* A file: URI; what has a meaning there is escaped. */
static char *uri_of(const char *path, const char *query)
{
    static const char hex[] = "0123456789abcdef";
    TEXT(escaped) = must_calloc(3, strlen(path) + 1);
    for (char *out = escaped; *path; path++) {
        unsigned char byte = (unsigned char)*path;
        bool is_plain = byte > ' ' && byte < 0x7f && !strchr("%?#", byte);
        if (is_plain) {
            *out++ = *path;
            continue;
        }
        *out++ = '%';
        *out++ = hex[byte >> 4];
        *out++ = hex[byte & 0xf];
    }
    return must_printf("file:%s?%s", escaped, query);
}

static bool can_read(struct sqlite_db *db)
{
    return sqlite3_exec(db->handle, "SELECT COUNT(*) FROM sqlite_master", NULL, NULL, NULL) ==
           SQLITE_OK;
}

static bool exists(const char *path, const char *suffix)
{
    TEXT(name) = must_printf("%s%s", path, suffix);
    return access(name, F_OK) == 0;
}

/* Nobody has the file open: SQLite would have to create the shared memory beside it, and may not.
 * The file alone is the whole database then, unless its owner was killed and left a log. */
static struct db *open_immutable(const char *path, struct error *err)
{
    if (exists(path, "-wal")) {
        error_set(err, ERROR_PERMANENT, DB_BROKEN,
                  "%s was not closed, and this user may not write beside it, which reading it "
                  "needs: run this as the service's user, or while the server runs",
                  path);
        return NULL;
    }
    TEXT(uri) = uri_of(path, "immutable=1");
    struct sqlite_db *db = open_file(uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, err);
    if (!db || can_read(db))
        return db ? &db->db : NULL;
    failed(db, path, err);
    sqlite_close(&db->db);
    return NULL;
}

struct db *db_sqlite_open_reading(const char *path, struct error *err)
{
    if (access(path, R_OK) != 0) {
        refuse_file("read", path, err);
        return NULL;
    }
    struct sqlite_db *db = open_file(path, SQLITE_OPEN_READONLY, err);
    if (!db)
        return NULL;
    if (can_read(db))
        return &db->db;
    int code = sqlite3_errcode(db->handle) & 0xff;
    bool lacks_memory = code == SQLITE_CANTOPEN || code == SQLITE_READONLY;
    if (!lacks_memory)
        failed(db, path, err);
    sqlite_close(&db->db);
    return lacks_memory ? open_immutable(path, err) : NULL;
}
