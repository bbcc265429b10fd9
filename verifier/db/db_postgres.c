/* PostgreSQL. libpq is used asynchronously throughout, because its blocking calls wait forever on
 * a server that is stopped or behind a dead network: here each answer has a deadline, a little
 * later than the server's own limits, so that usually the server gives the reason. The server has
 * no limit for a COMMIT (it may wait for a standby): after the deadline its outcome is unknown. */
#include "base/clock.h"
#include "lib/cleanup.h"
#include "verifier/db/db_driver.h"
#include "verifier/db/db_postgres_connect.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANSWER_WAIT_MS = DB_WAIT_MS + 500,
    STATEMENTS_MAX = 256,
    NUMBER_BYTES = 32,
};

/* libpq identifies types by numbers, which never change. */
enum {
    OID_BOOL = 16,
    OID_INT8 = 20,
    OID_FLOAT8 = 701,
    OID_TIMESTAMP = 1114,
    OID_TIMESTAMPTZ = 1184
};

struct prepared {
    const char *sql; /* the literal's address is the key, with the types of the parameters */
    uint64_t types;
};

struct postgres_db {
    struct db db;
    PGconn *conn;
    bool is_broken;
    int64_t touched;
    struct prepared statements[STATEMENTS_MAX];
    size_t statement_count;
};

struct postgres_rows {
    struct db_rows rows;
    PGresult *result;
    int row;
    char (*times)[WALL_TEXT_BYTES]; /* one for each column, for this row */
};

static struct postgres_db *postgres_of(struct db *db)
{
    return (struct postgres_db *)db;
}

/* ---- errors ---- */

/* The first that fits; states are SQLSTATEs or their beginnings. */
static const struct meaning {
    const char *state;
    enum error_class class;
    int code;
} meanings[] = {
    {"23505", ERROR_PERMANENT, DB_CONFLICT}, /* unique key */
    {"23", ERROR_PERMANENT, EINVAL},
    {"22", ERROR_PERMANENT, DB_VALUE},     /* out of a column's range or form */
    {"55P03", ERROR_TEMPORARY, DB_BUSY},   /* lock_timeout */
    {"57014", ERROR_TEMPORARY, DB_BUSY},   /* statement_timeout, or it was canceled */
    {"40", ERROR_TEMPORARY, DB_BUSY},      /* deadlock, serialization */
    {"25006", ERROR_TEMPORARY, DB_BROKEN}, /* read-only: no longer the primary */
    {"25P03", ERROR_TEMPORARY, DB_BROKEN}, /* idle in a transaction for too long */
    {"26000", ERROR_TEMPORARY, DB_BROKEN}, /* a pooler gave us another server's session */
    {"57", ERROR_TEMPORARY, DB_BROKEN},    /* shutdown, crash, not yet up */
    {"08", ERROR_TEMPORARY, DB_BROKEN},
    {"53100", ERROR_TEMPORARY, ENOSPC},
    {"53200", ERROR_TEMPORARY, ENOMEM},
    {"53", ERROR_TEMPORARY, EAGAIN},
    {"58", ERROR_TEMPORARY, EIO},
    {"42P01", ERROR_PERMANENT, DB_NO_SCHEMA}, /* no such table */
    {"42703", ERROR_PERMANENT, DB_NO_SCHEMA}, /* no such column */
    {"42501", ERROR_PERMANENT, EACCES},
    {"XX001", ERROR_PERMANENT, EILSEQ},
    {"XX002", ERROR_PERMANENT, EILSEQ},
    {"", ERROR_BUG, 0},
};

static int lost(struct postgres_db *db, struct error *err)
{
    char text[POSTGRES_REASON_BYTES];
    postgres_one_line(PQerrorMessage(db->conn), text);
    db->is_broken = true;
    return error_set(err, ERROR_TEMPORARY, DB_BROKEN, "PostgreSQL: %s",
                     text[0] ? text : "the connection is lost");
}

static int failed(struct postgres_db *db, const PGresult *result, struct error *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (!state || !message)
        return lost(db, err);
    size_t i = 0;
    while (strncmp(state, meanings[i].state, strlen(meanings[i].state)) != 0)
        i++;
    char text[POSTGRES_REASON_BYTES];
    postgres_one_line(message, text);
    if (PQstatus(db->conn) == CONNECTION_BAD || meanings[i].code == DB_BROKEN) {
        db->is_broken = true;
        return error_set(err, ERROR_TEMPORARY, DB_BROKEN, "PostgreSQL: %s (%s)", text, state);
    }
    return error_set(err, meanings[i].class, meanings[i].code, "PostgreSQL: %s (%s)", text, state);
}

