/* heartbeat: tells the server that the node lives and which jobs it holds.
 *
 * `jobs` names every job in the spool, those that only wait for delivery too: a sweep leaves them
 * alone. Where there are more than a heartbeat can hold it names none: a job that a list leaves out
 * looks given up, while without a list only silence counts. Goes on while draining and while
 * nothing can be delivered. Its answers are what decides whether the server counts as reachable
 * (one log line per change), and the server's return wakes the courier. Never gives up: after an
 * error it backs off to 60 s. */
#ifndef AGENT_HEARTBEAT_H
#define AGENT_HEARTBEAT_H

#include "agent/daemon/node.h"
#include "agent/media/encoders.h"

struct heartbeat {
    struct node *node;
    struct http_call *call;
    int64_t due_ms;
    unsigned failures;
    char ffmpeg_version[TOOL_VERSION_BYTES]; /* "" = not known (yet) */
    const struct encoders *encoders;         /* borrowed; NULL = not known (yet) */
    enum encoder_id encoder, failed_encoder; /* in use; that let a job down; ENCODER_COUNT: none */
    char encoder_failure[ENCODERS_REASON_BYTES];
};

int64_t heartbeat_tick(struct heartbeat *heartbeat, int64_t now_ms);

/* What the answer says of our version: while the server refuses it (version_ok false, a stock
 * server's way to drain workers), nothing is claimed; what is held is finished and delivered. */
void heartbeat_note_version(struct node *node, const char *body, size_t size);

/* The body of one heartbeat, owned. */
char *heartbeat_format(const struct heartbeat *heartbeat);

#endif
