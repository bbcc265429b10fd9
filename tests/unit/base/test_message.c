#include "base/message.h"
#include "lib/cleanup.h"
#include "lib/json.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

#define UUID "6f1c0c5e-5a7e-4f0e-9b1a-0123456789ab"

static enum tailslate_problem parse_claim(const char *body, struct message_claim *claim)
{
    struct error err = {.message = ""};
    enum tailslate_problem problem = message_claim_parse(body, strlen(body), claim, &err);
    cr_expect_eq(problem == TAILSLATE_PROBLEM_NONE, err.message[0] == '\0', "%s: %s", body,
                 err.message);
    return problem;
}

static enum tailslate_problem parse_failure(const char *body, struct message_failure *failure)
{
    struct error err = {.message = ""};
    enum tailslate_problem problem = message_failure_parse(body, strlen(body), failure, &err);
    cr_expect_eq(problem == TAILSLATE_PROBLEM_NONE, err.message[0] == '\0', "%s: %s", body,
                 err.message);
    return problem;
}

static enum tailslate_problem parse_answer(const char *body,
                                           struct tailslate_acknowledgment *answer)
{
    struct error err = {.message = ""};
    enum tailslate_problem problem = tailslate_acknowledgment_parse(body, strlen(body), answer,
                                                                    err.message);
    cr_expect_eq(problem == TAILSLATE_PROBLEM_NONE, err.message[0] == '\0', "%s: %s", body,
                 err.message);
    return problem;
}

Test(message_claim, a_stock_server_s_claim_is_understood)
{
    struct message_claim claim;
    cr_assert_eq(
        parse_claim("{\"job_id\":12,\"video_id\":7,\"video_slug\":\"my-film\","
                    "\"video_duration\":0.0,\"source_width\":0,\"source_height\":0,"
                    "\"source_filename\":\"7.mp4\","
                    "\"claim_expires_at\":\"2026-01-03T16:28:00.123456+00:00\","
                    "\"existing_qualities\":null,\"message\":\"Job claimed\",\"more\":[{}]}",
                    &claim),
        TAILSLATE_PROBLEM_NONE);
    cr_expect_eq(claim.job_id, 12);
    cr_expect_eq(claim.video_id, 7);
    cr_expect_str_eq(claim.video_slug, "my-film");
    cr_expect_str_eq(claim.source_filename, "7.mp4");
    cr_expect_str_eq(claim.claim_expires_at, "2026-01-03T16:28:00.123456+00:00");
    cr_expect_eq(claim.duration, 0);
    cr_expect_eq(claim.source_width, 0);
    cr_expect_not(claim.existing_known);
    cr_expect_eq(claim.claim_epoch, TAILSLATE_ABSENT_INT);
    cr_expect_eq(claim.attempt_number, TAILSLATE_ABSENT_INT);
    cr_expect_eq(claim.retranscodes, 0);
}

Test(message_claim, nothing_to_do_is_a_claim_of_no_job)
{
    static const char *const bodies[] = {
        "{}", "{\"job_id\":null,\"video_slug\":null,\"message\":\"No jobs available\"}",
        "{\"job_id\":null,\"video_id\":\"x\"}"};
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct message_claim claim;
        cr_expect_eq(parse_claim(bodies[i], &claim), TAILSLATE_PROBLEM_NONE);
        cr_expect_eq(claim.job_id, 0);
    }
}

Test(message_claim, existing_qualities_are_a_set_and_unknown_ones_do_not_matter)
{
    struct message_claim claim;
    cr_assert_eq(parse_claim("{\"job_id\":1,\"video_id\":1,\"video_slug\":\"s\","
                             "\"existing_qualities\":[\"720p\",\"8k\",\"720p\",\"original\",3]}",
                             &claim),
                 TAILSLATE_PROBLEM_NONE);
    cr_expect(claim.existing_known);
    cr_expect_eq(claim.existing,
                 (1u << TAILSLATE_QUALITY_720P) | (1u << TAILSLATE_QUALITY_ORIGINAL));
    cr_assert_eq(parse_claim("{\"job_id\":1,\"video_id\":1,\"video_slug\":\"s\","
                             "\"existing_qualities\":[]}",
                             &claim),
                 TAILSLATE_PROBLEM_NONE);
    cr_expect(claim.existing_known);
    cr_expect_eq(claim.existing, 0);
}

