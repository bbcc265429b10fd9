#include "tailslate/verify.h"

#include "lib/error.h"

static bool completed(const struct tailslate_verify_facts *facts)
{
    /* A final failure closes the row too, but is not a completion. Nor is it one if the failed
     * video is queued again, which a stock server does without reopening the row. */
    return facts->closed && !facts->video_failed && !facts->requeued;
}

enum tailslate_standing tailslate_verify_standing(const struct tailslate_verify_request *request,
                                                  const struct tailslate_verify_facts *facts)
{
    if (!facts->job_found)
        return TAILSLATE_STANDING_NO_JOB;
    if (facts->last_holder == TAILSLATE_HOLDER_NOBODY)
        return TAILSLATE_STANDING_NOT_YOURS;
    if (facts->last_holder == TAILSLATE_HOLDER_OTHER)
        return facts->held ? TAILSLATE_STANDING_SUPERSEDED : TAILSLATE_STANDING_NOT_YOURS;
    if (facts->holder == TAILSLATE_HOLDER_OTHER)
        return TAILSLATE_STANDING_SUPERSEDED;
    if (request->epoch_given && request->epoch < facts->epoch)
        return TAILSLATE_STANDING_SUPERSEDED;
    if (request->epoch_given && request->epoch > facts->epoch)
        return TAILSLATE_STANDING_NOT_YOURS;
    /* Before row 7: a completed job whose video was deleted afterwards is still completed. */
    if (completed(facts))
        return TAILSLATE_STANDING_COMPLETED;
    if (facts->closed || facts->video_failed || facts->video_deleted)
        return TAILSLATE_STANDING_GONE;
    /* The output of a claim from before the reopening is what must be made again. */
    if (facts->reopened)
        return TAILSLATE_STANDING_SUPERSEDED;
    if (facts->holder == TAILSLATE_HOLDER_CALLER)
        return facts->claim_expired ? TAILSLATE_STANDING_LATE : TAILSLATE_STANDING_HELD;
    return facts->failure_recorded ? TAILSLATE_STANDING_FAILED : TAILSLATE_STANDING_LATE;
}

static enum tailslate_verdict commit_or_not(const struct tailslate_verify_request *request,
                                            const struct tailslate_verify_facts *facts,
                                            enum tailslate_verdict commit)
{
    /* The job is open although this token's completion is on record: it was reopened, and an old
     * completion neither acknowledges nor completes it. */
    if (facts->token_known)
        return TAILSLATE_VERDICT_SUPERSEDED;
    if (request->qualities_empty && !facts->qualities_recorded)
        return TAILSLATE_VERDICT_NO_QUALITIES;
    return facts->files_missing ? TAILSLATE_VERDICT_FILES_MISSING : commit;
}

enum tailslate_verdict tailslate_verify_completion(const struct tailslate_verify_request *request,
                                                   const struct tailslate_verify_facts *facts)
{
    switch (tailslate_verify_standing(request, facts)) {
    case TAILSLATE_STANDING_HELD:
        return commit_or_not(request, facts, TAILSLATE_VERDICT_COMMIT);
    case TAILSLATE_STANDING_LATE:
    case TAILSLATE_STANDING_FAILED: /* finished work is never refused because of an earlier failure
                                       report */
        return commit_or_not(request, facts, TAILSLATE_VERDICT_COMMIT_LATE);
    case TAILSLATE_STANDING_COMPLETED:
        if (facts->token_known && !facts->fingerprint_same)
            return TAILSLATE_VERDICT_TOKEN_REUSED;
        return TAILSLATE_VERDICT_REPLAY;
    case TAILSLATE_STANDING_SUPERSEDED:
        return TAILSLATE_VERDICT_SUPERSEDED;
    case TAILSLATE_STANDING_GONE:
        return TAILSLATE_VERDICT_GONE;
    case TAILSLATE_STANDING_NO_JOB:
        return TAILSLATE_VERDICT_NO_JOB;
    case TAILSLATE_STANDING_NOT_YOURS:
        return TAILSLATE_VERDICT_NOT_YOURS;
    case TAILSLATE_STANDING_COUNT:
        break;
    }
    must(false); /* not a valid standing */
    return TAILSLATE_VERDICT_NO_JOB;
}

