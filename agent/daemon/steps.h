/* steps: one process per job. Starts, adopts and monitors them; knows nothing about what they do.
 *
 * A step is this binary (/proc/self/exe) in its own session, so that it outlives the agent. The
 * next agent finds it by the record's lock and its identity, and monitors it through a pidfd. Only
 * our own children are reaped. A step that ended without progress is started again with backoff;
 * STEPS_WITHOUT_PROGRESS_MAX such runs in a row before anything was transcoded become a failure
 * report. After that point there is no limit: finished work is never given up.
 *
 * A step that is running but not visible (hidepid, another PID namespace) is never started a second
 * time: this is reported once, and checked at growing intervals until it has released its record.
 */
#ifndef AGENT_STEPS_H
#define AGENT_STEPS_H

#include "agent/daemon/node.h"

enum {
    STEPS_WITHOUT_PROGRESS_MAX = 5,
    STEPS_UNSEEN_MAX = 5, /* checks, 3 s: a step locks its record before it writes its identity */
    STEPS_UNSEEN_MS = 200,
    STEPS_UNSEEN_CAP_MS = 10 * 1000,
};

/* Starts or adopts what needs a step. Returns when to call it again. */
int64_t steps_tick(struct node *node, int64_t now_ms);

/* The pidfd of a step is readable. False: it belongs to no step. */
bool steps_handle(struct node *node, int pidfd);

/* A child of ours has ended. Its PID cannot be reused before it is reaped. */
bool steps_handle_pid(struct node *node, pid_t pid);

/* A step is running: ends it, its transcoder too. A successor starts at once. */
void steps_tell_to_end(struct live *live);
/* Nothing that happened to earlier steps counts. */
void steps_retry(struct live *live);
void steps_postpone(struct live *live, int64_t due_ms);

unsigned steps_running(const struct node *node);

extern const struct roster_owner steps_owner;

/* When to check again for a step that was not visible in so many consecutive checks. */
int64_t steps_unseen_pause_ms(unsigned checks);

#endif
