#include "agent/daemon/roster.h"

#include "agent/daemon/node.h"
#include "agent/spool/control_file.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/durable.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void roster_init(struct node *node, const struct roster_owner *const *owners, size_t count)
{
    must(count <= ROSTER_OWNERS_MAX);
    node->roster = (struct roster){.watch = -1};
    node->roster.end = &node->roster.first;
    for (size_t i = 0; i < count; i++)
        node->roster.owners[i] = owners[i];
}

/* ---- one record ------------------------------------------------------------------------------ */

int roster_open(const struct live *live, struct error *err)
{
    return spool_open_record(live->node->spool.live, live->id, err);
}

static const struct roster_owner *owner_at(const struct live *live, size_t i)
{
    return i < ROSTER_OWNERS_MAX ? live->node->roster.owners[i] : NULL;
}

static void tell_state(struct live *live, int dir, enum job_state former)
{
    const struct roster_owner *owner;
    for (size_t i = 0; (owner = owner_at(live, i)); i++)
        if (owner->on_state)
            owner->on_state(live, dir, former);
}

static void tell_claim(struct live *live)
{
    const struct roster_owner *owner;
    for (size_t i = 0; (owner = owner_at(live, i)); i++)
        if (owner->on_claim)
            owner->on_claim(live);
}

static void tell_hold(struct live *live, const char *why)
{
    const struct roster_owner *owner;
    for (size_t i = 0; (owner = owner_at(live, i)); i++)
        if (owner->on_hold)
            owner->on_hold(live, why);
}

static void tell_forget(struct live *live)
{
    const struct roster_owner *owner;
    for (size_t i = 0; (owner = owner_at(live, i)); i++)
        if (owner->on_forget)
            owner->on_forget(live);
}

/* Without a watch the loop's regular check finds the change a little later. */
static int watch_record(const struct node *node, const char *id)
{
    if (node->inotify < 0)
        return -1;
    TEXT(path) = must_printf("%s/spool/%s", node->config->node.state_dir, id);
    return inotify_add_watch(node->inotify, path, IN_MOVED_TO | IN_DELETE | IN_ONLYDIR);
}

static int read_claim(struct live *live, int dir, struct error *err)
{
    struct record_claim claim;
    if (record_read_claim(dir, &claim, err) != 0)
        return -1;
    if (claim.claim.job_id != live->job_id)
        return error_set(err, ERROR_PERMANENT, 0, "its claim is for another job");
    memcpy(live->token, claim.token, sizeof live->token);
    live->claim_epoch = claim.claim.claim_epoch;
    return 0;
}

static int64_t sealed_at_us(int dir, enum job_state state)
{
    struct stat status;
    const char *name = state == JOB_FAILED ? "failure.json" : "completion.json";
    if (job_need(state) != JOB_NEEDS_COURIER || fstatat(dir, name, &status, 0) != 0)
        return 0;
    return (int64_t)status.st_mtim.tv_sec * 1000000 + status.st_mtim.tv_nsec / 1000;
}

static bool waits_for_disk(const struct node *node)
{
    for (const struct live *live = node->roster.first; live; live = live->next)
        if (live->is_waiting)
            return true;
    return false;
}

static void set_waiting(struct live *live, bool is_waiting)
{
    if (is_waiting == live->is_waiting)
        return;
    live->is_waiting = is_waiting;
    admission_set(live->node, ADMISSION_DISK_AWAITED, waits_for_disk(live->node));
    node_status_changed(live->node);
}

static void set_state(struct live *live, int dir, enum job_state state)
{
    enum job_state former = live->state;
    log_info("job.state", LOG_INT("job", live->job_id), LOG_TEXT("record", live->id),
             LOG_TEXT("token", live->token),
             LOG_TEXT("from", former == JOB_WRONG ? "none" : job_state_name(former)),
             LOG_TEXT("to", job_state_name(state)));
    live->node->roster.of_state[former]--;
    live->node->roster.of_state[state]++;
    live->state = state;
    live->sealed_us = sealed_at_us(dir, state);
    tell_state(live, dir, former);
    node_status_changed(live->node);
    node_record_changed(live);
}

