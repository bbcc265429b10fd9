#include "verifier/http/complete.h"

#include "base/crash.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "verifier/base/counters.h"
#include "verifier/files/files_check.h"
#include "verifier/http/replays.h"
#include "verifier/store/store_complete.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int complete_job(struct store *store, struct gate *gate, const struct store_caller *caller,
                 int64_t job_id, const struct tailslate_completion *completion,
                 struct tailslate_result *result, struct error *err)
{
    /* Who has no claim never enters the gate; and what is presented again, as after a lost answer,
     * needs no lock. */
    if (gate || store_completed_lately(store, job_id)) {
        if (store_complete_read(store, caller, job_id, completion, result, err) != 0)
            return -1;
        if (!tailslate_verify_commits(result->verdict))
            return 0;
    }
    struct gate_pass pass;
    gate_enter(gate, job_id, completion->token, &pass);
    crash_point(CRASH_VERIFIER_GATE_ENTERED);
    int done = store_complete(store, caller, job_id, completion, result, err);
    bool committed = done == 0 && tailslate_verify_commits(result->verdict);
    if (committed)
        crash_point(CRASH_VERIFIER_COMMITTED);
    gate_leave(gate, &pass, committed);
    crash_point(CRASH_VERIFIER_ANSWERING);
    return done;
}

/* Idempotency-Key is a structured string ("..."); a bare token is accepted, too. */
static enum tailslate_problem key_of_header(const char *header, int64_t job_id,
                                            char token[TAILSLATE_TOKEN_BYTES])
{
    size_t size = strlen(header);
    int64_t token_job;
    if (size >= 2 && header[0] == '"' && header[size - 1] == '"') {
        header++;
        size -= 2;
    }
    if (!tailslate_token_parse(header, size, &token_job, token))
        return TAILSLATE_PROBLEM_TOKEN_MALFORMED;
    return token_job == job_id ? TAILSLATE_PROBLEM_NONE : TAILSLATE_PROBLEM_TOKEN_MISMATCH;
}

static bool parse_completion(const struct request *request, struct tailslate_completion *completion,
                             struct answer *answer)
{
    struct error err;
    enum tailslate_problem problem = tailslate_completion_parse(
        request->body, request->body_size, request->number, completion, err.message);
    if (problem != TAILSLATE_PROBLEM_NONE) {
        answer_problem(answer, problem, err.message);
        return false;
    }
    const char *header = request_header(request, "Idempotency-Key");
    if (!header)
        return true;
    char token[TAILSLATE_TOKEN_BYTES];
    problem = key_of_header(header, request->number, token);
    if (problem == TAILSLATE_PROBLEM_NONE && completion->token[0] &&
        strcmp(completion->token, token) != 0)
        problem = TAILSLATE_PROBLEM_TOKEN_MISMATCH;
    if (problem != TAILSLATE_PROBLEM_NONE) {
        answer_problem(answer, problem,
                       "Idempotency-Key: must equal completion_token if both are given");
        return false;
    }
    memcpy(completion->token, token, sizeof token);
    return true;
}

static void log_completion(const struct request *request, const char *event,
                           const struct tailslate_completion *completion,
                           const struct tailslate_result *result)
{
    log_info(event, LOG_INT("job", request->number), LOG_TEXT("token", completion->token),
             LOG_INT("epoch", result->claim_epoch), LOG_INT("late", result->late),
             LOG_TEXT("worker", request->worker.worker_id), LOG_TEXT("request_id", request->id));
}

static void answer_acknowledgment(const struct request *request, struct answer *answer,
                                  const struct tailslate_completion *completion,
                                  const struct tailslate_result *result)
{
    bool replayed = result->verdict == TAILSLATE_VERDICT_REPLAY;
    struct tailslate_acknowledgment acknowledgment = {
        .status_ok = true, .job_id = request->number, .replayed = replayed, .late = result->late};
    snprintf(acknowledgment.message, sizeof acknowledgment.message, "%s",
             replayed ? "Job already completed" : "Job completed successfully");
    memcpy(acknowledgment.token, completion->token, sizeof acknowledgment.token);
    memcpy(acknowledgment.completed_at, result->completed_at, sizeof acknowledgment.completed_at);
    answer_json(answer, 200, tailslate_acknowledgment_format(&acknowledgment));
    answer_add_header(answer, "Idempotent-Replayed", "%s", replayed ? "true" : "false");
    if (replayed)
        replays_note(request->app->replays, request->number, result->claim_epoch);
    count(replayed ? COUNT_REPLAYED : result->late ? COUNT_COMMITTED_LATE : COUNT_COMMITTED, 1);
    log_completion(request, replayed ? "completion.replayed" : "completion.committed", completion,
                   result);
}

