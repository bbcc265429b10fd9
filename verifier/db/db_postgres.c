/* PostgreSQL. libpq is used asynchronously throughout, because its blocking calls wait forever on
 * a server that is stopped or behind a dead network: here each answer has a deadline, a little
 * later than the server's own limits, so that usually the server gives the reason. The server has
 * no limit for a COMMIT (it may wait for a standby): after the deadline its outcome is unknown. */
#include "base/clock.h"
#include "lib/cleanup.h"
#include "verifier/db/db_postgres_private.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_BYTES = 32 };

/* libpq identifies types by numbers, which never change. */
enum {
    OID_BOOL = 16,
    OID_INT8 = 20,
    OID_FLOAT8 = 701,
    OID_TIMESTAMP = 1114,
    OID_TIMESTAMPTZ = 1184
};

struct postgres_rows {
    struct db_rows rows;
    PGresult *result;
    int row;
    char (*times)[WALL_TEXT_BYTES]; /* one for each column, for this row */
};

/* Statements without parameters, unprepared. */
static PGresult *run_plain(struct postgres_db *db, const char *sql, struct error *err)
{
    if (postgres_usable(db, err) != 0)
        return NULL;
    if (PQsendQuery(db->conn, sql))
        return postgres_answer(db, err);
    postgres_lost(db, err);
    return NULL;
}

static int postgres_script(struct db *base, const char *sql, struct error *err)
{
    PGresult *result = run_plain(postgres_of(base), sql, err);
    PQclear(result);
    return result ? 0 : -1;
}

/* ---- connecting ---- */

/* Without this libpq prints to stderr, into the log. */
static void ignore_notice(void *ctx, const PGresult *result)
{
    (void)ctx, (void)result;
}

/* Limits that the server enforces, also when the client is gone: a verifier that vanished in a
 * transaction must not hold a job's row forever. */
#define LIMITS(is_local)                                                                           \
    "set_config('lock_timeout', '4500', " is_local "),"                                            \
    " set_config('statement_timeout', '5000', " is_local "),"                                      \
    " set_config('idle_in_transaction_session_timeout', '15000', " is_local "),"                   \
    " set_config('jit', 'off', " is_local ")," /* to compile takes longer than all of these run */ \
    " set_config('synchronous_commit', CASE current_setting('synchronous_commit')"                 \
    " WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, " is_local ")"

const char postgres_set_limits[] = "SELECT " LIMITS("true");

bool postgres_needs_limits(const struct postgres_db *db)
{
    return db->is_pooled && PQtransactionStatus(db->conn) == PQTRANS_IDLE;
}

/* A pooler tells its clients a number of its own for the session, not that of the server's process.
 * What it then lends us is others' too, so there everything is set for this statement alone, except
 * what PgBouncer keeps for each client. */
#define IS_POOLED "pg_catalog.pg_backend_pid() <> $1"
static const char set_up[] = "SELECT pg_catalog.pg_is_in_recovery(), " IS_POOLED ","
                             " set_config('TimeZone', 'UTC', false),"
                             " set_config('DateStyle', 'ISO, YMD', false),"
                             " set_config('tcp_keepalives_idle', '30', " IS_POOLED "),"
                             " set_config('tcp_keepalives_interval', '5', " IS_POOLED "),"
                             " set_config('tcp_keepalives_count', '3', " IS_POOLED "),"
                             " " LIMITS(IS_POOLED);

static int set_up_session(struct postgres_db *db, struct error *err)
{
    char session[NUMBER_BYTES];
    const char *values[] = {session};
    snprintf(session, sizeof session, "%d", PQbackendPID(db->conn));
    if (!PQsendQueryParams(db->conn, set_up, 1, NULL, values, NULL, NULL, 0))
        return postgres_lost(db, err);
    PGresult *result = postgres_answer(db, err);
    if (!result)
        return -1;
    bool is_standby = PQgetvalue(result, 0, 0)[0] == 't';
    db->is_pooled = PQgetvalue(result, 0, 1)[0] == 't';
    PQclear(result);
    return is_standby ? error_set(err, ERROR_TEMPORARY, DB_BROKEN,
                                  "this PostgreSQL server is a read-only standby")
                      : 0;
}

static void postgres_close(struct db *base)
{
    struct postgres_db *db = postgres_of(base);
    PQfinish(db->conn);
    free(db);
}

static const struct db_driver postgres_driver;

struct db *db_postgres_open(const char *url, const char *password_file, struct error *err)
{
    PGconn *conn = postgres_connect(url, password_file, err);
    if (!conn)
        return NULL;
    struct postgres_db *db = must_calloc(1, sizeof *db);
    db->db.driver = &postgres_driver;
    db->conn = conn;
    PQsetNoticeReceiver(conn, ignore_notice, NULL);
    if (set_up_session(db, err) == 0)
        return &db->db;
    postgres_close(&db->db);
    return NULL;
}

/* ---- transactions ---- */