int roster_refresh(struct live *live, struct error *err)
{
    FD(dir) = roster_open(live, err);
    enum job_state state;
    if (dir < 0 || record_state(dir, &state, err) != 0)
        return -1;
    set_waiting(live, state == JOB_CLAIMED && record_is_waiting(dir));
    if (state == live->state && job_need(state) != JOB_NEEDS_COURIER)
        return 0;
    /* The step may have reclaimed the job, or a rebind that failed may have succeeded: what is
     * presented now belongs to the claim on disk. */
    if (read_claim(live, dir, err) != 0)
        return -1;
    if (state != live->state)
        set_state(live, dir, state);
    return 0;
}

static void set_on_hold(struct live *live, bool is_on_hold, const char *why)
{
    if (is_on_hold == live->is_on_hold)
        return;
    live->is_on_hold = is_on_hold;
    tell_hold(live, why);
    node_status_changed(live->node);
}

void roster_set_on_hold(struct live *live, bool is_on_hold)
{
    set_on_hold(live, is_on_hold, NULL);
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
    set_on_hold(live, true, why->message);
    log_error("job.other_video", LOG_INT("job", live->job_id), LOG_TEXT("record", live->id),
              LOG_TEXT("token", live->token), LOG_TEXT("reason", why->message),
              LOG_TEXT("hint", "on hold until spool retry or spool quarantine"));
    return 0;
}

int roster_rebind(struct live *live, const struct record_claim *claim, struct error *err)
{
    struct error why;
    FD(dir) = roster_open(live, err);
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
    tell_claim(live);
    return 0;
}

/* ---- the list -------------------------------------------------------------------------------- */

static size_t bucket_of(int64_t number)
{
    return (uint64_t)number % ROSTER_BUCKETS;
}

static void link_live(struct live *live)
{
    struct roster *roster = &live->node->roster;
    struct live **bucket = &roster->of_job[bucket_of(live->job_id)];
    live->link = roster->end;
    *roster->end = live;
    roster->end = &live->next;
    live->next_of_job = *bucket;
    *bucket = live;
    roster->of_state[live->state]++;
}

static void unlink_live(struct live *live)
{
    struct roster *roster = &live->node->roster;
    struct live **job = &roster->of_job[bucket_of(live->job_id)];
    while (*job != live)
        job = &(*job)->next_of_job;
    *job = live->next_of_job;
    *live->link = live->next;
    *(live->next ? &live->next->link : &roster->end) = live->link;
    roster->of_state[live->state]--;
}

static struct live *new_live(struct node *node, const char *id)
{
    struct live *live = must_calloc(1, sizeof *live);
    int64_t number = ++node->roster.last_number;
    live->node = node;
    live->step.pidfd = live->watch = -1;
    live->step.due = live->delivery.due = live->end.due = live->change = (struct due){
        .of = live, .number = number};
    snprintf(live->id, sizeof live->id, "%s", id);
    must(spool_is_id(id, &live->job_id));
    return live;
}

static void start_watch(struct live *live)
{
    struct roster *roster = &live->node->roster;
    live->watch = watch_record(live->node, live->id);
    roster->has_unwatched = roster->has_unwatched || live->watch < 0;
    if (live->watch < 0)
        return;
    struct live **bucket = &roster->of_watch[bucket_of(live->watch)];
    live->next_of_watch = *bucket;
    *bucket = live;
}

static void end_watch(struct live *live)
{
    if (live->watch < 0)
        return;
    struct live **watch = &live->node->roster.of_watch[bucket_of(live->watch)];
    while (*watch != live)
        watch = &(*watch)->next_of_watch;
    *watch = live->next_of_watch;
    inotify_rm_watch(live->node->inotify, live->watch);
}

struct live *roster_add(struct node *node, const char *id, struct error *err)
{
    struct live *live = new_live(node, id);
    link_live(live);
    if (roster_refresh(live, err) != 0) {
        roster_forget(live);
        return NULL;
    }
    start_watch(live);
    return live;
}

void roster_forget(struct live *live)
{
    struct node *node = live->node;
    set_waiting(live, false);
    tell_forget(live);
    node_record_read(live);
    end_watch(live);
    unlink_live(live);
    free(live);
    node_status_changed(node);
}

