#include "agent/daemon/admission.h"

#include "agent/daemon/node.h"
#include "agent/spool/retained.h"
#include "agent/step/disk.h"
#include "base/clock.h"
#include "base/log.h"
#include "lib/uuid.h"

#include "tailslate/backoff.h"

enum { DISK_OK_PERCENT = 105 };
static const struct tailslate_backoff suspensions = {.base_ms = 60 * 1000,
                                                     .cap_ms = 30 * 60 * 1000};

#define FREE_SPACE "free space in node.state_dir, or lower node.min_free_disk_gb"
static const struct {
    const char *reason, *hint;
} texts[ADMISSION_REASON_COUNT] = {
    [ADMISSION_STOPPING] = {"the agent is stopping", NULL},
    [ADMISSION_DRAINING] = {"the agent is stopping when its spool is empty", NULL},
    [ADMISSION_DRAINED] = {"drained by an operator", "`tailslate-agent undrain`"},
    [ADMISSION_PAUSED] = {"paused by an operator", "`tailslate-agent unpause`"},
    [ADMISSION_VERSION_REFUSED] = {"the server requires another worker version",
                                   "set heartbeat.code_version, or install that version"},
    [ADMISSION_DISK_LOW] = {"this node's disk is nearly full", FREE_SPACE},
    [ADMISSION_DISK_AWAITED] = {"a job is waiting for space on this node's disk", FREE_SPACE},
    [ADMISSION_TOOL_BROKEN] = {"ffmpeg does not work", "`tailslate-agent check`"},
    [ADMISSION_CONFIG_BROKEN] = {"the configuration cannot be read", "`tailslate-agent check`"},
    [ADMISSION_RECORD_UNREADABLE] = {"a record in the spool cannot be read",
                                     "`tailslate-agent spool fsck`"},
    [ADMISSION_SUSPENDED] = {"recent jobs failed because of this node",
                             "remove the cause; `drain` and `undrain` end the pause"},
};

bool admission_set(struct node *node, enum admission_reason reason, bool is_set)
{
    must(reason < ADMISSION_REASON_COUNT);
    if (node->admission.is_set[reason] == is_set)
        return false;
    node->admission.is_set[reason] = is_set;
    node->admission.since_us[reason] = wall_us();
    node_status_changed(node);
    return true;
}

bool admission_has(const struct node *node, enum admission_reason reason)
{
    must(reason < ADMISSION_REASON_COUNT);
    return node->admission.is_set[reason];
}

int64_t admission_suspended_until_ms(const struct node *node, int64_t now_ms)
{
    int64_t until_ms = node->admission.suspended_until_ms;
    return until_ms > now_ms ? until_ms : 0;
}

static enum admission_reason first_reason(const struct node *node, int64_t now_ms)
{
    enum admission_reason reason = 0;
    while (reason < ADMISSION_SUSPENDED && !node->admission.is_set[reason])
        reason++;
    if (reason == ADMISSION_SUSPENDED && !admission_suspended_until_ms(node, now_ms))
        return ADMISSION_REASON_COUNT;
    return reason;
}

const char *admission_block_reason(const struct node *node, int64_t now_ms)
{
    enum admission_reason reason = first_reason(node, now_ms);
    return reason == ADMISSION_REASON_COUNT ? NULL : texts[reason].reason;
}

const char *admission_hint(const struct node *node, int64_t now_ms)
{
    enum admission_reason reason = first_reason(node, now_ms);
    return reason == ADMISSION_REASON_COUNT ? NULL : texts[reason].hint;
}

int64_t admission_since_us(const struct node *node, int64_t now_ms)
{
    enum admission_reason reason = first_reason(node, now_ms);
    return reason == ADMISSION_REASON_COUNT ? 0 : node->admission.since_us[reason];
}

char *admission_explain(const struct node *node, int64_t now_ms)
{
    enum admission_reason reason = first_reason(node, now_ms);
    if (reason == ADMISSION_REASON_COUNT)
        return NULL;
    if (reason == ADMISSION_SUSPENDED)
        return must_printf("%s: %s", texts[reason].reason, node->admission.fault);
    return must_strdup(texts[reason].reason);
}

/* ---- failures that this node caused ---------------------------------------------------------- */

/* At least half of the time is not jittered, or it could be zero. */
static int64_t suspension_ms(unsigned exponent)
{
    int64_t most_ms = tailslate_backoff_delay_ms(suspensions, exponent, -1, UINT64_MAX);
    return most_ms / 2 + tailslate_backoff_delay_ms(suspensions, exponent, -1, random_u64()) / 2;
}

static void note_fault(struct node *node, int dir)
{
    struct admission *admission = &node->admission;
    record_read_fault(dir, admission->fault);
    if (++admission->faults < ADMISSION_FAULTS_MAX)
        return;
    int64_t delay_ms = suspension_ms(admission->faults - ADMISSION_FAULTS_MAX);
    admission->suspended_until_ms = mono_ms() + delay_ms;
    admission->since_us[ADMISSION_SUSPENDED] = wall_us();
    log_error("claims.suspended", LOG_INT("failures", admission->faults),
              LOG_INT("delay_ms", delay_ms), LOG_TEXT("reason", admission->fault));
}

void admission_reset_faults(struct node *node)
{
    node->admission.faults = 0;
    node->admission.suspended_until_ms = 0;
}

static void on_state(struct live *live, int dir, enum job_state former)
{
    bool is_new = former != JOB_WRONG; /* otherwise an earlier run of the agent counted it */
    if (live->state == JOB_FAILED && is_new && record_is_fault(dir))
        note_fault(live->node, dir);
    if (live->state == JOB_TRANSCODED)
        admission_reset_faults(live->node);
}

const struct roster_owner admission_owner = {.on_state = on_state};

/* ---- the disk -------------------------------------------------------------------------------- */

int64_t admission_disk_limit_bytes(const struct node *node)
{
    return (int64_t)(node->config->node.min_free_disk_gb * 1e9);
}

static void set_disk_low(struct node *node, bool is_low)
{
    if (admission_set(node, ADMISSION_DISK_LOW, is_low))
        log_at(is_low ? LOG_WARNING : LOG_INFO, is_low ? "disk.low" : "disk.ok",
               LOG_INT("free_bytes", node->admission.disk_free_bytes),
               LOG_INT("limit_bytes", admission_disk_limit_bytes(node)));
}

int64_t admission_tick(struct node *node, int64_t now_ms)
{
    struct admission *admission = &node->admission;
    struct error err;
    if (admission->disk_due_ms > now_ms)
        return admission->disk_due_ms;
    admission->disk_due_ms = now_ms + ADMISSION_DISK_CHECK_MS;
    int64_t limit = admission_disk_limit_bytes(node);
    if (disk_free_bytes(node->spool.state_dir, &admission->disk_free_bytes, &err) != 0) {
        log_error("disk.unreadable", LOG_TEXT("reason", err.message));
        return admission->disk_due_ms;
    }
    /* One limited step per tick, and check again before the next: no more is deleted than needed.
     */
    if (admission->disk_free_bytes < limit && retained_free_space(&node->spool))
        admission->disk_due_ms = now_ms + ADMISSION_DISK_AGAIN_MS;
    int64_t wanted = admission_has(node, ADMISSION_DISK_LOW) ? limit / 100 * DISK_OK_PERCENT
                                                             : limit;
    set_disk_low(node, admission->disk_free_bytes < wanted);
    return admission->disk_due_ms;
}
