#include "agent/daemon/admission.h"

#include "agent/spool/retained.h"
#include "agent/step/disk.h"
#include "base/clock.h"
#include "base/log.h"
#include "lib/uuid.h"

#include "tailslate/backoff.h"

static const struct tailslate_backoff rests = {.base_ms = 60 * 1000, .cap_ms = 30 * 60 * 1000};

/* A faulty node would use up the attempts of job after job, so it suspends claims, longer each
 * time. At least half of the time is not jittered, or it could be zero. */
void node_note_fault(struct live *live, int dir)
{
    struct node *node = live->node;
    if (live->state == JOB_WRONG || !record_is_fault(dir))
        return;
    record_read_fault(dir, node->fault);
    if (++node->faults < NODE_FAULTS_MAX)
        return;
    unsigned exponent = node->faults - NODE_FAULTS_MAX;
    int64_t most_ms = tailslate_backoff_delay_ms(rests, exponent, -1, UINT64_MAX);
    int64_t delay_ms = most_ms / 2 +
                       tailslate_backoff_delay_ms(rests, exponent, -1, random_u64()) / 2;
    node->rest_until_ms = mono_ms() + delay_ms;
    log_error("claims.suspended", LOG_INT("failures", node->faults), LOG_INT("delay_ms", delay_ms),
              LOG_TEXT("reason", node->fault));
}

void node_reset_faults(struct node *node)
{
    node->faults = 0;
    node->rest_until_ms = 0;
}

static bool waits_for_disk(const struct node *node)
{
    for (const struct live *live = node->lives; live; live = live->next)
        if (live->is_waiting)
            return true;
    return false;
}

const char *node_claim_block_reason(const struct node *node, int64_t now_ms)
{
    if (node->is_stopping || node->is_draining)
        return "the agent is stopping";
    if (node->is_drained)
        return "drained by an operator";
    if (node->is_paused)
        return "paused by an operator";
    if (node->is_version_refused)
        return "the server requires another worker version";
    if (node->is_disk_low)
        return "the disk is nearly full";
    if (waits_for_disk(node))
        return "a job is waiting for disk space";
    if (node->is_tool_broken)
        return "ffmpeg does not work";
    if (node->is_config_broken)
        return "the configuration cannot be read";
    if (node->has_unread)
        return "a record in the spool cannot be read";
    if (node->rest_until_ms > now_ms)
        return "recent jobs failed because of this node";
    return NULL;
}

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
