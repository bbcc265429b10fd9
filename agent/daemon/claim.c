#include "agent/daemon/claim.h"

#include "agent/api/explain.h"
#include "agent/daemon/outbox.h"
#include "agent/spool/retained.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/metrics.h"
#include "lib/cleanup.h"
#include "lib/uuid.h"

#include "tailslate/backoff.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    UNDATED_CLAIM_S = 600, /* how long to keep a claim whose expiry is unknown */
    WAITING_REASON_BYTES = 480,
    JITTER_PERCENT = 25,
    LEAVING_CHECK_MS = 200,
};
static const struct tailslate_backoff rebind_pauses = {.base_ms = 500, .cap_ms = 60 * 1000};
static const struct tailslate_backoff pauses = {.base_ms = 1000, .cap_ms = 60 * 1000};

#define CLAIMS_METRIC(outcome)                                                                     \
    METRIC_COUNTER("tailslate_agent_claims_total", "outcome=\"" outcome "\"",                      \
                   "Claim requests, by outcome.")
static struct metric claims_given = CLAIMS_METRIC("given");
static struct metric claims_empty = CLAIMS_METRIC("none");
static struct metric claims_failed = CLAIMS_METRIC("failed");

void claim_register_metrics(void)
{
    metric_register(&claims_given);
    metric_register(&claims_empty);
    metric_register(&claims_failed);
}

static int64_t wait_seconds(const struct claim *claim)
{
    return (int64_t)claim->node->config->claim.wait_seconds;
}

int64_t claim_pause_ms(int64_t wait_ms, int64_t took_ms, int64_t poll_ms, uint64_t random)
{
    /* A server that supports long polling can be asked again at once. */
    if (wait_ms > 0 && took_ms >= wait_ms / 2)
        return 0;
    return tailslate_backoff_jitter_ms(poll_ms, JITTER_PERCENT / 100.0, random);
}

/* What is waited for before the next job is given. */
static void note_waiting(struct claim *claim, const char *reason, const char *hint)
{
    struct record_waiting *waiting = &claim->waiting;
    if (strcmp(waiting->reason, reason) != 0) {
        *waiting = (struct record_waiting){.since_us = wall_us()};
        snprintf(waiting->reason, sizeof waiting->reason, "%s", reason);
        snprintf(waiting->hint, sizeof waiting->hint, "%s", hint ? hint : "");
    }
    int64_t left_ms = claim->due_ms - mono_ms();
    waiting->next_us = wall_us() + (left_ms > 0 ? left_ms * 1000 : 0);
    node_status_changed(claim->node);
}

static void fail(struct claim *claim, const struct http_answer *answer, const char *reason)
{
    int64_t delay_ms = tailslate_backoff_delay_ms(pauses, claim->failures++, answer->retry_after_ms,
                                                  random_u64());
    claim->due_ms = mono_ms() + delay_ms;
    metric_add(&claims_failed, 1);
    bool is_news = strcmp(claim->waiting.reason, reason) != 0;
    note_waiting(claim, reason, explain_hint(answer));
    enum log_level level = is_news || claim->failures == 2 ? LOG_WARNING : LOG_DEBUG;
    log_at(claim->failures == 1 ? LOG_INFO : level, "claim.failed", LOG_TEXT("reason", reason),
           LOG_INT("attempt", claim->failures), LOG_INT("delay_ms", delay_ms));
}

static void forget_unrecorded(struct claim *claim)
{
    free(claim->unrecorded);
    claim->unrecorded = NULL;
}

/* The next record of this job that can take a new claim, from live on. */
static struct live *find_held(struct live *live, int64_t job_id)
{
    while (live && (live->job_id != job_id || job_next(live->state, JOB_REBOUND) == JOB_WRONG))
        live = live->next;
    return live;
}

/* The record exists with this very token although creating it failed (durable.h). It is used:
 * created again, the claim would be worked on twice. If a power cut removes it, the claim expires
 * as if its answer had been lost. */
static bool is_recorded(const struct node *node, const char *id, const struct record_claim *claim,
                        const struct error *why)
{
    struct record_claim found;
    struct error ignored;
    FD(dir) = spool_open_record(node->spool.live, id, &ignored);
    if (dir < 0 || record_read_claim(dir, &found, &ignored) != 0 ||
        strcmp(found.token, claim->token) != 0)
        return false;
    log_warning("claim.already_recorded", LOG_INT("job", claim->claim.job_id),
                LOG_TEXT("record", id), LOG_TEXT("reason", why->message));
    return true;
}

