#include "base/message.h"
#include "lib/cleanup.h"
#include "lib/hash.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

/* Format, then parse: what one side says is what the other understands. */

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

#define TOKEN "12-6f1c0c5e-5a7e-4f0e-9b1a-0123456789ab"
#define WHEN  "2026-01-03T16:28:00.123456+00:00"

static const struct message_claim claims[] = {
    {.job_id = 12,
     .video_id = 9007199254740992,
     .video_slug = "my-film",
     .source_filename = "it's \"7\" \\ $(x) \xc3\xbc.mp4",
     .duration = 1861.04,
     .source_width = 1920,
     .source_height = 1080,
     .claim_expires_at = WHEN,
     .existing_known = true,
     .existing = (1u << TAILSLATE_QUALITY_COUNT) - 1,
     .claim_epoch = 3,
     .attempt_number = 1,
     .retranscodes = 2},
    {.job_id = 1,
     .video_id = 1,
     .video_slug = "s",
     .duration = 0,
     .source_width = 0,
     .source_height = 65535,
     .existing_known = true,
     .claim_epoch = 0,
     .attempt_number = 0},
    {.job_id = 9007199254740992,
     .video_id = 1,
     .video_slug = "...",
     .duration = TAILSLATE_ABSENT_NUMBER,
     .source_width = TAILSLATE_ABSENT_INT,
     .source_height = TAILSLATE_ABSENT_INT,
     .claim_epoch = TAILSLATE_ABSENT_INT,
     .attempt_number = TAILSLATE_ABSENT_INT},
    {.duration = TAILSLATE_ABSENT_NUMBER,
     .source_width = TAILSLATE_ABSENT_INT,
     .source_height = TAILSLATE_ABSENT_INT,
     .claim_epoch = TAILSLATE_ABSENT_INT,
     .attempt_number = TAILSLATE_ABSENT_INT},
};

Test(roundtrip, a_claim_is_heard_as_it_was_said)
{
    for (size_t i = 0; i < COUNT_OF(claims); i++) {
        const struct message_claim *said = &claims[i];
        struct message_claim heard;
        struct error err = {.message = ""};
        TEXT(body) = message_claim_format(said, "m");
        cr_assert_eq(message_claim_parse(body, strlen(body), &heard, &err), TAILSLATE_PROBLEM_NONE,
                     "%s: %s", body, err.message);
        cr_expect_eq(heard.job_id, said->job_id);
        cr_expect_eq(heard.video_id, said->video_id);
        cr_expect_str_eq(heard.video_slug, said->video_slug);
        cr_expect_str_eq(heard.source_filename, said->source_filename);
        cr_expect(heard.duration == said->duration);
        cr_expect_eq(heard.source_width, said->source_width);
        cr_expect_eq(heard.source_height, said->source_height);
        cr_expect_str_eq(heard.claim_expires_at, said->claim_expires_at);
        cr_expect_eq(heard.existing_known, said->existing_known);
        cr_expect_eq(heard.existing, said->existing);
        cr_expect_eq(heard.claim_epoch, said->claim_epoch);
        cr_expect_eq(heard.attempt_number, said->attempt_number);
        cr_expect_eq(heard.retranscodes, said->retranscodes);
    }
}

static const struct tailslate_completion completions[] = {
    {.renditions = {{TAILSLATE_QUALITY_360P, 640, 360, 600},
                    {TAILSLATE_QUALITY_ORIGINAL, 65535, 1, 0},
                    {TAILSLATE_QUALITY_2160P, 3840, 2160, 2147483647},
                    {TAILSLATE_QUALITY_1440P, 1, 65535, 1},
                    {TAILSLATE_QUALITY_1080P, 1920, 1080, 5000},
                    {TAILSLATE_QUALITY_720P, 1280, 720, 2500},
                    {TAILSLATE_QUALITY_480P, 854, 480, 1000}},
     .rendition_count = 7,
     .duration = 12.345678901234567,
     .source_width = 3840,
     .source_height = 2160,
     .format = TAILSLATE_FORMAT_HLS_TS,
     .codec = TAILSLATE_CODEC_AV1,
     .token = TOKEN},
    {.duration = 0,
     .source_width = 1,
     .source_height = 1,
     .format = TAILSLATE_FORMAT_CMAF,
     .codec = TAILSLATE_CODEC_HEVC},
    {.duration = TAILSLATE_ABSENT_NUMBER,
     .source_width = TAILSLATE_ABSENT_INT,
     .source_height = TAILSLATE_ABSENT_INT},
};

