#include "tailslate/problem.h"

#include "lib/error.h"

#include <string.h>

static const struct {
    const char *code;
    int status;
    const char *title;
} problems[PROBLEM_COUNT] = {
    [PROBLEM_NONE] = {"", 0, ""},
    [PROBLEM_UNAUTHORIZED] = {"unauthorized", 401, "The key is missing or not valid."},
    [PROBLEM_FORBIDDEN] = {"forbidden", 403, "This worker may not do that."},
    [PROBLEM_NOT_YOUR_JOB] = {"not_your_job", 403, "The caller never held this job."},
    [PROBLEM_JOB_NOT_FOUND] = {"job_not_found", 404, "There is no such job."},
    [PROBLEM_CLAIM_LOST] = {"claim_lost", 409, "The job was handed to another worker."},
    [PROBLEM_JOB_GONE] = {"job_gone", 410, "The job is no longer wanted."},
    [PROBLEM_PAYLOAD_TOO_LARGE] = {"payload_too_large", 413, "The body is too large."},
    [PROBLEM_BAD_JSON] = {"bad_json", 400, "The body is not acceptable JSON."},
    [PROBLEM_INVALID_FIELD] = {"invalid_field", 422, "A field is missing or not valid."},
    [PROBLEM_TOKEN_MALFORMED] = {"token_malformed", 422,
                                 "The completion token has the wrong form."},
    [PROBLEM_TOKEN_MISMATCH] = {"token_mismatch", 422,
                                "The completion token belongs to another job."},
    [PROBLEM_TOKEN_REUSED] = {"token_reused", 422,
                              "The completion token was used for a different completion."},
    [PROBLEM_OUTPUT_MISSING] = {"output_missing", 422,
                                "Files of a named rendition are not on the server."},
    [PROBLEM_RATE_LIMITED] = {"rate_limited", 429, "Too many calls; try again later."},
    [PROBLEM_COMPLETION_IN_PROGRESS] = {"completion_in_progress", 503,
                                        "The job is being completed; ask again."},
    [PROBLEM_STORE_UNAVAILABLE] = {"store_unavailable", 503,
                                   "The database cannot answer now; try again later."},
    [PROBLEM_NOT_FOUND] = {"not_found", 404, "There is nothing under this path."},
    [PROBLEM_METHOD] = {"method_not_allowed", 405, "This path is called by another method."},
    [PROBLEM_RANGE] = {"range_not_satisfiable", 416, "The source has no such part."},
    [PROBLEM_INTERNAL] = {"internal", 500, "The server failed."},
};

const char *problem_code(enum problem problem)
{
    must(problem < PROBLEM_COUNT);
    return problems[problem].code;
}

int problem_status(enum problem problem)
{
    must(problem < PROBLEM_COUNT);
    return problems[problem].status;
}

const char *problem_title(enum problem problem)
{
    must(problem < PROBLEM_COUNT);
    return problems[problem].title;
}

enum problem problem_from_code(const char *code)
{
    for (enum problem problem = PROBLEM_NONE + 1; problem < PROBLEM_COUNT; problem++)
        if (strcmp(code, problems[problem].code) == 0)
            return problem;
    return PROBLEM_NONE;
}
