/* status: publishes what only the running agent knows as state_dir/status.json, for `status`.
 *
 * By rename, so that a reader sees a complete file; not durable, because it is worthless after a
 * crash; on change, at most once a second, and less often if there are many records. The truth
 * about the jobs is in the spool. */
#ifndef AGENT_STATUS_H
#define AGENT_STATUS_H

#include "agent/daemon/heartbeat.h"
#include "agent/daemon/waiting.h"
#include "lib/json.h"

enum {
    STATUS_MIN_MS = 1000,
    STATUS_SHARE = 20, /* publishing takes this part of the time at most */
};

struct status {
    struct node *node;
    const struct heartbeat *heartbeat; /* its encoders are shown here too */
    struct claim *claim;
    int64_t started_us, due_ms;
};

int64_t status_tick(struct status *status, int64_t now_ms);
void status_publish(struct status *status); /* at once */

/* What the running agent has published in state_dir; NULL: nothing that can be read. Owned by the
 * caller. */
struct json *status_read(int state_dir);

#endif
