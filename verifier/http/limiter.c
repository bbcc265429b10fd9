#include "verifier/http/limiter.h"

#include "lib/error.h"
#include "lib/uuid.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { PLACE_BITS = 14 };

struct place {
    int64_t window_start_ms;
    int failures; /* 0 = free */
};

struct limiter {
    pthread_mutex_t lock;
    uint64_t keys[4];
    struct place places[LIMITER_PLACES];
};

struct limiter *limiter_new(void)
{
    must(LIMITER_PLACES == 1 << PLACE_BITS);
    struct limiter *limiter = must_calloc(1, sizeof *limiter);
    must(pthread_mutex_init(&limiter->lock, NULL) == 0);
    random_bytes(limiter->keys, sizeof limiter->keys);
    return limiter;
}

void limiter_free(struct limiter *limiter)
{
    pthread_mutex_destroy(&limiter->lock);
    free(limiter);
}

/* Multiply-shift with random keys, so that nobody can choose an address for its counter. */
static struct place *place_of(struct limiter *limiter, const struct address *address)
{
    uint64_t half[2];
    const uint64_t *key = limiter->keys;
    memcpy(half, address->bytes, sizeof half);
    uint64_t mixed = (half[0] ^ key[0]) * (key[1] | 1);
    mixed ^= mixed >> 32;
    mixed += (half[1] ^ key[2]) * (key[3] | 1);
    mixed = (mixed ^ mixed >> 29) * (key[1] | 1);
    return &limiter->places[mixed >> (64 - PLACE_BITS)];
}

static bool is_within_window(const struct place *place, int64_t now_ms)
{
    return place->failures > 0 && now_ms - place->window_start_ms < LIMITER_WINDOW_MS;
}

enum limit limiter_count(struct limiter *limiter, const struct address *address, int64_t now_ms)
{
    pthread_mutex_lock(&limiter->lock);
    struct place *place = place_of(limiter, address);
    if (!is_within_window(place, now_ms))
        *place = (struct place){.window_start_ms = now_ms};
    if (place->failures <= LIMITER_FAILURES_MAX + 1)
        place->failures++;
    int failures = place->failures;
    pthread_mutex_unlock(&limiter->lock);
    return failures <= LIMITER_FAILURES_MAX       ? LIMIT_WITHIN
           : failures == LIMITER_FAILURES_MAX + 1 ? LIMIT_REACHED
                                                  : LIMIT_OVER;
}

bool limiter_is_over(struct limiter *limiter, const struct address *address, int64_t now_ms)
{
    pthread_mutex_lock(&limiter->lock);
    const struct place *place = place_of(limiter, address);
    bool is_over = is_within_window(place, now_ms) && place->failures > LIMITER_FAILURES_MAX;
    pthread_mutex_unlock(&limiter->lock);
    return is_over;
}
