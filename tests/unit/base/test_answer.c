#include "tailslate/answer.h"

#include <criterion/criterion.h>

static enum answer_class classify(long status, bool is_json, enum problem problem)
{
    struct answer_facts facts = {
        .reach = ANSWER_CAME, .status = status, .is_json = is_json, .problem = problem};
    return answer_classify(&facts);
}

Test(answer, a_code_counts_only_in_json_and_under_its_own_status)
{
    cr_expect_eq(classify(409, true, PROBLEM_CLAIM_LOST), ANSWER_CLAIM_LOST);
    cr_expect_eq(classify(409, false, PROBLEM_CLAIM_LOST), ANSWER_PROXY_REFUSED);
    cr_expect_eq(classify(410, true, PROBLEM_CLAIM_LOST), ANSWER_PROXY_REFUSED);
    cr_expect_eq(classify(503, true, PROBLEM_CLAIM_LOST), ANSWER_SERVER_FAILING);
}

Test(answer, without_a_code_a_403_or_409_in_json_is_a_stock_server_s_word_about_the_claim)
{
    cr_expect_eq(classify(403, true, PROBLEM_NONE), ANSWER_STOCK_NOT_YOURS);
    cr_expect_eq(classify(409, true, PROBLEM_NONE), ANSWER_STOCK_CLAIM_LOST);
    cr_expect_eq(classify(403, false, PROBLEM_NONE), ANSWER_PROXY_FORBIDDEN);
}

Test(answer, the_key_is_refused_by_401_or_forbidden_and_every_403_may_be_about_it)
{
    cr_expect_eq(classify(401, true, PROBLEM_UNAUTHORIZED), ANSWER_KEY_REFUSED);
    cr_expect_eq(classify(401, false, PROBLEM_NONE), ANSWER_KEY_REFUSED);
    cr_expect_eq(classify(403, true, PROBLEM_FORBIDDEN), ANSWER_KEY_REFUSED);
    cr_expect_eq(classify(407, true, PROBLEM_NONE), ANSWER_PROXY_REFUSED);
    cr_expect(answer_concerns_key(ANSWER_KEY_REFUSED));
    cr_expect(answer_concerns_key(classify(403, true, PROBLEM_NOT_YOUR_JOB)));
    cr_expect(answer_concerns_key(classify(403, true, PROBLEM_NONE)));
    cr_expect(answer_concerns_key(classify(403, false, PROBLEM_NONE)));
    cr_expect_not(answer_concerns_key(classify(404, true, PROBLEM_NONE)));
}

Test(answer, a_refusal_by_key_proxy_or_load_is_not_about_the_job)
{
    for (enum answer_class class = 0; class < ANSWER_OK; class ++)
        cr_expect_not(answer_concerns_job(class));
    for (enum answer_class class = ANSWER_PROXY_FORBIDDEN; class < ANSWER_CLASS_COUNT; class ++)
        cr_expect_not(answer_concerns_job(class));
    cr_expect_not(answer_concerns_job(ANSWER_KEY_REFUSED));
    cr_expect(answer_concerns_job(ANSWER_STOCK_REFUSED));
}
