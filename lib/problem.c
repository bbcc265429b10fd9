#include "tailslate/problem.h"

#include "lib/error.h"

#include <string.h>

static const struct {
    const char *code;
    int status;
    const char *title;
} problems[TAILSLATE_PROBLEM_COUNT] = {
    [TAILSLATE_PROBLEM_NONE] = {"", 0, ""},
    [TAILSLATE_PROBLEM_UNAUTHORIZED] = {"unauthorized", 401, "The key is missing or not valid."},
    [TAILSLATE_PROBLEM_FORBIDDEN] = {"forbidden", 403, "This worker may not do that."},
    [TAILSLATE_PROBLEM_NOT_YOUR_JOB] = {"not_your_job", 403, "This worker never held this job."},
    [TAILSLATE_PROBLEM_JOB_NOT_FOUND] = {"job_not_found", 404, "There is no such job."},
    [TAILSLATE_PROBLEM_CLAIM_LOST] = {"claim_lost", 409, "Another worker has claimed the job."},
    [TAILSLATE_PROBLEM_JOB_GONE] = {"job_gone", 410, "The job is no longer wanted."},
    [TAILSLATE_PROBLEM_PAYLOAD_TOO_LARGE] = {"payload_too_large", 413, "The body is too large."},
    [TAILSLATE_PROBLEM_BAD_JSON] = {"bad_json", 400, "The body is not acceptable JSON."},
    [TAILSLATE_PROBLEM_INVALID_FIELD] = {"invalid_field", 422, "A field is missing or not valid."},
    [TAILSLATE_PROBLEM_TOKEN_MALFORMED] = {"token_malformed", 422,
                                           "The completion token has the wrong form."},
    [TAILSLATE_PROBLEM_TOKEN_MISMATCH] = {"token_mismatch", 422,
                                          "The completion token belongs to another job."},
    [TAILSLATE_PROBLEM_TOKEN_REUSED] =
        {"token_reused", 422, "The completion token was used for a different completion."},
    [TAILSLATE_PROBLEM_OUTPUT_MISSING] = {"output_missing", 422,
                                          "Files of a named rendition are not on the server."},
    [TAILSLATE_PROBLEM_RATE_LIMITED] = {"rate_limited", 429, "Too many requests; try again later."},
    [TAILSLATE_PROBLEM_COMPLETION_IN_PROGRESS] = {"completion_in_progress", 503,
                                                  "The job is being completed; ask again."},
    [TAILSLATE_PROBLEM_STORE_UNAVAILABLE] = {"store_unavailable", 503,
                                             "The database is unavailable; try again later."},
    [TAILSLATE_PROBLEM_NOT_FOUND] = {"not_found", 404, "There is no resource at this path."},
    [TAILSLATE_PROBLEM_METHOD] = {"method_not_allowed", 405,
                                  "This path does not support this method."},
    [TAILSLATE_PROBLEM_RANGE] = {"range_not_satisfiable", 416,
                                 "The requested range is outside the source."},
    [TAILSLATE_PROBLEM_INTERNAL] = {"internal", 500, "The server failed."},
    [TAILSLATE_PROBLEM_SERVER_FULL] = {"server_full", 507, "The server has no space left."},
    [TAILSLATE_PROBLEM_WRONG_STATE] = {"wrong_state", 409,
                                       "The job is not in a state that allows this."},
};

const char *tailslate_problem_code(enum tailslate_problem problem)
{
    must(problem < TAILSLATE_PROBLEM_COUNT);
    return problems[problem].code;
}

int tailslate_problem_status(enum tailslate_problem problem)
{
    must(problem < TAILSLATE_PROBLEM_COUNT);
    return problems[problem].status;
}

const char *tailslate_problem_title(enum tailslate_problem problem)
{
    must(problem < TAILSLATE_PROBLEM_COUNT);
    return problems[problem].title;
}

enum tailslate_problem tailslate_problem_from_code(const char *code)
{
    for (enum tailslate_problem problem = TAILSLATE_PROBLEM_NONE + 1;
         problem < TAILSLATE_PROBLEM_COUNT; problem++)
        if (strcmp(code, problems[problem].code) == 0)
            return problem;
    return TAILSLATE_PROBLEM_NONE;
}
