/* db_postgres_private: what the files of the PostgreSQL driver share. */
#ifndef VERIFIER_DB_POSTGRES_PRIVATE_H
#define VERIFIER_DB_POSTGRES_PRIVATE_H

#include "verifier/db/db_driver.h"
#include "verifier/db/db_postgres_connect.h"

enum { POSTGRES_STATEMENTS_MAX = 256 };

struct pg_result; /* libpq's PGresult */

struct prepared {
    const char *sql; /* the literal's address is the key, with the types of the parameters */
    uint64_t types;
};

struct postgres_db {
    struct db db;
    struct pg_conn *conn;
    bool is_broken;
    /* A pooler gives each transaction any of its sessions: nothing may be kept in one. Then no
     * statement is prepared by name, and each transaction sets the limits for itself. */
    bool is_pooled;
    int64_t touched;
    struct prepared statements[POSTGRES_STATEMENTS_MAX];
    size_t statement_count;
};

static inline struct postgres_db *postgres_of(struct db *db)
{
    return (struct postgres_db *)db;
}

/* ---- db_postgres_answer.c ---- */

int postgres_usable(const struct postgres_db *db, struct error *err); /* -1: it is broken */
int postgres_lost(struct postgres_db *db, struct error *err);         /* -1; it is broken now */
/* -1: what the result of a statement that failed means. */
int postgres_failed(struct postgres_db *db, const struct pg_result *result, struct error *err);
bool postgres_went_well(const struct pg_result *result);
/* Of an answer that is awaited from now on. */
int64_t postgres_deadline_ms(void);
/* Until everything is sent and PQgetResult does not block. */
int postgres_await(struct postgres_db *db, int64_t deadline_ms, struct error *err);
/* The result of what was sent: the last of several. NULL: it failed. */
struct pg_result *postgres_answer(struct postgres_db *db, struct error *err);

/* ---- db_postgres.c ---- */

/* Outside of a transaction, by a pooler. */
extern const char postgres_set_limits[];
bool postgres_needs_limits(const struct postgres_db *db);
/* The number of the prepared statement; -1. By a pooler any number, and nothing is done. Needs a
 * round trip the first time. */
int postgres_prepare(struct postgres_db *db, const struct db_step *step, struct error *err);
/* Place for so many new ones; without it a later one may take the place of an earlier one. */
int postgres_reserve(struct postgres_db *db, size_t count, struct error *err);
bool postgres_send(struct postgres_db *db, int number, const struct db_step *step);
struct db_rows *postgres_rows_of(struct postgres_db *db, struct pg_result *result); /* takes it */

/* ---- db_postgres_batch.c ---- */

/* One statement in a transaction of its own, with the limits; one round trip. NULL: it failed. */
struct pg_result *postgres_alone(struct postgres_db *db, struct db_step *step, struct error *err);
int postgres_batch(struct db *db, enum db_frame frame, struct db_step *steps, size_t count,
                   struct error *err);

#endif
