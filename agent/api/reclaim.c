#include "agent/api/reclaim.h"

#include "agent/api/connect.h"
#include "agent/api/session.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/uuid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct http_call *reclaim_start(struct http_client *client, int64_t job_id, http_done *done,
                                void *ctx)
{
    TEXT(path) = must_printf("/api/worker/claim?job_id=%lld", (long long)job_id);
    struct http_request request = http_post(path, NULL);
    return http_start(client, &request, done, ctx);
}

bool reclaim_read(int64_t job_id, const struct http_answer *answer, struct record_claim *claim,
                  struct delivery_judgment *judgment)
{
    struct message_claim given;
    if (!delivery_judge_reclaim(job_id, answer, &given, judgment))
        return false;
    crash_point(CRASH_AGENT_CLAIM_ANSWERED);
    record_claim_accept(&given, claim);
    return true;
}

/* ---- a step's reclaim ---------------------------------------------------------------------------
 */

static void abandon(struct session *session, const char *why)
{
    if (session->lost != TAILSLATE_PROBLEM_NONE)
        return;
    session->lost = TAILSLATE_PROBLEM_CLAIM_LOST;
    snprintf(session->lost_detail, sizeof session->lost_detail, "%.255s", why);
}

static void postpone(struct session *session, const struct http_answer *answer)
{
    session->reclaim.not_before_ms = mono_ms() + session_hold_ms(session, answer->retry_after_ms);
}

/* Only a hold needs a person. */
static void log_refused(struct session *session, const char *reason, const char *outcome)
{
    char *last = session->reclaim.reason;
    bool is_news = strcmp(last, reason) != 0;
    bool is_held = strcmp(outcome, "held") == 0;
    enum log_level level = is_held && session_is_first_hold(session) ? LOG_ERROR : LOG_INFO;
    snprintf(last, sizeof session->reclaim.reason, "%s", reason);
    log_at(is_news ? level : LOG_DEBUG, "step.not_reclaimed", LOG_TEXT("reason", reason),
           LOG_TEXT("outcome", outcome));
}

static void refused(struct session *session, const struct delivery_judgment *judgment,
                    const struct http_answer *answer)
{
    bool is_held = judgment->delivery == DELIVERY_HOLD && session->transcoded;
    bool is_final = judgment->delivery == DELIVERY_HOLD && !session->transcoded;
    log_refused(session, judgment->why, is_held ? "held" : is_final ? "abandoned" : "retried");
    if (judgment->is_about_job)
        session_note_refusal(session, judgment->why);
    if (is_final)
        abandon(session, judgment->why);
    else
        postpone(session, answer);
}

static void on_answer(void *ctx, const struct http_answer *answer)
{
    struct session *session = ctx;
    struct delivery_judgment judgment;
    struct record_claim claim;
    struct error err;
    session->reclaim.call = NULL;
    if (!reclaim_read(session->claim.claim.job_id, answer, &claim, &judgment)) {
        refused(session, &judgment, answer);
        return;
    }
    if (record_rebind(session->dir, &claim, &err) != 0) {
        log_warning("job.reclaim_not_recorded", LOG_TEXT("reason", err.message));
        if (record_is_for_another(&err))
            abandon(session, err.message);
        return; /* the claim on disk is presented to the server again */
    }
    log_info("job.reclaimed", LOG_TEXT("former_token", session->claim.token),
             LOG_TEXT("token", claim.token), LOG_INT("epoch", claim.claim.claim_epoch));
    session->claim = claim;
    session->reclaim.count++;
    if (session->transcoded) /* do not fight for a claim that is lost again at once */
        postpone(session, answer);
    session_note_return(session);
}

void session_reclaim(struct session *session, const struct http_answer *refusal)
{
    struct session_reclaim *reclaim = &session->reclaim;
    if (reclaim->call || session->lost != TAILSLATE_PROBLEM_NONE ||
        mono_ms() < reclaim->not_before_ms)
        return;
    if (!session->transcoded && reclaim->count >= SESSION_RECLAIMS_MAX) {
        abandon(session, "the claim is lost again each time it is reclaimed");
        return;
    }
    log_info("step.reclaiming", LOG_INT("status", refusal->status),
             LOG_TEXT("reason", refusal->problem.detail));
    reclaim->call = reclaim_start(session->client, session->claim.claim.job_id, on_answer, session);
}
