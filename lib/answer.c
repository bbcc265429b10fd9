#include "tailslate/answer.h"

#include "lib/error.h"

#include <string.h>
#include <strings.h>

/* By code, under its own status. The other codes say no more than their status does. */
static const enum tailslate_answer_class by_problem[TAILSLATE_PROBLEM_COUNT] = {
    [TAILSLATE_PROBLEM_UNAUTHORIZED] = TAILSLATE_ANSWER_KEY_REFUSED,
    [TAILSLATE_PROBLEM_FORBIDDEN] = TAILSLATE_ANSWER_KEY_REFUSED,
    [TAILSLATE_PROBLEM_NOT_YOUR_JOB] = TAILSLATE_ANSWER_NOT_YOURS,
    [TAILSLATE_PROBLEM_JOB_NOT_FOUND] = TAILSLATE_ANSWER_JOB_UNKNOWN,
    [TAILSLATE_PROBLEM_CLAIM_LOST] = TAILSLATE_ANSWER_CLAIM_LOST,
    [TAILSLATE_PROBLEM_JOB_GONE] = TAILSLATE_ANSWER_JOB_GONE,
    [TAILSLATE_PROBLEM_PAYLOAD_TOO_LARGE] = TAILSLATE_ANSWER_INVALID,
    [TAILSLATE_PROBLEM_BAD_JSON] = TAILSLATE_ANSWER_INVALID,
    [TAILSLATE_PROBLEM_INVALID_FIELD] = TAILSLATE_ANSWER_INVALID_FIELD,
    [TAILSLATE_PROBLEM_TOKEN_MALFORMED] = TAILSLATE_ANSWER_INVALID,
    [TAILSLATE_PROBLEM_TOKEN_MISMATCH] = TAILSLATE_ANSWER_INVALID,
    [TAILSLATE_PROBLEM_TOKEN_REUSED] = TAILSLATE_ANSWER_INVALID,
    [TAILSLATE_PROBLEM_OUTPUT_MISSING] = TAILSLATE_ANSWER_OUTPUT_MISSING,
    [TAILSLATE_PROBLEM_RATE_LIMITED] = TAILSLATE_ANSWER_LIMITED,
    [TAILSLATE_PROBLEM_COMPLETION_IN_PROGRESS] = TAILSLATE_ANSWER_SERVER_FAILING,
    [TAILSLATE_PROBLEM_STORE_UNAVAILABLE] = TAILSLATE_ANSWER_SERVER_FAILING,
    [TAILSLATE_PROBLEM_NOT_FOUND] = TAILSLATE_ANSWER_WRONG_URL,
    [TAILSLATE_PROBLEM_METHOD] = TAILSLATE_ANSWER_WRONG_URL,
    [TAILSLATE_PROBLEM_RANGE] = TAILSLATE_ANSWER_NO_SUCH_RANGE,
    [TAILSLATE_PROBLEM_INTERNAL] = TAILSLATE_ANSWER_SERVER_FAILING,
    [TAILSLATE_PROBLEM_SERVER_FULL] = TAILSLATE_ANSWER_SERVER_FULL,
    [TAILSLATE_PROBLEM_WRONG_STATE] = TAILSLATE_ANSWER_INVALID,
};

static const struct {
    bool concerns_key, concerns_job;
} concerns[TAILSLATE_ANSWER_CLASS_COUNT] = {
    [TAILSLATE_ANSWER_KEY_REFUSED] = {.concerns_key = true},
    [TAILSLATE_ANSWER_PROXY_FORBIDDEN] = {.concerns_key = true},
    [TAILSLATE_ANSWER_NOT_YOURS] = {.concerns_key = true, .concerns_job = true},
    [TAILSLATE_ANSWER_STOCK_NOT_YOURS] = {.concerns_key = true, .concerns_job = true},
    [TAILSLATE_ANSWER_JOB_UNKNOWN] = {.concerns_job = true},
    [TAILSLATE_ANSWER_CLAIM_LOST] = {.concerns_job = true},
    [TAILSLATE_ANSWER_JOB_GONE] = {.concerns_job = true},
    [TAILSLATE_ANSWER_INVALID] = {.concerns_job = true},
    [TAILSLATE_ANSWER_INVALID_FIELD] = {.concerns_job = true},
    [TAILSLATE_ANSWER_OUTPUT_MISSING] = {.concerns_job = true},
    [TAILSLATE_ANSWER_NO_SUCH_RANGE] = {.concerns_job = true},
    [TAILSLATE_ANSWER_STOCK_CLAIM_LOST] = {.concerns_job = true},
    [TAILSLATE_ANSWER_STOCK_JOB_UNKNOWN] = {.concerns_job = true},
    [TAILSLATE_ANSWER_STOCK_REFUSED] = {.concerns_job = true},
};