Test(message_claim, ids_outside_their_range_are_refused)
{
    static const char *const members[] = {"\"job_id\":0,\"video_id\":1",
                                          "\"job_id\":-1,\"video_id\":1",
                                          "\"job_id\":1.5,\"video_id\":1",
                                          "\"job_id\":\"1\",\"video_id\":1",
                                          "\"job_id\":1e40,\"video_id\":1",
                                          "\"job_id\":true,\"video_id\":1",
                                          "\"job_id\":1,\"video_id\":0",
                                          "\"job_id\":1",
                                          "\"job_id\":1,\"video_id\":null",
                                          "\"job_id\":1,\"video_id\":-3",
                                          "\"job_id\":9007199254740994,\"video_id\":1"};
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        struct message_claim claim;
        TEXT(body) = must_printf("{%s,\"video_slug\":\"s\"}", members[i]);
        cr_expect_eq(parse_claim(body, &claim), TAILSLATE_PROBLEM_INVALID_FIELD, "%s", body);
    }
}

Test(message_claim, the_other_numbers_have_ranges_too)
{
    static const char *const members[] = {
        "\"video_duration\":-0.1",  "\"video_duration\":\"12\"", "\"source_width\":65536",
        "\"source_width\":-1",      "\"source_height\":65536",   "\"source_height\":1.5",
        "\"claim_epoch\":-1",       "\"claim_epoch\":\"1\"",     "\"attempt_number\":-1",
        "\"existing_qualities\":1", "\"existing_qualities\":{}", "\"claim_expires_at\":5",
        "\"retranscodes\":-1"};
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        struct message_claim claim;
        TEXT(body) = must_printf("{\"job_id\":1,\"video_id\":1,\"video_slug\":\"s\",%s}",
                                 members[i]);
        cr_expect_eq(parse_claim(body, &claim), TAILSLATE_PROBLEM_INVALID_FIELD, "%s", body);
    }
}

/* Both become parts of paths on the node. */
Test(message_claim, names_that_are_no_single_component_are_refused)
{
    TEXT(long_name) = must_malloc(FILENAME_BYTES + 1);
    memset(long_name, 'a', FILENAME_BYTES);
    long_name[FILENAME_BYTES] = '\0';
    const char *const names[] = {"..",        ".",     "a/b",   "/etc/passwd",
                                 "../x",      "x/..",  "a\\nb", "a\\u0001b",
                                 "a\\u007fb", "a\\tb", "\\/",   long_name};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct message_claim claim;
        TEXT(slug) = must_printf("{\"job_id\":1,\"video_id\":1,\"video_slug\":\"%s\"}", names[i]);
        cr_expect_eq(parse_claim(slug, &claim), TAILSLATE_PROBLEM_INVALID_FIELD, "%s", slug);
        TEXT(file) = must_printf("{\"job_id\":1,\"video_id\":1,\"video_slug\":\"s\","
                                 "\"source_filename\":\"%s\"}",
                                 names[i]);
        cr_expect_eq(parse_claim(file, &claim), TAILSLATE_PROBLEM_INVALID_FIELD, "%s", file);
    }
    struct message_claim claim;
    static const char nul[] = "{\"job_id\":1,\"video_id\":1,\"video_slug\":\"s\\u0000/../x\"}";
    cr_expect_eq(parse_claim(nul, &claim), TAILSLATE_PROBLEM_BAD_JSON);
}

Test(message_claim, odd_but_harmless_names_are_taken)
{
    static const char *const names[] = {
        "it's \\\"7\\\" $(x) \xc3\xbc.mp4", "...", "-rf", "a b", ".hidden", "100%"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct message_claim claim;
        TEXT(body) = must_printf("{\"job_id\":1,\"video_id\":1,\"video_slug\":\"s\","
                                 "\"source_filename\":\"%s\"}",
                                 names[i]);
        cr_expect_eq(parse_claim(body, &claim), TAILSLATE_PROBLEM_NONE, "%s", body);
    }
}

Test(message_claim, a_claim_without_a_slug_is_refused)
{
    struct message_claim claim;
    cr_expect_eq(parse_claim("{\"job_id\":1,\"video_id\":1}", &claim),
                 TAILSLATE_PROBLEM_INVALID_FIELD);
    cr_expect_eq(parse_claim("{\"job_id\":1,\"video_id\":1,\"video_slug\":\"\"}", &claim),
                 TAILSLATE_PROBLEM_INVALID_FIELD);
}

/* A stock worker reads every member; none may be left out. */
Test(message_claim, an_answer_without_a_job_has_every_member_as_null)
{
    char reason[64];
    TEXT(body) = message_no_job_format("");
    cr_expect_str_eq(body,
                     "{\"job_id\":null,\"video_id\":null,\"video_slug\":null,"
                     "\"video_duration\":null,\"source_width\":null,\"source_height\":null,"
                     "\"source_filename\":null,\"claim_expires_at\":null,"
                     "\"existing_qualities\":null,\"claim_epoch\":null,\"attempt_number\":null,"
                     "\"retranscodes\":null,\"message\":\"No job available\","
                     "\"waiting_reason\":null}");
    message_no_job_parse(body, strlen(body), reason, sizeof reason);
    cr_expect_str_eq(reason, "");
}