static void expect_same_completion(const struct tailslate_completion *heard,
                                   const struct tailslate_completion *said)
{
    cr_assert_eq(heard->rendition_count, said->rendition_count);
    for (size_t i = 0; i < said->rendition_count; i++) {
        cr_expect_eq(heard->renditions[i].quality, said->renditions[i].quality);
        cr_expect_eq(heard->renditions[i].width, said->renditions[i].width);
        cr_expect_eq(heard->renditions[i].height, said->renditions[i].height);
        cr_expect_eq(heard->renditions[i].bitrate_kbit, said->renditions[i].bitrate_kbit);
    }
    cr_expect(heard->duration == said->duration);
    cr_expect_eq(heard->source_width, said->source_width);
    cr_expect_eq(heard->source_height, said->source_height);
    cr_expect_eq(heard->format, said->format);
    cr_expect_eq(heard->codec, said->codec);
    cr_expect_str_eq(heard->token, said->token);
}

Test(roundtrip, a_completion_is_heard_as_it_was_said)
{
    for (size_t i = 0; i < COUNT_OF(completions); i++) {
        struct tailslate_completion heard;
        struct error err = {.message = ""};
        TEXT(body) = tailslate_completion_format(&completions[i]);
        cr_assert_eq(tailslate_completion_parse(body, strlen(body), 12, &heard, err.message),
                     TAILSLATE_PROBLEM_NONE, "%s: %s", body, err.message);
        expect_same_completion(&heard, &completions[i]);
        char said_hex[HASH_HEX_BYTES], heard_hex[HASH_HEX_BYTES];
        tailslate_completion_fingerprint(&completions[i], said_hex);
        tailslate_completion_fingerprint(&heard, heard_hex);
        cr_expect_str_eq(heard_hex, said_hex);
    }
}

Test(roundtrip, an_acknowledgment_is_heard_as_it_was_said)
{
    static const struct tailslate_acknowledgment answers[] = {
        {.status_ok = true,
         .message = "Job already completed",
         .token = TOKEN,
         .job_id = 12,
         .replayed = true,
         .late = true,
         .completed_at = WHEN},
        {.status_ok = true, .message = "", .job_id = TAILSLATE_ABSENT_INT},
        {.status_ok = false, .message = "\"quoted\" \xe2\x82\xac", .job_id = 1, .late = true},
    };
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        const struct tailslate_acknowledgment *said = &answers[i];
        struct tailslate_acknowledgment heard;
        struct error err = {.message = ""};
        TEXT(body) = tailslate_acknowledgment_format(said);
        cr_assert_eq(tailslate_acknowledgment_parse(body, strlen(body), &heard, err.message),
                     TAILSLATE_PROBLEM_NONE, "%s: %s", body, err.message);
        cr_expect_eq(heard.status_ok, said->status_ok);
        cr_expect_str_eq(heard.message, said->message);
        cr_expect_str_eq(heard.token, said->token);
        cr_expect_eq(heard.job_id, said->job_id);
        cr_expect_eq(heard.replayed, said->replayed);
        cr_expect_eq(heard.late, said->late);
        cr_expect_str_eq(heard.completed_at, said->completed_at);
    }
}

Test(roundtrip, a_failure_is_heard_as_it_was_said)
{
    struct message_failure failures[] = {
        {.reason = "", .retry = true},
        {.reason = "ffmpeg: \"/tmp/a b\" \xc3\xbc", .retry = false},
        {.retry = true}};
    memset(failures[2].reason, 'x', REASON_BYTES - 1);
    for (size_t i = 0; i < COUNT_OF(failures); i++) {
        struct message_failure heard;
        struct error err = {.message = ""};
        TEXT(body) = message_failure_format(&failures[i]);
        cr_assert_eq(message_failure_parse(body, strlen(body), &heard, &err),
                     TAILSLATE_PROBLEM_NONE, "%s: %s", body, err.message);
        cr_expect_str_eq(heard.reason, failures[i].reason);
        cr_expect_eq(heard.retry, failures[i].retry);
    }
}

static const struct message_progress reports[] = {
    {.step = WORK_UPLOAD,
     .percent = 100,
     .qualities = {{TAILSLATE_QUALITY_2160P, QUALITY_STATUS_PENDING, 0, TAILSLATE_ABSENT_INT,
                    TAILSLATE_ABSENT_INT},
                   {TAILSLATE_QUALITY_1440P, QUALITY_STATUS_IN_PROGRESS, 1, 0, 0},
                   {TAILSLATE_QUALITY_1080P, QUALITY_STATUS_UPLOADING, 50, 2147483647, 3},
                   {TAILSLATE_QUALITY_720P, QUALITY_STATUS_COMPLETED, 99, 5, TAILSLATE_ABSENT_INT},
                   {TAILSLATE_QUALITY_480P, QUALITY_STATUS_UPLOADED, 100, TAILSLATE_ABSENT_INT, 5},
                   {TAILSLATE_QUALITY_360P, QUALITY_STATUS_FAILED, 7, 5, 5},
                   {TAILSLATE_QUALITY_ORIGINAL, QUALITY_STATUS_SKIPPED, 0, 1, 1}},
     .quality_count = 7,
     .duration = 0.1,
     .source_width = 1,
     .source_height = 65535},
    {.percent = 0,
     .duration = 0,
     .source_width = TAILSLATE_ABSENT_INT,
     .source_height = TAILSLATE_ABSENT_INT},
    {.step = WORK_DOWNLOAD,
     .percent = TAILSLATE_ABSENT_INT,
     .duration = TAILSLATE_ABSENT_NUMBER,
     .source_width = TAILSLATE_ABSENT_INT,
     .source_height = TAILSLATE_ABSENT_INT},
};

