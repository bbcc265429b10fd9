/* record_process: which processes work on a record, and the lock that its step holds. */
#ifndef AGENT_RECORD_PROCESS_H
#define AGENT_RECORD_PROCESS_H

#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A process: boot id + PID + start time, because a PID alone may have been reused. */
struct process_identity {
    char boot_id[40];
    pid_t pid;
    uint64_t start_ticks; /* field 22 of /proc/<pid>/stat */
};

/* Which process works on it. `name` is "step" or "transcoder". No file: -1, code ENOENT. */
int record_write_identity(int dir, const char *name, pid_t pid, struct error *err);
int record_read_identity(int dir, const char *name, struct process_identity *identity,
                         struct error *err);
/* A pidfd of exactly that process, or -1 if it no longer exists. */
int process_identity_open(const struct process_identity *identity);
/* Is it alive, and not stopped? */
bool process_identity_moves(const struct process_identity *identity);
/* If it is alive, SIGKILL its process group, using the pidfd first. */
void process_identity_kill_group(const struct process_identity *identity);

/* The lock that a step holds as long as it lives. -1 with code EWOULDBLOCK: another process holds
 * it. An OFD lock, so that record_is_locked can test it without taking it. */
int record_lock(int dir, struct error *err); /* the descriptor, CLOEXEC */
bool record_is_locked(int dir);

#endif
