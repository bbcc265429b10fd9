/* limiter: failures counted by address, so that a guesser is told apart from a mistake.
 *
 * A fixed table of counters under a keyed hash, and nothing is ever pushed out of it: no number of
 * other addresses makes one be forgotten. Two addresses may share a counter; that costs a failing
 * caller another status, and a good key nothing. */
#ifndef VERIFIER_LIMITER_H
#define VERIFIER_LIMITER_H

#include "verifier/base/address.h"

#include <stdint.h>

enum { LIMITER_PLACES = 16384, LIMITER_FAILURES_MAX = 120, LIMITER_WINDOW_MS = 60 * 1000 };

struct limiter;
struct limiter *limiter_new(void);
void limiter_free(struct limiter *limiter);

enum limit { LIMIT_WITHIN, LIMIT_REACHED /* by this very failure */, LIMIT_OVER };
enum limit limiter_count(struct limiter *limiter, const struct address *address, int64_t now_ms);
/* Has this address failed too often of late? Counts nothing. */
bool limiter_is_over(struct limiter *limiter, const struct address *address, int64_t now_ms);

#endif
