#include "lib/outbox_judge.h"

#include "lib/message_fields.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Only one of our codes under its own status is final (answer.h). A 2xx has no row: its body
 * decides. A row that is missing would be AGAIN. */
static const enum tailslate_outbox_outcome outcomes[TAILSLATE_ANSWER_CLASS_COUNT] = {
    [TAILSLATE_ANSWER_UNREACHED] = TAILSLATE_OUTBOX_AGAIN,
    [TAILSLATE_ANSWER_UNTRUSTED] = TAILSLATE_OUTBOX_HELD,
    [TAILSLATE_ANSWER_LOCAL_FAILURE] = TAILSLATE_OUTBOX_LOCAL,
    [TAILSLATE_ANSWER_KEY_REFUSED] = TAILSLATE_OUTBOX_HELD,
    [TAILSLATE_ANSWER_NOT_YOURS] = TAILSLATE_OUTBOX_HELD,
    [TAILSLATE_ANSWER_JOB_UNKNOWN] = TAILSLATE_OUTBOX_HELD, /* a restored backup */
    [TAILSLATE_ANSWER_CLAIM_LOST] = TAILSLATE_OUTBOX_REFUSED,
    [TAILSLATE_ANSWER_JOB_GONE] = TAILSLATE_OUTBOX_REFUSED,
    [TAILSLATE_ANSWER_INVALID] = TAILSLATE_OUTBOX_REFUSED,
    [TAILSLATE_ANSWER_INVALID_FIELD] = TAILSLATE_OUTBOX_REFUSED,
    [TAILSLATE_ANSWER_OUTPUT_MISSING] = TAILSLATE_OUTBOX_UPLOAD,
    [TAILSLATE_ANSWER_NO_SUCH_RANGE] = TAILSLATE_OUTBOX_AGAIN,
    [TAILSLATE_ANSWER_WRONG_URL] = TAILSLATE_OUTBOX_HELD,
    [TAILSLATE_ANSWER_STOCK_NOT_YOURS] = TAILSLATE_OUTBOX_CLAIM_GONE,
    [TAILSLATE_ANSWER_STOCK_CLAIM_LOST] = TAILSLATE_OUTBOX_CLAIM_GONE,
    [TAILSLATE_ANSWER_STOCK_JOB_UNKNOWN] = TAILSLATE_OUTBOX_HELD,
    [TAILSLATE_ANSWER_STOCK_REFUSED] = TAILSLATE_OUTBOX_HELD,
    [TAILSLATE_ANSWER_PROXY_FORBIDDEN] = TAILSLATE_OUTBOX_HELD,
    [TAILSLATE_ANSWER_PROXY_REFUSED] = TAILSLATE_OUTBOX_HELD,
    [TAILSLATE_ANSWER_LIMITED] = TAILSLATE_OUTBOX_AGAIN,
    [TAILSLATE_ANSWER_TIMED_OUT] = TAILSLATE_OUTBOX_AGAIN,
    [TAILSLATE_ANSWER_SERVER_FULL] = TAILSLATE_OUTBOX_AGAIN,
    [TAILSLATE_ANSWER_SERVER_FAILING] = TAILSLATE_OUTBOX_AGAIN,
    [TAILSLATE_ANSWER_UNEXPECTED] = TAILSLATE_OUTBOX_AGAIN,
};

static void __attribute__((format(printf, 3, 4)))
conclude(struct outbox_judgment *judgment, enum tailslate_outbox_outcome outcome,
         const char *format, ...)
{
    va_list args;
    judgment->outcome = outcome;
    va_start(args, format);
    vsnprintf(judgment->why, sizeof judgment->why, format, args);
    va_end(args);
}

/* A server that echoes no token is a stock one. */
static void judge_stock(bool past_cache, const char *message, struct outbox_judgment *judgment)
{
    bool already = strcmp(message, "Job already completed") == 0;
    if (strcmp(message, "Job completed successfully") == 0 || (already && past_cache))
        conclude(judgment, TAILSLATE_OUTBOX_ACKNOWLEDGED, "%s", "");
    else if (!already)
        conclude(judgment, TAILSLATE_OUTBOX_AGAIN, "the answer acknowledges no token");
    else {
        conclude(judgment, TAILSLATE_OUTBOX_AGAIN, "already completed, but without our token");
        judgment->may_be_cached = true;
    }
}

static void judge_success(const char *token, bool past_cache,
                          const struct tailslate_outbox_answer *answer,
                          struct outbox_judgment *judgment)
{
    struct tailslate_acknowledgment said;
    char reason[TAILSLATE_REASON_BYTES];
    if (tailslate_acknowledgment_parse(answer->body, answer->body_size, &said, reason) !=
            TAILSLATE_PROBLEM_NONE ||
        !said.status_ok)
        conclude(judgment, TAILSLATE_OUTBOX_AGAIN, "HTTP %ld, but no acknowledgment",
                 answer->status);
    else if (!said.token[0])
        judge_stock(past_cache, said.message, judgment);
    else if (strcmp(said.token, token) == 0)
        conclude(judgment, TAILSLATE_OUTBOX_ACKNOWLEDGED, "%s", "");
    else
        conclude(judgment, TAILSLATE_OUTBOX_AGAIN, "another token was acknowledged: %s",
                 said.token);
}

static void judge_refusal(const struct tailslate_answer *facts, const struct json *problem,
                          enum tailslate_answer_class class, struct outbox_judgment *judgment)
{
    const char *detail = json_text(json_get(problem, "detail"));
    char cut[200];
    text_cut(cut, sizeof cut, detail ? detail : "");
    judgment->problem = tailslate_answer_known_problem(facts);
    judgment->missing = field_quality_names(json_get(problem, "qualities"));
    if (facts->reach != TAILSLATE_REACH_ANSWERED)
        conclude(judgment, outcomes[class], "the server was not reached");
    else if (judgment->problem != TAILSLATE_PROBLEM_NONE)
        conclude(judgment, outcomes[class], "%s: %s", tailslate_problem_code(judgment->problem),
                 cut);
    else
        conclude(judgment, outcomes[class], "HTTP %ld%s%s", facts->status,
                 cut[0] ? ": " : ", not from the verifier", cut);
}

void outbox_judge(const char *token, bool past_cache, const struct tailslate_outbox_answer *answer,
                  struct outbox_judgment *judgment)
{
    struct error err;
    struct tailslate_answer facts = {.reach = answer->reach,
                                     .status = answer->status,
                                     .is_json = tailslate_answer_is_json(answer->content_type)};
    JSON(body) = facts.is_json ? json_parse(answer->body, answer->body_size, &err) : NULL;
    const char *code = json_text(json_get(body, "code"));
    facts.problem = code ? tailslate_problem_from_code(code) : TAILSLATE_PROBLEM_NONE;
    *judgment = (struct outbox_judgment){0};
    enum tailslate_answer_class class = tailslate_answer_classify(&facts);
    if (class == TAILSLATE_ANSWER_OK)
        judge_success(token, past_cache, answer, judgment);
    else if (class == TAILSLATE_ANSWER_OTHER_SUCCESS)
        conclude(judgment, TAILSLATE_OUTBOX_AGAIN, "HTTP %ld, but no acknowledgment",
                 answer->status);
    else
        judge_refusal(&facts, body, class, judgment);
}
