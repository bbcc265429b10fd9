#include "verifier/base/wakeup.h"

#include "base/clock.h"
#include "lib/error.h"
#include "verifier/base/deadline.h"

#include <stdlib.h>

struct wakeup {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t count;
    bool closed;
};

struct wakeup *wakeup_new(void)
{
    struct wakeup *wakeup = must_calloc(1, sizeof *wakeup);
    must(pthread_cond_init(&wakeup->changed, NULL) == 0);
    must(pthread_mutex_init(&wakeup->lock, NULL) == 0);
    return wakeup;
}

void wakeup_free(struct wakeup *wakeup)
{
    pthread_cond_destroy(&wakeup->changed);
    pthread_mutex_destroy(&wakeup->lock);
    free(wakeup);
}

uint64_t wakeup_count(struct wakeup *wakeup)
{
    pthread_mutex_lock(&wakeup->lock);
    uint64_t count = wakeup->count;
    pthread_mutex_unlock(&wakeup->lock);
    return count;
}

void wakeup_notify(struct wakeup *wakeup)
{
    pthread_mutex_lock(&wakeup->lock);
    wakeup->count++;
    pthread_cond_broadcast(&wakeup->changed);
    pthread_mutex_unlock(&wakeup->lock);
}

void wakeup_wait(struct wakeup *wakeup, uint64_t seen, int64_t timeout_ms)
{
    int64_t until_ms = mono_ms() + timeout_ms;
    pthread_mutex_lock(&wakeup->lock);
    while (!wakeup->closed && wakeup->count == seen &&
           deadline_wait(&wakeup->changed, &wakeup->lock, until_ms))
        ;
    pthread_mutex_unlock(&wakeup->lock);
}

void wakeup_close(struct wakeup *wakeup)
{
    pthread_mutex_lock(&wakeup->lock);
    wakeup->closed = true;
    pthread_cond_broadcast(&wakeup->changed);
    pthread_mutex_unlock(&wakeup->lock);
}

bool wakeup_is_closed(struct wakeup *wakeup)
{
    pthread_mutex_lock(&wakeup->lock);
    bool closed = wakeup->closed;
    pthread_mutex_unlock(&wakeup->lock);
    return closed;
}
