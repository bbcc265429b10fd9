#include "agent/daemon/courier.h"

#include "agent/api/connect.h"
#include "agent/api/reclaim.h"
#include "agent/daemon/outbox.h"
#include "agent/daemon/retire.h"
#include "agent/daemon/steps.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/metrics.h"
#include "lib/cleanup.h"
#include "lib/uuid.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATH_BYTES = 96,
    KEY_BYTES = TAILSLATE_TOKEN_BYTES + 32,
};
static const struct tailslate_backoff reupload_pauses = {.base_ms = 1000, .cap_ms = 60 * 1000};

#define DELIVERY_METRIC(verdict)                                                                   \
    METRIC_COUNTER("tailslate_agent_deliveries_total", "verdict=\"" verdict "\"",                  \
                   "Answers to presented reports, by verdict.")
static struct metric answers[DELIVERY_COUNT] = {
    [DELIVERY_ACKNOWLEDGED] = DELIVERY_METRIC("acknowledged"),
    [DELIVERY_AGAIN] = DELIVERY_METRIC("again"),
    [DELIVERY_HOLD] = DELIVERY_METRIC("hold"),
    [DELIVERY_RETAIN] = DELIVERY_METRIC("keep"),
    [DELIVERY_QUARANTINE] = DELIVERY_METRIC("quarantine"),
    [DELIVERY_REUPLOAD] = DELIVERY_METRIC("reupload"),
    [DELIVERY_ASK] = DELIVERY_METRIC("ask"),
    [DELIVERY_RECLAIM] = DELIVERY_METRIC("reclaim"),
    [DELIVERY_SILENT] = DELIVERY_METRIC("silent"),
};

static struct metric attempts = METRIC_COUNTER("tailslate_agent_delivery_attempts_total", NULL,
                                               "Attempts to present a report.");

void courier_register_metrics(void)
{
    metric_register(&attempts);
    for (size_t i = 0; i < DELIVERY_COUNT; i++)
        metric_register(&answers[i]);
}

static void on_local_error(struct live *live, const struct error *err)
{
    if (err->class == ERROR_TEMPORARY)
        outbox_postpone(live, DELIVERY_AGAIN, -1, err->message, NULL);
    else
        retire_into_quarantine(live, err->message);
}

static int write_acknowledgment(struct live *live, const struct http_answer *answer,
                                struct error *err)
{
    FD(dir) = roster_open(live, err);
    if (dir < 0 || record_acknowledge(dir, answer->body, answer->body_size, err) != 0)
        return -1;
    crash_point(CRASH_AGENT_ACKNOWLEDGED);
    return roster_refresh(live, err);
}

static void acknowledge(struct live *live, const struct http_answer *answer)
{
    struct error err;
    crash_point(CRASH_AGENT_ANSWERED);
    /* A disk that is full now costs another presentation, not the result. */
    if (write_acknowledgment(live, answer, &err) != 0)
        on_local_error(live, &err);
    else
        log_info("job.acknowledged", LOG_INT("job", live->job_id), LOG_TEXT("record", live->id),
                 LOG_TEXT("token", live->token), LOG_INT("attempts", live->courier.attempts));
}

static int reopen(struct live *live, tailslate_quality_set missing, struct error *err)
{
    FD(dir) = roster_open(live, err);
    struct record_outcome outcome;
    if (dir < 0 || record_read_outcome(dir, &outcome, err) != 0)
        return -1;
    tailslate_quality_set ours = tailslate_completion_qualities(&outcome.completion);
    if (record_mark_missing(dir, missing & ours ? missing & ours : ours, err) != 0)
        return -1;
    record_forget_refusal(dir);
    return roster_refresh(live, err);
}

static void upload_again(struct live *live, const struct delivery_judgment *judgment)
{
    struct error err;
    log_warning("delivery.output_missing", LOG_INT("job", live->job_id),
                LOG_TEXT("record", live->id), LOG_TEXT("token", live->token),
                LOG_TEXT("reason", judgment->why));
    if (reopen(live, judgment->missing, &err) != 0)
        on_local_error(live, &err);
    else if (live->courier.reuploads++ >
             0) /* do not upload forever to a server that never finds the files */
        steps_postpone(live, mono_ms() + tailslate_backoff_delay_ms(reupload_pauses,
                                                                    live->courier.reuploads - 2, -1,
                                                                    random_u64()));
}

