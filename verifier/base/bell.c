#include "verifier/base/bell.h"

#include "base/clock.h"
#include "lib/error.h"
#include "verifier/base/deadline.h"

#include <stdlib.h>

struct bell {
    pthread_mutex_t lock;
    pthread_cond_t rung;
    uint64_t count;
    bool closed;
};

struct bell *bell_new(void)
{
    struct bell *bell = must_calloc(1, sizeof *bell);
    must(pthread_cond_init(&bell->rung, NULL) == 0);
    must(pthread_mutex_init(&bell->lock, NULL) == 0);
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
    int64_t until_ms = mono_ms() + timeout_ms;
    pthread_mutex_lock(&bell->lock);
    while (!bell->closed && bell->count == seen &&
           deadline_wait(&bell->rung, &bell->lock, until_ms))
        ;
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
