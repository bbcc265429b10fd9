#include "base/message.h"
#include "lib/cleanup.h"
#include "lib/hash.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

#define UUID "6f1c0c5e-5a7e-4f0e-9b1a-0123456789ab"

enum { JOB = 12 };

static enum tailslate_problem parse(const char *body, struct tailslate_completion *completion)
{
    struct error err = {.message = ""};
    enum tailslate_problem problem = tailslate_completion_parse(body, strlen(body), JOB, completion,
                                                                err.message);
    cr_expect_eq(problem == TAILSLATE_PROBLEM_NONE, err.message[0] == '\0', "%s: %s", body,
                 err.message);
    return problem;
}

static void expect_problem(const char *body, enum tailslate_problem expected)
{
    struct tailslate_completion completion;
    enum tailslate_problem problem = parse(body, &completion);
    cr_expect_eq(problem, expected, "'%s' instead of '%s': %s", tailslate_problem_code(problem),
                 tailslate_problem_code(expected), body);
}

static void expect_rendition(const char *members, enum tailslate_problem expected)
{
    TEXT(body) = must_printf("{\"qualities\":[{%s}]}", members);
    expect_problem(body, expected);
}

static void fingerprint(const char *body, char hex[HASH_HEX_BYTES])
{
    struct tailslate_completion completion;
    cr_assert_eq(parse(body, &completion), TAILSLATE_PROBLEM_NONE, "%s", body);
    tailslate_completion_fingerprint(&completion, hex);
}

Test(completion, the_wire_s_example_is_understood)
{
    struct tailslate_completion completion;
    cr_assert_eq(parse("{ \"qualities\": [ {\"name\":\"720p\",\"width\":1280,\"height\":720,"
                       "\"bitrate\":2500} ],\n \"duration\": 12.5, \"source_width\": 1280, "
                       "\"source_height\": 720, \"streaming_format\": \"cmaf\", "
                       "\"streaming_codec\": \"h264\", \"completion_token\": \"12-" UUID "\" }",
                       &completion),
                 TAILSLATE_PROBLEM_NONE);
    cr_expect_eq(completion.rendition_count, 1);
    cr_expect_eq(completion.renditions[0].quality, TAILSLATE_QUALITY_720P);
    cr_expect_eq(completion.renditions[0].width, 1280);
    cr_expect_eq(completion.renditions[0].height, 720);
    cr_expect_eq(completion.renditions[0].bitrate_kbit, 2500);
    cr_expect_eq(completion.duration, 12.5);
    cr_expect_eq(completion.source_width, 1280);
    cr_expect_eq(completion.source_height, 720);
    cr_expect_eq(completion.format, TAILSLATE_FORMAT_CMAF);
    cr_expect_eq(completion.codec, TAILSLATE_CODEC_H264);
    cr_expect_str_eq(completion.token, "12-" UUID);
    cr_expect_eq(tailslate_completion_qualities(&completion), 1u << TAILSLATE_QUALITY_720P);
}

Test(completion, an_old_worker_s_body_is_enough)
{
    struct tailslate_completion completion;
    cr_assert_eq(
        parse("{\"qualities\":[],\"duration\":null,\"completion_token\":null}", &completion),
        TAILSLATE_PROBLEM_NONE);
    cr_expect_eq(completion.rendition_count, 0);
    cr_expect_eq(completion.duration, TAILSLATE_ABSENT_NUMBER);
    cr_expect_eq(completion.source_width, TAILSLATE_ABSENT_INT);
    cr_expect_eq(completion.format, TAILSLATE_FORMAT_ABSENT);
    cr_expect_eq(completion.codec, TAILSLATE_CODEC_ABSENT);
    cr_expect_str_eq(completion.token, "");
}