static int add(struct node *node, const struct record_claim *claim, struct error *err)
{
    char id[SPOOL_ID_BYTES];
    struct error why;
    if (spool_add(&node->spool, claim, id, &why) != 0 && !is_recorded(node, id, claim, &why)) {
        *err = why;
        return -1;
    }
    crash_point(CRASH_AGENT_CLAIM_RECORDED);
    log_info("job.claimed", LOG_INT("job", claim->claim.job_id), LOG_TEXT("record", id),
             LOG_TEXT("token", claim->token), LOG_TEXT("slug", claim->claim.video_slug),
             LOG_INT("epoch", claim->claim.claim_epoch),
             LOG_TEXT("expires_at", claim->claim.claim_expires_at));
    /* It is on disk: another attempt would create it twice. A restart replays it. */
    must(roster_add(node, id, err));
    return 0;
}

static int take_back(struct node *node, const char *id, const struct record_claim *claim,
                     struct error *err)
{
    struct error why;
    if (spool_take_back(&node->spool, id, claim, &why) != 0 &&
        !is_recorded(node, id, claim, &why)) {
        *err = why;
        return -1;
    }
    crash_point(CRASH_AGENT_CLAIM_RECORDED);
    log_info("job.reclaimed", LOG_INT("job", claim->claim.job_id), LOG_TEXT("record", id),
             LOG_TEXT("token", claim->token), LOG_INT("epoch", claim->claim.claim_epoch));
    must(roster_add(node, id, err));
    return 0;
}

/* Lost, but its step has not ended: it will soon be in kept/, and may match this claim. */
static bool is_leaving(const struct node *node, int64_t job_id)
{
    for (const struct live *live = node->roster.first; live; live = live->next)
        if (live->job_id == job_id && live->state == JOB_LOST)
            return true;
    return false;
}

/* held: the record that was bound to the claim, or could not be; NULL: none. */
static int bind_or_add(struct node *node, const struct record_claim *claim, struct live **held,
                       struct error *err)
{
    char retained[SPOOL_ID_BYTES];
    while (*held) {
        if (roster_rebind(*held, claim, err) == 0)
            return 0;
        if (!record_is_for_another(err))
            return -1;
        *held = find_held((*held)->next, claim->claim.job_id);
    }
    if (retained_find(&node->spool, claim, retained))
        return take_back(node, retained, claim, err);
    return add(node, claim, err);
}

static void record_claimed(struct claim *claim)
{
    struct node *node = claim->node;
    const struct record_claim *answered = claim->unrecorded;
    struct error err;
    struct live *held = find_held(node->roster.first, answered->claim.job_id);
    if (!held && is_leaving(node, answered->claim.job_id)) {
        claim->due_ms = mono_ms() + LEAVING_CHECK_MS;
        return;
    }
    if (bind_or_add(node, answered, &held, &err) == 0) {
        /* A server that assigns the same job again and again must not be asked without a pause. */
        claim->rebinds = held ? claim->rebinds + 1 : 0;
        claim->due_ms = held ? mono_ms() + tailslate_backoff_delay_ms(rebind_pauses, claim->rebinds,
                                                                      -1, random_u64())
                             : 0;
        claim->failures = 0;
        forget_unrecorded(claim);
        return;
    }
    /* The step may have ended the job meanwhile: then the next attempt finds no record to bind. */
    struct error ignored;
    if (held && err.code == EBUSY)
        roster_refresh(held, &ignored);
    claim->due_ms = mono_ms() +
                    tailslate_backoff_delay_ms(pauses, claim->failures++, -1, random_u64());
    /* Presented under the former claim now, it would be superseded: by ourselves. */
    if (held)
        outbox_cancel(held, claim->due_ms + 1);
    log_warning("claim.not_recorded", LOG_INT("job", answered->claim.job_id),
                LOG_TEXT("token", answered->token), LOG_INT("attempt", claim->failures),
                LOG_TEXT("reason", err.message));
}