void route_complete(struct request *request, struct answer *answer)
{
    struct tailslate_completion completion;
    struct store_caller caller = route_caller(request);
    struct tailslate_result result;
    struct error err;
    if (!parse_completion(request, &completion, answer))
        return;
    if (complete_job(request->app->store, request->app->gate, &caller, request->number, &completion,
                     &result, &err) != 0)
        return answer_completion_error(answer, request, &err);
    enum tailslate_problem problem = tailslate_verify_problem(result.verdict);
    if (problem == TAILSLATE_PROBLEM_NONE)
        return answer_acknowledgment(request, answer, &completion, &result);

    count(COUNT_COMPLETION_REFUSED, 1);
    log_warning("completion.refused", LOG_INT("job", request->number),
                LOG_TEXT("code", tailslate_problem_code(problem)),
                LOG_TEXT("token", completion.token), LOG_INT("epoch", caller.claim_epoch),
                LOG_TEXT("worker", request->worker.worker_id), LOG_TEXT("request_id", request->id));
    if (problem == TAILSLATE_PROBLEM_OUTPUT_MISSING)
        return answer_missing(answer, result.missing);
    answer_problem(answer, problem, NULL);
}

static void note_missing(const char *path, void *ctx)
{
    json_append_text(ctx, path);
}

/* Fills both lists. */
static int check_files(int video, tailslate_quality_set recorded, struct json *present,
                       struct json *missing, struct error *err)
{
    bool any_cmaf = false, cmaf;
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++) {
        if (!(recorded & 1u << quality))
            continue;
        int before = json_count(missing);
        if (files_check_quality(video, quality, note_missing, missing, &cmaf, err) != 0)
            return -1;
        any_cmaf |= cmaf;
        if (json_count(missing) == before)
            json_append_text(present, tailslate_quality_name(quality));
    }
    static const char *const common[] = {"master.m3u8", "thumbnail.jpg", "manifest.mpd"};
    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
        if ((strcmp(common[i], "manifest.mpd") != 0 || any_cmaf) &&
            !files_is_there(video, common[i]))
            json_append_text(missing, common[i]);
    return 0;
}

static void answer_verification(struct request *request, struct answer *answer,
                                const struct store_job *job, bool completed,
                                tailslate_quality_set recorded)
{
    struct error err;
    struct json *root = json_new_object();
    struct json *present = json_new_array(), *missing = json_new_array();
    json_set(root, "qualities_present", present);
    json_set(root, "missing_files", missing);
    FD(video) = files_open_video(request->app->files, job->slug, false, &err);
    if ((video < 0 && err.code != ENOENT) ||
        check_files(video, recorded, present, missing, &err) != 0) {
        json_free(root);
        return answer_error(answer, request, &err);
    }
    bool ready = strcmp(job->video_status, "ready") == 0;
    json_set_int(root, "job_id", job->id);
    json_set_int(root, "video_id", job->video_id);
    json_set_text(root, "video_slug", job->slug);
    json_set_text(root, "video_status", job->video_status);
    json_set_bool(root, "job_completed", completed);
    json_set_bool(root, "all_files_present",
                  completed && ready && recorded && json_count(missing) == 0);
    answer_object(answer, root);
}

void route_verify_complete(struct request *request, struct answer *answer)
{
    struct store_caller caller = route_caller(request);
    enum tailslate_standing standing;
    struct store_job job;
    tailslate_quality_set recorded;
    struct error err;
    if (store_caller_standing(request->app->store, &caller, request->number, &standing, &job,
                              &err) != 0)
        return answer_error(answer, request, &err);
    enum tailslate_problem problem = tailslate_verify_standing_problem(standing);
    /* This is about the job and not the claim, so the last holder may ask. */
    bool may_ask = problem == TAILSLATE_PROBLEM_NONE || standing == TAILSLATE_STANDING_COMPLETED ||
                   standing == TAILSLATE_STANDING_FAILED;
    if (!may_ask)
        return answer_problem(answer, problem, NULL);
    if (store_recorded_qualities(request->app->store, job.video_id, &recorded, &err) != 0)
        return answer_error(answer, request, &err);
    answer_verification(request, answer, &job, standing == TAILSLATE_STANDING_COMPLETED, recorded);
}
