#include "disk.h"

#include "kept.h"

#include "tailslate/cleanup.h"
#include "tailslate/clock.h"
#include "tailslate/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

enum { RELEASE_PERCENT = 105 };

#ifdef TAILSLATE_CRASH_POINTS
/* No test can fill and empty a real disk. */
static bool read_pretended(int64_t *free_bytes, int64_t *capacity_bytes)
{
    const char *path = getenv("TAILSLATE_TEST_DISK");
    STREAM(file) = path ? fopen(path, "re") : NULL;
    return file && fscanf(file, "%" SCNd64 " %" SCNd64, free_bytes, capacity_bytes) == 2;
}
#else
static bool read_pretended(int64_t *free_bytes, int64_t *capacity_bytes)
{
    (void)free_bytes;
    (void)capacity_bytes;
    return false;
}
#endif

int disk_space(int dir, int64_t *free_bytes, int64_t *capacity_bytes, struct error *err)
{
    struct statvfs status;
    if (read_pretended(free_bytes, capacity_bytes))
        return 0;
    if (fstatvfs(dir, &status) != 0)
        return error_errno(err, "the free space of state_dir");
    *free_bytes = (int64_t)status.f_bavail * (int64_t)status.f_frsize;
    *capacity_bytes = (int64_t)status.f_blocks * (int64_t)status.f_frsize;
    return 0;
}

int disk_free_bytes(int dir, int64_t *free_bytes, struct error *err)
{
    int64_t ignored;
    return disk_space(dir, free_bytes, &ignored, err);
}

static int64_t limit_bytes(const struct node *node)
{
    return (int64_t)(node->config->node.min_free_disk_gb * 1e9);
}

static void set_low(struct node *node, bool is_low)
{
    if (is_low == node->is_disk_low)
        return;
    node->is_disk_low = is_low;
    node->is_status_due = true;
    log_at(is_low ? LOG_WARNING : LOG_INFO, is_low ? "disk.low" : "disk.fine",
           LOG_INT("free_bytes", node->disk_free_bytes), LOG_INT("limit_bytes", limit_bytes(node)));
}

static int look(struct node *node)
{
    struct error err;
    if (disk_free_bytes(node->spool.state_dir, &node->disk_free_bytes, &err) == 0)
        return 0;
    log_error("disk.unknown", LOG_TEXT("error", err.message));
    return -1;
}

int64_t disk_tick(struct disk *disk, int64_t now_ms)
{
    struct node *node = disk->node;
    if (disk->due_ms > now_ms)
        return disk->due_ms;
    disk->due_ms = now_ms + DISK_LOOK_MS;
    int64_t limit = limit_bytes(node);
    if (look(node) != 0)
        return disk->due_ms;
    /* One bounded bit a tick, and looked again before the next: no more goes than is needed. */
    if (node->disk_free_bytes < limit && kept_make_room(&node->spool))
        disk->due_ms = now_ms + DISK_AGAIN_MS;
    int64_t wanted = node->is_disk_low ? limit / 100 * RELEASE_PERCENT : limit;
    set_low(node, node->disk_free_bytes < wanted);
    return disk->due_ms;
}
