#include "agent/api/session_answer.h"

#include "agent/api/connect.h"
#include "agent/api/delivery.h"
#include "agent/api/explain.h"
#include "agent/api/session.h"
#include "base/clock.h"
#include "base/log.h"
#include "lib/json.h"
#include "lib/uuid.h"

#include "tailslate/backoff.h"

#include <stdio.h>
#include <stdlib.h>

enum { NEXT_NEWS_US = 1000 * 1000 };

static bool is_object(const struct http_answer *answer)
{
    struct error ignored;
    if (!answer->is_json)
        return false;
    JSON(root) = json_parse(answer->body, answer->body_size, &ignored);
    return json_is_object(root);
}

enum stage { PROBING, TRANSCODING, TRANSCODED, STAGE_COUNT };

static enum stage stage_of(const struct session *session)
{
    if (session->transcoded)
        return TRANSCODED;
    return session->progress.progress.step >= WORK_TRANSCODE ? TRANSCODING : PROBING;
}

#define ALWAYS(verdict)                                                                            \
    {                                                                                              \
        verdict, verdict, verdict                                                                  \
    }
static const enum verdict verdicts[TAILSLATE_ANSWER_CLASS_COUNT][STAGE_COUNT] = {
    [TAILSLATE_ANSWER_UNREACHED] = ALWAYS(VERDICT_RETRY),
    [TAILSLATE_ANSWER_UNTRUSTED] = ALWAYS(VERDICT_HOLD),
    [TAILSLATE_ANSWER_LOCAL_FAILURE] = ALWAYS(VERDICT_RETRY),
    [TAILSLATE_ANSWER_OK] = ALWAYS(VERDICT_RETRY), /* without the expected JSON */
    [TAILSLATE_ANSWER_OTHER_SUCCESS] = ALWAYS(VERDICT_RETRY),
    [TAILSLATE_ANSWER_KEY_REFUSED] = ALWAYS(VERDICT_HOLD),
    /* A mixed-up key must not cost us results (docs/PROMISES.md#the-verdicts, row 11), and a
     * running transcode is hours of work. */
    [TAILSLATE_ANSWER_NOT_YOURS] = {VERDICT_LOST, VERDICT_HOLD, VERDICT_HOLD},
    /* A restored backup must not either (row 10); without results there is nothing to lose. */
    [TAILSLATE_ANSWER_JOB_UNKNOWN] = {VERDICT_LOST, VERDICT_LOST, VERDICT_HOLD},
    [TAILSLATE_ANSWER_CLAIM_LOST] = ALWAYS(VERDICT_LOST),
    [TAILSLATE_ANSWER_JOB_GONE] = ALWAYS(VERDICT_LOST),
    [TAILSLATE_ANSWER_INVALID] = ALWAYS(VERDICT_HOLD),
    /* A file that changed while it was sent fails its checksum. */
    [TAILSLATE_ANSWER_INVALID_FIELD] = ALWAYS(VERDICT_RETRY),
    [TAILSLATE_ANSWER_OUTPUT_MISSING] = ALWAYS(VERDICT_RETRY),
    [TAILSLATE_ANSWER_NO_SUCH_RANGE] = ALWAYS(VERDICT_RETRY),
    [TAILSLATE_ANSWER_WRONG_URL] = ALWAYS(VERDICT_MISSING),
    [TAILSLATE_ANSWER_STOCK_NOT_YOURS] = ALWAYS(VERDICT_RECLAIM),
    [TAILSLATE_ANSWER_STOCK_CLAIM_LOST] = ALWAYS(VERDICT_RECLAIM),
    /* The job's row is gone. Unfinished work is not abandoned here for that reason: its source is
     * gone too, and fetch handles that. */
    [TAILSLATE_ANSWER_STOCK_JOB_UNKNOWN] = {VERDICT_RETRY, VERDICT_RETRY, VERDICT_HOLD},
    [TAILSLATE_ANSWER_STOCK_REFUSED] = ALWAYS(VERDICT_RETRY),
    [TAILSLATE_ANSWER_PROXY_FORBIDDEN] = ALWAYS(VERDICT_RETRY),
    [TAILSLATE_ANSWER_PROXY_REFUSED] = ALWAYS(VERDICT_RETRY),
    [TAILSLATE_ANSWER_LIMITED] = ALWAYS(VERDICT_RETRY),
    [TAILSLATE_ANSWER_TIMED_OUT] = ALWAYS(VERDICT_RETRY),
    [TAILSLATE_ANSWER_SERVER_FULL] = ALWAYS(VERDICT_RETRY),
    [TAILSLATE_ANSWER_SERVER_FAILING] = ALWAYS(VERDICT_RETRY),
    [TAILSLATE_ANSWER_UNEXPECTED] = ALWAYS(VERDICT_RETRY),
};

