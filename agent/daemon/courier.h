/* courier: presents sealed reports until they are acknowledged.
 *
 * Sends exactly the bytes that are on the disk, decides by delivery.h, and writes the
 * acknowledgement durably before anything is cleaned up. All records of the server share one pace
 * (retry.rate_per_second) and COURIER_IN_FLIGHT_MAX calls; each has its own backoff. The first
 * success, and the server's return, wake the others, spread over time.
 *
 * Gives up no completion: no attempt limit, and no age limit on silence or trouble. Refused reports
 * leave the spool only into quarantine or kept; what is only held does so after retry.hold_days of
 * refusals (obey.c), whole, and comes back on `spool retry`. */
#ifndef AGENT_COURIER_H
#define AGENT_COURIER_H

#include "agent/daemon/node.h"

enum { COURIER_IN_FLIGHT_MAX = 4 };

struct courier {
    struct node *node;
    int64_t not_before_ms; /* the pace */
};

void courier_register_metrics(void);

/* Presents what is due. Returns when it wants to be called again. */
int64_t courier_tick(struct courier *courier, int64_t now_ms);

/* Something is in flight, or would be sent at once. */
bool courier_is_busy(const struct courier *courier, int64_t now_ms);

#endif
