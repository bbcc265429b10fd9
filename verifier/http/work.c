#include "verifier/http/work.h"

#include "base/clock.h"
#include "verifier/http/auth.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct work *of_task(struct task *task)
{
    return (struct work *)((char *)task - offsetof(struct work, task));
}

void work_init(struct work *work, struct hub *hub, const char *uri)
{
    work->hub = hub;
    exchange_init(&work->exchange, hub->app, uri);
    work->waiter.request = &work->exchange.request;
    work->waiter.answer = &work->exchange.answer;
    work->waiter.task = &work->task;
}

/* ---- lanes ---- */

/* Until a connection has shown a good key, it competes only with others that have not. */
static enum lane lane_of(const struct work *work)
{
    const struct exchange *exchange = &work->exchange;
    if (work->is_admitted || exchange->route->auth != AUTH_WORKER)
        return route_lane(exchange->route);
    return auth_is_limited(work->hub->app->auth, &exchange->request) ? LANE_NARROW
           : work->is_known                                          ? route_lane(exchange->route)
                                                                     : LANE_ENTRY;
}

static void queue(struct work *work, enum lane lane, void (*run)(struct task *task))
{
    work->task.run = run;
    work->lane = lane;
    work->queued_ms = mono_ms();
    pool_run(work->hub->pool, lane, &work->task);
}

/* An upload that has begun is not thrown away. */
static bool is_too_late(const struct work *work)
{
    bool has_begun = work->is_admitted && work->exchange.body.sink == BODY_TO_FILE;
    return !has_begun && mono_ms() - work->queued_ms > WORK_QUEUED_MS;
}

/* ---- one step ---- */

static void run_step(struct task *task);

/* True: the next step is another lane's. */
static bool admit(struct work *work)
{
    exchange_admit(&work->exchange);
    work->is_admitted = true;
    work->hub->admitted(work);
    if (!work->is_whole || work->exchange.answer.status || lane_of(work) == work->lane)
        return false;
    queue(work, lane_of(work), run_step);
    return true;
}

static void take_buffered(struct work *work)
{
    if (work->is_form && !work->exchange.answer.status)
        work->hub->parse(work, work->buffer, work->buffered);
    else
        exchange_take(&work->exchange, work->buffer, work->buffered);
    work->buffered = 0;
}

static void run_again(struct task *task)
{
    struct work *work = of_task(task);
    exchange_finish(&work->exchange);
    if (waiters_tried(work->hub->waiters, &work->waiter))
        work->hub->resume(work);
}

/* After a first attempt. */
static void wait_for_more(struct work *work)
{
    struct exchange *exchange = &work->exchange;
    if (work->hub->may_wait(work)) {
        work->task.run = run_again;
        work->waiter.lane = work->lane;
        waiters_add(work->hub->waiters, &work->waiter);
        return;
    }
    exchange->request.wait.give_up(&exchange->request, &exchange->answer);
    work->hub->resume(work);
}

static void run_step(struct task *task)
{
    struct work *work = of_task(task);
    struct exchange *exchange = &work->exchange;
    if (is_too_late(work) && !exchange->answer.status)
        answer_problem(&exchange->answer, TAILSLATE_PROBLEM_STORE_UNAVAILABLE,
                       "The server is too busy.");
    else if (!work->is_admitted && admit(work))
        return;
    if (work->buffered > 0)
        take_buffered(work);
    if (work->is_whole && work->is_form)
        work->hub->parse(work, NULL, 0);
    if (work->is_whole)
        exchange_finish(exchange);
    if (work->is_whole && !exchange->answer.status)
        wait_for_more(work);
    else
        work->hub->resume(work);
}

void work_hand_over(struct work *work)
{
    queue(work, lane_of(work), run_step);
}

void work_answered(struct waiter *waiter)
{
    struct work *work = (struct work *)((char *)waiter - offsetof(struct work, waiter));
    work->hub->resume(work);
}

/* ---- bodies ---- */

static char *buffer_of(struct work *work)
{
    if (!work->buffer)
        work->buffer = must_malloc(WORK_BUFFER_BYTES);
    return work->buffer;
}

enum work_taken work_take(struct work *work, const char *data, size_t *size)
{
    struct exchange *exchange = &work->exchange;
    size_t space = WORK_BUFFER_BYTES - work->buffered;
    if (!exchange_writes(exchange))
        return exchange_take(exchange, data, *size) ? WORK_GOES_ON : WORK_CUT;
    if (*size > space)
        *size = space;
    memcpy(buffer_of(work) + work->buffered, data, *size);
    work->buffered += *size;
    return work->buffered == WORK_BUFFER_BYTES ? WORK_IS_FULL : WORK_GOES_ON;
}

/* ---- files that are sent ---- */

ssize_t work_read(struct work *work, int64_t at, char *to, size_t max)
{
    int64_t skipped = at - work->buffer_at;
    if (work->has_failed)
        return -1;
    if (skipped < 0 || skipped >= (int64_t)work->buffered)
        return 0;
    size_t there = work->buffered - (size_t)skipped;
    size_t size = max < there ? max : there;
    memcpy(to, work->buffer + skipped, size);
    return (ssize_t)size;
}

/* The file may have been truncated since: then it ends early, and so does the connection. */
static void run_fetch(struct task *task)
{
    struct work *work = of_task(task);
    const struct answer *answer = &work->exchange.answer;
    int64_t left = answer->fd_length - work->buffer_at;
    size_t size = left < WORK_BUFFER_BYTES ? (size_t)left : WORK_BUFFER_BYTES;
    ssize_t got;
    do {
        got = pread(answer->fd, buffer_of(work), size, answer->fd_offset + work->buffer_at);
    } while (got < 0 && errno == EINTR);
    work->has_failed = got <= 0;
    work->buffered = got > 0 ? (size_t)got : 0;
    work->hub->resume(work);
}

void work_fetch(struct work *work, int64_t at)
{
    work->buffer_at = at;
    work->buffered = 0;
    queue(work, LANE_FILES, run_fetch);
}

/* ---- the end ---- */

static void end(struct work *work)
{
    if (work->is_form)
        work->hub->parse(work, NULL, 0);
    exchange_note_sent(&work->exchange);
    exchange_fini(&work->exchange);
    free(work->buffer);
    work->hub->ended(work);
}

static void run_end(struct task *task)
{
    end(of_task(task));
}

void work_end(struct work *work)
{
    const struct exchange *exchange = &work->exchange;
    if (exchange_has_rest(exchange))
        queue(work, exchange->route ? route_lane(exchange->route) : LANE_CALLS, run_end);
    else
        end(work);
}
