/* disk: the guard of the free space in state_dir.
 *
 * Below node.min_free_disk_gb nothing is claimed and room is made in kept/ (kept.h); what is not
 * delivered is never touched. Ends by itself when there is room again (a little more than the
 * limit, so that it does not flap). */
#ifndef AGENT_DISK_H
#define AGENT_DISK_H

#include "node.h"

enum { DISK_LOOK_MS = 5 * 1000, DISK_AGAIN_MS = 50 };

struct disk {
    struct node *node;
    int64_t due_ms;
};

int64_t disk_tick(struct disk *disk, int64_t now_ms);

/* Of the file system under dir; capacity_bytes may be NULL. A test build believes the two numbers
 * in the file that TAILSLATE_TEST_DISK names instead. */
int disk_free_bytes(int dir, int64_t *free_bytes, struct error *err);
int disk_space(int dir, int64_t *free_bytes, int64_t *capacity_bytes, struct error *err);

#endif
