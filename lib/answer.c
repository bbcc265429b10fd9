#include "tailslate/answer.h"

#include "lib/error.h"

/* By codes under their own status. The others say no more than their status does. */
static const enum answer_class by_problem[PROBLEM_COUNT] = {
    [PROBLEM_UNAUTHORIZED] = ANSWER_KEY_REFUSED,
    [PROBLEM_FORBIDDEN] = ANSWER_KEY_REFUSED,
    [PROBLEM_NOT_YOUR_JOB] = ANSWER_NOT_YOURS,
    [PROBLEM_JOB_NOT_FOUND] = ANSWER_JOB_UNKNOWN,
    [PROBLEM_CLAIM_LOST] = ANSWER_CLAIM_LOST,
    [PROBLEM_JOB_GONE] = ANSWER_JOB_GONE,
    [PROBLEM_PAYLOAD_TOO_LARGE] = ANSWER_INVALID,
    [PROBLEM_BAD_JSON] = ANSWER_INVALID,
    [PROBLEM_INVALID_FIELD] = ANSWER_INVALID_FIELD,
    [PROBLEM_TOKEN_MALFORMED] = ANSWER_INVALID,
    [PROBLEM_TOKEN_MISMATCH] = ANSWER_INVALID,
    [PROBLEM_TOKEN_REUSED] = ANSWER_INVALID,
    [PROBLEM_OUTPUT_MISSING] = ANSWER_OUTPUT_MISSING,
    [PROBLEM_RATE_LIMITED] = ANSWER_LIMITED,
    [PROBLEM_COMPLETION_IN_PROGRESS] = ANSWER_SERVER_FAILING,
    [PROBLEM_STORE_UNAVAILABLE] = ANSWER_SERVER_FAILING,
    [PROBLEM_NOT_FOUND] = ANSWER_WRONG_URL,
    [PROBLEM_METHOD] = ANSWER_WRONG_URL,
    [PROBLEM_RANGE] = ANSWER_NO_SUCH_RANGE,
    [PROBLEM_INTERNAL] = ANSWER_SERVER_FAILING,
};

static const struct {
    bool concerns_key, concerns_job;
} concerns[ANSWER_CLASS_COUNT] = {
    [ANSWER_KEY_REFUSED] = {.concerns_key = true},
    [ANSWER_PROXY_FORBIDDEN] = {.concerns_key = true},
    [ANSWER_NOT_YOURS] = {.concerns_key = true, .concerns_job = true},
    [ANSWER_STOCK_NOT_YOURS] = {.concerns_key = true, .concerns_job = true},
    [ANSWER_JOB_UNKNOWN] = {.concerns_job = true},
    [ANSWER_CLAIM_LOST] = {.concerns_job = true},
    [ANSWER_JOB_GONE] = {.concerns_job = true},
    [ANSWER_INVALID] = {.concerns_job = true},
    [ANSWER_INVALID_FIELD] = {.concerns_job = true},
    [ANSWER_OUTPUT_MISSING] = {.concerns_job = true},
    [ANSWER_NO_SUCH_RANGE] = {.concerns_job = true},
    [ANSWER_STOCK_CLAIM_LOST] = {.concerns_job = true},
    [ANSWER_STOCK_JOB_UNKNOWN] = {.concerns_job = true},
    [ANSWER_STOCK_REFUSED] = {.concerns_job = true},
};

bool answer_concerns_key(enum answer_class class)
{
    must(class < ANSWER_CLASS_COUNT);
    return concerns[class].concerns_key;
}

bool answer_concerns_job(enum answer_class class)
{
    must(class < ANSWER_CLASS_COUNT);
    return concerns[class].concerns_job;
}

enum problem answer_known_problem(const struct answer_facts *facts)
{
    bool counts = facts->reach == ANSWER_CAME && facts->is_json && facts->problem != PROBLEM_NONE &&
                  problem_status(facts->problem) == facts->status;
    return counts ? facts->problem : PROBLEM_NONE;
}

/* 4xx, without a code that counts. */
static enum answer_class class_of_refusal(const struct answer_facts *facts)
{
    bool is_stock = facts->is_json && facts->problem == PROBLEM_NONE;
    switch (facts->status) {
    case 401:
        return ANSWER_KEY_REFUSED;
    case 403:
        return is_stock ? ANSWER_STOCK_NOT_YOURS : ANSWER_PROXY_FORBIDDEN;
    case 404:
        return is_stock ? ANSWER_STOCK_JOB_UNKNOWN : ANSWER_PROXY_REFUSED;
    case 407: /* a proxy wants credentials of its own */
        return ANSWER_PROXY_REFUSED;
    case 408:
    case 425:
        return ANSWER_TIMED_OUT;
    case 409:
        return is_stock ? ANSWER_STOCK_CLAIM_LOST : ANSWER_PROXY_REFUSED;
    case 429:
        return ANSWER_LIMITED;
    default:
        return is_stock ? ANSWER_STOCK_REFUSED : ANSWER_PROXY_REFUSED;
    }
}

static enum answer_class class_of_status(const struct answer_facts *facts)
{
    long status = facts->status;
    if (status == 200 && facts->is_json)
        return ANSWER_OK;
    if (status / 100 == 2)
        return ANSWER_OTHER_SUCCESS;
    if (status / 100 == 4)
        return class_of_refusal(facts);
    if (status == 507)
        return ANSWER_SERVER_FULL;
    return status >= 500 ? ANSWER_SERVER_FAILING : ANSWER_UNEXPECTED;
}

enum answer_class answer_classify(const struct answer_facts *facts)
{
    enum problem problem = answer_known_problem(facts);
    switch (facts->reach) {
    case ANSWER_CAME:
        return problem != PROBLEM_NONE ? by_problem[problem] : class_of_status(facts);
    case ANSWER_CAME_NOT:
        return ANSWER_UNREACHED;
    case ANSWER_NOT_BELIEVED:
        return ANSWER_UNTRUSTED;
    case ANSWER_LOCAL_TROUBLE:
        break;
    }
    return ANSWER_LOCAL_FAILURE;
}
