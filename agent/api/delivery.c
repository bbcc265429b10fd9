#include "agent/api/delivery.h"

#include "agent/api/explain.h"
#include "lib/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[DELIVERY_COUNT] = {
    [DELIVERY_ACKNOWLEDGED] = "acknowledged",
    [DELIVERY_AGAIN] = "again",
    [DELIVERY_HOLD] = "hold",
    [DELIVERY_RETAIN] = "keep",
    [DELIVERY_QUARANTINE] = "quarantine",
    [DELIVERY_REUPLOAD] = "reupload",
    [DELIVERY_ASK] = "ask",
    [DELIVERY_RECLAIM] = "reclaim",
    [DELIVERY_SILENT] = "silent",
};

const char *delivery_name(enum delivery delivery)
{
    must(delivery < DELIVERY_COUNT);
    return names[delivery];
}

/* The requests for which a refusal means something else. */
enum kind { COMPLETION, FAILURE, LATE_FAILURE, RECLAIM, KIND_COUNT };

#define ALWAYS(delivery)                                                                           \
    {                                                                                              \
        delivery, delivery, delivery, delivery                                                     \
    }
/* A failure report is not worth a new claim and names no output. If its claim is over, any refusal
 * by the server itself ends it. While reclaiming, no answer is final. */
static const enum delivery deliveries[TAILSLATE_ANSWER_CLASS_COUNT][KIND_COUNT] = {
    [TAILSLATE_ANSWER_UNREACHED] = ALWAYS(DELIVERY_AGAIN),
    [TAILSLATE_ANSWER_UNTRUSTED] = ALWAYS(DELIVERY_HOLD),
    [TAILSLATE_ANSWER_LOCAL_FAILURE] = ALWAYS(DELIVERY_AGAIN),
    [TAILSLATE_ANSWER_OTHER_SUCCESS] = ALWAYS(DELIVERY_AGAIN),
    [TAILSLATE_ANSWER_KEY_REFUSED] = ALWAYS(DELIVERY_HOLD),
    [TAILSLATE_ANSWER_NOT_YOURS] = ALWAYS(DELIVERY_HOLD),
    [TAILSLATE_ANSWER_JOB_UNKNOWN] = ALWAYS(
        DELIVERY_HOLD), /* a restored backup must not cost us results */
    [TAILSLATE_ANSWER_CLAIM_LOST] = {DELIVERY_RETAIN, DELIVERY_RETAIN, DELIVERY_RETAIN,
                                     DELIVERY_HOLD},
    [TAILSLATE_ANSWER_JOB_GONE] = {DELIVERY_RETAIN, DELIVERY_RETAIN, DELIVERY_RETAIN,
                                   DELIVERY_HOLD},
    [TAILSLATE_ANSWER_INVALID] = {DELIVERY_QUARANTINE, DELIVERY_QUARANTINE, DELIVERY_QUARANTINE,
                                  DELIVERY_HOLD},
    [TAILSLATE_ANSWER_INVALID_FIELD] = {DELIVERY_QUARANTINE, DELIVERY_QUARANTINE,
                                        DELIVERY_QUARANTINE, DELIVERY_HOLD},
    [TAILSLATE_ANSWER_OUTPUT_MISSING] = {DELIVERY_REUPLOAD, DELIVERY_HOLD, DELIVERY_HOLD,
                                         DELIVERY_HOLD},
    [TAILSLATE_ANSWER_NO_SUCH_RANGE] = {DELIVERY_AGAIN, DELIVERY_AGAIN, DELIVERY_AGAIN,
                                        DELIVERY_HOLD},
    [TAILSLATE_ANSWER_WRONG_URL] = ALWAYS(DELIVERY_HOLD),
    [TAILSLATE_ANSWER_STOCK_NOT_YOURS] = {DELIVERY_RECLAIM, DELIVERY_HOLD, DELIVERY_RETAIN,
                                          DELIVERY_HOLD},
    [TAILSLATE_ANSWER_STOCK_CLAIM_LOST] = {DELIVERY_RECLAIM, DELIVERY_HOLD, DELIVERY_RETAIN,
                                           DELIVERY_HOLD},
    [TAILSLATE_ANSWER_STOCK_JOB_UNKNOWN] = {DELIVERY_HOLD, DELIVERY_HOLD, DELIVERY_RETAIN,
                                            DELIVERY_HOLD},
    [TAILSLATE_ANSWER_STOCK_REFUSED] = {DELIVERY_HOLD, DELIVERY_HOLD, DELIVERY_RETAIN,
                                        DELIVERY_HOLD},
    [TAILSLATE_ANSWER_PROXY_FORBIDDEN] = ALWAYS(DELIVERY_HOLD),
    [TAILSLATE_ANSWER_PROXY_REFUSED] = ALWAYS(DELIVERY_HOLD),
    [TAILSLATE_ANSWER_LIMITED] = ALWAYS(DELIVERY_AGAIN),
    [TAILSLATE_ANSWER_TIMED_OUT] = ALWAYS(DELIVERY_AGAIN),
    [TAILSLATE_ANSWER_SERVER_FULL] = ALWAYS(DELIVERY_AGAIN),
    [TAILSLATE_ANSWER_SERVER_FAILING] = ALWAYS(DELIVERY_AGAIN),
    [TAILSLATE_ANSWER_UNEXPECTED] = ALWAYS(DELIVERY_AGAIN),
};

