#include "agent/daemon/node.h"

#include "agent/api/connect.h"
#include "agent/api/delivery.h"
#include "base/clock.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/uuid.h"

#include "tailslate/backoff.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>

static const char *const server_names[SERVER_STATE_COUNT] = {
    [SERVER_UNKNOWN] = "unknown",         [SERVER_FINE] = "fine",
    [SERVER_UNREACHED] = "unreached",     [SERVER_NOT_TRUSTED] = "not_trusted",
    [SERVER_KEY_REFUSED] = "key_refused", [SERVER_FAILING] = "failing",
};

const char *server_state_name(enum server_state state)
{
    must(state < SERVER_STATE_COUNT);
    return server_names[state];
}

int64_t soonest_ms(int64_t a, int64_t b)
{
    if (a == NODE_NEVER)
        return b;
    return b == NODE_NEVER || a < b ? a : b;
}

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

static const struct tailslate_backoff rests = {.base_ms = 60 * 1000, .cap_ms = 30 * 60 * 1000};

/* A faulty node would use up the attempts of job after job, so it suspends claims, longer each
 * time. At least half of the time is not jittered, or it could be zero. */
static void note_fault(struct live *live, int dir)
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
        note_fault(live, dir);
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

void node_server_is(struct node *node, enum server_state state, const char *reason)
{
    if (state == node->server)
        return;
    bool was_known = node->server != SERVER_UNKNOWN;
    node->server = state;
    node->server_since_us = wall_us();
    snprintf(node->server_reason, sizeof node->server_reason, "%s", reason);
    node->is_status_due = true;
    if (state == SERVER_FINE) {
        log_info("server.ok", LOG_TEXT("url", node->config->server.url));
        node->wakes_deliveries = was_known;
        node->is_control_due =
            true; /* a refusal received before this may be the last one (control.c) */
        if (was_known)
            node->fine_since_us = node->server_since_us;
        return;
    }
    log_at(state == SERVER_UNREACHED || state == SERVER_FAILING ? LOG_WARNING : LOG_ERROR,
           "server.trouble", LOG_TEXT("url", node->config->server.url),
           LOG_TEXT("state", server_state_name(state)), LOG_TEXT("reason", reason));
}

static void release_held(struct node *node)
{
    for (struct live *live = node->lives; live; live = live->next)
        live->delivery.is_held = false;
    node->wakes_deliveries = true;
}

void node_renew_key(struct node *node)
{
    struct error err;
    if (!node->is_key_refused)
        return;
    node->is_key_refused = false;
    int renewed = connect_renew_key(node->config, node->http, &err);
    if (renewed < 0)
        log_warning("key.unreadable", LOG_TEXT("reason", err.message));
    if (renewed <= 0)
        return;
    log_info("key.reloaded", LOG_TEXT("file", node->config->server.api_key_file));
    release_held(node);
}

enum server_state node_server_state(enum tailslate_answer_class class)
{
    if (class == TAILSLATE_ANSWER_OK)
        return SERVER_FINE;
    if (class == TAILSLATE_ANSWER_UNTRUSTED)
        return SERVER_NOT_TRUSTED;
    if (class == TAILSLATE_ANSWER_UNREACHED || class == TAILSLATE_ANSWER_LOCAL_FAILURE)
        return SERVER_UNREACHED;
    return tailslate_answer_concerns_key(class) ? SERVER_KEY_REFUSED : SERVER_FAILING;
}

enum server_state node_server_state_of(const struct http_answer *answer, char *reason,
                                       size_t capacity)
{
    enum server_state state = node_server_state(http_answer_class(answer));
    if (answer->reach != TAILSLATE_REACH_ANSWERED)
        snprintf(reason, capacity, "%s", answer->error.message);
    else if (state == SERVER_FINE)
        reason[0] = '\0';
    else
        snprintf(reason, capacity, "HTTP %ld%s%.200s", answer->status,
                 answer->problem.detail[0] ? ": " : "", answer->problem.detail);
    return state;
}