Test(completion, qualities_must_be_a_list_of_known_names_each_once)
{
    static const char *const bodies[] = {
        "{}",
        "{\"qualities\":null}",
        "{\"qualities\":{}}",
        "{\"qualities\":\"720p\"}",
        "{\"qualities\":[\"720p\"]}",
        "{\"qualities\":[null]}",
        "{\"qualities\":[[]]}",
        "{\"qualities\":[{\"name\":\"720p\",\"width\":1,\"height\":1,\"bitrate\":1},"
        "{\"name\":\"480p\",\"width\":1,\"height\":1,\"bitrate\":1},"
        "{\"name\":\"720p\",\"width\":2,\"height\":2,\"bitrate\":2}]}",
    };
    for (size_t i = 0; i < COUNT_OF(bodies); i++)
        expect_problem(bodies[i], TAILSLATE_PROBLEM_INVALID_FIELD);
}

Test(completion, more_qualities_than_there_are_is_refused_before_they_are_read)
{
    TEXT(one) = must_printf("{\"name\":\"720p\",\"width\":1,\"height\":1,\"bitrate\":1}");
    TEXT(eight) = must_printf("{\"qualities\":[%s,%s,%s,%s,%s,%s,%s,%s]}", one, one, one, one, one,
                              one, one, one);
    expect_problem(eight, TAILSLATE_PROBLEM_INVALID_FIELD);
}

Test(completion, a_rendition_is_whole_and_in_range)
{
    static const char *const taken[] = {
        "\"name\":\"720p\",\"width\":1,\"height\":1,\"bitrate\":0",
        "\"name\":\"original\",\"width\":65535,\"height\":65535,\"bitrate\":2147483647",
        "\"bitrate\":1.0,\"name\":\"360p\",\"height\":3.6e2,\"width\":640,\"other\":{}",
    };
    static const char *const refused[] = {
        "",
        "\"width\":1,\"height\":1,\"bitrate\":1",
        "\"name\":\"721p\",\"width\":1,\"height\":1,\"bitrate\":1",
        "\"name\":\"720P\",\"width\":1,\"height\":1,\"bitrate\":1",
        "\"name\":720,\"width\":1,\"height\":1,\"bitrate\":1",
        "\"name\":\"../x\",\"width\":1,\"height\":1,\"bitrate\":1",
        "\"name\":\"720p\",\"height\":1,\"bitrate\":1",
        "\"name\":\"720p\",\"width\":1,\"bitrate\":1",
        "\"name\":\"720p\",\"width\":1,\"height\":1",
        "\"name\":\"720p\",\"width\":null,\"height\":1,\"bitrate\":1",
        "\"name\":\"720p\",\"width\":0,\"height\":1,\"bitrate\":1",
        "\"name\":\"720p\",\"width\":65536,\"height\":1,\"bitrate\":1",
        "\"name\":\"720p\",\"width\":1,\"height\":0,\"bitrate\":1",
        "\"name\":\"720p\",\"width\":1,\"height\":65536,\"bitrate\":1",
        "\"name\":\"720p\",\"width\":1.5,\"height\":1,\"bitrate\":1",
        "\"name\":\"720p\",\"width\":\"1\",\"height\":1,\"bitrate\":1",
        "\"name\":\"720p\",\"width\":1e40,\"height\":1,\"bitrate\":1",
        "\"name\":\"720p\",\"width\":1,\"height\":1,\"bitrate\":-1",
        "\"name\":\"720p\",\"width\":1,\"height\":1,\"bitrate\":2147483648",
    };
    for (size_t i = 0; i < COUNT_OF(taken); i++)
        expect_rendition(taken[i], TAILSLATE_PROBLEM_NONE);
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        expect_rendition(refused[i], TAILSLATE_PROBLEM_INVALID_FIELD);
}