static void expect_same_progress(const struct message_progress *heard,
                                 const struct message_progress *said)
{
    cr_expect_eq(heard->step, said->step);
    cr_expect_eq(heard->percent, said->percent);
    cr_expect(heard->duration == said->duration);
    cr_expect_eq(heard->source_width, said->source_width);
    cr_expect_eq(heard->source_height, said->source_height);
    cr_assert_eq(heard->quality_count, said->quality_count);
    for (size_t i = 0; i < said->quality_count; i++) {
        const struct message_quality_progress *left = &heard->qualities[i];
        const struct message_quality_progress *right = &said->qualities[i];
        cr_expect_eq(left->quality, right->quality);
        cr_expect_eq(left->status, right->status);
        cr_expect_eq(left->percent, right->percent);
        cr_expect_eq(left->segments_total, right->segments_total);
        cr_expect_eq(left->segments_completed, right->segments_completed);
    }
}

Test(roundtrip, progress_is_heard_as_it_was_said)
{
    for (size_t i = 0; i < COUNT_OF(reports); i++) {
        struct message_progress heard;
        struct error err = {.message = ""};
        TEXT(body) = message_progress_format(&reports[i]);
        cr_assert_eq(message_progress_parse(body, strlen(body), &heard, &err),
                     TAILSLATE_PROBLEM_NONE, "%s: %s", body, err.message);
        expect_same_progress(&heard, &reports[i]);
    }
}

static void expect_same_heartbeat(const struct message_heartbeat *heard,
                                  const struct message_heartbeat *said)
{
    cr_expect_eq(heard->status, said->status);
    cr_expect_str_eq(heard->code_version, said->code_version);
    cr_expect_eq(heard->jobs_known, said->jobs_known);
    cr_assert_eq(heard->job_count, said->job_count);
    for (size_t i = 0; i < said->job_count; i++)
        cr_expect_eq(heard->jobs[i], said->jobs[i]);
    cr_expect_eq(heard->capabilities != NULL, said->capabilities != NULL);
    if (heard->capabilities && said->capabilities)
        cr_expect_str_eq(heard->capabilities, said->capabilities);
}

Test(roundtrip, a_heartbeat_is_heard_as_it_was_said)
{
    char capabilities[] = "{\"encoders\":{\"h264\":[\"libx264\"]},\"hwaccel_enabled\":false}";
    char metadata[] = "{\"deployment_type\":\"docker\",\"x\":[1,{\"y\":0.1}]}";
    struct message_heartbeat beats[] = {
        {.status = WORKER_BUSY,
         .code_version = "1.2.3",
         .jobs_known = true,
         .jobs = {5, 9007199254740992},
         .job_count = 2,
         .metadata = metadata,
         .capabilities = capabilities},
        {.status = WORKER_IDLE, .jobs_known = true},
        {.status = WORKER_ACTIVE},
    };
    for (size_t i = 0; i < COUNT_OF(beats); i++) {
        struct message_heartbeat heard;
        struct error err = {.message = ""};
        TEXT(body) = message_heartbeat_format(&beats[i]);
        cr_assert_eq(message_heartbeat_parse(body, strlen(body), &heard, &err),
                     TAILSLATE_PROBLEM_NONE, "%s: %s", body, err.message);
        expect_same_heartbeat(&heard, &beats[i]);
        /* The metadata heard holds jobs and capabilities too, and says the same once more. */
        TEXT(again) = message_heartbeat_format(&heard);
        cr_expect_str_eq(again, body);
        message_heartbeat_fini(&heard);
    }
}

Test(roundtrip, a_problem_is_heard_as_it_was_said)
{
    for (enum tailslate_problem problem = TAILSLATE_PROBLEM_NONE + 1;
         problem < TAILSLATE_PROBLEM_COUNT; problem++) {
        tailslate_quality_set missing = problem == TAILSLATE_PROBLEM_OUTPUT_MISSING
                                            ? (1u << TAILSLATE_QUALITY_COUNT) - 1
                                            : 0;
        struct message_problem heard;
        TEXT(body) = message_problem_format(problem, "why \"it\" is so", missing);
        message_problem_parse(body, strlen(body), &heard);
        cr_expect_eq(heard.problem, problem);
        cr_expect_str_eq(heard.detail, "why \"it\" is so");
        cr_expect_eq(heard.missing, missing);
    }
}