/* ---- waiting ---- */

/* Until everything is sent and PQgetResult does not block. */
static int await(struct postgres_db *db, int64_t deadline_ms, struct error *err)
{
    int unsent;
    while ((unsent = PQflush(db->conn)) != 0 || PQisBusy(db->conn)) {
        if (!postgres_wait(db->conn, unsent > 0 ? POLLIN | POLLOUT : POLLIN, deadline_ms)) {
            db->is_broken = true;
            return error_set(err, ERROR_TEMPORARY, DB_BROKEN,
                             "no answer from PostgreSQL within %d ms", ANSWER_WAIT_MS);
        }
        if (!PQconsumeInput(db->conn) || unsent < 0)
            return PQisBusy(db->conn) && PQstatus(db->conn) == CONNECTION_OK ? lost(db, err) : 0;
    }
    return 0;
}

static bool went_well(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

/* The result of what was sent: the last of several, or the first that failed. */
static PGresult *read_answer(struct postgres_db *db, struct error *err)
{
    int64_t deadline_ms = mono_ms() + ANSWER_WAIT_MS;
    PGresult *kept = NULL, *next;
    for (;;) {
        if (await(db, deadline_ms, err) != 0) {
            PQclear(kept);
            return NULL;
        }
        if (!(next = PQgetResult(db->conn)))
            break;
        PGresult *dropped = kept && !went_well(kept) ? next : kept;
        kept = dropped == next ? kept : next;
        PQclear(dropped);
    }
    if (!kept)
        lost(db, err);
    else if (!went_well(kept))
        failed(db, kept, err);
    else
        return kept;
    PQclear(kept);
    return NULL;
}

static int still_usable(const struct postgres_db *db, struct error *err)
{
    return db->is_broken ? error_set(err, ERROR_TEMPORARY, DB_BROKEN,
                                     "the connection to PostgreSQL is no longer usable")
                         : 0;
}

/* Statements without parameters, unprepared. */
static PGresult *run_plain(struct postgres_db *db, const char *sql, struct error *err)
{
    if (still_usable(db, err) != 0)
        return NULL;
    if (PQsendQuery(db->conn, sql))
        return read_answer(db, err);
    lost(db, err);
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
static int set_up_session(struct postgres_db *db, struct error *err)
{
    PGresult *result = run_plain(
        db,
        "SELECT pg_catalog.pg_is_in_recovery(), set_config('TimeZone', 'UTC', false),"
        " set_config('DateStyle', 'ISO, YMD', false), set_config('lock_timeout', '4500', false),"
        " set_config('statement_timeout', '5000', false),"
        " set_config('idle_in_transaction_session_timeout', '15000', false),"
        " set_config('tcp_keepalives_idle', '30', false),"
        " set_config('tcp_keepalives_interval', '5', false),"
        " set_config('tcp_keepalives_count', '3', false),"
        " set_config('synchronous_commit', CASE current_setting('synchronous_commit')"
        " WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)",
        err);
    if (!result)
        return -1;
    bool is_standby = PQgetvalue(result, 0, 0)[0] == 't';
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

static int postgres_begin(struct db *base, struct error *err)
{
    return postgres_script(base, "BEGIN ISOLATION LEVEL READ COMMITTED", err);
}

static int postgres_begin_reading(struct db *base, struct error *err)
{
    return postgres_script(base, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err);
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
    if (still_usable(db, err) != 0)
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

static uint64_t types_of(const struct db_value *values, size_t count)
{
    uint64_t types = 1; /* the position of this bit tells the count */
    for (size_t i = 0; i < count; i++)
        types = types << 2 | (values[i].type == DB_INT ? 1u : values[i].type == DB_REAL ? 2u : 0u);
    return types;
}

/* Texts and nulls have no type of their own, so that the server takes that of the column: text, or
 * a time. */
static int send_prepare(struct postgres_db *db, const char *name, const char *sql,
                        const struct db_value *values, size_t count)
{
    Oid types[DB_PARAMETERS_MAX] = {0};
    for (size_t i = 0; i < count; i++)
        types[i] = values[i].type == DB_INT ? OID_INT8 : values[i].type == DB_REAL ? OID_FLOAT8 : 0;
    TEXT(text) = postgres_sql(sql);
    return PQsendPrepare(db->conn, name, text, (int)count, types);
}

static int prepare(struct postgres_db *db, const char *sql, const struct db_value *values,
                   size_t count, char name[NUMBER_BYTES], struct error *err)
{
    uint64_t types = types_of(values, count);
    size_t i = 0;
    while (i < db->statement_count &&
           (db->statements[i].sql != sql || db->statements[i].types != types))
        i++;
    if (i == STATEMENTS_MAX) {
        if (postgres_script(&db->db, "DEALLOCATE ALL", err) != 0)
            return -1;
        i = db->statement_count = 0;
    }
    snprintf(name, NUMBER_BYTES, "s%zu", i);
    if (i < db->statement_count)
        return 0;
    if (!send_prepare(db, name, sql, values, count))
        return lost(db, err);
    PGresult *result = read_answer(db, err);
    PQclear(result);
    if (!result)
        return -1;
    db->statements[db->statement_count++] = (struct prepared){sql, types};
    return 0;
}

static PGresult *run_prepared(struct postgres_db *db, const char *name,
                              const struct db_value *values, size_t count, struct error *err)
{
    char numbers[DB_PARAMETERS_MAX][NUMBER_BYTES];
    const char *texts[DB_PARAMETERS_MAX] = {0};
    for (size_t i = 0; i < count; i++) {
        texts[i] = values[i].type == DB_NULL   ? NULL
                   : values[i].type == DB_TEXT ? values[i].text
                                               : numbers[i];
        if (values[i].type == DB_INT)
            snprintf(numbers[i], NUMBER_BYTES, "%lld", (long long)values[i].integer);
        else if (values[i].type == DB_REAL)
            snprintf(numbers[i], NUMBER_BYTES, "%.17g", values[i].real);
    }
    if (!PQsendQueryPrepared(db->conn, name, (int)count, texts, NULL, NULL, 0)) {
        lost(db, err);
        return NULL;
    }
    return read_answer(db, err);
}

static struct db_rows *postgres_query(struct db *base, const char *sql,
                                      const struct db_value *values, size_t count,
                                      struct error *err)
{
    struct postgres_db *db = postgres_of(base);
    char name[NUMBER_BYTES];
    if (still_usable(db, err) != 0 || prepare(db, sql, values, count, name, err) != 0)
        return NULL;
    PGresult *result = run_prepared(db, name, values, count, err);
    if (!result) {
        /* Such as a plan from before a table was changed; a new connection makes a new one. */
        if (err->class == ERROR_BUG)
            db->is_broken = true;
        return NULL;
    }
    db->touched = postgres_integer(PQcmdTuples(result));
    struct postgres_rows *rows = must_calloc(1, sizeof *rows);
    rows->rows.db = base;
    rows->result = result;
    rows->row = -1;
    rows->times = must_calloc((size_t)PQnfields(result) + 1, sizeof *rows->times);
    return &rows->rows;
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

/* Not now(): that is when the transaction began, which may be before a long wait for a lock. */
static int postgres_now(struct db *base, char text[WALL_TEXT_BYTES], struct error *err)
{
    DB_ROWS(rows) = db_query(base, "SELECT pg_catalog.clock_timestamp()", DB_NO_ARGS, err);
    int got = rows ? db_next(rows, err) : -1;
    if (got != 1)
        return -1;
    db_copy_text(rows, 0, text, WALL_TEXT_BYTES);
    return 0;
}

static const struct db_driver postgres_driver = {
    .kind = DB_POSTGRESQL,
    .close = postgres_close,
    .is_broken = postgres_is_broken,
    .begin = postgres_begin,
    .begin_reading = postgres_begin_reading,
    .commit = postgres_commit,
    .rollback = postgres_rollback,
    .now = postgres_now,
    .query = postgres_query,
    .next = postgres_next,
    .is_null = postgres_is_null,
    .get_int = postgres_get_int,
    .get_real = postgres_get_real,
    .get_text = postgres_get_text,
    .end = postgres_end,
    .touched = postgres_touched,
    .script = postgres_script,
};
