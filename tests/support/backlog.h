/* backlog: the spool of an agent that could not deliver for a long time: sealed completions, each
 * in a record of its own, that nobody has presented yet.
 *
 * Written without fsync, which would take most of the time. */
#ifndef SUPPORT_BACKLOG_H
#define SUPPORT_BACKLOG_H

#include <stdint.h>

/* The records of the jobs first_job, first_job + 1, … below state_dir, which exists. Sealed in the
 * opposite order, a second after one another: the job with the highest ID is the oldest. */
void backlog_write(const char *state_dir, int64_t first_job, int count);

/* How many records are left in its spool. */
int backlog_count(const char *state_dir);

#endif
