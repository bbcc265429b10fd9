/* db: one connection to one SQL database, whichever it is.
 *
 * A thin interface, so that one set of statements serves every driver: parameters are $1..$n, times
 * are ISO 8601 UTC text parameters (wall_format) and come back in the same form, identifiers and
 * functions are those that SQLite and PostgreSQL share. Text between slash-star and
 * star-slash is for PostgreSQL alone: a SELECT that must hold its row until the transaction ends
 * carries the marker DB_FOR_UPDATE (PostgreSQL refuses it in a reading transaction), and SQLite,
 * where db_begin is BEGIN IMMEDIATE, reads it as a comment.
 *
 * A connection is used by one thread at a time. Statements are prepared once per connection. Every
 * wait is bounded (DB_WAIT_MS). Errors: TEMPORARY with a code of enum db_code where another try may
 * help, PERMANENT otherwise. A connection that gave DB_BROKEN or DB_UNKNOWN must be closed:
 * db_is_broken says so from then on. */
#ifndef VERIFIER_DB_H
#define VERIFIER_DB_H

#include "base/clock.h"
#include "lib/error.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DB_WAIT_MS = 5000, DB_PARAMETERS_MAX = 29 };

#define DB_FOR_UPDATE " /*FOR UPDATE*/"
/* The same without waiting: a row that another transaction has locked is left out. */
#define DB_FOR_UPDATE_SKIP " /*FOR UPDATE SKIP LOCKED*/"
/* The same of a join: only the rows with the alias j. */
#define DB_FOR_UPDATE_OF_J      " /*FOR UPDATE OF j*/"
#define DB_FOR_UPDATE_OF_J_SKIP " /*FOR UPDATE OF j SKIP LOCKED*/"

enum db_code {
    DB_BUSY = EBUSY,           /* TEMPORARY: no lock within DB_WAIT_MS */
    DB_CONFLICT = EEXIST,      /* PERMANENT: a unique key is taken */
    DB_BROKEN = EPIPE,         /* TEMPORARY: the connection is no longer usable */
    DB_UNKNOWN = EINPROGRESS,  /* TEMPORARY: a commit's outcome is unknown; read again */
    DB_NO_CONNECTION = EAGAIN, /* TEMPORARY: the pool had none free (store_pool.c) */
    DB_VALUE = ERANGE,         /* PERMANENT: a value that a column cannot hold */
    DB_UNSUPPORTED = ENOTSUP,  /* PERMANENT: unsupported kind of database */
    DB_LOST = ECONNABORTED,    /* TEMPORARY: the database has rolled back by itself */
    DB_NO_SCHEMA = ENOMEDIUM,  /* PERMANENT: tables or columns are missing */
    DB_REFUSED = ECANCELED,    /* PERMANENT: a step that needs a row had none */
};

struct db;
struct db_rows;

