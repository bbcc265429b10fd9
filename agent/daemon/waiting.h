/* waiting: what the node, or one of its reports, waits for: why, since when, when the next attempt
 * is, and what a person can do. `status`, `spool ls`, /readyz and the log all show this. */
#ifndef AGENT_WAITING_H
#define AGENT_WAITING_H

#include "agent/daemon/claim.h"

/* False: the node has a claim request under way that nothing has refused yet, and no other reason.
 * The most important reason only: a reason of this node, then the server, then free slots, then
 * jobs. */
bool waiting_of_node(const struct claim *claim, int64_t now_ms, struct record_waiting *waiting);
/* A report that is not acknowledged. False: it was not refused yet, or is being presented. */
bool waiting_of_report(const struct live *live, int64_t now_ms, struct record_waiting *waiting);
/* Logs it when it has changed. */
void waiting_log(struct claim *claim, int64_t now_ms);

#endif