static bool postgres_is_broken(const struct db *base)
{
    return ((const struct postgres_db *)base)->is_broken;
}

static int begin(struct db *base, const char *sql, struct error *err)
{
    TEXT(text) = must_printf("%s; %s", sql,
                             postgres_of(base)->is_pooled ? postgres_set_limits : "");
    return postgres_script(base, text, err);
}

static int postgres_begin(struct db *base, struct error *err)
{
    return begin(base, "BEGIN ISOLATION LEVEL READ COMMITTED", err);
}

static int postgres_begin_reading(struct db *base, struct error *err)
{
    return begin(base, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err);
}

static void postgres_rollback(struct db *base)
{
    struct postgres_db *db = postgres_of(base);
    struct error ignored;
    if (!db->is_broken && PQtransactionStatus(db->conn) != PQTRANS_IDLE &&
        postgres_script(base, "ROLLBACK", &ignored) != 0)
        db->is_broken = true;
}

static int postgres_commit(struct db *base, struct error *err)
{
    struct postgres_db *db = postgres_of(base);
    struct error why;
    if (postgres_usable(db, err) != 0)
        return -1; /* nothing was sent */
    PGresult *result = run_plain(db, "COMMIT", &why);
    bool is_committed = result && strcmp(PQcmdStatus(result), "COMMIT") == 0;
    bool is_refused = result && !is_committed;
    PQclear(result);
    if (is_committed)
        return 0;
    if (is_refused)
        return error_set(err, ERROR_BUG, 0, "commit of a transaction that had failed");
    if (db->is_broken)
        return error_set(err, ERROR_TEMPORARY, DB_UNKNOWN, "commit: %s", why.message);
    *err = why; /* the server has refused it, and rolled back */
    return -1;
}

/* ---- statements ---- */

/* A condition is another statement than the same text without one. */
static uint64_t types_of(const struct db_step *step)
{
    uint64_t types = 1; /* the position of this bit tells the count */
    for (size_t i = 0; i < step->count; i++) {
        enum db_type type = step->values[i].type;
        types = types << 2 | (type == DB_INT ? 1u : type == DB_REAL ? 2u : 0u);
    }
    return types | (uint64_t)step->needs_row << 63;
}

/* Without a row it divides by zero, which ends a batch on the server. */
static char *text_of(const struct db_step *step)
{
    char *text = postgres_sql(step->sql);
    if (!step->needs_row)
        return text;
    char *condition = must_printf("WITH given AS (%s) SELECT 1 / pg_catalog.count(*) FROM given",
                                  text);
    free(text);
    return condition;
}

/* Texts and nulls have no type of their own, so that the server takes that of the column: text, or
 * a time. */
static void oids_of(const struct db_step *step, Oid types[DB_PARAMETERS_MAX])
{
    for (size_t i = 0; i < step->count; i++) {
        enum db_type type = step->values[i].type;
        types[i] = type == DB_INT ? OID_INT8 : type == DB_REAL ? OID_FLOAT8 : 0;
    }
}

static int send_prepare(struct postgres_db *db, const char *name, const struct db_step *step)
{
    Oid types[DB_PARAMETERS_MAX];
    oids_of(step, types);
    TEXT(text) = text_of(step);
    return PQsendPrepare(db->conn, name, text, (int)step->count, types);
}

static void name_of(size_t number, char name[NUMBER_BYTES])
{
    snprintf(name, NUMBER_BYTES, "s%zu", number);
}

int postgres_reserve(struct postgres_db *db, size_t count, struct error *err)
{
    if (db->statement_count + count <= POSTGRES_STATEMENTS_MAX)
        return 0;
    if (postgres_script(&db->db, "DEALLOCATE ALL", err) != 0)
        return -1;
    db->statement_count = 0;
    return 0;
}

int postgres_prepare(struct postgres_db *db, const struct db_step *step, struct error *err)
{
    struct prepared wanted = {step->sql, types_of(step)};
    char name[NUMBER_BYTES];
    if (db->is_pooled)
        return 0;
    for (size_t i = 0; i < db->statement_count; i++)
        if (db->statements[i].sql == wanted.sql && db->statements[i].types == wanted.types)
            return (int)i;
    if (postgres_reserve(db, 1, err) != 0)
        return -1;
    name_of(db->statement_count, name);
    if (!send_prepare(db, name, step))
        return postgres_lost(db, err);
    PGresult *result = postgres_answer(db, err);
    PQclear(result);
    if (!result)
        return -1;
    db->statements[db->statement_count] = wanted;
    return (int)db->statement_count++;
}

static bool send_unnamed(struct postgres_db *db, const struct db_step *step,
                         const char *const values[])
{
    Oid types[DB_PARAMETERS_MAX];
    oids_of(step, types);
    TEXT(text) = text_of(step);
    return PQsendQueryParams(db->conn, text, (int)step->count, types, values, NULL, NULL, 0);
}