Test(completion, the_other_fields_have_their_ranges)
{
    static const char *const taken[] = {"\"duration\":0",
                                        "\"duration\":-0",
                                        "\"source_width\":65535",
                                        "\"streaming_format\":\"hls_ts\"",
                                        "\"streaming_codec\":\"hevc\"",
                                        "\"streaming_codec\":\"av1\"",
                                        "\"duration\":1e300"};
    static const char *const refused[] = {
        "\"duration\":-0.001",         "\"duration\":\"12.5\"",  "\"duration\":true",
        "\"source_width\":0",          "\"source_width\":65536", "\"source_height\":0",
        "\"source_height\":1e40",      "\"source_height\":[1]",  "\"streaming_format\":\"dash\"",
        "\"streaming_format\":\"\"",   "\"streaming_format\":1", "\"streaming_codec\":\"h265\"",
        "\"streaming_codec\":\"H264\""};
    for (size_t i = 0; i < COUNT_OF(taken); i++) {
        TEXT(body) = must_printf("{\"qualities\":[],%s}", taken[i]);
        expect_problem(body, TAILSLATE_PROBLEM_NONE);
    }
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        TEXT(body) = must_printf("{\"qualities\":[],%s}", refused[i]);
        expect_problem(body, TAILSLATE_PROBLEM_INVALID_FIELD);
    }
}

Test(completion, a_token_of_another_form_is_malformed)
{
    static const char *const tokens[] = {
        "\"\"",
        "5",
        "{}",
        "true",
        "\"12\"",
        "\"" UUID "\"",
        "\"12_" UUID "\"",
        "\" 12-" UUID "\"",
        "\"12-" UUID "\\n\"",
        "\"-12-" UUID "\"",
        "\"012-" UUID "\"",
        "\"0-" UUID "\"",
        "\"12-6f1c0c5e-5a7e-1f0e-9b1a-0123456789ab\"", /* version 1 */
        "\"12-6f1c0c5e-5a7e-4f0e-cb1a-0123456789ab\"", /* another variant */
        "\"12-6f1c0c5e5a7e4f0e9b1a0123456789ab\"",
        "\"99999999999999999999-" UUID "\"",
    };
    for (size_t i = 0; i < COUNT_OF(tokens); i++) {
        TEXT(body) = must_printf("{\"qualities\":[],\"completion_token\":%s}", tokens[i]);
        expect_problem(body, TAILSLATE_PROBLEM_TOKEN_MALFORMED);
    }
    char zeros[201];
    memset(zeros, '1', sizeof zeros - 1);
    zeros[sizeof zeros - 1] = '\0';
    TEXT(body) = must_printf("{\"qualities\":[],\"completion_token\":\"%s-" UUID "\"}", zeros);
    expect_problem(body, TAILSLATE_PROBLEM_TOKEN_MALFORMED);
}

/* cJSON would cut it there and let the first part pass as a good token. */
Test(completion, a_poisoned_token_is_no_token)
{
    expect_problem("{\"qualities\":[],\"completion_token\":\"12-" UUID "\\u0000x\"}",
                   TAILSLATE_PROBLEM_BAD_JSON);
    expect_problem("{\"qualities\":[],\"completion_token\":\"12-" UUID "\\\\u0000\"}",
                   TAILSLATE_PROBLEM_TOKEN_MALFORMED);
}

Test(completion, a_token_of_another_job_is_a_mismatch)
{
    expect_problem("{\"qualities\":[],\"completion_token\":\"13-" UUID "\"}",
                   TAILSLATE_PROBLEM_TOKEN_MISMATCH);
    expect_problem("{\"qualities\":[],\"completion_token\":\"1-" UUID "\"}",
                   TAILSLATE_PROBLEM_TOKEN_MISMATCH);
    expect_problem("{\"qualities\":[],\"completion_token\":\"120-" UUID "\"}",
                   TAILSLATE_PROBLEM_TOKEN_MISMATCH);
}

Test(completion, a_token_is_kept_in_lower_case)
{
    struct tailslate_completion completion;
    cr_assert_eq(parse("{\"qualities\":[],\"completion_token\":"
                       "\"12-6F1C0C5E-5A7E-4F0E-9B1A-0123456789AB\"}",
                       &completion),
                 TAILSLATE_PROBLEM_NONE);
    cr_expect_str_eq(completion.token, "12-" UUID);
}

