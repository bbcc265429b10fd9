#include "base/message.h"
#include "lib/cleanup.h"
#include "lib/json.h"

#include <criterion/criterion.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static struct message_problem parsed(const char *body)
{
    struct message_problem problem;
    memset(&problem, 0xa5, sizeof problem);
    message_problem_parse(body, strlen(body), &problem);
    return problem;
}

Test(problem_body, ours_is_understood)
{
    struct message_problem problem = parsed(
        "{\"type\":\"x\",\"title\":\"y\",\"status\":422,\"detail\":\"720p is not there\","
        "\"code\":\"output_missing\",\"qualities\":[\"720p\",\"original\",\"9p\",7]}");
    cr_expect_eq(problem.problem, TAILSLATE_PROBLEM_OUTPUT_MISSING);
    cr_expect_str_eq(problem.detail, "720p is not there");
    cr_expect_eq(problem.missing,
                 (1u << TAILSLATE_QUALITY_720P) | (1u << TAILSLATE_QUALITY_ORIGINAL));
}

/* Final is only an answer with one of our codes: nothing else may pass for one. */
Test(problem_body, anybody_else_s_is_no_problem_of_ours)
{
    static const char *const bodies[] = {
        "",
        " ",
        "<html><head><title>502</title></head>claim_lost</html>",
        "claim_lost",
        "\"claim_lost\"",
        "[\"claim_lost\"]",
        "[{\"code\":\"claim_lost\"}]",
        "null",
        "{}",
        "{\"detail\":\"Claim lost\"}",
        "{\"code\":409}",
        "{\"code\":\"CLAIM_LOST\"}",
        "{\"code\":\"\"}",
        "{\"code\":[\"claim_lost\"]}",
        "{\"error\":{\"code\":\"claim_lost\"}}",
        "{\"code\":\"claim_lost\"",
        "{\"code\":\"claim_lost\"}<!-- proxy -->",
        "{\"code\":\"claim_lost\\u0000\"}",
        "{\"code\":\"claim_lost\",\"code\":\"internal\"}",
        "{\"code\":\"claim_lost\xff\"}",
        "\xff\xfe{",
    };
    for (size_t i = 0; i < COUNT_OF(bodies); i++)
        cr_expect_eq(parsed(bodies[i]).problem, TAILSLATE_PROBLEM_NONE, "%s", bodies[i]);
}

Test(problem_body, every_cut_of_ours_is_none)
{
    TEXT(body) = message_problem_format(TAILSLATE_PROBLEM_CLAIM_LOST, "gone", 0);
    struct message_problem problem;
    for (size_t size = 0; size < strlen(body); size++) {
        message_problem_parse(body, size, &problem);
        cr_expect_eq(problem.problem, TAILSLATE_PROBLEM_NONE, "cut at %zu", size);
        cr_expect_str_eq(problem.detail, "");
    }
    message_problem_parse(body, strlen(body), &problem);
    cr_expect_eq(problem.problem, TAILSLATE_PROBLEM_CLAIM_LOST);
}

Test(problem_body, a_stock_server_s_array_of_details_is_survived)
{
    static const char *const pairs[][2] = {
        {"{\"detail\":[{\"loc\":[\"body\",\"x\"],\"msg\":\"field required\",\"type\":\"t\"},{}]}",
         "field required"},
        {"{\"detail\":[\"plain\"]}", "plain"},
        {"{\"detail\":[]}", ""},
        {"{\"detail\":[[]]}", ""},
        {"{\"detail\":[null]}", ""},
        {"{\"detail\":[{\"msg\":5}]}", ""},
        {"{\"detail\":{\"msg\":\"x\"}}", ""},
        {"{\"detail\":null}", ""},
        {"{\"detail\":7}", ""},
        {"{\"detail\":\"Not Found\"}", "Not Found"},
    };
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        struct message_problem problem = parsed(pairs[i][0]);
        cr_expect_str_eq(problem.detail, pairs[i][1], "%s", pairs[i][0]);
        cr_expect_eq(problem.problem, TAILSLATE_PROBLEM_NONE);
    }
}

Test(problem_body, a_detail_is_one_short_line)
{
    struct message_problem problem = parsed("{\"detail\":\"a\\nb\\u001b[31mc\"}");
    cr_expect_str_eq(problem.detail, "a b [31mc");
    TEXT(text) = must_calloc(1001, 1);
    memset(text, 'x', 1000);
    TEXT(body) = must_printf("{\"detail\":\"%s\"}", text);
    cr_expect_eq(strlen(parsed(body).detail), 255);
    memcpy(text + 254, "\xe2\x82\xac", 3);
    TEXT(wide) = must_printf("{\"detail\":\"%s\"}", text);
    cr_expect_eq(strlen(parsed(wide).detail), 254);
}

Test(problem_body, ours_is_rfc_9457)
{
    TEXT(body) = message_problem_format(TAILSLATE_PROBLEM_OUTPUT_MISSING, "720p: stream.m3u8",
                                        1u << TAILSLATE_QUALITY_720P);
    cr_expect_str_eq(body, "{\"type\":\"urn:tailslate:problem:output_missing\","
                           "\"title\":\"Files of a named rendition are not on the server.\","
                           "\"status\":422,\"detail\":\"720p: stream.m3u8\","
                           "\"code\":\"output_missing\",\"qualities\":[\"720p\"]}");
}

/* A stock peer reads `detail` and nothing else. */
Test(problem_body, there_is_always_a_detail)
{
    for (enum tailslate_problem problem = TAILSLATE_PROBLEM_NONE + 1;
         problem < TAILSLATE_PROBLEM_COUNT; problem++) {
        TEXT(body) = message_problem_format(problem, NULL, 0);
        struct message_problem again = parsed(body);
        cr_expect_eq(again.problem, problem);
        cr_expect_str_eq(again.detail, tailslate_problem_title(problem));
        cr_expect_eq(again.missing, 0);
    }
}

Test(problem_body, a_detail_that_is_no_utf8_does_not_spoil_the_answer)
{
    TEXT(body) = message_problem_format(TAILSLATE_PROBLEM_INVALID_FIELD, "\xff\xfe", 0);
    cr_expect_eq(parsed(body).problem, TAILSLATE_PROBLEM_INVALID_FIELD);
}
