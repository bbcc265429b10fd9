/* work: what the pool does for one request, and whose the request is meanwhile.
 *
 * A request is its connection's event thread's, until that thread suspends the connection and calls
 * work_hand_over, work_fetch or work_end. From then on it is the worker's, or the waiters', who
 * passes it back by the hook `resume` (or `ended`) and touches it no more. Every such step passes
 * through a lock, so a request needs none of its own. */
#ifndef VERIFIER_WORK_H
#define VERIFIER_WORK_H

#include "verifier/http/exchange.h"
#include "verifier/http/waiters.h"

#include <sys/types.h>

enum {
    WORK_BUFFER_BYTES = 128 * 1024, /* of an upload or a download, for each hand-over */
    /* A task that has not begun after this time is answered 503; where much waits, what waits
     * behind it may still be answered in time. */
    WORK_QUEUED_MS = 10 * 1000,
};

struct work;
/* What all requests of a server share. */
struct hub {
    struct app *app;
    struct pool *pool;
    struct waiters *waiters;
    /* Called from any thread: */
    void (*resume)(struct work *work);
    void (*ended)(struct work *work);    /* frees it */
    void (*admitted)(struct work *work); /* the caller is known, or refused */
    bool (*may_wait)(struct work *work); /* False: there are too many already */
    /* A part of a form; NULL: its end, perhaps for the second time. Only where is_form is set. */
    void (*parse)(struct work *work, const char *data, size_t size);
};

struct work {
    struct hub *hub;
    struct task task;
    struct waiter waiter;
    struct exchange exchange;
    bool is_known;    /* set by the owner: the connection has shown a good key before */
    bool is_admitted; /* exchange_admit has run */
    bool is_whole;    /* set by the owner: the body has ended */
    bool is_form;     /* set by the owner: the body goes to hub->parse */
    enum lane lane;   /* of the task */
    int64_t queued_ms;
    char *buffer; /* WORK_BUFFER_BYTES; NULL: not needed yet */
    size_t buffered;
    int64_t buffer_at; /* of a download: where in the answer */
    bool has_failed;   /* the file cannot be read */
};

void work_init(struct work *work, struct hub *hub, const char *uri);

/* Does what is due: admits, takes the buffer, runs the handler if the body is whole. */
void work_hand_over(struct work *work);

/* A part of the body; *size: in: its size, out: how much was taken. */
enum work_taken { WORK_GOES_ON, WORK_IS_FULL /* hand over */, WORK_CUT };
enum work_taken work_take(struct work *work, const char *data, size_t *size);

/* Copies of the file that is sent. 0: not there yet, hand over with work_fetch; -1: failed. */
ssize_t work_read(struct work *work, int64_t at, char *to, size_t max);
void work_fetch(struct work *work, int64_t at);

/* The answer was sent, or the connection was lost: calls `ended`, here or later. */
void work_end(struct work *work);
/* For waiters_start. */
void work_answered(struct waiter *waiter);

#endif
