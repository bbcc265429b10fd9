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

void roster_set_on_hold(struct live *live, bool is_on_hold)
{
    if (is_on_hold == live->is_on_hold)
        return;
    live->is_on_hold = is_on_hold;
    node_status_changed(live->node);
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
    roster_set_on_hold(live, true);
    tell_hold(live, why->message);
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

struct live *roster_add(struct node *node, const char *id, struct error *err)
{
    struct live *live = must_calloc(1, sizeof *live);
    live->node = node;
    live->step.pidfd = -1;
    live->watch = -1;
    snprintf(live->id, sizeof live->id, "%s", id);
    must(spool_is_id(id, &live->job_id));
    struct live **link = &node->roster.first;
    while (*link)
        link = &(*link)->next;
    *link = live;
    if (roster_refresh(live, err) != 0) {
        roster_forget(live);
        return NULL;
    }
    live->watch = watch_record(node, id);
    node->roster.has_unwatched = node->roster.has_unwatched || live->watch < 0;
    return live;
}

void roster_forget(struct live *live)
{
    struct node *node = live->node;
    struct live **link = &node->roster.first;
    while (*link && *link != live)
        link = &(*link)->next;
    must(*link);
    set_waiting(live, false);
    *link = live->next;
    tell_forget(live);
    if (live->watch >= 0)
        inotify_rm_watch(node->inotify, live->watch);
    free(live);
    node_status_changed(node);
}

static bool is_known(const struct node *node, const char *id)
{
    for (const struct live *live = node->roster.first; live; live = live->next)
        if (strcmp(live->id, id) == 0)
            return true;
    return false;
}

struct live *roster_find_watch(const struct node *node, int watch)
{
    struct live *live = node->roster.first;
    while (live && live->watch != watch)
        live = live->next;
    return live;
}

unsigned roster_count(const struct node *node)
{
    unsigned count = 0;
    for (const struct live *live = node->roster.first; live; live = live->next)
        count++;
    return count;
}

unsigned roster_slots_held(const struct node *node)
{
    unsigned held = 0;
    for (const struct live *live = node->roster.first; live; live = live->next)
        held += job_holds_slot(live->state) != 0;
    return held;
}

unsigned roster_count_state(const struct node *node, enum job_state state)
{
    unsigned count = 0;
    for (const struct live *live = node->roster.first; live; live = live->next)
        count += live->state == state;
    return count;
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

void roster_note_final(struct node *node, int64_t job_id, const char *outcome, const char *reason)
{
    struct roster *roster = &node->roster;
    struct roster_final *final = &roster->finals[roster->final_count++ % ROSTER_FINALS_MAX];
    *final = (struct roster_final){.at_us = wall_us(), .job_id = job_id, .outcome = outcome};
    snprintf(final->reason, sizeof final->reason, "%s", reason);
}

#define FAILURES_NAME "failures.json"

static bool is_failure(const struct json *one)
{
    int64_t job_id;
    const char *text;
    return json_get_int(one, "job", 1, INT64_MAX, &job_id) == JSON_FOUND &&
           json_get_text(one, "reason", ROSTER_REASON_BYTES, &text) == JSON_FOUND &&
           json_get_text(one, "at", WALL_TEXT_BYTES, &text) == JSON_FOUND;
}

/* first, and then the valid ones of those before it. */
static struct json *list_failures(struct json *first, const struct json *former)
{
    struct json *list = json_new_array();
    if (first)
        json_append(list, first);
    for (const struct json *one = json_is_array(former) ? json_first(former) : NULL;
         one && json_count(list) < ROSTER_FAILURES_MAX; one = json_next(one))
        if (is_failure(one))
            json_append(list, json_copy(one));
    return list;
}

void roster_read_failures(struct node *node)
{
    TEXT(text) = NULL;
    size_t size;
    struct error ignored;
    if (durable_read(node->spool.state_dir, FAILURES_NAME, RECORD_FILE_MAX_BYTES, &text, &size,
                     &ignored) != 0)
        return;
    JSON(root) = json_parse(text, size, &ignored);
    json_free(node->roster.failures);
    node->roster.failures = list_failures(NULL, root);
}

void roster_note_failure(struct node *node, int64_t job_id, const char *reason)
{
    char at[WALL_TEXT_BYTES], first_line[ROSTER_REASON_BYTES];
    struct error ignored;
    struct json *one = json_new_object(), *former = node->roster.failures;
    wall_format(wall_us(), at);
    snprintf(first_line, sizeof first_line, "%.*s", (int)strcspn(reason, "\n"), reason);
    json_set_int(one, "job", job_id);
    json_set_text(one, "reason", first_line);
    json_set_text(one, "at", at);
    node->roster.failures = list_failures(one, former);
    json_free(former);
    TEXT(text) = json_print(node->roster.failures);
    (void)durable_write_volatile(node->spool.state_dir, FAILURES_NAME, text, strlen(text),
                                 &ignored);
    node_status_changed(node);
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
