#include "agent/daemon/control.h"

#include "agent/daemon/outbox.h"
#include "agent/daemon/retire.h"
#include "agent/daemon/steps.h"
#include "agent/spool/control_file.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/durable.h"

#include <stdio.h>
#include <string.h>

enum { CHECK_MS = 5 * 1000 };
#define DAY_US (24 * 3600 * 1e6)

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

void control_watch(struct control *control)
{
    struct node *node = control->node;
    TEXT(path) = must_printf("%s/" CONTROL_DIRECTORY, node->config->node.state_dir);
    control->watch = -1;
    if (node->inotify >= 0)
        control->watch = inotify_add_watch(node->inotify, path,
                                           IN_MOVED_TO | IN_DELETE | IN_ONLYDIR);
    node_control_changed(node);
}

void control_event(struct control *control, const struct inotify_event *event)
{
    if ((event->mask & IN_Q_OVERFLOW) || event->wd == control->watch) {
        node_control_changed(control->node);
        return;
    }
    if (event->len == 0 ||
        (!ends_with(event->name, CONTROL_SUFFIX) && strcmp(event->name, RECORD_REFUSED) != 0))
        return;
    struct live *live = roster_find_watch(control->node, event->wd);
    if (live)
        node_record_changed(live);
}

static void check_directory(struct node *node)
{
    bool is_drained = control_file_exists(node->spool.controls, CONTROL_DRAIN);
    bool is_paused = control_file_exists(node->spool.controls, CONTROL_PAUSE);
    bool is_drained_news = admission_set(node, ADMISSION_DRAINED, is_drained);
    bool is_paused_news = admission_set(node, ADMISSION_PAUSED, is_paused);
    if (is_drained_news)
        log_info(is_drained ? "node.drained" : "node.undrained");
    if (is_paused_news)
        log_info(is_paused ? "node.paused" : "node.unpaused");
    /* An operator who withdraws a request has checked the node. */
    if ((is_drained_news && !is_drained) || (is_paused_news && !is_paused))
        admission_reset_faults(node);
}

static void retry(struct control *control, struct live *live, int dir)
{
    struct error err;
    bool is_refused = durable_exists(dir, RECORD_REFUSED);
    if (control_file_remove(dir, CONTROL_HOLD, &err) != 0 ||
        control_file_remove(dir, CONTROL_RETRY, &err) != 0) {
        log_warning("control.not_removed", LOG_TEXT("record", live->id),
                    LOG_TEXT("reason", err.message));
        control->is_stuck = true;
        return;
    }
    log_info("job.retried", LOG_INT("job", live->job_id), LOG_TEXT("record", live->id),
             LOG_TEXT("token", live->token), LOG_TEXT("reason", live->delivery.reason));
    record_forget_refusal(dir);
    outbox_retry(live);
    steps_retry(live);
    retire_again(live);
    node_status_changed(live->node);
    /* A step that waits after a refusal does not notice: its successor starts at once. */
    if (live->step.pidfd >= 0 && is_refused && !job_holds_slot(live->state))
        steps_tell_to_end(live);
}

typedef void retire_into(struct live *live, const char *reason);

/* True: the live record has been freed. */
static bool set_aside(struct live *live, int dir, retire_into *into, const char *reason)
{
    if (live->step.pidfd >= 0) {
        steps_tell_to_end(live); /* we are called again when it has ended */
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
static void retain_report(struct live *live, const char *reason)
{
    retire_retain(live, OUTCOME_LOST, TAILSLATE_PROBLEM_NONE, reason);
}

/* Refused again after so many days, by a server that accepted our other requests. A server that has
 * just come back is asked once more first. */
static bool is_refused_too_long(const struct live *live, const struct record_refusal *refusal)
{
    const struct node *node = live->node;
    double days = node->config->retry.hold_days;
    return days > 0 && node->server.state == SERVER_FINE &&
           node->server.fine_since_us <= refusal->at_us &&
           (double)(refusal->at_us - refusal->since_us) >= days * DAY_US;
}

static bool set_aside_refused(struct live *live, int dir)
{
    struct record_refusal refusal;
    char reason[ROSTER_REASON_BYTES];
    if (!record_read_refusal(dir, &refusal) || !is_refused_too_long(live, &refusal))
        return false;
    snprintf(reason, sizeof reason, "refused for %.1f days: %.200s",
             (double)(refusal.at_us - refusal.since_us) / DAY_US, refusal.reason);
    return set_aside(live, dir, live->state == JOB_FAILED ? retain_report : retire_into_quarantine,
                     reason);
}

static void check_record(struct control *control, struct live *live)
{
    struct error ignored;
    FD(dir) = roster_open(live, &ignored);
    if (dir < 0)
        return;
    if (control_file_exists(dir, CONTROL_QUARANTINE) &&
        set_aside(live, dir, retire_into_quarantine, "requested by an operator"))
        return;
    if (control_file_exists(dir, CONTROL_RETRY))
        retry(control, live, dir);
    else if (set_aside_refused(live, dir))
        return;
    bool is_on_hold = control_file_exists(dir, CONTROL_HOLD);
    if (is_on_hold == live->is_on_hold)
        return;
    roster_set_on_hold(live, is_on_hold);
    log_info(is_on_hold ? "job.on_hold" : "job.hold_released", LOG_INT("job", live->job_id),
             LOG_TEXT("record", live->id), LOG_TEXT("token", live->token));
}

static void check_all(struct control *control)
{
    for (struct live *live = control->node->roster.first, *next; live; live = next) {
        next = live->next;
        node_record_read(live);
        check_record(control, live);
    }
}

static void check_changed(struct control *control)
{
    struct live *live;
    while ((live = due_first(&control->node->changes))) {
        node_record_read(live);
        check_record(control, live);
    }
}

/* Nothing announces that such a control file has changed. */
static bool is_periodic(const struct control *control)
{
    return control->watch < 0 || control->is_stuck || control->node->roster.has_unwatched;
}

int64_t control_tick(struct control *control, int64_t now_ms)
{
    bool is_due = is_periodic(control) && control->due_ms <= now_ms;
    if (node_take_control_change(control->node) || is_due) {
        control->is_stuck = false;
        control->due_ms = now_ms + CHECK_MS;
        check_directory(control->node);
        check_all(control);
    }
    check_changed(control);
    return is_periodic(control) ? control->due_ms : NODE_NEVER;
}
