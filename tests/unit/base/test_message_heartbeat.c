#include "base/message.h"
#include "lib/cleanup.h"
#include "lib/json.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static enum tailslate_problem parse(const char *body, struct message_heartbeat *heartbeat)
{
    struct error err = {.message = ""};
    enum tailslate_problem problem = message_heartbeat_parse(body, strlen(body), heartbeat, &err);
    cr_expect_eq(problem == TAILSLATE_PROBLEM_NONE, err.message[0] == '\0', "%.200s: %s", body,
                 err.message);
    return problem;
}

/* A refused one owns nothing: the leak checker sees it if it does. */
static void expect_problem(const char *body, enum tailslate_problem expected)
{
    struct message_heartbeat heartbeat;
    enum tailslate_problem problem = parse(body, &heartbeat);
    cr_expect_eq(problem, expected, "'%s': %.200s", tailslate_problem_code(problem), body);
    if (problem == TAILSLATE_PROBLEM_NONE)
        message_heartbeat_fini(&heartbeat);
    cr_expect_null(heartbeat.metadata);
    cr_expect_null(heartbeat.capabilities);
}

static void expect_metadata(const char *members, enum tailslate_problem expected)
{
    TEXT(body) = must_printf("{\"status\":\"idle\",\"metadata\":{%s}}", members);
    expect_problem(body, expected);
}

Test(heartbeat, a_stock_worker_s_sign_of_life_is_understood)
{
    struct message_heartbeat heartbeat;
    cr_assert_eq(
        parse("{\"status\":\"busy\",\"code_version\":\"abc123\",\"metadata\":{"
              "\"capabilities\":{\"hwaccel_enabled\":false,\"supported_codecs\":[\"h264\"]},"
              "\"deployment_type\":\"systemd\"}}",
              &heartbeat),
        TAILSLATE_PROBLEM_NONE);
    cr_expect_eq(heartbeat.status, WORKER_BUSY);
    cr_expect_str_eq(heartbeat.code_version, "abc123");
    cr_expect_not(heartbeat.jobs_known);
    cr_expect_str_eq(heartbeat.capabilities,
                     "{\"hwaccel_enabled\":false,\"supported_codecs\":[\"h264\"]}");
    cr_expect_str_eq(
        heartbeat.metadata,
        "{\"capabilities\":{\"hwaccel_enabled\":false,\"supported_codecs\":[\"h264\"]},"
        "\"deployment_type\":\"systemd\"}");
    message_heartbeat_fini(&heartbeat);
}

Test(heartbeat, nothing_said_is_active)
{
    struct message_heartbeat heartbeat;
    cr_assert_eq(parse("{\"metadata\":null}", &heartbeat), TAILSLATE_PROBLEM_NONE);
    cr_expect_eq(heartbeat.status, WORKER_ACTIVE);
    cr_expect_str_eq(heartbeat.code_version, "");
    cr_expect_null(heartbeat.metadata);
    cr_expect_null(heartbeat.capabilities);
}

Test(heartbeat, held_jobs_are_read)
{
    struct message_heartbeat heartbeat;
    cr_assert_eq(parse("{\"metadata\":{\"jobs\":[12,7,9007199254740992]}}", &heartbeat),
                 TAILSLATE_PROBLEM_NONE);
    cr_expect(heartbeat.jobs_known);
    cr_assert_eq(heartbeat.job_count, 3);
    cr_expect_eq(heartbeat.jobs[0], 12);
    cr_expect_eq(heartbeat.jobs[1], 7);
    cr_expect_eq(heartbeat.jobs[2], 9007199254740992);
    message_heartbeat_fini(&heartbeat);
}

/* "I hold none" is not "I do not say". */
Test(heartbeat, an_empty_list_of_jobs_is_known)
{
    struct message_heartbeat heartbeat;
    cr_assert_eq(parse("{\"metadata\":{\"jobs\":[]}}", &heartbeat), TAILSLATE_PROBLEM_NONE);
    cr_expect(heartbeat.jobs_known);
    cr_expect_eq(heartbeat.job_count, 0);
    message_heartbeat_fini(&heartbeat);
}