#define FIRST  "{\"name\":\"720p\",\"width\":1280,\"height\":720,\"bitrate\":2500}"
#define SECOND "{\"name\":\"360p\",\"width\":640,\"height\":360,\"bitrate\":600}"
#define WHOLE                                                                                      \
    "{\"qualities\":[" FIRST "," SECOND "],\"duration\":12.5,\"source_width\":1280,"               \
    "\"source_height\":720,\"streaming_format\":\"cmaf\",\"streaming_codec\":\"h264\"}"

Test(fingerprint, the_same_completion_in_another_dress_is_the_same)
{
    static const char *const same[] = {
        /* the qualities in another order */
        "{\"qualities\":[" SECOND "," FIRST "],\"duration\":12.5,\"source_width\":1280,"
        "\"source_height\":720,\"streaming_format\":\"cmaf\",\"streaming_codec\":\"h264\"}",
        /* members in another order, blanks, numbers written otherwise, a member nobody knows */
        " {\n\t\"streaming_codec\" : \"h264\", \"source_height\":7.2e2,\"unknown\":[1,{}],"
        "\"streaming_format\":\"\\u0063maf\",\"duration\":12.50,\"source_width\":1280.0,"
        "\"qualities\":[" FIRST ",{\"bitrate\":6e2,\"height\":360.00,\"width\":640,"
        "\"name\":\"360p\"}]}",
        "{\"qualities\":[" FIRST "," SECOND "],\"duration\":1.25e1,\"source_width\":1280,"
        "\"source_height\":720,\"streaming_format\":\"cmaf\",\"streaming_codec\":\"h264\"}",
        "{\"qualities\":[" FIRST "," SECOND "],\"duration\":0.125E+2,\"source_width\":1280,"
        "\"source_height\":720,\"streaming_format\":\"cmaf\",\"streaming_codec\":\"h264\"}",
        /* with a token */
        "{\"qualities\":[" FIRST "," SECOND "],\"duration\":12.5,\"source_width\":1280,"
        "\"source_height\":720,\"streaming_format\":\"cmaf\",\"streaming_codec\":\"h264\","
        "\"completion_token\":\"12-" UUID "\"}",
    };
    char expected[HASH_HEX_BYTES], hex[HASH_HEX_BYTES];
    fingerprint(WHOLE, expected);
    for (size_t i = 0; i < COUNT_OF(same); i++) {
        fingerprint(same[i], hex);
        cr_expect_str_eq(hex, expected, "%s", same[i]);
    }
}

