#include "agent/daemon/roster.h"

#include "agent/api/delivery.h"
#include "agent/daemon/admission.h"
#include "agent/spool/control_file.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

int node_open(const struct live *live, struct error *err)
{
    return spool_open_record(live->node->spool.live, live->id, err);
}

/* Without a watch the loop's regular check finds the change a little later. */
static int watch_record(const struct node *node, const char *id)
{
    if (node->inotify < 0)
        return -1;
    TEXT(path) = must_printf("%s/spool/%s", node->config->node.state_dir, id);
    return inotify_add_watch(node->inotify, path, IN_MOVED_TO | IN_DELETE | IN_ONLYDIR);
}

static int read_claim(struct live *live, struct error *err)
{
    struct record_claim claim;
    FD(dir) = node_open(live, err);
    if (dir < 0 || record_read_claim(dir, &claim, err) != 0)
        return -1;
    if (claim.claim.job_id != live->job_id)
        return error_set(err, ERROR_PERMANENT, 0, "its claim is for another job");
    memcpy(live->token, claim.token, sizeof live->token);
    live->claim_epoch = claim.claim.claim_epoch;
    return 0;
}

struct live *node_take(struct node *node, const char *id, struct error *err)
{
    struct live *live = must_calloc(1, sizeof *live);
    live->node = node;
    live->step.pidfd = -1;
    live->watch = -1;
    snprintf(live->id, sizeof live->id, "%s", id);
    must(spool_is_id(id, &live->job_id));
    if (node_refresh(live, err) != 0) {
        free(live);
        return NULL;
    }
    live->watch = watch_record(node, id);
    struct live **link = &node->lives;
    while (*link)
        link = &(*link)->next;
    *link = live;
    return live;
}

void node_forget(struct live *live)
{
    struct node *node = live->node;
    struct live **link = &node->lives;
    while (*link && *link != live)
        link = &(*link)->next;
    must(*link);
    *link = live->next;
    if (live->delivery.call)
        http_cancel(live->delivery.call);
    if (live->watch >= 0)
        inotify_rm_watch(node->inotify, live->watch);
    if (live->step.pidfd >= 0)
        close(live->step.pidfd);
    free(live);
    node->is_status_due = true;
}

static int64_t sealed_at_us(int dir, enum job_state state)
{
    struct stat status;
    const char *name = state == JOB_FAILED ? "failure.json" : "completion.json";
    if (job_need(state) != JOB_NEEDS_COURIER || fstatat(dir, name, &status, 0) != 0)
        return 0;
    return (int64_t)status.st_mtim.tv_sec * 1000000 + status.st_mtim.tv_nsec / 1000;
}

static void refresh_waiting(struct live *live, int dir)
{
    bool is_waiting = live->state == JOB_CLAIMED && record_is_waiting(dir);
    if (is_waiting != live->is_waiting)
        live->node->is_status_due = true;
    live->is_waiting = is_waiting;
}

/* The pause continues where an earlier run of the agent left it. */
static void refresh_silence(struct live *live, int dir)
{
    struct live_delivery *delivery = &live->delivery;
    int64_t since_us;
    delivery->past_cache = delivery->is_silent = live->state == JOB_SEALED &&
                                                 record_read_silence(dir, live->token, &since_us);
    if (delivery->is_silent)
        delivery->due_ms = mono_ms() + delivery_silence_left_ms(since_us, wall_us());
}

