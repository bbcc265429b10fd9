/* heartbeat: tells the server that the node is alive and which jobs it holds.
 *
 * `jobs` names every job in the spool, including those that only wait for delivery, so that a sweep
 * leaves them alone. If there are more than a heartbeat can list, it lists none: a job missing from
 * a list looks abandoned, while without a list only silence counts. Continues while draining and
 * while nothing can be delivered. Its answers decide whether the server counts as reachable (one
 * log line per change), and the server's return wakes the courier. Never gives up: after an error
 * it backs off to 60 s. A change of the reason why nothing is claimed is told at once, but within
 * HEARTBEAT_NEWS_MS of the last heartbeat when that time is over. */
#ifndef AGENT_HEARTBEAT_H
#define AGENT_HEARTBEAT_H

#include "agent/daemon/node.h"
#include "agent/media/encoders.h"

enum { HEARTBEAT_NEWS_MS = 5 * 1000 };

struct heartbeat {
    struct node *node;
    struct http_call *call;
    int64_t due_ms;
    const char *told; /* why nothing is claimed, in the last one; NULL: no reason */
    int64_t sent_ms;  /* the last one */
    unsigned failures;
    char ffmpeg_version[TOOL_VERSION_BYTES]; /* "" = not known (yet) */
    const struct encoders *encoders;         /* borrowed; NULL = not known (yet) */
    enum encoder_id encoder,
        failed_encoder; /* the encoder in use; the one that failed a job; ENCODER_COUNT: none */
    char encoder_failure[ENCODERS_REASON_BYTES];
};

int64_t heartbeat_tick(struct heartbeat *heartbeat, int64_t now_ms);

/* What the answer says about our version. While the server refuses it (version_ok false, a stock
 * server's way to drain workers), nothing is claimed; current jobs are finished and delivered. */
void heartbeat_note_version(struct node *node, const char *body, size_t size);

/* The body of one heartbeat, owned by the caller. */
char *heartbeat_format(const struct heartbeat *heartbeat);

#endif
