/* What a PostgreSQL server answers, and how long it is waited for. */
#include "verifier/db/db_postgres_private.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_WAIT_MS = DB_WAIT_MS + 500 };

/* ---- errors ---- */

/* The first that fits; states are SQLSTATEs or their beginnings. */
static const struct meaning {
    const char *state;
    enum error_class class;
    int code;
} meanings[] = {
    {"23505", ERROR_PERMANENT, DB_CONFLICT}, /* unique key */
    {"23", ERROR_PERMANENT, EINVAL},
    {"22012", ERROR_PERMANENT, DB_REFUSED}, /* a division by zero: db_postgres.c, text_of */
    {"22", ERROR_PERMANENT, DB_VALUE},      /* out of a column's range or form */
    {"55P03", ERROR_TEMPORARY, DB_BUSY},    /* lock_timeout */
    {"57014", ERROR_TEMPORARY, DB_BUSY},    /* statement_timeout, or it was canceled */
    {"40", ERROR_TEMPORARY, DB_BUSY},       /* deadlock, serialization */
    {"25006", ERROR_TEMPORARY, DB_BROKEN},  /* read-only: no longer the primary */
    {"25P03", ERROR_TEMPORARY, DB_BROKEN},  /* idle in a transaction for too long */
    {"26000", ERROR_TEMPORARY, DB_BROKEN},  /* a pooler gave us another server's session */
    {"57", ERROR_TEMPORARY, DB_BROKEN},     /* shutdown, crash, not yet up */
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

int postgres_lost(struct postgres_db *db, struct error *err)
{
    char text[POSTGRES_REASON_BYTES];
    postgres_one_line(PQerrorMessage(db->conn), text);
    db->is_broken = true;
    return error_set(err, ERROR_TEMPORARY, DB_BROKEN, "PostgreSQL: %s",
                     text[0] ? text : "the connection is lost");
}

int postgres_failed(struct postgres_db *db, const PGresult *result, struct error *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (!state || !message)
        return postgres_lost(db, err);
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

int64_t postgres_deadline_ms(void)
{
    return mono_ms() + ANSWER_WAIT_MS;
}

/* Until everything is sent and PQgetResult does not block. */
int postgres_await(struct postgres_db *db, int64_t deadline_ms, struct error *err)
{
    int unsent;
    while ((unsent = PQflush(db->conn)) != 0 || PQisBusy(db->conn)) {
        if (!postgres_wait(db->conn, unsent > 0 ? POLLIN | POLLOUT : POLLIN, deadline_ms)) {
            db->is_broken = true;
            return error_set(err, ERROR_TEMPORARY, DB_BROKEN,
                             "no answer from PostgreSQL within %d ms", ANSWER_WAIT_MS);
        }
        if (!PQconsumeInput(db->conn) || unsent < 0)
            return PQisBusy(db->conn) && PQstatus(db->conn) == CONNECTION_OK
                       ? postgres_lost(db, err)
                       : 0;
    }
    return 0;
}

bool postgres_went_well(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

/* The result of what was sent: the last of several, or the first that failed. */
PGresult *postgres_answer(struct postgres_db *db, struct error *err)
{
    int64_t deadline_ms = postgres_deadline_ms();
    PGresult *kept = NULL, *next;
    for (;;) {
        if (postgres_await(db, deadline_ms, err) != 0) {
            PQclear(kept);
            return NULL;
        }
        if (!(next = PQgetResult(db->conn)))
            break;
        PGresult *dropped = kept && !postgres_went_well(kept) ? next : kept;
        kept = dropped == next ? kept : next;
        PQclear(dropped);
    }
    if (!kept)
        postgres_lost(db, err);
    else if (!postgres_went_well(kept))
        postgres_failed(db, kept, err);
    else
        return kept;
    PQclear(kept);
    return NULL;
}

int postgres_usable(const struct postgres_db *db, struct error *err)
{
    return db->is_broken ? error_set(err, ERROR_TEMPORARY, DB_BROKEN,
                                     "the connection to PostgreSQL is no longer usable")
                         : 0;
}
