#include "delivery.h"

#include "tailslate/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[DELIVERY_COUNT] = {
    [DELIVERY_ACKNOWLEDGED] = "acknowledged",
    [DELIVERY_AGAIN] = "again",
    [DELIVERY_HOLD] = "hold",
    [DELIVERY_KEEP] = "keep",
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

static const enum delivery by_problem[PROBLEM_COUNT] = {
    [PROBLEM_NONE] = DELIVERY_AGAIN,
    [PROBLEM_UNAUTHORIZED] = DELIVERY_HOLD,
    [PROBLEM_FORBIDDEN] = DELIVERY_HOLD,
    [PROBLEM_NOT_YOUR_JOB] = DELIVERY_HOLD,
    [PROBLEM_JOB_NOT_FOUND] = DELIVERY_HOLD, /* a restored backup must not eat results */
    [PROBLEM_CLAIM_LOST] = DELIVERY_KEEP,
    [PROBLEM_JOB_GONE] = DELIVERY_KEEP,
    [PROBLEM_PAYLOAD_TOO_LARGE] = DELIVERY_QUARANTINE,
    [PROBLEM_BAD_JSON] = DELIVERY_QUARANTINE,
    [PROBLEM_INVALID_FIELD] = DELIVERY_QUARANTINE,
    [PROBLEM_TOKEN_MALFORMED] = DELIVERY_QUARANTINE,
    [PROBLEM_TOKEN_MISMATCH] = DELIVERY_QUARANTINE,
    [PROBLEM_TOKEN_REUSED] = DELIVERY_QUARANTINE,
    [PROBLEM_OUTPUT_MISSING] = DELIVERY_REUPLOAD,
    [PROBLEM_RATE_LIMITED] = DELIVERY_AGAIN,
    [PROBLEM_COMPLETION_IN_PROGRESS] = DELIVERY_AGAIN,
    [PROBLEM_STORE_UNAVAILABLE] = DELIVERY_AGAIN,
    [PROBLEM_NOT_FOUND] = DELIVERY_HOLD, /* no such path: the URL in the configuration is wrong */
    [PROBLEM_METHOD] = DELIVERY_HOLD,    /* the same */
    [PROBLEM_RANGE] = DELIVERY_AGAIN,
    [PROBLEM_INTERNAL] = DELIVERY_AGAIN,
};

static void __attribute__((format(printf, 3, 4)))
conclude(struct delivery_judgement *judgement, enum delivery delivery, const char *format, ...)
{
    va_list args;
    judgement->delivery = delivery;
    va_start(args, format);
    vsnprintf(judgement->why, sizeof judgement->why, format, args);
    va_end(args);
}

static void judge_unanswered(const struct http_answer *answer, struct delivery_judgement *judgement)
{
    enum delivery delivery = answer->result == HTTP_NOT_TRUSTED ? DELIVERY_HOLD : DELIVERY_AGAIN;
    conclude(judgement, delivery, "%.200s", answer->error.message);
}

/* Not one of our codes: a stock server or something in between. 401 says that the key is bad, a 4xx
 * else that somebody must look; none of it is final. */
static enum delivery delivery_of_status(long status)
{
    if (status == 408 || status == 425 || status == 429)
        return DELIVERY_AGAIN;
    return status >= 400 && status < 500 ? DELIVERY_HOLD : DELIVERY_AGAIN;
}

/* In JSON, as a stock server says it: a proxy's page tells nothing about claims. A failure report
 * is not worth a claim. */
static bool says_claim_went(const struct delivery_report *report, const struct http_answer *answer)
{
    return !report->is_failure && answer->is_json && answer->problem.problem == PROBLEM_NONE &&
           (answer->status == 409 || answer->status == 403);
}

/* The server is there, in JSON, and will not have it, whatever its words; only the key may be
 * another tomorrow. */
static bool is_too_late(const struct delivery_report *report, const struct http_answer *answer)
{
    return report->is_failure && report->is_claim_over && answer->is_json &&
           answer->problem.problem == PROBLEM_NONE && answer->status != 401 &&
           delivery_of_status(answer->status) == DELIVERY_HOLD;
}

bool delivery_is_claim_over(int64_t sealed_us, int64_t lease_ms, int64_t now_us)
{
    if (lease_ms <= 0 || lease_ms > HTTP_LEASE_MAX_MS)
        lease_ms = HTTP_LEASE_MAX_MS;
    if (lease_ms < DELIVERY_LEASE_MIN_MS)
        lease_ms = DELIVERY_LEASE_MIN_MS;
    /* Sealed in a time to come: the clock was put right. That must not hold it for years. */
    return now_us < sealed_us || now_us - sealed_us >= lease_ms * 1000;
}

