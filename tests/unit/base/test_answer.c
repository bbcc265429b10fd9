#include "tailslate/answer.h"

#include <criterion/criterion.h>

static enum tailslate_answer_class classify(long status, bool is_json,
                                            enum tailslate_problem problem)
{
    struct tailslate_answer facts = {.reach = TAILSLATE_REACH_ANSWERED,
                                     .status = status,
                                     .is_json = is_json,
                                     .problem = problem};
    return tailslate_answer_classify(&facts);
}

Test(answer, a_code_counts_only_in_json_and_under_its_own_status)
{
    cr_expect_eq(classify(409, true, TAILSLATE_PROBLEM_CLAIM_LOST), TAILSLATE_ANSWER_CLAIM_LOST);
    cr_expect_eq(classify(409, false, TAILSLATE_PROBLEM_CLAIM_LOST),
                 TAILSLATE_ANSWER_PROXY_REFUSED);
    cr_expect_eq(classify(410, true, TAILSLATE_PROBLEM_CLAIM_LOST), TAILSLATE_ANSWER_PROXY_REFUSED);
    cr_expect_eq(classify(503, true, TAILSLATE_PROBLEM_CLAIM_LOST),
                 TAILSLATE_ANSWER_SERVER_FAILING);
}

Test(answer, without_a_code_a_403_or_409_in_json_is_a_stock_server_s_word_about_the_claim)
{
    cr_expect_eq(classify(403, true, TAILSLATE_PROBLEM_NONE), TAILSLATE_ANSWER_STOCK_NOT_YOURS);
    cr_expect_eq(classify(409, true, TAILSLATE_PROBLEM_NONE), TAILSLATE_ANSWER_STOCK_CLAIM_LOST);
    cr_expect_eq(classify(403, false, TAILSLATE_PROBLEM_NONE), TAILSLATE_ANSWER_PROXY_FORBIDDEN);
}

Test(answer, the_key_is_refused_by_401_or_forbidden_and_every_403_may_be_about_it)
{
    cr_expect_eq(classify(401, true, TAILSLATE_PROBLEM_UNAUTHORIZED), TAILSLATE_ANSWER_KEY_REFUSED);
    cr_expect_eq(classify(401, false, TAILSLATE_PROBLEM_NONE), TAILSLATE_ANSWER_KEY_REFUSED);
    cr_expect_eq(classify(403, true, TAILSLATE_PROBLEM_FORBIDDEN), TAILSLATE_ANSWER_KEY_REFUSED);
    cr_expect_eq(classify(407, true, TAILSLATE_PROBLEM_NONE), TAILSLATE_ANSWER_PROXY_REFUSED);
    cr_expect(tailslate_answer_concerns_key(TAILSLATE_ANSWER_KEY_REFUSED));
    cr_expect(tailslate_answer_concerns_key(classify(403, true, TAILSLATE_PROBLEM_NOT_YOUR_JOB)));
    cr_expect(tailslate_answer_concerns_key(classify(403, true, TAILSLATE_PROBLEM_NONE)));
    cr_expect(tailslate_answer_concerns_key(classify(403, false, TAILSLATE_PROBLEM_NONE)));
    cr_expect_not(tailslate_answer_concerns_key(classify(404, true, TAILSLATE_PROBLEM_NONE)));
}

Test(answer, a_refusal_by_key_proxy_or_load_is_not_about_the_job)
{
    for (enum tailslate_answer_class class = 0; class < TAILSLATE_ANSWER_OK; class ++)
        cr_expect_not(tailslate_answer_concerns_job(class));
    for (enum tailslate_answer_class class = TAILSLATE_ANSWER_PROXY_FORBIDDEN;
         class < TAILSLATE_ANSWER_CLASS_COUNT; class ++)
        cr_expect_not(tailslate_answer_concerns_job(class));
    cr_expect_not(tailslate_answer_concerns_job(TAILSLATE_ANSWER_KEY_REFUSED));
    cr_expect(tailslate_answer_concerns_job(TAILSLATE_ANSWER_STOCK_REFUSED));
}
