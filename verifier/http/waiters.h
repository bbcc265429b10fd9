/* waiters: requests that wait for a job, or for a change, without a thread.
 *
 * A handler that has nothing to answer yet leaves answer->status 0 and says in request->wait what
 * it waits for; its request comes here. One thread watches all of them: it ends a wait at its
 * deadline, when the client disconnects and when the process stops; it answers those itself
 * (wait.give_up, which does not block).
 *
 * After a notification, and from time to time because other processes add jobs too, *one* question
 * to the database finds out how many jobs there may be. So many waiters, the first ones first, are
 * tried again (on the pool). Who got none goes to the end, and the next one is tried: a job that
 * the first may not have keeps nobody from it. */
#ifndef VERIFIER_WAITERS_H
#define VERIFIER_WAITERS_H

#include "verifier/http/answer.h"
#include "verifier/http/pool.h"

enum {
    WAITERS_OF_WORKER_MAX = 8, /* of the ninth, the oldest is answered at once */
    WAITERS_JOBS_MAX = 32,     /* that one question finds */
    WAITERS_TRIES_MAX = 64,    /* after one question */
    WAITERS_AT_ONCE = 8,       /* tries: more would only wait for a connection of the store */
    /* Between two questions without a notification. */
    WAITERS_CHECK_MS = 400,
    WAITERS_CHECK_SPREAD_MS = 400,
    WAITERS_SCAN_MS = 50, /* how late a deadline may be noticed */
};

/* A request that may wait; a member of what owns the request. Its owner has it, or the waiters:
 * from waiters_add until one of the two calls back. */
struct waiter {
    struct request *request;
    struct answer *answer;
    struct task *task; /* tries once more; ends in waiters_tried */
    enum lane lane;    /* where it runs */
    /* The rest is the waiters'. */
    struct waiter *previous, *next, *next_of_worker;
    int64_t due_ms;
    uint64_t round;
    bool is_trying;
};

struct waiters;
/* answered: takes the request back, from any thread; answer->status is set. */
struct waiters *waiters_start(struct app *app, struct pool *pool,
                              void (*answered)(struct waiter *waiter));
/* After wakeup_close and when no request runs. False: the thread hangs. */
bool waiters_stop(struct waiters *waiters, int64_t until_ms);

/* After a first attempt without an answer. The waiter may be answered before this returns. */
void waiters_add(struct waiters *waiters, struct waiter *waiter);
/* After an attempt that the waiters have asked for. True: it has an answer, and is its owner's
 * again. False: it waits on, and may be answered before this returns. */
bool waiters_tried(struct waiters *waiters, struct waiter *waiter);
/* Now. */
int waiters_count(struct waiters *waiters);

#endif
