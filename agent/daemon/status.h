/* status: publishes what only the running agent knows as state_dir/status.json, for `status`.
 *
 * By rename, so that a reader sees a complete file; not durable, because it is worthless after a
 * crash; on change, at most once a second. The truth about the jobs is in the spool. */
#ifndef AGENT_STATUS_H
#define AGENT_STATUS_H

#include "agent/daemon/heartbeat.h"

#define STATUS_NAME "status.json"
enum { STATUS_MIN_MS = 1000, STATUS_MAX_BYTES = 4 * 1024 * 1024 };

struct status {
    struct node *node;
    const struct heartbeat *heartbeat; /* its encoders are shown here too */
    int64_t started_us, due_ms;
};

int64_t status_tick(struct status *status, int64_t now_ms);
void status_publish(struct status *status); /* at once */

#endif
