/* steps: one process per job. Starts, adopts and watches them; knows nothing of what they do.
 *
 * A step is this very binary (/proc/self/exe) in a session of its own, so that it outlives the
 * agent; the next agent finds it by the record's lock and its identity, and watches it through a
 * pidfd. Only our own children are reaped. A step that ended without moving its record is started
 * again with backoff; STEPS_FUTILE_MAX such ends in a row before anything was transcoded become a
 * failure report. After that point there is no limit: finished work is never given up.
 *
 * A step that runs but cannot be seen (hidepid, another pid namespace) is never started a second
 * time: it is said once, and looked for ever more slowly until it has let go of its record. */
#ifndef AGENT_STEPS_H
#define AGENT_STEPS_H

#include "agent/daemon/node.h"

enum {
    STEPS_FUTILE_MAX = 5,
    STEPS_UNSEEN_MAX = 5, /* looks, 3 s: a step has the lock before it has written who it is */
    STEPS_UNSEEN_MS = 200,
    STEPS_UNSEEN_CAP_MS = 10 * 1000,
};

/* Starts or adopts what needs a step. Returns when it wants to be called again. */
int64_t steps_tick(struct node *node, int64_t now_ms);

/* The pidfd of a step has become readable. False: it belongs to none. */
bool steps_handle(struct node *node, int pidfd);

/* A child of ours has ended, by its pid: nobody else's as long as it is not reaped. */
bool steps_handle_pid(struct node *node, pid_t pid);

unsigned steps_running(const struct node *node);

/* How long until a step that was not seen so often in a row is looked for again. */
int64_t steps_unseen_pause_ms(unsigned looks);

#endif