/* Rows 6 and 7. A failure report has no work to retain, so that answer ends it like any other. A
 * refusal without one of our codes explains less, so the report is retained for inspection. */
static void retain(struct live *live, const struct delivery_judgment *judgment,
                   const struct http_answer *answer)
{
    if (live->delivery.is_failure && judgment->problem != TAILSLATE_PROBLEM_NONE)
        acknowledge(live, answer);
    else if (live->delivery.is_failure)
        retire_retain(live, OUTCOME_LOST, judgment->problem, judgment->why);
    else
        retire_retain(live,
                      judgment->problem == TAILSLATE_PROBLEM_JOB_GONE ? OUTCOME_GONE
                                                                      : OUTCOME_SUPERSEDED,
                      judgment->problem, judgment->why);
}

static void verify(struct live *live);
static void reclaim(struct live *live, const struct delivery_judgment *judgment,
                    const struct http_answer *answer);

static void apply(struct live *live, const struct delivery_judgment *judgment,
                  const struct http_answer *answer)
{
    metric_add(&answers[judgment->delivery], 1);
    switch (judgment->delivery) {
    case DELIVERY_ACKNOWLEDGED:
        acknowledge(live, answer);
        break;
    case DELIVERY_HOLD:
        outbox_hold(live, judgment, answer->retry_after_ms);
        break;
    case DELIVERY_AGAIN:
        outbox_postpone(live, judgment->delivery, answer->retry_after_ms, judgment->why,
                        judgment->hint);
        break;
    case DELIVERY_SILENT:
        outbox_await_bypass(live, judgment->why);
        break;
    case DELIVERY_RETAIN:
        retain(live, judgment, answer);
        break;
    case DELIVERY_QUARANTINE:
        retire_into_quarantine(live, judgment->why);
        break;
    case DELIVERY_REUPLOAD:
        upload_again(live, judgment);
        break;
    case DELIVERY_ASK:
        verify(live);
        break;
    case DELIVERY_RECLAIM:
        reclaim(live, judgment, answer);
        break;
    case DELIVERY_COUNT:
        must(judgment->delivery != DELIVERY_COUNT);
    }
}

static bool is_success(enum delivery verdict)
{
    return verdict == DELIVERY_ACKNOWLEDGED || verdict == DELIVERY_RETAIN ||
           verdict == DELIVERY_REUPLOAD;
}

/* The claim's own answer tells its duration; progress has extended it by as much. */
static bool is_claim_over(const struct live *live)
{
    struct record_claim claim;
    struct error ignored;
    int64_t expires_us;
    FD(dir) = roster_open(live, &ignored);
    if (dir < 0 || record_read_claim(dir, &claim, &ignored) != 0)
        return false;
    int64_t lease_ms = wall_parse(claim.claim.claim_expires_at, &expires_us)
                           ? (expires_us - claim.claimed_at_us) / 1000
                           : 0;
    return delivery_is_claim_over(live->sealed_us, lease_ms, wall_us());
}

static void on_answer(void *ctx, const struct http_answer *answer)
{
    struct live *live = ctx;
    struct node *node = live->node;
    struct delivery_report report = {
        .is_failure = live->delivery.is_failure,
        .is_claim_over = live->delivery.is_failure && is_claim_over(live),
        .token = live->token,
        .past_cache = live->delivery.past_cache,
    };
    struct delivery_judgment judgment;
    outbox_end_call(live);
    if (tailslate_answer_concerns_key(http_answer_class(answer)))
        server_link_note_key_refused(node);
    delivery_judge(&report, answer, &judgment);
    enum delivery verdict = judgment.delivery;
    apply(live, &judgment, answer); /* live may have been freed */
    if (is_success(verdict))
        outbox_wake_waiting(node, mono_ms());
}

static void on_verification(void *ctx, const struct http_answer *answer)
{
    struct live *live = ctx;
    struct delivery_judgment judgment;
    outbox_end_call(live);
    delivery_judge_verification(answer, &judgment);
    apply(live, &judgment, answer);
}

static void verify(struct live *live)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "/api/worker/%" PRId64 "/verify-complete", live->job_id);
    struct http_request request = http_get(path);
    request.claim_epoch = live->claim_epoch;
    outbox_begin_call(live, http_start(live->node->server.client, &request, on_verification, live));
}

