#include "bell.h"

#include "tailslate/error.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct bell {
    pthread_mutex_t lock;
    pthread_cond_t rung;
    uint64_t count;
    bool closed;
};

struct bell *bell_new(void)
{
    struct bell *bell = must_calloc(1, sizeof *bell);
    pthread_condattr_t attributes;
    must(pthread_condattr_init(&attributes) == 0);
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    must(pthread_cond_init(&bell->rung, &attributes) == 0);
    must(pthread_mutex_init(&bell->lock, NULL) == 0);
    pthread_condattr_destroy(&attributes);
    return bell;
}

void bell_free(struct bell *bell)
{
    pthread_cond_destroy(&bell->rung);
    pthread_mutex_destroy(&bell->lock);
    free(bell);
}

uint64_t bell_count(struct bell *bell)
{
    pthread_mutex_lock(&bell->lock);
    uint64_t count = bell->count;
    pthread_mutex_unlock(&bell->lock);
    return count;
}

void bell_ring(struct bell *bell)
{
    pthread_mutex_lock(&bell->lock);
    bell->count++;
    pthread_cond_broadcast(&bell->rung);
    pthread_mutex_unlock(&bell->lock);
}

void bell_wait(struct bell *bell, uint64_t seen, int64_t timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int waited = 0;
    pthread_mutex_lock(&bell->lock);
    while (!bell->closed && bell->count == seen && waited == 0)
        waited = pthread_cond_timedwait(&bell->rung, &bell->lock, &until);
    pthread_mutex_unlock(&bell->lock);
}

void bell_close(struct bell *bell)
{
    pthread_mutex_lock(&bell->lock);
    bell->closed = true;
    pthread_cond_broadcast(&bell->rung);
    pthread_mutex_unlock(&bell->lock);
}

bool bell_is_closed(struct bell *bell)
{
    pthread_mutex_lock(&bell->lock);
    bool closed = bell->closed;
    pthread_mutex_unlock(&bell->lock);
    return closed;
}
