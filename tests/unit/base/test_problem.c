#include "tailslate/problem.h"

#include <criterion/criterion.h>
#include <string.h>

/* docs/WIRE.md#errors. */
static const struct {
    enum tailslate_problem problem;
    const char *code;
    int status;
} wire[] = {
    {TAILSLATE_PROBLEM_UNAUTHORIZED, "unauthorized", 401},
    {TAILSLATE_PROBLEM_FORBIDDEN, "forbidden", 403},
    {TAILSLATE_PROBLEM_NOT_YOUR_JOB, "not_your_job", 403},
    {TAILSLATE_PROBLEM_JOB_NOT_FOUND, "job_not_found", 404},
    {TAILSLATE_PROBLEM_CLAIM_LOST, "claim_lost", 409},
    {TAILSLATE_PROBLEM_JOB_GONE, "job_gone", 410},
    {TAILSLATE_PROBLEM_PAYLOAD_TOO_LARGE, "payload_too_large", 413},
    {TAILSLATE_PROBLEM_BAD_JSON, "bad_json", 400},
    {TAILSLATE_PROBLEM_INVALID_FIELD, "invalid_field", 422},
    {TAILSLATE_PROBLEM_TOKEN_MALFORMED, "token_malformed", 422},
    {TAILSLATE_PROBLEM_TOKEN_MISMATCH, "token_mismatch", 422},
    {TAILSLATE_PROBLEM_TOKEN_REUSED, "token_reused", 422},
    {TAILSLATE_PROBLEM_OUTPUT_MISSING, "output_missing", 422},
    {TAILSLATE_PROBLEM_RATE_LIMITED, "rate_limited", 429},
    {TAILSLATE_PROBLEM_COMPLETION_IN_PROGRESS, "completion_in_progress", 503},
    {TAILSLATE_PROBLEM_STORE_UNAVAILABLE, "store_unavailable", 503},
    {TAILSLATE_PROBLEM_SERVER_FULL, "server_full", 507},
    {TAILSLATE_PROBLEM_NOT_FOUND, "not_found", 404},
    {TAILSLATE_PROBLEM_METHOD, "method_not_allowed", 405},
    {TAILSLATE_PROBLEM_RANGE, "range_not_satisfiable", 416},
    {TAILSLATE_PROBLEM_INTERNAL, "internal", 500},
    {TAILSLATE_PROBLEM_WRONG_STATE, "wrong_state", 409},
};

Test(problem, codes_and_statuses_are_the_wire_s)
{
    cr_assert_eq(sizeof wire / sizeof wire[0], TAILSLATE_PROBLEM_COUNT - 1, "NONE is no code");
    for (size_t i = 0; i < sizeof wire / sizeof wire[0]; i++) {
        cr_expect_str_eq(tailslate_problem_code(wire[i].problem), wire[i].code);
        cr_expect_eq(tailslate_problem_status(wire[i].problem), wire[i].status, "%s", wire[i].code);
        cr_expect_eq(tailslate_problem_from_code(wire[i].code), wire[i].problem, "%s",
                     wire[i].code);
        cr_expect_gt(strlen(tailslate_problem_title(wire[i].problem)), 0, "%s", wire[i].code);
    }
}

/* A stock worker deletes its files on any 409: there must be no second one. wrong_state is for
 * operators alone. */
Test(problem, only_a_lost_claim_is_409_for_a_worker)
{
    for (enum tailslate_problem problem = 0; problem < TAILSLATE_PROBLEM_COUNT; problem++)
        cr_expect_eq(tailslate_problem_status(problem) == 409,
                     problem == TAILSLATE_PROBLEM_CLAIM_LOST ||
                         problem == TAILSLATE_PROBLEM_WRONG_STATE,
                     "%s", tailslate_problem_code(problem));
}

Test(problem, another_word_is_none_of_ours)
{
    static const char *const others[] = {"",         "Claim_lost", "claim_lost ", "claim",
                                         "conflict", "409",        "none"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_expect_eq(tailslate_problem_from_code(others[i]), TAILSLATE_PROBLEM_NONE, "'%s'",
                     others[i]);
    cr_expect_str_eq(tailslate_problem_code(TAILSLATE_PROBLEM_NONE), "");
}