bool delivery_refuses_job(const struct http_answer *answer)
{
    if (answer->result != HTTP_ANSWERED || !answer->is_json || answer->status / 100 != 4)
        return false;
    switch (answer->problem.problem) {
    case PROBLEM_NONE:
        return answer->status != 401 && answer->status != 407 &&
               delivery_of_status(answer->status) == DELIVERY_HOLD;
    case PROBLEM_UNAUTHORIZED:
    case PROBLEM_FORBIDDEN:
    case PROBLEM_NOT_FOUND:
    case PROBLEM_METHOD:
    case PROBLEM_RATE_LIMITED:
    case PROBLEM_COMPLETION_IN_PROGRESS:
    case PROBLEM_STORE_UNAVAILABLE:
    case PROBLEM_INTERNAL:
        return false;
    case PROBLEM_NOT_YOUR_JOB:
    case PROBLEM_JOB_NOT_FOUND:
    case PROBLEM_CLAIM_LOST:
    case PROBLEM_JOB_GONE:
    case PROBLEM_PAYLOAD_TOO_LARGE:
    case PROBLEM_BAD_JSON:
    case PROBLEM_INVALID_FIELD:
    case PROBLEM_TOKEN_MALFORMED:
    case PROBLEM_TOKEN_MISMATCH:
    case PROBLEM_TOKEN_REUSED:
    case PROBLEM_OUTPUT_MISSING:
    case PROBLEM_RANGE:
    case PROBLEM_COUNT:
        return true;
    }
    return true;
}

static void judge_refusal(const struct delivery_report *report, const struct http_answer *answer,
                          struct delivery_judgement *judgement)
{
    const struct message_problem *said = &answer->problem;
    enum problem problem = said->problem;
    judgement->is_about_job = delivery_refuses_job(answer);
    if (is_too_late(report, answer)) {
        conclude(judgement, DELIVERY_KEEP, "HTTP %ld: %.180s; the claim of this failure is over",
                 answer->status, said->detail);
        return;
    }
    if (problem == PROBLEM_NONE || problem_status(problem) != answer->status) {
        enum delivery delivery = says_claim_went(report, answer)
                                     ? DELIVERY_RECLAIM
                                     : delivery_of_status(answer->status);
        conclude(judgement, delivery, "HTTP %ld%s%.200s", answer->status,
                 said->detail[0] ? ": " : ", not from the verifier", said->detail);
        return;
    }
    judgement->problem = problem;
    judgement->missing = said->missing;
    /* A failure report names no output: that answer would be a mistake of the server. */
    bool is_misplaced = report->is_failure && by_problem[problem] == DELIVERY_REUPLOAD;
    conclude(judgement, is_misplaced ? DELIVERY_HOLD : by_problem[problem], "%s: %.200s",
             problem_code(problem), said->detail);
}

/* A stock server echoes nothing: "Job completed successfully" follows its commit, "Job already
 * completed" may come from its cache while the first request is about to fail. */
static void judge_stock(const struct delivery_report *report,
                        const struct message_acknowledgement *said,
                        struct delivery_judgement *judgement)
{
    if (strcmp(said->message, "Job completed successfully") == 0)
        conclude(judgement, DELIVERY_ACKNOWLEDGED, "%s", "");
    else if (strcmp(said->message, "Job already completed") != 0)
        conclude(judgement, DELIVERY_AGAIN, "the 2xx answer acknowledges no token");
    else if (report->past_cache)
        conclude(judgement, DELIVERY_ACKNOWLEDGED, "%s", "");
    else
        conclude(judgement, DELIVERY_ASK, "already completed, but without our token");
}

static void judge_success(const struct delivery_report *report, const struct http_answer *answer,
                          struct delivery_judgement *judgement)
{
    struct message_acknowledgement said;
    struct error err;
    if (answer->status != 200 || !answer->is_json ||
        message_acknowledgement_parse(answer->body, answer->body_size, &said, err.message) !=
            PROBLEM_NONE ||
        !said.status_ok)
        conclude(judgement, DELIVERY_AGAIN, "HTTP %ld, but no acknowledgement", answer->status);
    else if (report->is_failure)
        conclude(judgement, DELIVERY_ACKNOWLEDGED, "%s", "");
    else if (!said.token[0])
        judge_stock(report, &said, judgement);
    else if (strcmp(said.token, report->token) == 0)
        conclude(judgement, DELIVERY_ACKNOWLEDGED, "%s", "");
    else
        conclude(judgement, DELIVERY_AGAIN, "another token was acknowledged: %s", said.token);
}