int node_refresh(struct live *live, struct error *err)
{
    FD(dir) = node_open(live, err);
    enum job_state state;
    if (dir < 0 || record_state(dir, &state, err) != 0)
        return -1;
    refresh_waiting(live, dir);
    if (state == live->state && job_need(state) != JOB_NEEDS_COURIER)
        return 0;
    /* The step may have reclaimed the job, or a rebind that failed may have succeeded: what is
     * presented now belongs to the claim on disk. */
    if (read_claim(live, err) != 0)
        return -1;
    if (state == live->state)
        return 0;
    log_info("job.state", LOG_INT("job", live->job_id), LOG_TEXT("record", live->id),
             LOG_TEXT("token", live->token),
             LOG_TEXT("from", live->state == JOB_WRONG ? "none" : job_state_name(live->state)),
             LOG_TEXT("to", job_state_name(state)));
    if (state == JOB_FAILED)
        node_note_fault(live, dir);
    if (state == JOB_TRANSCODED)
        node_reset_faults(live->node);
    live->state = state;
    live->sealed_us = sealed_at_us(dir, state);
    live->delivery.due_ms = live->step.due_ms = live->retire_due_ms = 0;
    live->delivery.failures = 0;
    live->delivery.is_failure = state == JOB_FAILED;
    refresh_silence(live, dir);
    live->node->is_status_due = live->node->is_control_due = true;
    return 0;
}

unsigned node_slots_held(const struct node *node)
{
    unsigned held = 0;
    for (const struct live *live = node->lives; live; live = live->next)
        held += job_holds_slot(live->state) != 0;
    return held;
}

unsigned node_count_state(const struct node *node, enum job_state state)
{
    unsigned count = 0;
    for (const struct live *live = node->lives; live; live = live->next)
        count += live->state == state;
    return count;
}

bool node_job_ids(const struct node *node, int64_t *ids, size_t max, size_t *count)
{
    size_t known = 0;
    *count = 0;
    for (const struct live *live = node->lives; live; live = live->next) {
        size_t i = 0;
        while (i < known && ids[i] != live->job_id)
            i++;
        if (i == max)
            return false;
        ids[i] = live->job_id;
        known += i == known;
    }
    *count = known;
    return true;
}

/* An ordinary claim may be faster than the reclaim of the same job, which is then useless. And the
 * answer to a report in flight would be about the former claim: "lost" would end the work that the
 * new claim is for. */
void claim_cancel_delivery(struct live_delivery *delivery)
{
    if (delivery->call)
        http_cancel(delivery->call);
    delivery->call = NULL;
    delivery->is_reclaiming = false;
}

/* Presented under this job ID it would complete the wrong video. Whether the server will accept it
 * again (a backup restored by mistake) only a person can tell. */
static int put_on_hold(struct live *live, int dir, const struct error *why, struct error *err)
{
    if (live->is_on_hold)
        return 0;
    if (control_file_create(dir, CONTROL_HOLD, err) != 0)
        return -1;
    spool_note_reason(&live->node->spool, live->id, why->message);
    claim_cancel_delivery(&live->delivery);
    live->is_on_hold = live->node->is_status_due = true;
    snprintf(live->delivery.reason, sizeof live->delivery.reason, "%.255s", why->message);
    log_error("job.other_video", LOG_INT("job", live->job_id), LOG_TEXT("record", live->id),
              LOG_TEXT("token", live->token), LOG_TEXT("reason", why->message),
              LOG_TEXT("hint", "on hold until spool retry or spool quarantine"));
    return 0;
}

int claim_rebind(struct live *live, const struct record_claim *claim, struct error *err)
{
    struct error why;
    FD(dir) = node_open(live, err);
    if (dir < 0)
        return -1;
    if (record_rebind(dir, claim, &why) != 0) {
        if (why.code != ENOTUNIQ || put_on_hold(live, dir, &why, err) == 0)
            *err = why;
        return -1;
    }
    crash_point(CRASH_AGENT_CLAIM_RECORDED);
    log_info("job.reclaimed", LOG_INT("job", live->job_id), LOG_TEXT("record", live->id),
             LOG_TEXT("former_token", live->token), LOG_TEXT("token", claim->token),
             LOG_INT("epoch", claim->claim.claim_epoch));
    memcpy(live->token, claim->token, sizeof live->token);
    live->claim_epoch = claim->claim.claim_epoch;
    claim_cancel_delivery(&live->delivery);
    live->step.due_ms = live->delivery.due_ms = live->delivery.floor_ms = 0;
    live->delivery.is_held = live->delivery.is_silent = live->delivery.past_cache = false;
    return 0;
}
