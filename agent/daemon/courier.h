/* courier: presents sealed reports until they are acknowledged.
 *
 * Sends exactly the bytes that are on disk, decides by delivery.h, and writes the acknowledgment
 * durably before any clean-up. All records share one rate limit (retry.rate_per_second) and
 * COURIER_IN_FLIGHT_MAX requests; each has its own backoff. The first success, and the server's
 * return, wake the others, the oldest first.
 *
 * Never gives up a completion: there is no attempt limit, and no age limit for silence or temporary
 * errors. Refused reports leave the spool only for quarantine/ or kept/. A report on hold does so
 * after retry.hold_days of refusals (control.c), complete, and `spool retry` brings it back. */
#ifndef AGENT_COURIER_H
#define AGENT_COURIER_H

#include "agent/daemon/node.h"

enum { COURIER_IN_FLIGHT_MAX = 4 };

void courier_register_metrics(void);

/* Presents what is due. Returns when to call it again. */
int64_t courier_tick(struct node *node, int64_t now_ms);

/* Something is in flight or due now. */
bool courier_is_busy(const struct node *node, int64_t now_ms);

#endif
