/* admission: why no job is claimed now. */
#ifndef AGENT_ADMISSION_H
#define AGENT_ADMISSION_H

#include "agent/daemon/node.h"

/* A job of this node has failed: counts, if the node caused it. */
void node_note_fault(struct live *live, int dir);

/* Why nothing is claimed; NULL: jobs are claimed. */
const char *node_claim_block_reason(const struct node *node, int64_t now_ms);
void node_reset_faults(struct node *node); /* resets the count of failures */

enum { DISK_CHECK_MS = 5 * 1000, DISK_AGAIN_MS = 50 };

struct disk_guard {
    struct node *node;
    int64_t due_ms;
};

int64_t disk_guard_tick(struct disk_guard *guard, int64_t now_ms);

#endif
