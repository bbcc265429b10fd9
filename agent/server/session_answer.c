/* What the answer to a call of a step means, and how long to wait after it (session.h). */
#include "connect.h"
#include "delivery.h"
#include "session_part.h"

#include "tailslate/backoff.h"
#include "tailslate/clock.h"
#include "tailslate/json.h"
#include "tailslate/log.h"
#include "tailslate/uuid.h"

#include <stdio.h>

enum { HTTP_INSUFFICIENT_STORAGE = 507 };

static bool is_object(const struct http_answer *answer)
{
    struct error ignored;
    if (!answer->is_json)
        return false;
    JSON(root) = json_parse(answer->body, answer->body_size, &ignored);
    return json_is_object(root);
}

static bool is_transcoding(const struct session *session)
{
    return session->progress.progress.step >= WORK_TRANSCODE;
}

static enum verdict verdict_of_problem(const struct session *session, enum problem problem)
{
    switch (problem) {
    case PROBLEM_CLAIM_LOST:
    case PROBLEM_JOB_GONE:
        return VERDICT_LOST;
    case PROBLEM_JOB_NOT_FOUND:
        /* A restored backup must not eat results (docs/PROMISES.md#the-verdicts, row 10); where
         * there are none yet, nothing is eaten. */
        return session->transcoded ? VERDICT_HOLD : VERDICT_LOST;
    case PROBLEM_NOT_YOUR_JOB:
        /* Nor must a key that was mixed up (row 11), and a transcode that runs is hours of work. */
        return session->transcoded || is_transcoding(session) ? VERDICT_HOLD : VERDICT_LOST;
    case PROBLEM_NOT_FOUND:
    case PROBLEM_METHOD:
        return VERDICT_MISSING;
    case PROBLEM_UNAUTHORIZED:
    case PROBLEM_FORBIDDEN:
    case PROBLEM_PAYLOAD_TOO_LARGE:
    case PROBLEM_BAD_JSON:
    case PROBLEM_TOKEN_MALFORMED:
    case PROBLEM_TOKEN_MISMATCH:
    case PROBLEM_TOKEN_REUSED:
        return VERDICT_HOLD;
    case PROBLEM_NONE:
    case PROBLEM_INVALID_FIELD: /* a file that changed while it was sent fails its checksum */
    case PROBLEM_OUTPUT_MISSING:
    case PROBLEM_RATE_LIMITED:
    case PROBLEM_COMPLETION_IN_PROGRESS:
    case PROBLEM_STORE_UNAVAILABLE:
    case PROBLEM_RANGE:
    case PROBLEM_INTERNAL:
    case PROBLEM_COUNT:
        return VERDICT_RETRY;
    }
    return VERDICT_RETRY;
}

/* In JSON and without a code, as a stock server says it: a proxy's page tells nothing about claims.
 */
static enum verdict verdict_of_stock(const struct session *session, long status)
{
    if (status == 403 || status == 409)
        return VERDICT_RECLAIM;
    /* The job's row is gone. Work that is not finished is not given up for that here: its source is
     * gone too, and fetch sees to it. */
    if (status == 401 || (status == 404 && session->transcoded))
        return VERDICT_HOLD;
    return VERDICT_RETRY;
}

enum verdict session_verdict_of(const struct session *session, const struct http_answer *answer,
                                enum expected expected)
{
    if (answer->result != HTTP_ANSWERED)
        return answer->result == HTTP_NOT_TRUSTED ? VERDICT_HOLD : VERDICT_RETRY;
    if (answer->status / 100 == 2)
        return expected == EXPECT_BYTES || is_object(answer) ? VERDICT_OK : VERDICT_RETRY;
    if (answer->is_json && answer->problem.problem == PROBLEM_NONE)
        return verdict_of_stock(session, answer->status);
    return verdict_of_problem(session, answer->problem.problem);
}

static const char *trouble_detail(const struct http_answer *answer)
{
    if (answer->result != HTTP_ANSWERED)
        return answer->error.message;
    if (answer->status == HTTP_INSUFFICIENT_STORAGE)
        return "the server has no space left";
    if (answer->status / 100 == 2)
        return "an answer that is not our server's";
    return answer->problem.detail[0] ? answer->problem.detail : "no reason given";
}

bool session_is_key_refusal(const struct http_answer *answer)
{
    return answer->status == 401 || answer->problem.problem == PROBLEM_FORBIDDEN;
}

bool session_is_outage(const struct http_answer *answer)
{
    return answer->result == HTTP_UNREACHED || answer->result == HTTP_NOT_TRUSTED ||
           (answer->result == HTTP_ANSWERED && answer->status >= 500 &&
            answer->status != HTTP_INSUFFICIENT_STORAGE) ||
           session_is_key_refusal(answer);
}

/* One call that failed is tried again, and mostly that was it. That a person is needed is said
 * once, whichever calls are refused, and by which status each. */
static enum log_level trouble_level(struct session *session, enum verdict verdict)
{
    if (verdict == VERDICT_HOLD)
        return session_say_held(session) ? LOG_ERROR : LOG_DEBUG;
    return session->trouble.calls == 1 ? LOG_INFO : LOG_WARNING;
}

bool session_say_held(struct session *session)
{
    bool is_said = session->trouble.is_held_said || session->refused_since_ms != 0;
    session->trouble.is_held_said = true;
    return !is_said;
}

