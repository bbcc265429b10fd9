#include "disk.h"

#include "tailslate/clock.h"
#include "tailslate/log.h"

#include <stdlib.h>
#include <sys/statvfs.h>

enum { RELEASE_PERCENT = 105 };

int disk_free_bytes(int dir, int64_t *free_bytes, struct error *err)
{
    struct statvfs status;
    if (fstatvfs(dir, &status) != 0)
        return error_errno(err, "the free space of state_dir");
    *free_bytes = (int64_t)status.f_bavail * (int64_t)status.f_frsize;
    return 0;
}

static int64_t limit_bytes(const struct node *node)
{
    return (int64_t)(node->config->node.min_free_disk_gb * 1e9);
}

static bool remove_oldest_kept(const struct node *node)
{
    struct spool_entry *entries = NULL;
    size_t count = 0;
    struct error err;
    if (spool_list(node->spool.kept, &entries, &count, NULL, &err) != 0 || count == 0) {
        free(entries);
        return false;
    }
    bool removed = spool_remove_kept(&node->spool, entries[0].id, &err) == 0;
    if (removed)
        log_warning("kept.removed", LOG_TEXT("record", entries[0].id),
                    LOG_TEXT("reason", "the disk is nearly full"));
    else
        log_error("kept.not_removed", LOG_TEXT("record", entries[0].id),
                  LOG_TEXT("error", err.message));
    free(entries);
    return removed;
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
    while (node->disk_free_bytes < limit && remove_oldest_kept(node))
        if (look(node) != 0)
            break;
    int64_t wanted = node->is_disk_low ? limit / 100 * RELEASE_PERCENT : limit;
    set_low(node, node->disk_free_bytes < wanted);
    return disk->due_ms;
}
