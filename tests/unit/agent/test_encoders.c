/* What was found out, on disk. */
#include "../base/scratch.h"
#include "agent/media/encoders.h"
#include "agent/media/encoders_file.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>

static struct config config(void)
{
    struct config config = {0};
    strcpy(config.transcode.ffmpeg, "/bin/sh"); /* a file is enough: it is not run */
    strcpy(config.transcode.codec, "h264");
    strcpy(config.transcode.encoder, "auto");
    return config;
}

static struct encoders findings(const struct config *config)
{
    struct encoders found = {
        .version = "7.1",
        .working = 1u << ENCODER_LIBX264 | 1u << ENCODER_H264_QSV | 1u << ENCODER_H264_VAAPI,
        .device = "/dev/dri/renderD128",
        .gpu = "Intel (8086:56a0)",
        .can_tone_map = true,
        .is_incomplete = true,
    };
    strcpy(found.reasons[ENCODER_LIBX265], "it says \"no\"");
    encoders_key(config, found.key);
    return found;
}

Test(encoders, what_is_written_is_what_is_read)
{
    SCRATCH(scratch);
    struct config settings = config();
    struct encoders found = findings(&settings), read;
    struct error err;
    cr_assert_eq(encoders_save(scratch.fd, &found, &err), 0, "%s", err.message);
    cr_assert_eq(encoders_load(scratch.fd, &settings, &read, &err), 0, "%s", err.message);
    cr_expect_eq(memcmp(&found, &read, sizeof found), 0);
}

Test(encoders, findings_of_another_ffmpeg_or_device_do_not_hold)
{
    SCRATCH(scratch);
    struct config settings = config();
    struct encoders found = findings(&settings), read;
    struct error err;
    cr_assert_eq(encoders_load(scratch.fd, &settings, &read, &err), -1);
    cr_expect_eq(err.code, ENOENT);
    cr_assert_eq(encoders_save(scratch.fd, &found, &err), 0);
    strcpy(settings.transcode.device, "/dev/dri/renderD129");
    cr_expect_eq(encoders_load(scratch.fd, &settings, &read, &err), -1);
    settings = config();
    strcpy(settings.transcode.ffmpeg, "/bin/cat");
    cr_expect_eq(encoders_load(scratch.fd, &settings, &read, &err), -1);
    scratch_put_text(&scratch, ENCODERS_FILE, "{\"key\": ");
    settings = config();
    cr_expect_eq(encoders_load(scratch.fd, &settings, &read, &err), -1);
    cr_expect_eq(err.code, ENOENT);
}

Test(encoders, a_late_failure_keeps_its_whole_kind_out)
{
    SCRATCH(scratch);
    struct config settings = config();
    struct encoders found = findings(&settings);
    struct error err;
    char reason[ENCODERS_REASON_BYTES];
    cr_expect_eq(encoders_failed_lately(scratch.fd, reason), ENCODER_COUNT);
    cr_assert_eq(encoders_note_failure(scratch.fd, ENCODER_HEVC_QSV, "gone", &err), 0);
    enum encoder_id failed = encoders_failed_lately(scratch.fd, reason);
    cr_expect_eq(failed, ENCODER_HEVC_QSV);
    cr_expect_str_eq(reason, "gone");
    cr_expect_eq(encoders_choose(&settings, &found, ENCODER_COUNT).id, ENCODER_H264_QSV);
    cr_expect_eq(encoders_choose(&settings, &found, failed).id, ENCODER_H264_VAAPI);
    found.working = 1u << ENCODER_H264_QSV;
    cr_expect_eq(encoders_choose(&settings, &found, failed).id, ENCODER_COUNT);
}

Test(encoders, a_failure_passes_and_one_in_the_future_is_none)
{
    static const struct {
        int64_t age_ms;
        enum encoder_id failed;
    } cases[] = {
        {ENCODERS_PAUSE_MS - 60 * 1000, ENCODER_H264_QSV},
        {ENCODERS_PAUSE_MS + 1000, ENCODER_COUNT},
        {-60 * 1000, ENCODER_COUNT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        SCRATCH(scratch);
        char at[WALL_TEXT_BYTES], reason[ENCODERS_REASON_BYTES];
        wall_format(wall_us() - cases[i].age_ms * 1000, at);
        TEXT(text) = must_printf("{\"encoder\":\"h264_qsv\",\"at\":\"%s\",\"reason\":\"r\"}", at);
        scratch_put_text(&scratch, ENCODERS_BAD, text);
        cr_expect_eq(encoders_failed_lately(scratch.fd, reason), cases[i].failed, "case %zu", i);
    }
}