static void note_trouble(struct session *session, enum verdict verdict,
                         const struct http_answer *answer)
{
    struct trouble *trouble = &session->trouble;
    session->is_away = session->is_away || session_is_outage(answer);
    bool is_new = trouble->since_ms == 0 || trouble->result != answer->result ||
                  trouble->status != answer->status;
    trouble->result = answer->result;
    trouble->status = answer->status;
    if (trouble->since_ms == 0)
        trouble->since_ms = mono_ms();
    trouble->calls++;
    if (!is_new && (verdict == VERDICT_HOLD || trouble->calls != 2))
        return;
    /* While the job is being asked for again it is not known what this means: step.not_reclaimed
     * says so, or job.rebound. */
    if (!session->reclaim.call)
        log_at(trouble_level(session, verdict), "step.server_trouble",
               LOG_INT("status", answer->status),
               LOG_TEXT("code", problem_code(answer->problem.problem)),
               LOG_TEXT("detail", trouble_detail(answer)),
               LOG_TEXT("outcome", verdict == VERDICT_HOLD ? "held" : "retried"));
}

/* It is back: the calls that only sit out their backoff need not do so to the end. */
static void note_return(struct session *session)
{
    if (!session->is_away)
        return;
    session->is_away = false;
    session->is_back = true;
    session->back_ms = mono_ms();
    session->back_random = random_u64();
}

static void note_end(struct session *session)
{
    note_return(session);
    if (session->trouble.since_ms)
        log_info("step.server_back", LOG_INT("after_ms", mono_ms() - session->trouble.since_ms));
    session->trouble = (struct trouble){.since_ms = 0};
}

void session_note_refusal(struct session *session, const char *reason)
{
    struct record_refusal noted;
    if (!session->transcoded)
        return;
    record_note_refusal(session->dir, reason, &noted);
    session->refused_since_ms = mono_ms() - (noted.at_us - noted.since_us) / 1000;
}

void session_is_accepted(struct session *session)
{
    record_forget_refusal(session->dir);
    session->refused_since_ms = 0;
}

static void note_refusal(struct session *session, const struct http_answer *answer)
{
    char reason[256];
    if (!delivery_refuses_job(answer))
        return;
    snprintf(reason, sizeof reason, "HTTP %ld: %.200s", answer->status, trouble_detail(answer));
    session_note_refusal(session, reason);
}

static void note_lost(struct session *session, const struct http_answer *answer)
{
    if (session->lost != PROBLEM_NONE)
        return;
    session->lost = answer->problem.problem;
    snprintf(session->lost_detail, sizeof session->lost_detail, "%s", answer->problem.detail);
}

/* The job was claimed again while the call was under way: what went is the claim before. */
static bool is_of_former_claim(struct session *session, const struct http_answer *answer)
{
    struct error ignored;
    struct record_claim claim;
    if (record_read_claim(session->dir, &claim, &ignored) != 0)
        return false;
    session->claim = claim;
    return answer->claim_epoch >= 0 && claim.claim.claim_epoch > answer->claim_epoch;
}

enum verdict session_judge(struct session *session, const struct http_answer *answer,
                           enum expected expected)
{
    enum verdict said = session_verdict_of(session, answer, expected), verdict = said;
    if (said == VERDICT_LOST && is_of_former_claim(session, answer))
        verdict = VERDICT_RETRY;
    if (said == VERDICT_RECLAIM) {
        session_reclaim(session, answer);
        verdict = session->transcoded ? VERDICT_HOLD : VERDICT_RETRY;
    }
    switch (verdict) {
    case VERDICT_OK:
        note_end(session);
        break;
    case VERDICT_LOST:
        note_lost(session, answer);
        break;
    case VERDICT_RETRY:
    case VERDICT_HOLD:
        note_trouble(session, verdict, answer);
        /* What a claim is at fault for is a refusal only when the job is not to be had again. */
        if (said == verdict)
            note_refusal(session, answer);
        break;
    case VERDICT_MISSING:
    case VERDICT_RECLAIM:
        break;
    }
    return verdict;
}

void session_is_back(struct session *session)
{
    session->is_away = true;
    note_return(session);
}

int64_t session_hold_ms(const struct session *session, int64_t retry_after_ms)
{
    int64_t refused_ms = session->refused_since_ms != 0 ? mono_ms() - session->refused_since_ms : 0;
    return delivery_hold_ms(connect_backoff(session->config), refused_ms, retry_after_ms,
                            random_u64());
}

struct session_pause session_pause_after(const struct session *session, enum verdict verdict,
                                         unsigned attempt, const struct http_answer *answer)
{
    struct backoff_policy policy = connect_backoff(session->config);
    int64_t now_ms = mono_ms(), delay_ms;
    /* Held: nothing gets better by asking often. */
    if (verdict == VERDICT_HOLD)
        delay_ms = session_hold_ms(session, answer->retry_after_ms);
    else
        delay_ms = backoff_delay_ms(policy, attempt, answer->retry_after_ms, random_u64());
    return (struct session_pause){
        .begun_ms = now_ms,
        .until_ms = now_ms + delay_ms,
        .floor_ms = answer->retry_after_ms > 0 ? now_ms + answer->retry_after_ms : now_ms,
        /* What a person must put right is not put right by another call's success, unless it was
         * the key or the claim, which all calls share. */
        .is_patient = verdict == VERDICT_HOLD && !session_is_key_refusal(answer) &&
                      !session->reclaim.call,
    };
}

int64_t session_pause_end_ms(const struct session *session, const struct session_pause *pause)
{
    if (pause->is_patient || !session->is_back || session->back_ms < pause->begun_ms)
        return pause->until_ms;
    return backoff_wake_ms(pause->until_ms, pause->floor_ms, session->back_ms,
                           SESSION_WAKE_SPREAD_MS, session->back_random);
}

void session_sit_out(struct session *session, const struct session_pause *pause)
{
    int64_t left_ms;
    while (session->lost == PROBLEM_NONE &&
           (left_ms = session_pause_end_ms(session, pause) - mono_ms()) > 0)
        session_wait(session, NULL, 0, left_ms);
}