enum db_type { DB_NULL, DB_INT, DB_REAL, DB_TEXT };
struct db_value {
    enum db_type type;
    int64_t integer;
    double real;
    const char *text; /* borrowed until the statement has ended */
};
static inline struct db_value db_int(int64_t value)
{
    return (struct db_value){.type = DB_INT, .integer = value};
}
static inline struct db_value db_real(double value)
{
    return (struct db_value){.type = DB_REAL, .real = value};
}
static inline struct db_value db_text(const char *value) /* NULL: null */
{
    return (struct db_value){.type = value ? DB_TEXT : DB_NULL, .text = value};
}
static inline struct db_value db_null(void)
{
    return (struct db_value){.type = DB_NULL};
}
#define DB_ARGS(...)                                                                               \
    (const struct db_value[]){__VA_ARGS__},                                                        \
        sizeof((const struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value)
#define DB_NO_ARGS NULL, (size_t)0

/* sqlite:/path or postgresql://user@host:port/name. password_file: "" or NULL = none; read here, so
 * that it may be rotated, and never quoted in an error. */
struct db *db_open(const char *url, const char *password_file, struct error *err);
bool db_has_one_writer(const char *url); /* at a time, which then has the whole database */
/* For db_begin_reading only. On SQLite it needs no write access to the file or its directory, and
 * creates neither. */
struct db *db_open_reading(const char *url, const char *password_file, struct error *err);
void db_close(struct db *db); /* NULL is fine */

/* For the few statements that cannot be the same: the schema's. */
enum db_kind { DB_SQLITE, DB_POSTGRESQL };
enum db_kind db_kind(const struct db *db);
bool db_is_broken(const struct db *db); /* it must be closed */

int db_begin(struct db *db, struct error *err);         /* for writing; on SQLite with the lock */
int db_begin_reading(struct db *db, struct error *err); /* one snapshot for several reads */
int db_commit(struct db *db, struct error *err);
void db_rollback(struct db *db); /* does nothing without an open transaction */

/* The database's own clock, as an expression, and its time alone. Not now(): that is when the
 * transaction began, which may be before a long wait for a lock. */
#define DB_CLOCK " /*pg_catalog.*/clock_timestamp()"
int db_now(struct db *db, char text[WALL_TEXT_BYTES], struct error *err);

/* NULL with *err filled. sql is kept by address: a literal. */
struct db_rows *db_query(struct db *db, const char *sql, const struct db_value *values,
                         size_t count, struct error *err);
int db_next(struct db_rows *rows, struct error *err); /* 1: a row, 0: no more, -1 */
bool db_is_null(struct db_rows *rows, int column);
int64_t db_get_int(struct db_rows *rows, int column);      /* 0 for null */
double db_get_real(struct db_rows *rows, int column);      /* 0 for null */
const char *db_get_text(struct db_rows *rows, int column); /* NULL for null; until db_next */
void db_copy_text(struct db_rows *rows, int column, char *out, size_t size); /* "" for null */
void db_end(struct db_rows *rows);                                           /* NULL is fine */
void db_rows_cleanup(struct db_rows **rows);
#define DB_ROWS(name) __attribute__((cleanup(db_rows_cleanup))) struct db_rows *name

/* Run a statement for its effect. touched: how many rows, may be NULL. */
int db_run(struct db *db, int64_t *touched, struct error *err, const char *sql,
           const struct db_value *values, size_t count);

/* Run a statement that gives at most one row with one integer. 1, 0 (no row) or -1. */
int db_one_int(struct db *db, int64_t *value, struct error *err, const char *sql,
               const struct db_value *values, size_t count);

/* ---- several statements in one go ----
 *
 * Statements of which none needs another's result: on PostgreSQL they cost one round trip together,
 * whatever their number. They run in order; each sees what those before it have done, and outside
 * of a snapshot what others have committed meanwhile. The first that fails ends the batch, its
 * error is the batch's, and none after it runs. Then a transaction may be open: roll it back. */
struct db_step;
/* Called for each row as it is read; step->rows were read before. What it has been told counts only
 * if the batch succeeds. */
typedef void db_row(struct db_step *step, struct db_rows *rows);
struct db_step {
    const char *sql; /* these three as for db_query */
    const struct db_value *values;
    size_t count;
    db_row *row; /* NULL: rows are dropped */
    void *ctx;   /* its own */
    /* A condition: a SELECT, or a change with RETURNING, that without a row ends the batch with
     * DB_REFUSED. Its columns cannot be read. */
    bool needs_row;
    int64_t rows; /* out */
};
enum { DB_STEPS_MAX = 24 };
enum db_frame {
    DB_PLAIN,
    DB_BEGIN,  /* after db_begin: the transaction is open if 0 is returned */
    DB_READ,   /* in one snapshot, and no transaction is left */
    DB_COMMIT, /* before db_commit, whose outcomes it has: none of the steps took effect unless it
                  returns 0 or fails with DB_UNKNOWN */
};
int db_batch(struct db *db, enum db_frame frame, struct db_step *steps, size_t count,
             struct error *err);

/* Steps that are put together one by one, with their values; texts stay borrowed. */
enum { DB_STEP_VALUES_MAX = 128 };
struct db_steps {
    struct db_step all[DB_STEPS_MAX];
    size_t count;
    struct db_value values[DB_STEP_VALUES_MAX];
    size_t value_count;
};
struct db_step *db_add_step(struct db_steps *steps, const char *sql, const struct db_value *values,
                            size_t count);

/* Several statements without parameters (a schema). */
int db_script(struct db *db, const char *sql, struct error *err);

#endif
