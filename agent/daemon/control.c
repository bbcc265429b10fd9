#include "agent/daemon/control.h"

#include "agent/daemon/admission.h"
#include "agent/daemon/retire.h"
#include "agent/daemon/roster.h"
#include "agent/spool/control_file.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/durable.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>

enum { CHECK_MS = 5 * 1000 };
#define DAY_US (24 * 3600 * 1e6)

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

void control_watch(struct node *node)
{
    TEXT(path) = must_printf("%s/" CONTROL_DIRECTORY, node->config->node.state_dir);
    node->control_file_watch = -1;
    if (node->inotify >= 0)
        node->control_file_watch = inotify_add_watch(node->inotify, path,
                                                     IN_MOVED_TO | IN_DELETE | IN_ONLYDIR);
    node->is_control_due = true;
}

void control_event(struct node *node, const struct inotify_event *event)
{
    if ((event->mask & IN_Q_OVERFLOW) || event->wd == node->control_file_watch ||
        (event->len > 0 &&
         (ends_with(event->name, CONTROL_SUFFIX) || strcmp(event->name, RECORD_REFUSED) == 0)))
        node->is_control_due = true;
}

static void check_directory(struct node *node)
{
    bool is_drained = control_file_exists(node->spool.controls, CONTROL_DRAIN);
    bool is_paused = control_file_exists(node->spool.controls, CONTROL_PAUSE);
    if (is_drained != node->is_drained)
        log_info(is_drained ? "node.drained" : "node.undrained");
    if (is_paused != node->is_paused)
        log_info(is_paused ? "node.paused" : "node.unpaused");
    if (is_drained != node->is_drained || is_paused != node->is_paused)
        node->is_status_due = true;
    /* An operator who withdraws a request has checked the node. */
    if ((node->is_drained && !is_drained) || (node->is_paused && !is_paused))
        node_reset_faults(node);
    node->is_drained = is_drained;
    node->is_paused = is_paused;
}

static void retry(struct live *live, int dir)
{
    struct error err;
    struct live_delivery *delivery = &live->delivery;
    bool is_refused = durable_exists(dir, RECORD_REFUSED);
    if (control_file_remove(dir, CONTROL_HOLD, &err) != 0 ||
        control_file_remove(dir, CONTROL_RETRY, &err) != 0) {
        log_warning("control.not_removed", LOG_TEXT("record", live->id),
                    LOG_TEXT("reason", err.message));
        live->node->is_control_stuck = true;
        return;
    }
    log_info("job.retried", LOG_INT("job", live->job_id), LOG_TEXT("record", live->id),
             LOG_TEXT("token", live->token), LOG_TEXT("reason", delivery->reason));
    record_forget_refusal(dir);
    delivery->due_ms = delivery->floor_ms = live->step.due_ms = live->retire_due_ms = 0;
    delivery->is_held = delivery->is_silent = false;
    live->step.futile = 0;
    live->node->is_status_due = true;
    /* A step that waits after a refusal does not notice: its successor starts at once. */
    live->step.is_told_to_end = live->step.pidfd >= 0 && is_refused && !job_holds_slot(live->state);
    if (live->step.is_told_to_end)
        pidfd_send_signal(live->step.pidfd, SIGTERM, NULL, 0);
}

typedef void retire_into(struct live *live, const char *reason);

/* True: the live record has been freed. */
static bool set_aside(struct live *live, int dir, retire_into *into, const char *reason)
{
    if (live->step.pidfd >= 0) {
        /* We are called again when it has ended; its transcoder dies with it. */
        live->step.is_told_to_end = true;
        pidfd_send_signal(live->step.pidfd, SIGTERM, NULL, 0);
        return false;
    }
    struct error ignored;
    if (record_is_locked(dir))
        return false;
    (void)control_file_remove(dir, CONTROL_QUARANTINE, &ignored);
    (void)control_file_remove(dir, CONTROL_HOLD, &ignored);
    into(live, reason);
    return true;
}

/* A failure report carries no work that would be worth keeping forever. */
static void keep_report(struct live *live, const char *reason)
{
    retire_retain(live, OUTCOME_LOST, reason);
}

/* Refused again after so many days, by a server that was otherwise fine with us. A server that has
 * just come back is asked once more first. */
static bool is_refused_too_long(const struct live *live, const struct record_refusal *refusal)
{
    const struct node *node = live->node;
    double days = node->config->retry.hold_days;
    return days > 0 && node->server == SERVER_FINE && node->fine_since_us <= refusal->at_us &&
           (double)(refusal->at_us - refusal->since_us) >= days * DAY_US;
}

static bool set_aside_refused(struct live *live, int dir)
{
    struct record_refusal refusal;
    char reason[NODE_REASON_BYTES];
    if (!record_read_refusal(dir, &refusal) || !is_refused_too_long(live, &refusal))
        return false;
    snprintf(reason, sizeof reason, "refused for %.1f days: %.200s",
             (double)(refusal.at_us - refusal.since_us) / DAY_US, refusal.reason);
    return set_aside(live, dir, live->state == JOB_FAILED ? keep_report : retire_into_quarantine,
                     reason);
}

static void check_record(struct live *live)
{
    struct error ignored;
    FD(dir) = node_open(live, &ignored);
    if (dir < 0)
        return;
    if (control_file_exists(dir, CONTROL_QUARANTINE) &&
        set_aside(live, dir, retire_into_quarantine, "requested by an operator"))
        return;
    if (control_file_exists(dir, CONTROL_RETRY))
        retry(live, dir);
    else if (set_aside_refused(live, dir))
        return;
    bool is_on_hold = control_file_exists(dir, CONTROL_HOLD);
    if (is_on_hold == live->is_on_hold)
        return;
    live->is_on_hold = is_on_hold;
    live->node->is_status_due = true;
    log_info(is_on_hold ? "job.on_hold" : "job.hold_released", LOG_INT("job", live->job_id),
             LOG_TEXT("record", live->id), LOG_TEXT("token", live->token));
}

int64_t control_tick(struct node *node, int64_t now_ms)
{
    bool is_blind = node->control_file_watch < 0 || node->is_control_stuck;
    if (node->is_control_due || (is_blind && node->control_due_ms <= now_ms)) {
        node->is_control_due = node->is_control_stuck = false;
        node->control_due_ms = now_ms + CHECK_MS;
        check_directory(node);
        for (struct live *live = node->lives, *next; live; live = next) {
            next = live->next;
            check_record(live);
        }
    }
    return node->control_file_watch < 0 || node->is_control_stuck ? node->control_due_ms
                                                                  : NODE_NEVER;
}