static void on_reclaim(void *ctx, const struct http_answer *answer)
{
    struct live *live = ctx;
    struct delivery_judgment judgment;
    struct record_claim claim;
    outbox_end_call(live);
    if (!reclaim_read(live->job_id, answer, &claim, &judgment)) {
        apply(live, &judgment, answer);
        return;
    }
    struct error err;
    live->courier.is_reclaimed = true;
    /* If it could not be written, the former token is presented: the server knows us as the holder
     * anyway. A record for another video is on hold; one for another re-transcode will be refused.
     */
    if (roster_rebind(live, &claim, &err) != 0 && !record_is_for_another(&err))
        on_local_error(live, &err);
}

/* Do not fight for a claim that is lost although it was reclaimed just now. */
static void reclaim(struct live *live, const struct delivery_judgment *judgment,
                    const struct http_answer *answer)
{
    if (live->courier.is_reclaimed) {
        live->courier.is_reclaimed = false;
        outbox_hold(live, judgment, answer->retry_after_ms);
        return;
    }
    log_info("delivery.reclaiming", LOG_INT("job", live->job_id), LOG_TEXT("record", live->id),
             LOG_TEXT("token", live->token), LOG_TEXT("reason", judgment->why));
    outbox_begin_call(live,
                      reclaim_start(live->node->server.client, live->job_id, on_reclaim, live));
}

static void post(struct live *live, const char *body)
{
    char path[PATH_BYTES], key[KEY_BYTES];
    snprintf(path, sizeof path, "/api/worker/%" PRId64 "/%s", live->job_id,
             live->delivery.is_failure ? "fail" : "complete");
    snprintf(key, sizeof key, "Idempotency-Key: %s", live->token);
    struct http_request request = http_post(path, body);
    request.claim_epoch = live->claim_epoch;
    if (!live->delivery.is_failure)
        request.headers[0] = key;
    live->courier.attempts++;
    metric_add(&attempts, 1);
    outbox_begin_call(live, http_start(live->node->server.client, &request, on_answer, live));
}

/* The token is always in the header: our verifier reads it there, also when the cache is bypassed.
 */
static int read_body(struct live *live, char **body, struct error *err)
{
    size_t size;
    bool is_failure; /* known by the record's state */
    FD(dir) = roster_open(live, err);
    if (dir < 0 || record_read_sealed(dir, body, &size, &is_failure, err) != 0)
        return -1;
    if (!live->delivery.past_cache)
        return 0;
    free(steal_text(body));
    return record_read_tokenless(dir, body, err);
}

static void present(struct live *live)
{
    struct error err;
    TEXT(body) = NULL;
    server_link_renew_key(live->node);
    /* A write that failed in its last fsync may have succeeded. */
    if (roster_refresh(live, &err) != 0) {
        on_local_error(live, &err);
        return;
    }
    if (job_need(live->state) != JOB_NEEDS_COURIER)
        return;
    if (read_body(live, &body, &err) != 0) {
        on_local_error(live, &err);
        return;
    }
    crash_point(CRASH_AGENT_PRESENTING);
    log_debug("delivery.presented", LOG_INT("job", live->job_id), LOG_TEXT("record", live->id),
              LOG_TEXT("token", live->token), LOG_INT("attempt", live->courier.attempts + 1));
    post(live, body);
}

int64_t courier_tick(struct node *node, int64_t now_ms)
{
    outbox_wake(node, now_ms);
    for (unsigned sent = outbox_in_flight(node); sent < COURIER_IN_FLIGHT_MAX; sent++) {
        struct live *live = outbox_first(node);
        if (!live)
            return NODE_NEVER;
        int64_t not_before_ms = node->server.not_before_ms;
        int64_t due_ms = live->delivery.due.at_ms > not_before_ms ? live->delivery.due.at_ms
                                                                  : not_before_ms;
        if (due_ms > now_ms)
            return due_ms;
        server_link_note_report(node, now_ms);
        present(live);
    }
    return NODE_NEVER; /* an answer wakes the loop */
}

bool courier_is_busy(const struct node *node, int64_t now_ms)
{
    const struct live *due = outbox_first(node);
    return outbox_in_flight(node) > 0 || (due && due->delivery.due.at_ms <= now_ms);
}