Test(heartbeat, held_jobs_are_ids_and_bounded)
{
    static const char *const refused[] = {"{}",    "5",       "\"5\"",  "[0]",    "[-1]",
                                          "[1.5]", "[\"1\"]", "[null]", "[1e40]", "[[1]]"};
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        TEXT(members) = must_printf("\"jobs\":%s", refused[i]);
        expect_metadata(members, TAILSLATE_PROBLEM_INVALID_FIELD);
    }
    char list[2 * HELD_JOBS_MAX + 2] = "";
    for (size_t i = 0; i < HELD_JOBS_MAX; i++)
        memcpy(list + 2 * i, "1,", 2);
    list[2 * HELD_JOBS_MAX - 1] = '\0';
    TEXT(most) = must_printf("\"jobs\":[%s]", list);
    expect_metadata(most, TAILSLATE_PROBLEM_NONE);
    TEXT(over) = must_printf("\"jobs\":[%s,1]", list);
    expect_metadata(over, TAILSLATE_PROBLEM_INVALID_FIELD);
}

Test(heartbeat, only_the_capabilities_a_stock_server_knows_are_taken)
{
    static const char *const known[] = {"hwaccel_enabled",
                                        "hwaccel_type",
                                        "gpu_name",
                                        "code_version",
                                        "supported_codecs",
                                        "encoders",
                                        "max_concurrent_encode_sessions",
                                        "ffmpeg_version",
                                        "driver_version",
                                        "cuda_version",
                                        "vaapi_device"};
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        TEXT(members) = must_printf("\"capabilities\":{\"%s\":null}", known[i]);
        expect_metadata(members, TAILSLATE_PROBLEM_NONE);
        TEXT(longer) = must_printf("\"capabilities\":{\"%s_\":null}", known[i]);
        expect_metadata(longer, TAILSLATE_PROBLEM_INVALID_FIELD);
    }
    expect_metadata("\"capabilities\":{}", TAILSLATE_PROBLEM_NONE);
    expect_metadata("\"capabilities\":null", TAILSLATE_PROBLEM_NONE);
    expect_metadata("\"capabilities\":[]", TAILSLATE_PROBLEM_INVALID_FIELD);
    expect_metadata("\"capabilities\":\"all\"", TAILSLATE_PROBLEM_INVALID_FIELD);
    expect_metadata("\"capabilities\":{\"jobs\":[1]}", TAILSLATE_PROBLEM_INVALID_FIELD);
    expect_metadata("\"capabilities\":{},\"jobs\":[0]", TAILSLATE_PROBLEM_INVALID_FIELD);
}

Test(heartbeat, a_deployment_type_is_one_of_four)
{
    expect_metadata("\"deployment_type\":\"kubernetes\"", TAILSLATE_PROBLEM_NONE);
    expect_metadata("\"deployment_type\":\"manual\"", TAILSLATE_PROBLEM_NONE);
    expect_metadata("\"deployment_type\":\"cloud\"", TAILSLATE_PROBLEM_INVALID_FIELD);
    expect_metadata("\"deployment_type\":1", TAILSLATE_PROBLEM_INVALID_FIELD);
}

Test(heartbeat, metadata_has_twenty_members_at_most)
{
    char members[512] = "";
    for (int i = 0; i < 20; i++)
        snprintf(members + strlen(members), sizeof members - strlen(members), "%s\"k%d\":%d",
                 i ? "," : "", i, i);
    expect_metadata(members, TAILSLATE_PROBLEM_NONE);
    TEXT(over) = must_printf("%s,\"k20\":20", members);
    expect_metadata(over, TAILSLATE_PROBLEM_INVALID_FIELD);
}

