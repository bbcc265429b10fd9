#include "verifier/http/waiters.h"

#include "base/clock.h"
#include "lib/uuid.h"
#include "verifier/base/counters.h"
#include "verifier/base/deadline.h"
#include "verifier/files/files_watch.h"
#include "verifier/store/store_claim.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { BUCKETS = 1024, EVENTS_MAX = 64 };

struct list {
    struct waiter *first, *last;
};

struct waiters {
    struct app *app;
    struct pool *pool;
    void (*answered)(struct waiter *waiter);
    pthread_t thread;
    int epoll_fd, nudge_fd;
    struct task check;
    pthread_mutex_t lock; /* of all below */
    struct list for_job, for_change;
    struct waiter *of_worker[BUCKETS]; /* those for a job, the newest first */
    struct waiter **by_fd;             /* grows */
    int fd_count, count;
    int64_t wake_ms; /* when the thread looks next */
    /* One question to the store, and what it found. */
    bool is_checking, checks_again, has_failed, is_full;
    struct error failure;
    int64_t check_ms;
    int jobs, tries, trying;
    uint64_t round;
    bool is_stopping;
};

/* ---- the lists; with the lock held ---- */

static struct list *list_of(struct waiters *waiters, const struct waiter *waiter)
{
    return waiter->request->wait.what == WAIT_FOR_JOB ? &waiters->for_job : &waiters->for_change;
}

static void append(struct list *list, struct waiter *waiter)
{
    waiter->next = NULL;
    waiter->previous = list->last;
    if (list->last)
        list->last->next = waiter;
    else
        list->first = waiter;
    list->last = waiter;
}

static void unlink_from(struct list *list, struct waiter *waiter)
{
    if (waiter->previous)
        waiter->previous->next = waiter->next;
    else
        list->first = waiter->next;
    if (waiter->next)
        waiter->next->previous = waiter->previous;
    else
        list->last = waiter->previous;
}

