#include "verifier/http/routes_job.h"

#include "base/clock.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/uuid.h"
#include "verifier/base/counters.h"
#include "verifier/base/number.h"
#include "verifier/base/wakeup.h"
#include "verifier/files/files_watch.h"
#include "verifier/store/store_claim.h"
#include "verifier/store/store_fail.h"

#include <string.h>

enum { WAIT_MAX_S = 60 };

static void answer_claim(struct request *request, struct answer *answer,
                         const struct message_claim *claim)
{
    answer_json(answer, 200, message_claim_format(claim, "Job claimed"));
    count(COUNT_CLAIMS, 1);
    log_info("claim.granted", LOG_INT("job", claim->job_id), LOG_INT("epoch", claim->claim_epoch),
             LOG_INT("attempt", claim->attempt_number),
             LOG_TEXT("worker", request->worker.worker_id), LOG_TEXT("request_id", request->id));
}

static bool parse_claim(const struct request *request, int64_t *job_id, int64_t *wait_s,
                        struct answer *answer)
{
    const char *job = request_query(request, "job_id"), *wait = request_query(request, "wait");
    *job_id = *wait_s = 0;
    if (job && (!number_parse(job, job_id) || *job_id == 0)) {
        answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                       "job_id: must be a positive integer");
        return false;
    }
    if (wait && (!number_parse(wait, wait_s) || *wait_s > WAIT_MAX_S)) {
        answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD, "wait: must be 0 to 60 seconds");
        return false;
    }
    return true;
}

static void answer_no_job(struct request *request, struct answer *answer)
{
    char reason[FILES_REASON_BYTES];
    files_problem(request->app->files, reason);
    /* Nobody reads it then; but it ends the connection. */
    if (request_client_is_gone(request))
        answer_problem(answer, TAILSLATE_PROBLEM_STORE_UNAVAILABLE, "The client disconnected.");
    else
        answer_json(answer, 200, message_no_job_format(reason));
}

/* One attempt. Without a job, and while the wait is not over, it leaves the answer's status 0. */
static void try_claim(struct request *request, struct answer *answer, int64_t job_id)
{
    struct message_claim claim;
    struct error err;
    char reason[FILES_REASON_BYTES];
    bool may_grant = !files_problem(request->app->files, reason);
    claim.job_id = 0;
    /* A claim whose answer nobody reads blocks its job until it expires. */
    if (request_client_is_gone(request))
        answer_problem(answer, TAILSLATE_PROBLEM_STORE_UNAVAILABLE, "The client disconnected.");
    else if (!may_grant && job_id != 0) /* the job is not refused: its holder asks again */
        answer_problem(answer, TAILSLATE_PROBLEM_STORE_UNAVAILABLE, reason);
    else if (may_grant &&
             store_claim(request->app->store, &request->worker, job_id, &claim, &err) != 0)
        answer_error(answer, request, &err);
    else if (claim.job_id)
        answer_claim(request, answer, &claim);
    else if (mono_ms() >= request->wait.until_ms || wakeup_is_closed(request->app->wakeup))
        answer_no_job(request, answer);
}

void route_claim(struct request *request, struct answer *answer)
{
    int64_t job_id, wait_s;
    struct request_wait *wait = &request->wait;
    if (!parse_claim(request, &job_id, &wait_s, answer))
        return;
    if (!wait->what)
        *wait = (struct request_wait){
            .what = WAIT_FOR_JOB, .until_ms = mono_ms() + wait_s * 1000, .give_up = answer_no_job};
    wait->seen = wakeup_count(request->app->wakeup);
    try_claim(request, answer, job_id);
}

/* A stock worker asks for this when there is no job; a verifier never has one. */
void route_reencode_claim(struct request *request, struct answer *answer)
{
    (void)request;
    struct json *root = json_new_object();
    json_set(root, "job", NULL);
    json_set_text(root, "message", "No re-encode jobs available");
    answer_object(answer, root);
}

/* 200 also if the job is completed: late progress changes nothing. */
void route_progress(struct request *request, struct answer *answer)
{
    struct message_progress progress;
    struct store_caller caller = route_caller(request);
    enum tailslate_standing standing;
    char expires[WALL_TEXT_BYTES];
    struct error err;
    enum tailslate_problem problem = message_progress_parse(request->body, request->body_size,
                                                            &progress, &err);
    if (problem != TAILSLATE_PROBLEM_NONE)
        return answer_problem(answer, problem, err.message);
    if (store_progress(request->app->store, &caller, request->number, &progress, &standing, expires,
                       &err) != 0)
        return answer_error(answer, request, &err);
    problem = tailslate_verify_standing_problem(standing);
    if (problem != TAILSLATE_PROBLEM_NONE && standing != TAILSLATE_STANDING_COMPLETED)
        return answer_problem(answer, problem, NULL);
    struct json *root = json_new_object();
    json_set_text(root, "status", "ok");
    json_set_filled(root, "claim_expires_at", expires);
    answer_object(answer, root);
}

/* On a completed job a failure changes nothing and says so with 200; so does its own replay. */
static enum tailslate_problem problem_of_failure(const struct store_failed *result)
{
    switch (result->standing) {
    case TAILSLATE_STANDING_HELD:
    case TAILSLATE_STANDING_LATE:
    case TAILSLATE_STANDING_FAILED:
    case TAILSLATE_STANDING_COMPLETED:
        return TAILSLATE_PROBLEM_NONE;
    case TAILSLATE_STANDING_GONE:
        return result->replayed ? TAILSLATE_PROBLEM_NONE : TAILSLATE_PROBLEM_JOB_GONE;
    case TAILSLATE_STANDING_SUPERSEDED:
    case TAILSLATE_STANDING_NO_JOB:
    case TAILSLATE_STANDING_NOT_YOURS:
    case TAILSLATE_STANDING_COUNT:
        break;
    }
    return tailslate_verify_standing_problem(result->standing);
}

void route_fail(struct request *request, struct answer *answer)
{
    struct message_failure failure;
    struct store_caller caller = route_caller(request);
    struct store_failed result;
    struct error err;
    enum tailslate_problem problem = message_failure_parse(request->body, request->body_size,
                                                           &failure, &err);
    if (problem != TAILSLATE_PROBLEM_NONE)
        return answer_problem(answer, problem, err.message);
    if (store_fail(request->app->store, &caller, request->number, &failure, &result, &err) != 0)
        return answer_error(answer, request, &err);
    problem = problem_of_failure(&result);
    if (problem != TAILSLATE_PROBLEM_NONE)
        return answer_problem(answer, problem, NULL);
    if (result.replayed)
        answer_add_header(answer, "Idempotent-Replayed", "true");
    answer_json(answer, 200,
                message_failure_answer_format(result.will_retry, result.attempt_number));
    if (result.replayed || result.standing == TAILSLATE_STANDING_COMPLETED)
        return;
    count(result.will_retry ? COUNT_FAILURE_RETRIED : COUNT_FAILURE_FINAL, 1);
    log_info("failure.recorded", LOG_INT("job", request->number),
             LOG_INT("attempt", result.attempt_number), LOG_INT("will_retry", result.will_retry),
             LOG_TEXT("reason", failure.reason), LOG_TEXT("worker", request->worker.worker_id),
             LOG_TEXT("request_id", request->id));
    if (result.will_retry)
        wakeup_notify(request->app->wakeup);
}