static bool is_success(enum tailslate_answer_class class)
{
    return class == TAILSLATE_ANSWER_OK || class == TAILSLATE_ANSWER_OTHER_SUCCESS;
}

enum verdict session_verdict_of(const struct session *session, const struct http_answer *answer,
                                enum expected expected)
{
    enum tailslate_answer_class class = http_answer_class(answer);
    if (is_success(class) && (expected == EXPECT_BYTES || is_object(answer)))
        return VERDICT_OK;
    enum verdict verdict = verdicts[class][stage_of(session)];
    must(verdict != VERDICT_OK);
    return verdict;
}

bool session_is_outage(enum tailslate_answer_class class)
{
    return class == TAILSLATE_ANSWER_UNREACHED || class == TAILSLATE_ANSWER_UNTRUSTED ||
           class == TAILSLATE_ANSWER_SERVER_FAILING || class == TAILSLATE_ANSWER_KEY_REFUSED;
}

/* The first failure is retried, and that usually suffices. The need for an operator is logged once
 * per status, however many requests are refused. */
static enum log_level trouble_level(struct session *session, enum verdict verdict)
{
    if (verdict == VERDICT_HOLD)
        return session_is_first_hold(session) ? LOG_ERROR : LOG_DEBUG;
    return session->trouble.calls == 1 ? LOG_INFO : LOG_WARNING;
}

bool session_is_first_hold(struct session *session)
{
    bool is_logged = session->trouble.is_hold_logged || session->refused_since_ms != 0;
    session->trouble.is_hold_logged = true;
    return !is_logged;
}

static void note_waiting(struct session *session, const struct http_answer *answer)
{
    struct record_waiting *waiting = &session->progress.waiting;
    const char *hint = explain_hint(answer);
    explain_answer(answer, waiting->reason);
    snprintf(waiting->hint, sizeof waiting->hint, "%s", hint ? hint : "");
    session->status_changed = true;
}

static void note_trouble(struct session *session, enum verdict verdict,
                         const struct http_answer *answer)
{
    struct trouble *trouble = &session->trouble;
    session->is_away = session->is_away || session_is_outage(http_answer_class(answer));
    bool is_new = trouble->since_ms == 0 || trouble->reach != answer->reach ||
                  trouble->status != answer->status;
    trouble->reach = answer->reach;
    trouble->status = answer->status;
    trouble->class = http_answer_class(answer);
    if (trouble->since_ms == 0) {
        trouble->since_ms = mono_ms();
        session->progress.waiting.since_us = wall_us();
    }
    note_waiting(session, answer);
    trouble->calls++;
    if (!is_new && (verdict == VERDICT_HOLD || trouble->calls != 2))
        return;
    /* While the job is being reclaimed, the meaning is not known yet: step.not_reclaimed or
     * job.reclaimed will say. */
    if (!session->reclaim.call)
        log_at(trouble_level(session, verdict), "step.server_trouble",
               LOG_INT("status", answer->status),
               LOG_TEXT("code", tailslate_problem_code(answer->problem.problem)),
               LOG_TEXT("reason", session->progress.waiting.reason),
               LOG_TEXT("outcome", verdict == VERDICT_HOLD ? "held" : "retried"));
}

/* The server is back: requests that are only in backoff need not wait to the end. */
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
    if (session->trouble.since_ms)
        log_info("step.server_recovered",
                 LOG_INT("after_ms", mono_ms() - session->trouble.since_ms));
    session->status_changed = session->status_changed || session->trouble.since_ms;
    session->progress.waiting = (struct record_waiting){.reason = ""};
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
    char reason[EXPLAIN_BYTES];
    if (!delivery_refuses_job(answer))
        return;
    explain_answer(answer, reason);
    session_note_refusal(session, reason);
}

static void note_lost(struct session *session, const struct http_answer *answer)
{
    if (session->lost != TAILSLATE_PROBLEM_NONE)
        return;
    session->lost = answer->problem.problem;
    snprintf(session->lost_detail, sizeof session->lost_detail, "%s", answer->problem.detail);
}

