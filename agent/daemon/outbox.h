/* outbox: when which report is presented next.
 *
 * Each record whose report is not acknowledged has its own backoff. The first success, and the
 * server's return, wake the others, the oldest first; what is on hold waits for its own time, or
 * for another key. Who presents, and what an answer means, is the courier's part. */
#ifndef AGENT_OUTBOX_H
#define AGENT_OUTBOX_H

#include "agent/api/delivery.h"
#include "agent/daemon/node.h"

/* The report that is due first, whether now or later; NULL: none waits. */
struct live *outbox_first(const struct node *node);
unsigned outbox_in_flight(const struct node *node);

/* One call for each record at a time. outbox_end_call: it was answered. */
void outbox_begin_call(struct live *live, struct http_call *call);
void outbox_end_call(struct live *live);
/* Cancels what is in flight for this record, and presents its report not before due_ms. */
void outbox_cancel(struct live *live, int64_t due_ms);

/* Present it again later: AGAIN, HOLD or SILENT. `why` is logged. hint: as in struct
 * delivery_judgment. */
void outbox_postpone(struct live *live, enum delivery verdict, int64_t retry_after_ms,
                     const char *why, const char *hint);
/* The longer it is refused, the later. A refusal of this job alone is noted in the record. */
void outbox_hold(struct live *live, const struct delivery_judgment *judgment,
                 int64_t retry_after_ms);
/* Before it is presented past the cache. The start of the pause is in the record, so that a restart
 * does not begin it again. */
void outbox_await_bypass(struct live *live, const char *why);
/* Ends every wait of this record. */
void outbox_retry(struct live *live);

/* What the server link has found out. */
void outbox_wake(struct node *node, int64_t now_ms);
/* A report was acknowledged: the others need not wait to the end of their backoff. */
void outbox_wake_waiting(struct node *node, int64_t now_ms);
/* The former client is gone, and its requests with it: they are repeated. */
void outbox_client_replaced(struct node *node);

extern const struct roster_owner outbox_owner;

#endif