Test(fingerprint, any_field_changed_is_another)
{
    static const char *const others[] = {
        WHOLE,
        "{\"qualities\":[" FIRST "],\"duration\":12.5,\"source_width\":1280,"
        "\"source_height\":720,\"streaming_format\":\"cmaf\",\"streaming_codec\":\"h264\"}",
        "{\"qualities\":[" FIRST "," SECOND "],\"duration\":12.51,\"source_width\":1280,"
        "\"source_height\":720,\"streaming_format\":\"cmaf\",\"streaming_codec\":\"h264\"}",
        "{\"qualities\":[" FIRST "," SECOND "],\"source_width\":1280,"
        "\"source_height\":720,\"streaming_format\":\"cmaf\",\"streaming_codec\":\"h264\"}",
        "{\"qualities\":[" FIRST "," SECOND "],\"duration\":0,\"source_width\":1280,"
        "\"source_height\":720,\"streaming_format\":\"cmaf\",\"streaming_codec\":\"h264\"}",
        "{\"qualities\":[" FIRST "," SECOND "],\"duration\":12.5,\"source_width\":720,"
        "\"source_height\":1280,\"streaming_format\":\"cmaf\",\"streaming_codec\":\"h264\"}",
        "{\"qualities\":[" FIRST "," SECOND "],\"duration\":12.5,\"source_height\":720,"
        "\"streaming_format\":\"cmaf\",\"streaming_codec\":\"h264\"}",
        "{\"qualities\":[" FIRST "," SECOND "],\"duration\":12.5,\"source_width\":1280,"
        "\"source_height\":720,\"streaming_format\":\"hls_ts\",\"streaming_codec\":\"h264\"}",
        "{\"qualities\":[" FIRST "," SECOND "],\"duration\":12.5,\"source_width\":1280,"
        "\"source_height\":720,\"streaming_codec\":\"h264\"}",
        "{\"qualities\":[" FIRST "," SECOND "],\"duration\":12.5,\"source_width\":1280,"
        "\"source_height\":720,\"streaming_format\":\"cmaf\",\"streaming_codec\":\"av1\"}",
        "{\"qualities\":[" FIRST "," SECOND "],\"duration\":12.5,\"source_width\":1280,"
        "\"source_height\":720,\"streaming_format\":\"cmaf\"}",
        "{\"qualities\":[" FIRST
        ",{\"name\":\"360p\",\"width\":640,\"height\":360,\"bitrate\":601}],"
        "\"duration\":12.5,\"source_width\":1280,"
        "\"source_height\":720,\"streaming_format\":\"cmaf\",\"streaming_codec\":\"h264\"}",
        "{\"qualities\":[" FIRST
        ",{\"name\":\"480p\",\"width\":640,\"height\":360,\"bitrate\":600}],"
        "\"duration\":12.5,\"source_width\":1280,"
        "\"source_height\":720,\"streaming_format\":\"cmaf\",\"streaming_codec\":\"h264\"}",
        "{\"qualities\":[" FIRST
        ",{\"name\":\"360p\",\"width\":360,\"height\":640,\"bitrate\":600}],"
        "\"duration\":12.5,\"source_width\":1280,"
        "\"source_height\":720,\"streaming_format\":\"cmaf\",\"streaming_codec\":\"h264\"}",
    };
    char hex[COUNT_OF(others)][HASH_HEX_BYTES];
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        fingerprint(others[i], hex[i]);
        for (size_t j = 0; j < i; j++)
            cr_expect_str_neq(hex[i], hex[j], "%s\n%s", others[i], others[j]);
    }
}

/* It is stored for as long as the job: another canonical form would answer `token_reused` to
 * every replay across an upgrade. */
Test(fingerprint, the_canonical_form_stays_what_it_is)
{
    static const char canonical[] = "720p 1280 720 2500\n"
                                    "360p 640 360 600\n"
                                    "duration 12.500000\n"
                                    "source 1280 720\n"
                                    "streaming cmaf h264\n";
    char expected[HASH_HEX_BYTES], hex[HASH_HEX_BYTES];
    hash_bytes(canonical, sizeof canonical - 1, expected);
    fingerprint(WHOLE, hex);
    cr_expect_str_eq(hex, expected);
}

Test(fingerprint, minus_nothing_is_nothing)
{
    char plain[HASH_HEX_BYTES], minus[HASH_HEX_BYTES];
    fingerprint("{\"qualities\":[],\"duration\":0}", plain);
    fingerprint("{\"qualities\":[],\"duration\":-0.0}", minus);
    cr_expect_str_eq(minus, plain);
}

Test(fingerprint, a_duration_of_any_size_has_one)
{
    char hex[HASH_HEX_BYTES];
    fingerprint("{\"qualities\":[],\"duration\":1.7976931348623157e308}", hex);
    cr_expect_eq(strlen(hex), HASH_HEX_BYTES - 1);
}

Test(completion, names_of_formats_and_codecs_are_the_wire_s)
{
    cr_expect_null(tailslate_format_name(TAILSLATE_FORMAT_ABSENT));
    cr_expect_str_eq(tailslate_format_name(TAILSLATE_FORMAT_CMAF), "cmaf");
    cr_expect_str_eq(tailslate_format_name(TAILSLATE_FORMAT_HLS_TS), "hls_ts");
    cr_expect_null(tailslate_codec_name(TAILSLATE_CODEC_ABSENT));
    cr_expect_str_eq(tailslate_codec_name(TAILSLATE_CODEC_H264), "h264");
    cr_expect_str_eq(tailslate_codec_name(TAILSLATE_CODEC_HEVC), "hevc");
    cr_expect_str_eq(tailslate_codec_name(TAILSLATE_CODEC_AV1), "av1");
}
