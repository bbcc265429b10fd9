/* disk_guard: monitors the free space in state_dir.
 *
 * Below node.min_free_disk_gb nothing is claimed, and the oldest finished work in kept/
 * (retained.h) is deleted; undelivered work is never touched. Ends when there is enough space again
 * (slightly more than the limit, so that it does not flap). */
#ifndef AGENT_DISK_GUARD_H
#define AGENT_DISK_GUARD_H

#include "agent/daemon/node.h"

enum { DISK_CHECK_MS = 5 * 1000, DISK_AGAIN_MS = 50 };

struct disk_guard {
    struct node *node;
    int64_t due_ms;
};

int64_t disk_guard_tick(struct disk_guard *guard, int64_t now_ms);

#endif
