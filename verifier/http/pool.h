/* pool: the threads that may block: on the database, a file system, a lock, a slow hash. The event
 * threads of server.c only parse and send; whatever else a request needs is a task here.
 *
 * Each lane has threads of its own, so that what blocks one leaves the others: a hung share takes
 * the threads of LANE_FILES, callers without a key those of LANE_ENTRY. Tasks of a lane begin in
 * their order. A task is a member of what it works on, so a queue is bounded by the requests. */
#ifndef VERIFIER_POOL_H
#define VERIFIER_POOL_H

#include <stdbool.h>
#include <stdint.h>

enum lane {
    LANE_HEALTH,   /* health, metrics, what needs no credential */
    LANE_PAGE,     /* what the page reads */
    LANE_ENTRY,    /* keys on a connection that has shown no good one */
    LANE_NARROW,   /* keys from addresses with too many bad ones: one at a time */
    LANE_CALLS,    /* calls of workers and administrators */
    LANE_COMPLETE, /* completions */
    LANE_FILES,    /* uploads, downloads */
    LANE_COUNT,
};

struct task {
    struct task *next;
    void (*run)(struct task *task); /* may end the task's life, or hand it over again */
};

struct pool;
struct pool *pool_start(void);
/* Never blocks. The task belongs to the pool until its run. */
void pool_run(struct pool *pool, enum lane lane, struct task *task);
/* Ends the threads; the queues must be empty. False: one still runs a task at until_ms (mono_ms):
 * free nothing, only call _exit. */
bool pool_stop(struct pool *pool, int64_t until_ms);

#endif