/* FNV-1a */
static struct waiter **bucket_of(struct waiters *waiters, const struct waiter *waiter)
{
    uint32_t hash = 2166136261u;
    for (const char *at = waiter->request->worker.worker_id; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    return &waiters->of_worker[hash % BUCKETS];
}

static void forget_worker(struct waiters *waiters, struct waiter *waiter)
{
    struct waiter **at = bucket_of(waiters, waiter);
    while (*at && *at != waiter)
        at = &(*at)->next_of_worker;
    if (*at)
        *at = waiter->next_of_worker;
}

/* The oldest of this worker if there are too many; NULL: there are not. */
static struct waiter *too_many(struct waiters *waiters, const struct waiter *waiter)
{
    int count = 0;
    struct waiter *oldest = NULL;
    for (struct waiter *at = *bucket_of(waiters, waiter); at; at = at->next_of_worker)
        if (strcmp(at->request->worker.worker_id, waiter->request->worker.worker_id) == 0) {
            count++;
            oldest = at;
        }
    return count > WAITERS_OF_WORKER_MAX ? oldest : NULL;
}

/* Readiness to read is not asked for: only that the client has closed its side. */
static void watch(struct waiters *waiters, struct waiter *waiter)
{
    int fd = waiter->request->connection_fd;
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.fd = fd};
    if (fd >= waiters->fd_count) {
        int count = waiters->fd_count ? waiters->fd_count : 256;
        while (count <= fd)
            count *= 2;
        waiters->by_fd = must_realloc(waiters->by_fd, (size_t)count * sizeof(struct waiter *));
        for (int i = waiters->fd_count; i < count; i++)
            waiters->by_fd[i] = NULL;
        waiters->fd_count = count;
    }
    waiters->by_fd[fd] = waiter;
    must(epoll_ctl(waiters->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
}

static void enter(struct waiters *waiters, struct waiter *waiter)
{
    struct waiter **bucket = bucket_of(waiters, waiter);
    append(list_of(waiters, waiter), waiter);
    if (waiter->request->wait.what == WAIT_FOR_JOB) {
        waiter->next_of_worker = *bucket;
        *bucket = waiter;
    }
    watch(waiters, waiter);
    waiters->count++;
    count(COUNT_WAITING, 1);
}

/* Afterwards it is the caller's. */
static void leave(struct waiters *waiters, struct waiter *waiter)
{
    int fd = waiter->request->connection_fd;
    unlink_from(list_of(waiters, waiter), waiter);
    forget_worker(waiters, waiter);
    waiters->by_fd[fd] = NULL;
    must(epoll_ctl(waiters->epoll_fd, EPOLL_CTL_DEL, fd, NULL) == 0);
    waiters->count--;
    count(COUNT_WAITING, -1);
}

/* ---- the end of a wait; with the lock held ---- */

static void give_up(struct waiters *waiters, struct waiter *waiter)
{
    bool is_blind = waiters->has_failed && waiter->request->wait.what == WAIT_FOR_JOB &&
                    !wakeup_is_closed(waiters->app->wakeup);
    leave(waiters, waiter);
    if (is_blind) /* "no job" would be a guess */
        answer_error(waiter->answer, waiter->request, &waiters->failure);
    else
        waiter->request->wait.give_up(waiter->request, waiter->answer);
    waiters->answered(waiter);
}

static void try_again(struct waiters *waiters, struct waiter *waiter)
{
    leave(waiters, waiter);
    pool_run(waiters->pool, waiter->lane, waiter->task);
}

/* So many waiters as there may be jobs, each at most once in a round. */
static void try_next(struct waiters *waiters)
{
    while (waiters->trying < waiters->jobs && waiters->trying < WAITERS_AT_ONCE &&
           waiters->tries > 0) {
        struct waiter *waiter = waiters->for_job.first;
        if (!waiter || waiter->round == waiters->round)
            return;
        waiter->round = waiters->round;
        waiter->is_trying = true;
        waiters->trying++;
        waiters->tries--;
        try_again(waiters, waiter);
    }
}

/* Nobody gets a job, and each is told why. */
static void give_up_all(struct waiters *waiters)
{
    while (waiters->for_job.first)
        give_up(waiters, waiters->for_job.first);
}

/* ---- the question ---- */

static void begin_check(struct waiters *waiters)
{
    waiters->checks_again = waiters->is_checking;
    if (waiters->is_checking)
        return;
    waiters->is_checking = true;
    waiters->check_ms = mono_ms() + WAITERS_CHECK_MS +
                        (int64_t)(random_u64() % WAITERS_CHECK_SPREAD_MS);
    pool_run(waiters->pool, LANE_CALLS, &waiters->check);
}

static void check(struct task *task)
{
    struct waiters *waiters = (struct waiters *)((char *)task - offsetof(struct waiters, check));
    char reason[FILES_REASON_BYTES];
    struct error err;
    int jobs = 0;
    bool may_grant = !files_problem(waiters->app->files, reason);
    bool has_failed = may_grant && store_count_claimable(waiters->app->store, WAITERS_JOBS_MAX,
                                                         &jobs, &err) != 0;
    pthread_mutex_lock(&waiters->lock);
    waiters->is_checking = false;
    waiters->has_failed = has_failed;
    if (has_failed)
        waiters->failure = err;
    waiters->jobs = jobs;
    waiters->is_full = jobs == WAITERS_JOBS_MAX;
    waiters->tries = WAITERS_TRIES_MAX;
    waiters->round++;
    if (!may_grant)
        give_up_all(waiters);
    if (waiters->checks_again)
        begin_check(waiters);
    else
        try_next(waiters);
    pthread_mutex_unlock(&waiters->lock);
}

/* ---- the thread ---- */

static void visit(struct waiters *waiters, struct list *list, int64_t now_ms, int64_t *next_ms)
{
    bool is_closed = wakeup_is_closed(waiters->app->wakeup);
    for (struct waiter *next, *at = list->first; at; at = next) {
        next = at->next;
        if (is_closed || at->request->wait.until_ms <= now_ms)
            give_up(waiters, at);
        else if (at->due_ms <= now_ms)
            try_again(waiters, at);
        else if (at->due_ms < *next_ms)
            *next_ms = at->due_ms;
    }
}

static void look(struct waiters *waiters, bool is_notified)
{
    int64_t now_ms = mono_ms(), next_ms = INT64_MAX;
    visit(waiters, &waiters->for_job, now_ms, &next_ms);
    visit(waiters, &waiters->for_change, now_ms, &next_ms);
    if (waiters->for_job.first && (is_notified || now_ms >= waiters->check_ms))
        begin_check(waiters);
    if (waiters->for_job.first && waiters->check_ms < next_ms)
        next_ms = waiters->check_ms;
    int64_t soon_ms = now_ms + WAITERS_SCAN_MS;
    waiters->wake_ms = next_ms < soon_ms ? soon_ms : next_ms;
}

/* The event may be an old one of a descriptor that was closed and given out again. */
static void note_event(struct waiters *waiters, int fd)
{
    struct waiter *waiter = fd < waiters->fd_count ? waiters->by_fd[fd] : NULL;
    if (waiter && request_client_is_gone(waiter->request))
        give_up(waiters, waiter);
}

static void clear(int fd)
{
    eventfd_t ignored;
    eventfd_read(fd, &ignored);
}

static int wait_ms(struct waiters *waiters)
{
    pthread_mutex_lock(&waiters->lock);
    int64_t wake_ms = waiters->wake_ms, now_ms = mono_ms();
    pthread_mutex_unlock(&waiters->lock);
    return wake_ms == INT64_MAX ? -1 : wake_ms <= now_ms ? 0 : (int)(wake_ms - now_ms);
}

/* One wait's events. False: stop. */
static bool wait_once(struct waiters *waiters)
{
    struct epoll_event events[EVENTS_MAX];
    int wakeup = wakeup_fd(waiters->app->wakeup);
    bool is_notified = false;
    int got = epoll_wait(waiters->epoll_fd, events, EVENTS_MAX, wait_ms(waiters));
    pthread_mutex_lock(&waiters->lock);
    for (int i = 0; i < got; i++) {
        int fd = events[i].data.fd;
        is_notified |= fd == wakeup;
        if (fd == waiters->nudge_fd)
            clear(waiters->nudge_fd);
        else if (fd != wakeup)
            note_event(waiters, fd);
    }
    if (is_notified)
        wakeup_clear(waiters->app->wakeup);
    look(waiters, is_notified);
    bool goes_on = !waiters->is_stopping;
    pthread_mutex_unlock(&waiters->lock);
    return goes_on;
}

static void *run(void *ctx)
{
    while (wait_once(ctx))
        ;
    return NULL;
}

static void poll_also(const struct waiters *waiters, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    must(epoll_ctl(waiters->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
}

struct waiters *waiters_start(struct app *app, struct pool *pool,
                              void (*answered)(struct waiter *waiter))
{
    struct waiters *waiters = must_calloc(1, sizeof *waiters);
    waiters->app = app;
    waiters->pool = pool;
    waiters->answered = answered;
    waiters->check.run = check;
    waiters->wake_ms = INT64_MAX;
    waiters->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    waiters->nudge_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    must(waiters->epoll_fd >= 0 && waiters->nudge_fd >= 0);
    poll_also(waiters, waiters->nudge_fd);
    poll_also(waiters, wakeup_fd(app->wakeup));
    must(pthread_mutex_init(&waiters->lock, NULL) == 0);
    must(pthread_create(&waiters->thread, NULL, run, waiters) == 0);
    return waiters;
}

bool waiters_stop(struct waiters *waiters, int64_t until_ms)
{
    pthread_mutex_lock(&waiters->lock);
    waiters->is_stopping = true;
    must(eventfd_write(waiters->nudge_fd, 1) == 0);
    pthread_mutex_unlock(&waiters->lock);
    if (!deadline_join(waiters->thread, until_ms))
        return false;
    must(waiters->count == 0);
    close(waiters->epoll_fd);
    close(waiters->nudge_fd);
    free(waiters->by_fd);
    pthread_mutex_destroy(&waiters->lock);
    free(waiters);
    return true;
}

/* ---- from the pool ---- */

static void wake_by(struct waiters *waiters, int64_t due_ms)
{
    if (due_ms >= waiters->wake_ms)
        return;
    waiters->wake_ms = due_ms;
    must(eventfd_write(waiters->nudge_fd, 1) == 0);
}

/* With the lock held. */
static void wait_on(struct waiters *waiters, struct waiter *waiter)
{
    const struct request_wait *wait = &waiter->request->wait;
    bool is_for_job = wait->what == WAIT_FOR_JOB;
    int64_t now_ms = mono_ms(), again_ms = now_ms + wait->again_ms;
    bool is_first = !waiters->for_job.first;
    waiter->due_ms = is_for_job || again_ms > wait->until_ms ? wait->until_ms : again_ms;
    enter(waiters, waiter);
    struct waiter *oldest = is_for_job ? too_many(waiters, waiter) : NULL;
    if (oldest)
        give_up(waiters, oldest);
    if (wakeup_is_closed(waiters->app->wakeup)) {
        give_up(waiters, waiter);
        return;
    }
    if (is_for_job && is_first)
        waiters->check_ms = now_ms + WAITERS_CHECK_MS;
    if (is_for_job && wait->seen != wakeup_count(waiters->app->wakeup))
        begin_check(waiters);
    wake_by(waiters,
            is_for_job && waiters->check_ms < waiter->due_ms ? waiters->check_ms : waiter->due_ms);
}

void waiters_add(struct waiters *waiters, struct waiter *waiter)
{
    pthread_mutex_lock(&waiters->lock);
    waiter->round = 0;
    wait_on(waiters, waiter);
    pthread_mutex_unlock(&waiters->lock);
}

/* The question finds at most WAITERS_JOBS_MAX: there may be more. */
static void note_tried(struct waiters *waiters, bool has_answer)
{
    waiters->trying--;
    waiters->jobs -= has_answer;
    if (waiters->jobs == 0 && waiters->trying == 0 && waiters->is_full)
        begin_check(waiters);
}

bool waiters_tried(struct waiters *waiters, struct waiter *waiter)
{
    bool has_answer = waiter->answer->status != 0;
    pthread_mutex_lock(&waiters->lock);
    bool was_trying = waiter->is_trying;
    waiter->is_trying = false;
    if (!has_answer)
        wait_on(waiters, waiter);
    if (was_trying) {
        note_tried(waiters, has_answer);
        try_next(waiters);
    }
    pthread_mutex_unlock(&waiters->lock);
    return has_answer;
}

int waiters_count(struct waiters *waiters)
{
    pthread_mutex_lock(&waiters->lock);
    int count = waiters->count;
    pthread_mutex_unlock(&waiters->lock);
    return count;
}