enum tailslate_problem tailslate_verify_problem(enum tailslate_verdict verdict)
{
    switch (verdict) {
    case TAILSLATE_VERDICT_COMMIT:
    case TAILSLATE_VERDICT_COMMIT_LATE:
    case TAILSLATE_VERDICT_REPLAY:
        return TAILSLATE_PROBLEM_NONE;
    case TAILSLATE_VERDICT_TOKEN_REUSED:
        return TAILSLATE_PROBLEM_TOKEN_REUSED;
    case TAILSLATE_VERDICT_SUPERSEDED:
        return TAILSLATE_PROBLEM_CLAIM_LOST;
    case TAILSLATE_VERDICT_GONE:
        return TAILSLATE_PROBLEM_JOB_GONE;
    case TAILSLATE_VERDICT_NO_JOB:
        return TAILSLATE_PROBLEM_JOB_NOT_FOUND;
    case TAILSLATE_VERDICT_NOT_YOURS:
        return TAILSLATE_PROBLEM_NOT_YOUR_JOB;
    case TAILSLATE_VERDICT_NO_QUALITIES:
        return TAILSLATE_PROBLEM_INVALID_FIELD;
    case TAILSLATE_VERDICT_FILES_MISSING:
        return TAILSLATE_PROBLEM_OUTPUT_MISSING;
    case TAILSLATE_VERDICT_COUNT:
        break;
    }
    return TAILSLATE_PROBLEM_INTERNAL;
}

enum tailslate_problem tailslate_verify_standing_problem(enum tailslate_standing standing)
{
    switch (standing) {
    case TAILSLATE_STANDING_HELD:
    case TAILSLATE_STANDING_LATE:
        return TAILSLATE_PROBLEM_NONE;
    case TAILSLATE_STANDING_FAILED:
    case TAILSLATE_STANDING_COMPLETED:
    case TAILSLATE_STANDING_SUPERSEDED:
        return TAILSLATE_PROBLEM_CLAIM_LOST;
    case TAILSLATE_STANDING_GONE:
        return TAILSLATE_PROBLEM_JOB_GONE;
    case TAILSLATE_STANDING_NO_JOB:
        return TAILSLATE_PROBLEM_JOB_NOT_FOUND;
    case TAILSLATE_STANDING_NOT_YOURS:
        return TAILSLATE_PROBLEM_NOT_YOUR_JOB;
    case TAILSLATE_STANDING_COUNT:
        break;
    }
    return TAILSLATE_PROBLEM_INTERNAL;
}

static const char *const details[TAILSLATE_PROBLEM_COUNT] = {
    [TAILSLATE_PROBLEM_CLAIM_LOST] =
        "This claim is superseded: the job was claimed again, or is done.",
    [TAILSLATE_PROBLEM_JOB_GONE] = "The job has failed for good, or its video was deleted.",
    [TAILSLATE_PROBLEM_JOB_NOT_FOUND] = "There is no such job.",
    [TAILSLATE_PROBLEM_NOT_YOUR_JOB] = "This worker never had this claim on this job.",
    [TAILSLATE_PROBLEM_TOKEN_REUSED] = "This completion token was used for a different completion.",
    [TAILSLATE_PROBLEM_OUTPUT_MISSING] =
        "Files of a rendition that the completion names are not on this server.",
    [TAILSLATE_PROBLEM_INVALID_FIELD] =
        "qualities: can only be empty if the video already has renditions",
    [TAILSLATE_PROBLEM_STORE_UNAVAILABLE] = "The database is unavailable; try again later.",
};

const char *tailslate_verify_detail(enum tailslate_problem problem)
{
    return details[problem] ? details[problem] : tailslate_problem_title(problem);
}