/* TAILSLATE_ANSWER_OK has no row: only the body of a 2xx can acknowledge. */
static enum delivery delivery_of(enum tailslate_answer_class class, enum kind kind)
{
    enum delivery delivery = deliveries[class][kind];
    must(delivery != DELIVERY_ACKNOWLEDGED);
    return delivery;
}

static enum kind kind_of(const struct delivery_report *report)
{
    if (!report->is_failure)
        return COMPLETION;
    return report->is_claim_over ? LATE_FAILURE : FAILURE;
}

static void __attribute__((format(printf, 3, 4)))
conclude(struct delivery_judgment *judgment, enum delivery delivery, const char *format, ...)
{
    va_list args;
    judgment->delivery = delivery;
    va_start(args, format);
    vsnprintf(judgment->why, sizeof judgment->why, format, args);
    va_end(args);
}

bool delivery_is_claim_over(int64_t sealed_us, int64_t lease_ms, int64_t now_us)
{
    if (lease_ms <= 0 || lease_ms > HTTP_LEASE_MAX_MS)
        lease_ms = HTTP_LEASE_MAX_MS;
    if (lease_ms < DELIVERY_LEASE_MIN_MS)
        lease_ms = DELIVERY_LEASE_MIN_MS;
    /* Sealed in the future: the clock was corrected. That must not hold it for years. */
    return now_us < sealed_us || now_us - sealed_us >= lease_ms * 1000;
}

bool delivery_refuses_job(const struct http_answer *answer)
{
    return answer->status / 100 == 4 && tailslate_answer_concerns_job(http_answer_class(answer));
}

static void explain(const struct http_answer *answer, enum delivery delivery,
                    struct delivery_judgment *judgment)
{
    judgment->delivery = delivery;
    judgment->hint = explain_hint(answer);
    explain_answer(answer, judgment->why);
}

/* The reason for an HTTP 409 without one of our codes: from a stock server or something in between.
 */
static void explain_status(const struct http_answer *answer, enum delivery delivery,
                           struct delivery_judgment *judgment)
{
    if (delivery == DELIVERY_RETAIN)
        conclude(judgment, delivery, "HTTP %ld: %.180s; this failure's claim is superseded",
                 answer->status, answer->problem.detail);
    else
        explain(answer, delivery, judgment);
}

static void judge_refusal(const struct http_answer *answer, enum delivery delivery,
                          struct delivery_judgment *judgment)
{
    struct tailslate_answer facts = http_answer_facts(answer);
    judgment->is_about_job = delivery_refuses_job(answer);
    judgment->problem = tailslate_answer_known_problem(&facts);
    if (judgment->problem == TAILSLATE_PROBLEM_NONE) {
        explain_status(answer, delivery, judgment);
        return;
    }
    judgment->missing = answer->problem.missing;
    explain(answer, delivery, judgment);
}

/* A stock server does not echo the token. "Job completed successfully" follows its commit; "Job
 * already completed" may come from its cache while the first request is about to fail. */
static void judge_stock(const struct delivery_report *report,
                        const struct tailslate_acknowledgment *acknowledgment,
                        struct delivery_judgment *judgment)
{
    if (strcmp(acknowledgment->message, "Job completed successfully") == 0)
        conclude(judgment, DELIVERY_ACKNOWLEDGED, "%s", "");
    else if (strcmp(acknowledgment->message, "Job already completed") != 0)
        conclude(judgment, DELIVERY_AGAIN, "the 2xx answer does not acknowledge a token");
    else if (report->past_cache)
        conclude(judgment, DELIVERY_ACKNOWLEDGED, "%s", "");
    else
        conclude(judgment, DELIVERY_ASK,
                 "the job is already completed, but the answer does not name our token");
}

static void judge_success(const struct delivery_report *report, const struct http_answer *answer,
                          struct delivery_judgment *judgment)
{
    struct tailslate_acknowledgment acknowledgment;
    struct error err;
    if (http_answer_class(answer) != TAILSLATE_ANSWER_OK ||
        tailslate_acknowledgment_parse(answer->body, answer->body_size, &acknowledgment,
                                       err.message) != TAILSLATE_PROBLEM_NONE ||
        !acknowledgment.status_ok)
        conclude(judgment, DELIVERY_AGAIN, "HTTP %ld without an acknowledgment", answer->status);
    else if (report->is_failure)
        conclude(judgment, DELIVERY_ACKNOWLEDGED, "%s", "");
    else if (!acknowledgment.token[0])
        judge_stock(report, &acknowledgment, judgment);
    else if (strcmp(acknowledgment.token, report->token) == 0)
        conclude(judgment, DELIVERY_ACKNOWLEDGED, "%s", "");
    else
        conclude(judgment, DELIVERY_AGAIN, "the answer acknowledges another token: %s",
                 acknowledgment.token);
}

