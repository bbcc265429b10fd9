#include "tailslate/backoff.h"

#include "lib/error.h"

/* min(cap, base * 2^attempt), without computing a product that could overflow. */
static int64_t ceiling_ms(struct tailslate_backoff policy, unsigned attempt)
{
    int64_t ceiling = policy.base_ms;
    for (; attempt > 0 && ceiling < policy.cap_ms; attempt--)
        ceiling = ceiling > policy.cap_ms / 2 ? policy.cap_ms : ceiling * 2;
    return ceiling < policy.cap_ms ? ceiling : policy.cap_ms;
}

/* 0 to max, inclusive. The high bits of the product are uniform up to a bias of max / 2^64. */
static int64_t uniform(int64_t max, uint64_t random)
{
    return (int64_t)(((unsigned __int128)random * ((uint64_t)max + 1)) >> 64);
}

int64_t tailslate_backoff_delay_ms(struct tailslate_backoff policy, unsigned attempt,
                                   int64_t retry_after_ms, uint64_t random)
{
    must(policy.base_ms > 0 && policy.cap_ms >= policy.base_ms);
    int64_t floor_ms = retry_after_ms;
    if (floor_ms < 0)
        floor_ms = 0;
    if (floor_ms > TAILSLATE_RETRY_AFTER_MAX_MS)
        floor_ms = TAILSLATE_RETRY_AFTER_MAX_MS;
    int64_t jitter_ms = uniform(ceiling_ms(policy, attempt), random);
    return jitter_ms > INT64_MAX - floor_ms ? INT64_MAX : floor_ms + jitter_ms;
}

int64_t tailslate_backoff_wake_ms(int64_t due_ms, int64_t floor_ms, int64_t now_ms,
                                  int64_t spread_ms, uint64_t random)
{
    must(spread_ms >= 0);
    int64_t at_ms = now_ms + uniform(spread_ms, random);
    at_ms = at_ms > floor_ms ? at_ms : floor_ms;
    return at_ms < due_ms ? at_ms : due_ms;
}

int64_t tailslate_backoff_jitter_ms(int64_t value_ms, double share, uint64_t random)
{
    must(value_ms >= 0 && share >= 0 && share <= 1);
    /* A double has 53 bits: the product may be larger than the value, and too large for the type.
     */
    double width = (double)value_ms * share;
    int64_t width_ms = width < (double)value_ms ? (int64_t)width : value_ms;
    int64_t span_ms = width_ms > INT64_MAX / 2 ? INT64_MAX - 1 : 2 * width_ms;
    int64_t offset_ms = uniform(span_ms, random) - width_ms;
    return offset_ms > INT64_MAX - value_ms ? INT64_MAX : value_ms + offset_ms;
}
