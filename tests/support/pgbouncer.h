/* pgbouncer: a real PgBouncer of a test in transaction mode, on a free port of 127.0.0.1, before
 * every database of one postgres.h server:
 *
 *     struct pgbouncer *pgbouncer = pgbouncer_start(postgres->place);
 *     TEXT(pooled) = postgres_url_at(url, pgbouncer->port);
 *     pgbouncer_stop(pgbouncer);
 *
 * Each database has a few server sessions only, used in turn, so that two transactions of one
 * client seldom meet the same one. Refuses to run as root, dies with the test (as in postgres.h).
 */
#ifndef SUPPORT_PGBOUNCER_H
#define SUPPORT_PGBOUNCER_H

#include "guard.h"
#include "process.h"

struct pgbouncer {
    char dir[64];
    struct guard guard;
    struct process *process;
    int port;
};

struct pgbouncer *pgbouncer_start(const char *place); /* ready when it returns */
void pgbouncer_stop(struct pgbouncer *pgbouncer);

#endif