void delivery_judge(const struct delivery_report *report, const struct http_answer *answer,
                    struct delivery_judgment *judgment)
{
    *judgment = (struct delivery_judgment){0};
    enum tailslate_answer_class class = http_answer_class(answer);
    if (class == TAILSLATE_ANSWER_OK || class == TAILSLATE_ANSWER_OTHER_SUCCESS)
        judge_success(report, answer, judgment);
    else if (answer->reach != TAILSLATE_REACH_ANSWERED)
        explain(answer, delivery_of(class, kind_of(report)), judgment);
    else
        judge_refusal(answer, delivery_of(class, kind_of(report)), judgment);
}

void delivery_judge_verification(const struct http_answer *answer,
                                 struct delivery_judgment *judgment)
{
    *judgment = (struct delivery_judgment){0};
    struct error err;
    JSON(root) = answer->reach == TAILSLATE_REACH_ANSWERED && answer->status == 200
                     ? json_parse(answer->body, answer->body_size, &err)
                     : NULL;
    const char *status = json_text(json_get(root, "video_status"));
    bool completed = false;
    if (!root || !status || json_get_bool(root, "job_completed", &completed) != JSON_FOUND)
        conclude(judgment, DELIVERY_SILENT,
                 "the server's token cache says completed, but verify-complete gives no answer");
    else if (!completed)
        conclude(judgment, DELIVERY_SILENT,
                 "the server's token cache says completed, but the job is not");
    else if (strcmp(status, "ready") == 0)
        conclude(judgment, DELIVERY_ACKNOWLEDGED, "%s", "");
    else
        conclude(judgment, DELIVERY_HOLD, "the server closed the job, and its video is %.40s",
                 status);
    judgment->is_about_job = judgment->delivery == DELIVERY_HOLD;
}

bool delivery_judge_reclaim(int64_t job_id, const struct http_answer *answer,
                            struct message_claim *given, struct delivery_judgment *judgment)
{
    *judgment = (struct delivery_judgment){0};
    struct error err;
    enum tailslate_answer_class class = http_answer_class(answer);
    if (answer->reach != TAILSLATE_REACH_ANSWERED)
        explain(answer, delivery_of(class, RECLAIM), judgment);
    else if (class != TAILSLATE_ANSWER_OK)
        conclude(judgment, delivery_of(class, RECLAIM),
                 "the claim is lost; reclaiming it failed: HTTP %ld%s%.150s", answer->status,
                 answer->problem.detail[0] ? ": " : "", answer->problem.detail);
    else if (message_claim_parse(answer->body, answer->body_size, given, &err) !=
             TAILSLATE_PROBLEM_NONE)
        conclude(judgment, DELIVERY_HOLD, "the claim is lost; reclaiming it failed: %.200s",
                 err.message);
    else if (given->job_id == job_id)
        return true;
    else { /* another job's claim expires, which does not cost it an attempt */
        conclude(judgment, DELIVERY_HOLD, "the claim is lost, and the job cannot be claimed again");
        judgment->is_about_job = true;
    }
    return false;
}

int64_t delivery_silence_left_ms(int64_t since_us, int64_t now_us)
{
    int64_t left_ms = DELIVERY_SILENCE_MS - (now_us - since_us) / 1000;
    if (left_ms < 0)
        return 0;
    /* Started in the future: the clock was corrected. */
    return left_ms > DELIVERY_SILENCE_MS ? DELIVERY_SILENCE_MS : left_ms;
}

int64_t delivery_hold_ms(struct tailslate_backoff policy, int64_t refused_ms,
                         int64_t retry_after_ms, uint64_t random)
{
    int64_t most = refused_ms / 2 > DELIVERY_HOLD_MAX_MS ? DELIVERY_HOLD_MAX_MS : refused_ms / 2;
    if (most < policy.cap_ms)
        most = policy.cap_ms;
    /* At least half of it, so that it is slow from the start; jittered, so that a fleet is not in
     * step. */
    int64_t half = most / 2;
    int64_t slow = half + (int64_t)(random % (uint64_t)(most - half + 1));
    return slow > retry_after_ms ? slow : retry_after_ms;
}

int64_t delivery_delay_ms(enum delivery delivery, struct tailslate_backoff policy,
                          unsigned failures, int64_t retry_after_ms, uint64_t random)
{
    must(failures > 0);
    if (delivery == DELIVERY_SILENT)
        return DELIVERY_SILENCE_MS;
    if (delivery == DELIVERY_HOLD)
        return delivery_hold_ms(policy, 0, retry_after_ms, random);
    return tailslate_backoff_delay_ms(policy, failures - 1, retry_after_ms, random);
}