static bool is_known(const struct node *node, const char *id)
{
    int64_t job_id;
    must(spool_is_id(id, &job_id));
    const struct live *live = node->roster.of_job[bucket_of(job_id)];
    while (live && strcmp(live->id, id) != 0)
        live = live->next_of_job;
    return live != NULL;
}

struct live *roster_find_watch(const struct node *node, int watch)
{
    struct live *live = watch < 0 ? NULL : node->roster.of_watch[bucket_of(watch)];
    while (live && live->watch != watch)
        live = live->next_of_watch;
    return live;
}

unsigned roster_count(const struct node *node)
{
    unsigned count = 0;
    for (size_t state = 0; state < JOB_STATE_COUNT; state++)
        count += node->roster.of_state[state];
    return count;
}

unsigned roster_slots_held(const struct node *node)
{
    unsigned held = 0;
    for (enum job_state state = JOB_WRONG; state < JOB_STATE_COUNT; state++)
        held += job_holds_slot(state) ? node->roster.of_state[state] : 0;
    return held;
}

unsigned roster_count_state(const struct node *node, enum job_state state)
{
    return node->roster.of_state[state];
}

bool roster_job_ids(const struct node *node, int64_t *ids, size_t max, size_t *count)
{
    size_t known = 0;
    *count = 0;
    for (const struct live *live = node->roster.first; live; live = live->next) {
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

/* ---- reading the spool ----------------------------------------------------------------------- */

/* An operator can add records, too (spool retry of a quarantined record). */
void roster_watch(struct node *node)
{
    TEXT(path) = must_printf("%s/spool", node->config->node.state_dir);
    if (node->inotify >= 0)
        node->roster.watch = inotify_add_watch(node->inotify, path, IN_MOVED_TO | IN_ONLYDIR);
}

/* False: it may become readable later. */
static bool set_aside(const struct node *node, const char *id, const struct error *why)
{
    struct error err;
    if (why->class == ERROR_TEMPORARY) {
        log_error("record.unreadable", LOG_TEXT("record", id), LOG_TEXT("reason", why->message));
        return false;
    }
    int moved = spool_quarantine(&node->spool, id, why->message, &err);
    log_error("record.quarantined", LOG_TEXT("record", id), LOG_TEXT("reason", why->message),
              LOG_TEXT("move_error", moved == 0 ? "" : err.message));
    return true;
}

static void set_incomplete(struct node *node, bool is_incomplete)
{
    node->roster.is_incomplete = is_incomplete;
    admission_set(node, ADMISSION_RECORD_UNREADABLE, is_incomplete);
}

int roster_read(struct node *node, struct error *err)
{
    struct spool_entry *entries = NULL;
    size_t count = 0, foreign = 0;
    bool is_incomplete = false;
    if (spool_list(node->spool.live, &entries, &count, &foreign, err) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct error why;
        if (!is_known(node, entries[i].id) && !roster_add(node, entries[i].id, &why) &&
            !set_aside(node, entries[i].id, &why))
            is_incomplete = true;
    }
    set_incomplete(node, is_incomplete);
    node->roster.read_due_ms = mono_ms() + ROSTER_CHECK_MS;
    free(entries);
    if (foreign > 0)
        log_warning("spool.foreign_names", LOG_INT("count", foreign),
                    LOG_TEXT("hint", "they are left alone"));
    return 0;
}

int64_t roster_tick(struct node *node, int64_t now_ms)
{
    struct roster *roster = &node->roster;
    struct error err;
    if (!roster->is_incomplete && !roster->has_arrived)
        return NODE_NEVER;
    if (roster->has_arrived)
        roster->read_due_ms = now_ms;
    roster->has_arrived = false;
    if (roster->read_due_ms <= now_ms && roster_read(node, &err) != 0) {
        roster->read_due_ms = now_ms + ROSTER_CHECK_MS;
        log_error("spool.unreadable", LOG_TEXT("reason", err.message));
    }
    return roster->is_incomplete ? roster->read_due_ms : NODE_NEVER;
}

void roster_event(struct node *node, const struct inotify_event *event)
{
    int64_t job_id;
    if (event->wd == node->roster.watch && event->len > 0 && spool_is_id(event->name, &job_id) &&
        !is_known(node, event->name))
        node->roster.has_arrived = true;
}