bool postgres_send(struct postgres_db *db, int number, const struct db_step *step)
{
    char numbers[DB_PARAMETERS_MAX][NUMBER_BYTES], name[NUMBER_BYTES];
    const char *texts[DB_PARAMETERS_MAX] = {0};
    for (size_t i = 0; i < step->count; i++) {
        const struct db_value *value = &step->values[i];
        texts[i] = value->type == DB_NULL   ? NULL
                   : value->type == DB_TEXT ? value->text
                                            : numbers[i];
        if (value->type == DB_INT)
            snprintf(numbers[i], NUMBER_BYTES, "%lld", (long long)value->integer);
        else if (value->type == DB_REAL)
            snprintf(numbers[i], NUMBER_BYTES, "%.17g", value->real);
    }
    if (db->is_pooled)
        return send_unnamed(db, step, texts);
    name_of((size_t)number, name);
    return PQsendQueryPrepared(db->conn, name, (int)step->count, texts, NULL, NULL, 0);
}

struct db_rows *postgres_rows_of(struct postgres_db *db, PGresult *result)
{
    struct postgres_rows *rows = must_calloc(1, sizeof *rows);
    db->touched = postgres_integer(PQcmdTuples(result));
    rows->rows.db = &db->db;
    rows->result = result;
    rows->row = -1;
    rows->times = must_calloc((size_t)PQnfields(result) + 1, sizeof *rows->times);
    return &rows->rows;
}

static PGresult *run_step(struct postgres_db *db, struct db_step *step, struct error *err)
{
    if (postgres_needs_limits(db))
        return postgres_alone(db, step, err);
    int number = postgres_prepare(db, step, err);
    if (number < 0)
        return NULL;
    if (postgres_send(db, number, step))
        return postgres_answer(db, err);
    postgres_lost(db, err);
    return NULL;
}

static struct db_rows *postgres_query(struct db *base, const char *sql,
                                      const struct db_value *values, size_t count,
                                      struct error *err)
{
    struct postgres_db *db = postgres_of(base);
    struct db_step step = {.sql = sql, .values = values, .count = count};
    if (postgres_usable(db, err) != 0)
        return NULL;
    PGresult *result = run_step(db, &step, err);
    /* Such as a plan from before a table was changed; a new connection makes a new one. */
    if (!result && err->class == ERROR_BUG)
        db->is_broken = true;
    return result ? postgres_rows_of(db, result) : NULL;
}

static int64_t postgres_touched(struct db *base)
{
    return postgres_of(base)->touched;
}

/* ---- rows ---- */

static int postgres_next(struct db_rows *base, struct error *err)
{
    (void)err; /* it was all read before */
    struct postgres_rows *rows = (struct postgres_rows *)base;
    if (rows->row + 1 >= PQntuples(rows->result))
        return 0;
    rows->row++;
    return 1;
}

static const char *value_of(struct db_rows *base, int column)
{
    const struct postgres_rows *rows = (struct postgres_rows *)base;
    must(column < PQnfields(rows->result));
    return PQgetisnull(rows->result, rows->row, column)
               ? NULL
               : PQgetvalue(rows->result, rows->row, column);
}

static bool postgres_is_null(struct db_rows *rows, int column)
{
    return value_of(rows, column) == NULL;
}

static int64_t postgres_get_int(struct db_rows *rows, int column)
{
    const char *value = value_of(rows, column);
    if (value && PQftype(((struct postgres_rows *)rows)->result, column) == OID_BOOL)
        return value[0] == 't';
    return value ? postgres_integer(value) : 0;
}

static double postgres_get_real(struct db_rows *rows, int column)
{
    const char *value = value_of(rows, column);
    return value ? strtod(value, NULL) : 0;
}

static const char *postgres_get_text(struct db_rows *base, int column)
{
    struct postgres_rows *rows = (struct postgres_rows *)base;
    const char *value = value_of(base, column);
    Oid type = PQftype(rows->result, column);
    return value && (type == OID_TIMESTAMPTZ || type == OID_TIMESTAMP)
               ? postgres_time(value, type == OID_TIMESTAMPTZ, rows->times[column])
               : value;
}

static void postgres_end(struct db_rows *base)
{
    struct postgres_rows *rows = (struct postgres_rows *)base;
    PQclear(rows->result);
    free(rows->times);
    free(rows);
}

static const struct db_driver postgres_driver = {
    .kind = DB_POSTGRESQL,
    .close = postgres_close,
    .is_broken = postgres_is_broken,
    .begin = postgres_begin,
    .begin_reading = postgres_begin_reading,
    .commit = postgres_commit,
    .rollback = postgres_rollback,
    .query = postgres_query,
    .next = postgres_next,
    .is_null = postgres_is_null,
    .get_int = postgres_get_int,
    .get_real = postgres_get_real,
    .get_text = postgres_get_text,
    .end = postgres_end,
    .touched = postgres_touched,
    .script = postgres_script,
    .batch = postgres_batch,
};
