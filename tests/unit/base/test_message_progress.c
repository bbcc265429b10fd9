#include "base/message.h"
#include "lib/cleanup.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static enum tailslate_problem parse(const char *body, struct message_progress *progress)
{
    struct error err = {.message = ""};
    enum tailslate_problem problem = message_progress_parse(body, strlen(body), progress, &err);
    cr_expect_eq(problem == TAILSLATE_PROBLEM_NONE, err.message[0] == '\0', "%s: %s", body,
                 err.message);
    return problem;
}

static void expect_problem(const char *members, enum tailslate_problem expected)
{
    struct message_progress progress;
    TEXT(body) = must_printf("{%s}", members);
    cr_expect_eq(parse(body, &progress), expected, "%s", body);
}

Test(progress, a_stock_worker_s_report_is_understood)
{
    struct message_progress progress;
    cr_assert_eq(parse("{\"current_step\":\"transcode\",\"progress_percent\":42,"
                       "\"quality_progress\":[{\"name\":\"720p\",\"status\":\"in_progress\","
                       "\"progress\":80},{\"name\":\"360p\",\"status\":\"pending\",\"progress\":0,"
                       "\"segments_total\":9,\"segments_completed\":0}],\"duration\":12.5,"
                       "\"source_width\":1280,\"source_height\":720}",
                       &progress),
                 TAILSLATE_PROBLEM_NONE);
    cr_expect_eq(progress.step, WORK_TRANSCODE);
    cr_expect_eq(progress.percent, 42);
    cr_assert_eq(progress.quality_count, 2);
    cr_expect_eq(progress.qualities[0].quality, TAILSLATE_QUALITY_720P);
    cr_expect_eq(progress.qualities[0].status, QUALITY_STATUS_IN_PROGRESS);
    cr_expect_eq(progress.qualities[0].percent, 80);
    cr_expect_eq(progress.qualities[0].segments_total, TAILSLATE_ABSENT_INT);
    cr_expect_eq(progress.qualities[1].segments_total, 9);
    cr_expect_eq(progress.qualities[1].segments_completed, 0);
    cr_expect_eq(progress.duration, 12.5);
    cr_expect_eq(progress.source_width, 1280);
    cr_expect_eq(progress.source_height, 720);
}

Test(progress, an_empty_report_keeps_a_claim)
{
    struct message_progress progress;
    cr_assert_eq(parse("{}", &progress), TAILSLATE_PROBLEM_NONE);
    cr_expect_eq(progress.step, WORK_ABSENT);
    cr_expect_eq(progress.percent, TAILSLATE_ABSENT_INT);
    cr_expect_eq(progress.quality_count, 0);
    cr_expect_eq(progress.duration, TAILSLATE_ABSENT_NUMBER);
    cr_expect_eq(progress.source_width, TAILSLATE_ABSENT_INT);
    cr_expect_eq(progress.source_height, TAILSLATE_ABSENT_INT);
}

Test(progress, fields_have_their_ranges)
{
    static const char *const taken[] = {"\"progress_percent\":0",  "\"progress_percent\":100",
                                        "\"duration\":0",          "\"source_width\":65535",
                                        "\"quality_progress\":[]", "\"current_step\":null"};
    static const char *const refused[] = {
        "\"progress_percent\":-1",      "\"progress_percent\":101",  "\"progress_percent\":1.5",
        "\"progress_percent\":\"50\"",  "\"duration\":-1",           "\"source_width\":0",
        "\"source_height\":0",          "\"source_width\":65536",    "\"current_step\":\"encode\"",
        "\"current_step\":1",           "\"current_step\":\"\"",     "\"quality_progress\":{}",
        "\"quality_progress\":[\"a\"]", "\"quality_progress\":\"a\""};
    for (size_t i = 0; i < COUNT_OF(taken); i++)
        expect_problem(taken[i], TAILSLATE_PROBLEM_NONE);
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        expect_problem(refused[i], TAILSLATE_PROBLEM_INVALID_FIELD);
}

Test(progress, a_quality_s_progress_has_them_too)
{
    static const char *const refused[] = {
        "\"status\":\"pending\"",
        "\"name\":\"720p\"",
        "\"name\":\"720p\",\"status\":null",
        "\"name\":\"720p\",\"status\":\"done\"",
        "\"name\":\"9p\",\"status\":\"pending\"",
        "\"name\":\"720p\",\"status\":\"pending\",\"progress\":101",
        "\"name\":\"720p\",\"status\":\"pending\",\"progress\":-1",
        "\"name\":\"720p\",\"status\":\"pending\",\"segments_total\":-1",
        "\"name\":\"720p\",\"status\":\"pending\",\"segments_total\":2147483648",
        "\"name\":\"720p\",\"status\":\"pending\",\"segments_completed\":\"1\"",
        "\"name\":\"720p\",\"status\":\"pending\"},{\"name\":\"720p\",\"status\":\"pending\"",
    };
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        TEXT(members) = must_printf("\"quality_progress\":[{%s}]", refused[i]);
        expect_problem(members, TAILSLATE_PROBLEM_INVALID_FIELD);
    }
    expect_problem("\"quality_progress\":[{\"name\":\"720p\",\"status\":\"pending\"}]",
                   TAILSLATE_PROBLEM_NONE);
}

Test(progress, every_step_and_status_of_the_wire_is_a_word)
{
    static const char *const steps[] = {"download",        "probe",  "thumbnail", "transcode",
                                        "master_playlist", "upload", "finalize"};
    static const char *const statuses[] = {"pending",  "in_progress", "uploading", "completed",
                                           "uploaded", "failed",      "skipped"};
    for (unsigned i = 0; i < COUNT_OF(steps); i++) {
        struct message_progress progress;
        TEXT(body) = must_printf("{\"current_step\":\"%s\"}", steps[i]);
        cr_expect_eq(parse(body, &progress), TAILSLATE_PROBLEM_NONE);
        cr_expect_eq(progress.step, WORK_DOWNLOAD + i);
        cr_expect_str_eq(work_step_name(progress.step), steps[i]);
    }
    for (unsigned i = 0; i < COUNT_OF(statuses); i++)
        cr_expect_str_eq(quality_status_name((enum quality_status)i), statuses[i]);
    cr_expect_null(work_step_name(WORK_ABSENT));
}

Test(progress, bad_json_is_said_to_be_that)
{
    struct message_progress progress;
    cr_expect_eq(parse("{\"progress_percent\":NaN}", &progress), TAILSLATE_PROBLEM_BAD_JSON);
    cr_expect_eq(parse("[]", &progress), TAILSLATE_PROBLEM_BAD_JSON);
}
