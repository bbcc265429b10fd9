#include "tailslate/verify.h"

#include "lib/error.h"

static bool completed(const struct verify_facts *facts)
{
    /* A final failure closes the row too; that is not a completion. Neither is it one when the
     * failed video is queued again, which a stock server does without opening the row. */
    return facts->closed && !facts->video_failed && !facts->requeued;
}

enum verify_standing verify_standing(const struct verify_request *request,
                                     const struct verify_facts *facts)
{
    if (!facts->job_found)
        return STANDING_NO_JOB;
    if (facts->last_holder == HOLDER_NOBODY)
        return STANDING_NOT_YOURS;
    if (facts->last_holder == HOLDER_OTHER)
        return facts->held ? STANDING_SUPERSEDED : STANDING_NOT_YOURS;
    if (facts->holder == HOLDER_OTHER)
        return STANDING_SUPERSEDED;
    if (request->epoch_given && request->epoch < facts->epoch)
        return STANDING_SUPERSEDED;
    if (request->epoch_given && request->epoch > facts->epoch)
        return STANDING_NOT_YOURS;
    /* Before row 7: a completed job whose video was deleted since is still truly completed. */
    if (completed(facts))
        return STANDING_COMPLETED;
    if (facts->closed || facts->video_failed || facts->video_deleted)
        return STANDING_GONE;
    /* What a claim from before the re-opening has made is what is to be made anew. */
    if (facts->reopened)
        return STANDING_SUPERSEDED;
    if (facts->holder == HOLDER_CALLER)
        return facts->claim_expired ? STANDING_LATE : STANDING_HELD;
    return facts->failure_recorded ? STANDING_FAILED : STANDING_LATE;
}

static enum verify_verdict commit_or_not(const struct verify_request *request,
                                         const struct verify_facts *facts,
                                         enum verify_verdict commit)
{
    /* The job is open although this token's completion is on record: it was re-opened since, and
     * an old completion neither acknowledges nor completes it. */
    if (facts->token_known)
        return VERIFY_SUPERSEDED;
    if (request->qualities_empty && !facts->qualities_recorded)
        return VERIFY_NO_QUALITIES;
    return facts->files_missing ? VERIFY_FILES_MISSING : commit;
}

enum verify_verdict verify_completion(const struct verify_request *request,
                                      const struct verify_facts *facts)
{
    switch (verify_standing(request, facts)) {
    case STANDING_HELD:
        return commit_or_not(request, facts, VERIFY_COMMIT);
    case STANDING_LATE:
    case STANDING_FAILED: /* finished work is never refused for a failure told earlier */
        return commit_or_not(request, facts, VERIFY_COMMIT_LATE);
    case STANDING_COMPLETED:
        if (facts->token_known && !facts->fingerprint_same)
            return VERIFY_TOKEN_REUSED;
        return VERIFY_REPLAY;
    case STANDING_SUPERSEDED:
        return VERIFY_SUPERSEDED;
    case STANDING_GONE:
        return VERIFY_GONE;
    case STANDING_NO_JOB:
        return VERIFY_NO_JOB;
    case STANDING_NOT_YOURS:
        return VERIFY_NOT_YOURS;
    case STANDING_COUNT:
        break;
    }
    must(false); /* a standing that is none */
    return VERIFY_NO_JOB;
}

enum problem verify_problem(enum verify_verdict verdict)
{
    switch (verdict) {
    case VERIFY_COMMIT:
    case VERIFY_COMMIT_LATE:
    case VERIFY_REPLAY:
        return PROBLEM_NONE;
    case VERIFY_TOKEN_REUSED:
        return PROBLEM_TOKEN_REUSED;
    case VERIFY_SUPERSEDED:
        return PROBLEM_CLAIM_LOST;
    case VERIFY_GONE:
        return PROBLEM_JOB_GONE;
    case VERIFY_NO_JOB:
        return PROBLEM_JOB_NOT_FOUND;
    case VERIFY_NOT_YOURS:
        return PROBLEM_NOT_YOUR_JOB;
    case VERIFY_NO_QUALITIES:
        return PROBLEM_INVALID_FIELD;
    case VERIFY_FILES_MISSING:
        return PROBLEM_OUTPUT_MISSING;
    case VERIFY_COUNT:
        break;
    }
    return PROBLEM_INTERNAL;
}

enum problem verify_standing_problem(enum verify_standing standing)
{
    switch (standing) {
    case STANDING_HELD:
    case STANDING_LATE:
        return PROBLEM_NONE;
    case STANDING_FAILED:
    case STANDING_COMPLETED:
    case STANDING_SUPERSEDED:
        return PROBLEM_CLAIM_LOST;
    case STANDING_GONE:
        return PROBLEM_JOB_GONE;
    case STANDING_NO_JOB:
        return PROBLEM_JOB_NOT_FOUND;
    case STANDING_NOT_YOURS:
        return PROBLEM_NOT_YOUR_JOB;
    case STANDING_COUNT:
        break;
    }
    return PROBLEM_INTERNAL;
}

static const char *const details[PROBLEM_COUNT] = {
    [PROBLEM_CLAIM_LOST] = "This claim is over: the job was handed out again, or is done.",
    [PROBLEM_JOB_GONE] = "The job has failed for good, or its video was deleted.",
    [PROBLEM_JOB_NOT_FOUND] = "There is no such job.",
    [PROBLEM_NOT_YOUR_JOB] = "This worker has no such claim on this job.",
    [PROBLEM_TOKEN_REUSED] = "This completion token is on record with another completion.",
    [PROBLEM_OUTPUT_MISSING] = "Files of a rendition that the completion names are not here.",
    [PROBLEM_INVALID_FIELD] = "qualities: may be empty only where the video has some on record",
    [PROBLEM_STORE_UNAVAILABLE] = "The database cannot be used right now; try again.",
};

const char *verify_detail(enum problem problem)
{
    return details[problem] ? details[problem] : problem_title(problem);
}