bool tailslate_answer_concerns_key(enum tailslate_answer_class class)
{
    must(class < TAILSLATE_ANSWER_CLASS_COUNT);
    return concerns[class].concerns_key;
}

bool tailslate_answer_concerns_job(enum tailslate_answer_class class)
{
    must(class < TAILSLATE_ANSWER_CLASS_COUNT);
    return concerns[class].concerns_job;
}

enum tailslate_problem tailslate_answer_known_problem(const struct tailslate_answer *facts)
{
    bool counts = facts->reach == TAILSLATE_REACH_ANSWERED && facts->is_json &&
                  facts->problem != TAILSLATE_PROBLEM_NONE &&
                  tailslate_problem_status(facts->problem) == facts->status;
    return counts ? facts->problem : TAILSLATE_PROBLEM_NONE;
}

/* 4xx, without a code that counts. */
static enum tailslate_answer_class class_of_refusal(const struct tailslate_answer *facts)
{
    bool is_stock = facts->is_json && facts->problem == TAILSLATE_PROBLEM_NONE;
    switch (facts->status) {
    case 401:
        return TAILSLATE_ANSWER_KEY_REFUSED;
    case 403:
        return is_stock ? TAILSLATE_ANSWER_STOCK_NOT_YOURS : TAILSLATE_ANSWER_PROXY_FORBIDDEN;
    case 404:
        return is_stock ? TAILSLATE_ANSWER_STOCK_JOB_UNKNOWN : TAILSLATE_ANSWER_PROXY_REFUSED;
    case 407: /* a proxy requires credentials of its own */
        return TAILSLATE_ANSWER_PROXY_REFUSED;
    case 408:
    case 425:
        return TAILSLATE_ANSWER_TIMED_OUT;
    case 409:
        return is_stock ? TAILSLATE_ANSWER_STOCK_CLAIM_LOST : TAILSLATE_ANSWER_PROXY_REFUSED;
    case 429:
        return TAILSLATE_ANSWER_LIMITED;
    default:
        return is_stock ? TAILSLATE_ANSWER_STOCK_REFUSED : TAILSLATE_ANSWER_PROXY_REFUSED;
    }
}

static enum tailslate_answer_class class_of_status(const struct tailslate_answer *facts)
{
    long status = facts->status;
    if (status == 200 && facts->is_json)
        return TAILSLATE_ANSWER_OK;
    if (status / 100 == 2)
        return TAILSLATE_ANSWER_OTHER_SUCCESS;
    if (status / 100 == 4)
        return class_of_refusal(facts);
    if (status == 507)
        return TAILSLATE_ANSWER_SERVER_FULL;
    return status >= 500 ? TAILSLATE_ANSWER_SERVER_FAILING : TAILSLATE_ANSWER_UNEXPECTED;
}

enum tailslate_answer_class tailslate_answer_classify(const struct tailslate_answer *facts)
{
    enum tailslate_problem problem = tailslate_answer_known_problem(facts);
    switch (facts->reach) {
    case TAILSLATE_REACH_ANSWERED:
        return problem != TAILSLATE_PROBLEM_NONE ? by_problem[problem] : class_of_status(facts);
    case TAILSLATE_REACH_UNREACHED:
        return TAILSLATE_ANSWER_UNREACHED;
    case TAILSLATE_REACH_UNTRUSTED:
        return TAILSLATE_ANSWER_UNTRUSTED;
    case TAILSLATE_REACH_LOCAL_FAILURE:
        break;
    }
    return TAILSLATE_ANSWER_LOCAL_FAILURE;
}

bool tailslate_answer_is_json(const char *content_type)
{
    size_t length = strcspn(content_type, "; \t");
    return (length == 16 && strncasecmp(content_type, "application/json", 16) == 0) ||
           (length > 5 && strncasecmp(content_type + length - 5, "+json", 5) == 0);
}