static void drop_expired(struct claim *claim)
{
    if (mono_ms() < claim->expires_ms)
        return;
    log_error("claim.abandoned", LOG_INT("job", claim->unrecorded->claim.job_id),
              LOG_TEXT("token", claim->unrecorded->token),
              LOG_TEXT("reason", "it expired before it could be written to disk"));
    forget_unrecorded(claim);
}

static void accept_claim(struct claim *claim, const struct message_claim *given,
                         const struct http_answer *answer)
{
    struct record_claim *answered = must_malloc(sizeof *answered);
    crash_point(CRASH_AGENT_CLAIM_ANSWERED);
    record_claim_accept(given, answered);
    int64_t lease_ms = http_lease_ms(answer, given->claim_expires_at);
    claim->expires_ms = mono_ms() + (lease_ms > 0 ? lease_ms : UNDATED_CLAIM_S * INT64_C(1000));
    claim->unrecorded = answered;
    claim->failures = 0;
    record_claimed(claim);
}

/* In the server's own words, where it has a reason. */
static void note_no_job(struct claim *claim, const struct http_answer *answer)
{
    char why[WAITING_REASON_BYTES];
    message_no_job_parse(answer->body, answer->body_size, why, sizeof why);
    TEXT(reason) = must_printf("the server gives no job: %s", why);
    if (why[0])
        note_waiting(claim, reason,
                     "put it right on the server; there: `tailslate-verifier status`");
    else
        note_waiting(claim, "the server has no job for this node", NULL);
}

static void on_answer(void *ctx, const struct http_answer *answer)
{
    struct claim *claim = ctx;
    claim->call = NULL;
    char reason[SERVER_REASON_BYTES];
    struct message_claim given;
    struct error err;
    if (server_state_of(answer, reason) != SERVER_FINE) {
        fail(claim, answer, reason);
        return;
    }
    if (message_claim_parse(answer->body, answer->body_size, &given, &err) !=
        TAILSLATE_PROBLEM_NONE) {
        fail(claim, answer, err.message);
        return;
    }
    metric_add(given.job_id > 0 ? &claims_given : &claims_empty, 1);
    if (given.job_id > 0) {
        claim->waiting = (struct record_waiting){.reason = ""};
        accept_claim(claim, &given, answer);
        return;
    }
    int64_t now_ms = mono_ms(), wait_ms = wait_seconds(claim) * 1000;
    int64_t poll_ms = (int64_t)(claim->node->config->claim.poll_seconds * 1000);
    claim->failures = 0;
    claim->due_ms = now_ms +
                    claim_pause_ms(wait_ms, now_ms - claim->asked_ms, poll_ms, random_u64());
    note_no_job(claim, answer);
}

static void request_claim(struct claim *claim, int64_t now_ms)
{
    char path[CLAIM_PATH_BYTES];
    snprintf(path, sizeof path, "/api/worker/claim?wait=%lld", (long long)wait_seconds(claim));
    struct http_request request = http_post(path, NULL);
    request.deadline_ms = wait_seconds(claim) * 1000 + CLAIM_DEADLINE_SLACK_MS;
    claim->asked_ms = now_ms;
    claim->call = http_start(claim->node->server.client, &request, on_answer, claim);
}

static bool may_claim(const struct node *node, int64_t now_ms)
{
    return !admission_block_reason(node, now_ms) &&
           roster_slots_held(node) < node->config->node.slots &&
           roster_count(node) < SPOOL_RECORDS_MAX;
}

int64_t claim_tick(struct claim *claim, int64_t now_ms)
{
    if (claim->unrecorded)
        drop_expired(claim);
    if (claim->unrecorded && claim->due_ms <= now_ms)
        record_claimed(claim);
    if (claim->unrecorded)
        return claim->due_ms;
    if (!may_claim(claim->node, now_ms)) {
        claim_cancel(claim);
        /* A free slot, disk space, a control file or a signal wakes the loop. */
        int64_t until_ms = admission_suspended_until_ms(claim->node, now_ms);
        return until_ms ? until_ms : NODE_NEVER;
    }
    if (claim->call)
        return NODE_NEVER;
    if (claim->due_ms > now_ms)
        return claim->due_ms;
    request_claim(claim, now_ms);
    return NODE_NEVER;
}

void claim_cancel(struct claim *claim)
{
    if (claim->call)
        http_cancel(claim->call);
    claim->call = NULL;
}