/* The job was reclaimed while the request was under way: the answer is about the previous claim. */
static bool is_of_former_claim(struct session *session, const struct http_answer *answer)
{
    struct error ignored;
    struct record_claim claim;
    if (record_read_claim(session->dir, &claim, &ignored) != 0)
        return false;
    session->claim = claim;
    return answer->claim_epoch >= 0 && claim.claim.claim_epoch > answer->claim_epoch;
}

/* What the answer means for the job is remembered; the verdict is what to do now. */
static enum verdict judge(struct session *session, const struct http_answer *answer,
                          enum verdict said)
{
    enum verdict verdict = said;
    if (said == VERDICT_LOST && is_of_former_claim(session, answer))
        verdict = VERDICT_RETRY;
    if (said == VERDICT_RECLAIM) {
        session_reclaim(session, answer);
        verdict = session->transcoded ? VERDICT_HOLD : VERDICT_RETRY;
    }
    switch (verdict) {
    case VERDICT_OK:
        note_return(session);
        break;
    case VERDICT_LOST:
        note_lost(session, answer);
        break;
    case VERDICT_RETRY:
    case VERDICT_HOLD:
        note_trouble(session, verdict, answer);
        /* An answer caused by the claim is a refusal only if the job cannot be reclaimed. */
        if (said == verdict)
            note_refusal(session, answer);
        break;
    case VERDICT_MISSING:
    case VERDICT_RECLAIM:
        break;
    }
    return verdict;
}

enum verdict session_judge(struct session *session, const struct http_answer *answer,
                           enum expected expected)
{
    enum verdict verdict = judge(session, answer, session_verdict_of(session, answer, expected));
    if (verdict == VERDICT_OK)
        note_end(session);
    if (verdict == VERDICT_RETRY || verdict == VERDICT_HOLD)
        session->trouble.is_of_work = true;
    return verdict;
}

enum verdict session_judge_progress(struct session *session, const struct http_answer *answer)
{
    enum verdict verdict = judge(session, answer, session_verdict_of(session, answer, EXPECT_JSON));
    if (verdict == VERDICT_OK && !session->trouble.is_of_work)
        note_end(session);
    return verdict;
}

void session_note_return(struct session *session)
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
    struct tailslate_backoff policy = connect_backoff(session->config);
    int64_t now_ms = mono_ms(), delay_ms;
    /* On hold: asking often does not help. */
    if (verdict == VERDICT_HOLD)
        delay_ms = session_hold_ms(session, answer->retry_after_ms);
    else
        delay_ms = tailslate_backoff_delay_ms(policy, attempt, answer->retry_after_ms,
                                              random_u64());
    return (struct session_pause){
        .begun_ms = now_ms,
        .until_ms = now_ms + delay_ms,
        .floor_ms = answer->retry_after_ms > 0 ? now_ms + answer->retry_after_ms : now_ms,
        /* What a person must fix is not fixed by another request's success, unless it was the key
         * or the claim, which all requests share. */
        .is_patient = verdict == VERDICT_HOLD &&
                      http_answer_class(answer) != TAILSLATE_ANSWER_KEY_REFUSED &&
                      !session->reclaim.call,
    };
}

int64_t session_pause_end_ms(const struct session *session, const struct session_pause *pause)
{
    if (pause->is_patient || !session->is_back || session->back_ms < pause->begun_ms)
        return pause->until_ms;
    return tailslate_backoff_wake_ms(pause->until_ms, pause->floor_ms, session->back_ms,
                                     SESSION_WAKE_SPREAD_MS, session->back_random);
}

/* For `status`; a second more or less is no news. */
static void note_next(struct session *session, int64_t left_ms)
{
    struct record_waiting *waiting = &session->progress.waiting;
    int64_t next_us = wall_us() + left_ms * 1000;
    if (waiting->reason[0] && llabs(next_us - waiting->next_us) > NEXT_NEWS_US) {
        waiting->next_us = next_us;
        session->status_changed = true;
    }
}

void session_wait_backoff(struct session *session, const struct session_pause *pause)
{
    int64_t left_ms;
    while (session->lost == TAILSLATE_PROBLEM_NONE &&
           (left_ms = session_pause_end_ms(session, pause) - mono_ms()) > 0) {
        note_next(session, left_ms);
        session_wait(session, NULL, 0, left_ms);
    }
}
