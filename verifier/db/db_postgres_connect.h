/* db_postgres_connect: a connection to PostgreSQL, and PostgreSQL's own forms of messages, numbers
 * and times. For the driver only.
 *
 * Every wait has a deadline; libpq is never called where it could block. Messages of libpq are
 * passed on only where they cannot quote a password. */
#ifndef VERIFIER_DB_POSTGRES_CONNECT_H
#define VERIFIER_DB_POSTGRES_CONNECT_H

#include "base/clock.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>

struct pg_conn; /* libpq's PGconn */

enum { POSTGRES_REASON_BYTES = 300 };

/* A connection that answers, within DB_WAIT_MS. NULL: TEMPORARY with DB_BROKEN if the server
 * cannot be reached now, PERMANENT if the URL or the password file is wrong. */
struct pg_conn *postgres_connect(const char *url, const char *password_file, struct error *err);

/* False at the deadline (by mono_ms). events as of poll(2). */
bool postgres_wait(const struct pg_conn *conn, short events, int64_t deadline_ms);

/* libpq ends its messages with a newline and writes some over several lines. */
void postgres_one_line(const char *message, char text[POSTGRES_REASON_BYTES]);
/* Clamped to the range of int64_t. */
int64_t postgres_integer(const char *text);
/* A time in UTC in wall_format's form: times are compared as texts everywhere else. */
const char *postgres_time(const char *value, bool has_offset, char text[WALL_TEXT_BYTES]);
/* The statement with the marks of comments taken off (db.h). Owned. */
char *postgres_sql(const char *sql);

#endif