void delivery_judge(const struct delivery_report *report, const struct http_answer *answer,
                    struct delivery_judgement *judgement)
{
    *judgement = (struct delivery_judgement){0};
    if (answer->result != HTTP_ANSWERED)
        judge_unanswered(answer, judgement);
    else if (answer->status / 100 == 2)
        judge_success(report, answer, judgement);
    else
        judge_refusal(report, answer, judgement);
}

void delivery_judge_verification(const struct http_answer *answer,
                                 struct delivery_judgement *judgement)
{
    *judgement = (struct delivery_judgement){0};
    struct error err;
    JSON(root) = answer->result == HTTP_ANSWERED && answer->status == 200
                     ? json_parse(answer->body, answer->body_size, &err)
                     : NULL;
    const char *status = json_text(json_get(root, "video_status"));
    bool completed = false;
    if (!root || !status || json_get_bool(root, "job_completed", &completed) != JSON_FOUND)
        conclude(judgement, DELIVERY_SILENT,
                 "already completed, says its cache, and verify-complete cannot tell");
    else if (!completed)
        conclude(judgement, DELIVERY_SILENT,
                 "already completed, says its cache, but the job is not");
    else if (strcmp(status, "ready") == 0)
        conclude(judgement, DELIVERY_ACKNOWLEDGED, "%s", "");
    else
        conclude(judgement, DELIVERY_HOLD, "the server has closed the job, and its video is %.40s",
                 status);
    judgement->is_about_job = judgement->delivery == DELIVERY_HOLD;
}

bool delivery_judge_reclaim(int64_t job_id, const struct http_answer *answer,
                            struct message_claim *given, struct delivery_judgement *judgement)
{
    *judgement = (struct delivery_judgement){0};
    struct error err;
    if (answer->result != HTTP_ANSWERED)
        judge_unanswered(answer, judgement);
    else if (answer->status != 200 || !answer->is_json)
        conclude(judgement, delivery_of_status(answer->status),
                 "the claim went, asking for it again: HTTP %ld%s%.150s", answer->status,
                 answer->problem.detail[0] ? ": " : "", answer->problem.detail);
    else if (message_claim_parse(answer->body, answer->body_size, given, &err) != PROBLEM_NONE)
        conclude(judgement, DELIVERY_HOLD, "the claim went, asking for it again: %.200s",
                 err.message);
    else if (given->job_id == job_id)
        return true;
    else { /* another job's claim expires, which charges no attempt */
        conclude(judgement, DELIVERY_HOLD, "the claim went, and the job is not to be had");
        judgement->is_about_job = true;
    }
    return false;
}

int64_t delivery_silence_left_ms(int64_t since_us, int64_t now_us)
{
    int64_t left_ms = DELIVERY_SILENCE_MS - (now_us - since_us) / 1000;
    if (left_ms < 0)
        return 0;
    /* Begun in a time to come: the clock was put right. */
    return left_ms > DELIVERY_SILENCE_MS ? DELIVERY_SILENCE_MS : left_ms;
}

int64_t delivery_hold_ms(struct backoff_policy policy, int64_t refused_ms, int64_t retry_after_ms,
                         uint64_t random)
{
    int64_t most = refused_ms / 2 > DELIVERY_HOLD_MAX_MS ? DELIVERY_HOLD_MAX_MS : refused_ms / 2;
    if (most < policy.cap_ms)
        most = policy.cap_ms;
    /* At least half of it: slow from the first time, and no fleet in step. */
    int64_t half = most / 2;
    int64_t slow = half + (int64_t)(random % (uint64_t)(most - half + 1));
    return slow > retry_after_ms ? slow : retry_after_ms;
}

int64_t delivery_delay_ms(enum delivery delivery, struct backoff_policy policy, unsigned failures,
                          int64_t retry_after_ms, uint64_t random)
{
    must(failures > 0);
    if (delivery == DELIVERY_SILENT)
        return DELIVERY_SILENCE_MS;
    if (delivery == DELIVERY_HOLD)
        return delivery_hold_ms(policy, 0, retry_after_ms, random);
    return backoff_delay_ms(policy, failures - 1, retry_after_ms, random);
}