Test(message_claim, an_answer_without_a_job_may_say_why)
{
    char reason[16];
    TEXT(body) = message_no_job_format("the disk is full, \u00e4h");
    message_no_job_parse(body, strlen(body), reason, sizeof reason);
    cr_expect_str_eq(reason, "the disk is ful");
    message_no_job_parse("[]", 2, reason, sizeof reason);
    cr_expect_str_eq(reason, "");
}

Test(message, what_is_no_json_object_is_bad_json_everywhere)
{
    static const char *const bodies[] = {"",
                                         "[]",
                                         "null",
                                         "\"ok\"",
                                         "1",
                                         "<html>ok</html>",
                                         "{\"status\":\"ok\"",
                                         "{\"a\":\"\\u0000\"}"};
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct message_claim claim;
        struct message_failure failure;
        struct tailslate_acknowledgment answer;
        cr_expect_eq(parse_claim(bodies[i], &claim), TAILSLATE_PROBLEM_BAD_JSON, "%s", bodies[i]);
        cr_expect_eq(parse_failure(bodies[i], &failure), TAILSLATE_PROBLEM_BAD_JSON, "%s",
                     bodies[i]);
        cr_expect_eq(parse_answer(bodies[i], &answer), TAILSLATE_PROBLEM_BAD_JSON, "%s", bodies[i]);
        cr_expect_not(answer.status_ok);
    }
}

Test(tailslate_acknowledgment, our_server_s_echo_is_read)
{
    struct tailslate_acknowledgment answer;
    cr_assert_eq(parse_answer("{\"status\":\"ok\",\"message\":\"Job completed successfully\","
                              "\"token\":\"12-" UUID "\",\"job_id\":12,\"replayed\":true,"
                              "\"late\":true,\"completed_at\":\"2026-01-03T16:28:00+00:00\"}",
                              &answer),
                 TAILSLATE_PROBLEM_NONE);
    cr_expect(answer.status_ok && answer.replayed && answer.late);
    cr_expect_str_eq(answer.token, "12-" UUID);
    cr_expect_str_eq(answer.message, "Job completed successfully");
    cr_expect_str_eq(answer.completed_at, "2026-01-03T16:28:00+00:00");
    cr_expect_eq(answer.job_id, 12);
}

Test(tailslate_acknowledgment, a_stock_server_echoes_nothing)
{
    struct tailslate_acknowledgment answer;
    cr_assert_eq(parse_answer("{\"status\":\"ok\",\"message\":\"Job already completed\"}", &answer),
                 TAILSLATE_PROBLEM_NONE);
    cr_expect(answer.status_ok);
    cr_expect_str_eq(answer.token, "");
    cr_expect_eq(answer.job_id, TAILSLATE_ABSENT_INT);
    cr_expect_not(answer.replayed || answer.late);
}

Test(tailslate_acknowledgment, another_status_is_not_ok)
{
    static const char *const bodies[] = {"{}",
                                         "{\"status\":null}",
                                         "{\"status\":\"OK\"}",
                                         "{\"status\":\"okay\"}",
                                         "{\"status\":true}",
                                         "{\"status\":\"processing\"}",
                                         "{\"Status\":\"ok\"}"};
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct tailslate_acknowledgment answer;
        cr_expect_eq(parse_answer(bodies[i], &answer), TAILSLATE_PROBLEM_NONE);
        cr_expect_not(answer.status_ok, "%s", bodies[i]);
    }
}

Test(tailslate_acknowledgment, an_echo_that_is_no_token_acknowledges_nothing)
{
    static const char *const members[] = {
        "\"token\":\"\"",  "\"token\":5",       "\"token\":\"12\"",  "\"token\":\"12-" UUID " \"",
        "\"token\":{}",    "\"job_id\":0",      "\"job_id\":\"12\"", "\"replayed\":1",
        "\"late\":\"no\"", "\"completed_at\":7"};
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        struct tailslate_acknowledgment answer;
        TEXT(body) = must_printf("{\"status\":\"ok\",%s}", members[i]);
        cr_expect_eq(parse_answer(body, &answer), TAILSLATE_PROBLEM_INVALID_FIELD, "%s", body);
    }
}