Test(heartbeat, metadata_has_ten_thousand_bytes_at_most)
{
    enum { WRAP = sizeof "{\"a\":\"\"}" - 1 };
    TEXT(filler) = must_malloc(10001);
    memset(filler, 'x', 10000);
    filler[10000 - WRAP] = '\0';
    TEXT(most) = must_printf("\"a\":\"%s\"", filler);
    expect_metadata(most, TAILSLATE_PROBLEM_NONE);
    TEXT(over) = must_printf("\"a\":\"x%s\"", filler);
    expect_metadata(over, TAILSLATE_PROBLEM_INVALID_FIELD);
    TEXT(spaced) = must_printf("   %s   \n\n", most);
    expect_metadata(spaced, TAILSLATE_PROBLEM_NONE);
}

Test(heartbeat, other_fields_are_checked_too)
{
    static const char *const refused[] = {
        "{\"status\":\"offline\"}",
        "{\"status\":\"\"}",
        "{\"status\":1}",
        "{\"metadata\":[]}",
        "{\"metadata\":\"x\"}",
        "{\"code_version\":5}",
        "{\"code_version\":\"a\\nb\"}",
        "{\"code_version\":\"12345678901234567890123456789012345678901\"}"};
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        expect_problem(refused[i], TAILSLATE_PROBLEM_INVALID_FIELD);
    expect_problem("{\"code_version\":\"1234567890123456789012345678901234567890\"}",
                   TAILSLATE_PROBLEM_NONE);
    expect_problem("{\"metadata\":{\"a\":1,\"a\":2}}", TAILSLATE_PROBLEM_BAD_JSON);
    expect_problem("[]", TAILSLATE_PROBLEM_BAD_JSON);
}

Test(heartbeat, jobs_and_capabilities_go_into_the_metadata_beside_the_rest)
{
    char metadata[] = "{\"deployment_type\":\"systemd\",\"jobs\":[99]}";
    char capabilities[] = "{\"ffmpeg_version\":\"5.1\"}";
    struct message_heartbeat heartbeat = {.status = WORKER_IDLE,
                                          .code_version = "0.1",
                                          .jobs_known = true,
                                          .jobs = {3, 4},
                                          .job_count = 2,
                                          .metadata = metadata,
                                          .capabilities = capabilities};
    TEXT(body) = message_heartbeat_format(&heartbeat);
    cr_expect_str_eq(body, "{\"status\":\"idle\",\"code_version\":\"0.1\",\"metadata\":{"
                           "\"deployment_type\":\"systemd\","
                           "\"capabilities\":{\"ffmpeg_version\":\"5.1\"},\"jobs\":[3,4]}}");
}

Test(heartbeat, the_fullest_list_of_jobs_still_fits_the_metadata)
{
    static const int64_t highest[] = {INT64_C(9007199254740992), 9999999, 99999, 2000};
    for (size_t h = 0; h < sizeof highest / sizeof *highest; h++) {
        struct message_heartbeat heartbeat = {.jobs_known = true}, again;
        heartbeat.metadata = must_printf("{\"node\":\"%0300d\"}", 1);
        for (size_t i = 0; i < HELD_JOBS_MAX; i++) {
            heartbeat.jobs[i] = highest[h] - (int64_t)i;
            if (message_heartbeat_fits(heartbeat.jobs, i + 1))
                heartbeat.job_count = i + 1;
        }
        cr_expect_geq(heartbeat.job_count, 400);
        TEXT(body) = message_heartbeat_format(&heartbeat);
        cr_assert_eq(parse(body, &again), TAILSLATE_PROBLEM_NONE, "%zu ids", heartbeat.job_count);
        cr_expect_eq(again.job_count, heartbeat.job_count);
        message_heartbeat_fini(&again);
        message_heartbeat_fini(&heartbeat);
    }
}

Test(heartbeat, registration_can_ask_about_capabilities)
{
    struct error err;
    JSON(good) = json_parse("{\"gpu_name\":\"x\"}", 16, &err);
    JSON(bad) = json_parse("{\"jobs\":1}", 10, &err);
    cr_expect(message_capabilities_check(good, &err));
    cr_expect_not(message_capabilities_check(bad, &err));
    cr_expect_not(message_capabilities_check(NULL, &err));
}
