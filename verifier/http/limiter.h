/* limiter: failures counted by address, to tell guessing from a mistake.
 *
 * A fixed table of counters under a keyed hash. No entry is ever evicted, so a flood of other
 * addresses does not reset one. Two addresses may share a counter; that may cost a caller with a
 * bad credential a 429 instead of a 401, and a good key nothing. */
#ifndef VERIFIER_LIMITER_H
#define VERIFIER_LIMITER_H

#include "verifier/base/address.h"

#include <stdint.h>

enum { LIMITER_PLACES = 16384, LIMITER_FAILURES_MAX = 120, LIMITER_WINDOW_MS = 60 * 1000 };

struct limiter;
struct limiter *limiter_new(void);
void limiter_free(struct limiter *limiter);

enum limit { LIMIT_WITHIN, LIMIT_REACHED /* by this failure */, LIMIT_OVER };
enum limit limiter_count(struct limiter *limiter, const struct address *address, int64_t now_ms);
/* True: this address is over the limit. Counts nothing. */
bool limiter_is_over(struct limiter *limiter, const struct address *address, int64_t now_ms);

#endif