Test(tailslate_acknowledgment, a_token_in_upper_case_is_the_same_token)
{
    struct tailslate_acknowledgment answer;
    cr_assert_eq(parse_answer("{\"token\":\"12-6F1C0C5E-5A7E-4F0E-9B1A-0123456789AB\"}", &answer),
                 TAILSLATE_PROBLEM_NONE);
    cr_expect_str_eq(answer.token, "12-" UUID);
}

Test(tailslate_acknowledgment, a_long_message_is_cut_between_characters)
{
    char text[300] = "";
    for (size_t i = 0; i < 126; i++)
        text[i] = 'a';
    strncat(text, "\xc3\xbc\n!", 10);
    TEXT(body) = must_printf("{\"message\":\"%.128s\"}", text);
    struct tailslate_acknowledgment answer;
    cr_assert_eq(parse_answer(body, &answer), TAILSLATE_PROBLEM_NONE);
    cr_expect_eq(strlen(answer.message), 126);
}

Test(message_failure, retry_is_the_default)
{
    struct message_failure failure;
    cr_assert_eq(parse_failure("{\"error_message\":\"no space\"}", &failure),
                 TAILSLATE_PROBLEM_NONE);
    cr_expect(failure.retry);
    cr_expect_str_eq(failure.reason, "no space");
    cr_assert_eq(parse_failure("{\"error_message\":\"\",\"retry\":false}", &failure),
                 TAILSLATE_PROBLEM_NONE);
    cr_expect_not(failure.retry);
    cr_assert_eq(parse_failure("{\"error_message\":\"x\",\"retry\":null}", &failure),
                 TAILSLATE_PROBLEM_NONE);
    cr_expect(failure.retry);
}

Test(message_failure, a_reason_must_be_a_text)
{
    static const char *const bodies[] = {"{}", "{\"error_message\":null}", "{\"error_message\":5}",
                                         "{\"error_message\":\"x\",\"retry\":\"yes\"}",
                                         "{\"error_message\":\"x\",\"retry\":1}"};
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct message_failure failure;
        cr_expect_eq(parse_failure(bodies[i], &failure), TAILSLATE_PROBLEM_INVALID_FIELD, "%s",
                     bodies[i]);
    }
}

static char *repeated(const char *unit, size_t count)
{
    char *text = must_calloc(count * strlen(unit) + 1, 1);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * strlen(unit), unit, strlen(unit));
    return text;
}

Test(message_failure, a_reason_has_five_hundred_characters_at_most)
{
    struct message_failure failure;
    TEXT(most) = repeated("a", 500);
    TEXT(body) = must_printf("{\"error_message\":\"%s\"}", most);
    cr_expect_eq(parse_failure(body, &failure), TAILSLATE_PROBLEM_NONE);
    cr_expect_str_eq(failure.reason, most);
    TEXT(over) = must_printf("{\"error_message\":\"%sa\"}", most);
    cr_expect_eq(parse_failure(over, &failure), TAILSLATE_PROBLEM_INVALID_FIELD);
}

/* A stock worker cuts at 500 characters, not bytes. */
Test(message_failure, a_reason_of_wide_characters_is_cut_and_not_refused)
{
    struct message_failure failure;
    TEXT(wide) = repeated("\xe2\x82\xac", 500);
    TEXT(body) = must_printf("{\"error_message\":\"%s\"}", wide);
    cr_assert_eq(parse_failure(body, &failure), TAILSLATE_PROBLEM_NONE);
    cr_expect_eq(strlen(failure.reason), 498);
    cr_expect_eq(strncmp(failure.reason, wide, 498), 0);
    TEXT(over) = must_printf("{\"error_message\":\"%s\xe2\x82\xac\"}", wide);
    cr_expect_eq(parse_failure(over, &failure), TAILSLATE_PROBLEM_INVALID_FIELD);
}

Test(message_failure, whatever_a_transcoder_says_becomes_a_report_that_can_be_read)
{
    struct message_failure failure = {.retry = false}, again;
    memset(failure.reason, 0xff, sizeof failure.reason - 1);
    failure.reason[0] = '\033'; /* a line break is kept, other control bytes are not */
    failure.reason[2] = '\n';
    TEXT(body) = message_failure_format(&failure);
    cr_assert_eq(parse_failure(body, &again), TAILSLATE_PROBLEM_NONE);
    cr_expect_eq(again.reason[0], ' ');
    cr_expect_eq(again.reason[1], '?');
    cr_expect_eq(again.reason[2], '\n');
    cr_expect_not(again.retry);
}

Test(message_failure, the_answer_has_the_stock_members)
{
    TEXT(body) = message_failure_answer_format(true, 2);
    cr_expect_str_eq(body, "{\"status\":\"ok\",\"will_retry\":true,\"attempt_number\":2}");
}
