#include "agent/daemon/disk_guard.h"

#include "agent/spool/retained.h"
#include "agent/step/disk.h"
#include "base/log.h"

enum { RELEASE_PERCENT = 105 };

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
    log_at(is_low ? LOG_WARNING : LOG_INFO, is_low ? "disk.low" : "disk.ok",
           LOG_INT("free_bytes", node->disk_free_bytes), LOG_INT("limit_bytes", limit_bytes(node)));
}

static int look(struct node *node)
{
    struct error err;
    if (disk_free_bytes(node->spool.state_dir, &node->disk_free_bytes, &err) == 0)
        return 0;
    log_error("disk.unreadable", LOG_TEXT("reason", err.message));
    return -1;
}

int64_t disk_guard_tick(struct disk_guard *guard, int64_t now_ms)
{
    struct node *node = guard->node;
    if (guard->due_ms > now_ms)
        return guard->due_ms;
    guard->due_ms = now_ms + DISK_CHECK_MS;
    int64_t limit = limit_bytes(node);
    if (look(node) != 0)
        return guard->due_ms;
    /* One limited step per tick, and check again before the next: no more is deleted than needed.
     */
    if (node->disk_free_bytes < limit && retained_free_space(&node->spool))
        guard->due_ms = now_ms + DISK_AGAIN_MS;
    int64_t wanted = node->is_disk_low ? limit / 100 * RELEASE_PERCENT : limit;
    set_low(node, node->disk_free_bytes < wanted);
    return guard->due_ms;
}
