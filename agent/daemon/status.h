/* status: what only the running agent knows, published for `status` as state_dir/status.json.
 *
 * By rename, so that a reader sees a whole file; volatile, because after a crash it is worth
 * nothing; on change, at most once a second. The truth about the jobs is in the spool. */
#ifndef AGENT_STATUS_H
#define AGENT_STATUS_H

#include "agent/daemon/heartbeat.h"

#define STATUS_NAME "status.json"
enum { STATUS_MIN_MS = 1000, STATUS_MAX_BYTES = 4 * 1024 * 1024 };

struct status {
    struct node *node;
    const struct heartbeat *heartbeat; /* what it says of the encoders is shown here too */
    int64_t started_us, due_ms;
};

int64_t status_tick(struct status *status, int64_t now_ms);
void status_publish(struct status *status); /* at once */

#endif
