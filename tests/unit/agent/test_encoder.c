#include "agent/media/encoder.h"
#include "agent/media/encoders.h"
#include "agent/media/ladder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define E(name) (1u << ENCODER_##name)

static char *joined(struct argv *argv)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    for (size_t i = 0; i < argv->count; i++)
        fprintf(out, "[%s]", argv->items[i]);
    fclose(out);
    argv_fini(argv);
    return text;
}

Test(encoder, a_name_leads_back_to_its_encoder)
{
    for (enum encoder_id id = 0; id < ENCODER_COUNT; id++)
        cr_expect_eq(encoder_of_name(encoder_name(id)), id);
    cr_expect_eq(encoder_of_name("libaom-av1"), ENCODER_COUNT);
}

Test(encoder, auto_is_what_every_player_takes)
{
    cr_expect_eq(encoder_wanted_codec("auto"), TAILSLATE_CODEC_H264);
    cr_expect_eq(encoder_wanted_codec("h264"), TAILSLATE_CODEC_H264);
    cr_expect_eq(encoder_wanted_codec("hevc"), TAILSLATE_CODEC_HEVC);
    cr_expect_eq(encoder_wanted_codec("av1"), TAILSLATE_CODEC_AV1);
}

Test(encoder, hardware_that_works_comes_first_and_the_cpu_last)
{
    static const struct {
        enum tailslate_codec codec;
        const char *preference;
        encoder_set working;
        enum encoder_id picked;
    } cases[] = {
        {TAILSLATE_CODEC_H264, "auto", E(LIBX264), ENCODER_LIBX264},
        {TAILSLATE_CODEC_H264, "auto", E(LIBX264) | E(H264_VAAPI), ENCODER_H264_VAAPI},
        {TAILSLATE_CODEC_H264, "auto", E(LIBX264) | E(H264_VAAPI) | E(H264_QSV), ENCODER_H264_QSV},
        {TAILSLATE_CODEC_H264, "auto", E(LIBX264) | E(H264_QSV) | E(H264_NVENC),
         ENCODER_H264_NVENC},
        {TAILSLATE_CODEC_H264, "cpu", E(LIBX264) | E(H264_NVENC), ENCODER_LIBX264},
        {TAILSLATE_CODEC_H264, "vaapi", E(LIBX264) | E(H264_NVENC) | E(H264_VAAPI),
         ENCODER_H264_VAAPI},
        {TAILSLATE_CODEC_H264, "vaapi", E(LIBX264) | E(H264_NVENC), ENCODER_LIBX264},
        {TAILSLATE_CODEC_HEVC, "auto", E(LIBX264) | E(H264_NVENC) | E(LIBX265), ENCODER_LIBX265},
        {TAILSLATE_CODEC_AV1, "auto", E(LIBSVTAV1) | E(AV1_NVENC), ENCODER_AV1_NVENC},
        {TAILSLATE_CODEC_AV1, "auto", E(LIBX264) | E(LIBX265) | E(HEVC_NVENC), ENCODER_COUNT},
        {TAILSLATE_CODEC_H264, "auto", 0, ENCODER_COUNT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(encoder_pick(cases[i].codec, cases[i].preference, cases[i].working),
                     cases[i].picked, "case %zu", i);
}

static char *video(enum encoder_id id, bool is_ten_bit, int64_t threads)
{
    struct encoder_use use = {.id = id};
    struct encoder_settings settings = {.bitrate_kbit = 2500,
                                        .threads = threads,
                                        .preset = "veryfast",
                                        .keyframe_seconds = 2,
                                        .frame_rate = 30000.0 / 1001,
                                        .is_ten_bit = is_ten_bit};
    struct argv argv = {0};
    encoder_push_video(&use, &settings, &argv);
    return joined(&argv);
}

Test(encoder, each_keeps_the_rate_and_the_keyframes)
{
    for (enum encoder_id id = 0; id < ENCODER_COUNT; id++) {
        char *text = video(id, false, 0);
        cr_expect_not_null(strstr(text, "[-b:v][2500k]"), "%s", text);
        cr_expect_not_null(strstr(text, "[-flags:v][+cgop]"), "%s", text);
        bool counts = encoder_counts_frames(id);
        cr_expect_eq(strstr(text, "[-g][60]") != NULL, counts, "%s", text);
        cr_expect_eq(strstr(text, "[-force_key_frames]") != NULL, !counts, "%s", text);
        cr_expect_eq(strstr(text, "[-maxrate:v][3750k]") != NULL, !counts, "%s", text);
        cr_expect_eq(strstr(text, "[-tag:v][hvc1]") != NULL,
                     encoder_codec(id) == TAILSLATE_CODEC_HEVC, "%s", text);
        free(text);
    }
}

Test(encoder, ten_bits_change_the_profile_and_the_frames)
{
    struct encoder_use cpu = {.id = ENCODER_LIBX265}, vaapi = {.id = ENCODER_HEVC_VAAPI};
    char *eight = video(ENCODER_LIBX265, false, 0), *ten = video(ENCODER_LIBX265, true, 0);
    cr_expect_not_null(strstr(eight, "[-profile:v][main]"));
    cr_expect_not_null(strstr(ten, "[-profile:v][main10]"));
    cr_expect_str_eq(encoder_frames(&cpu, false), "format=yuv420p");
    cr_expect_str_eq(encoder_frames(&cpu, true), "format=yuv420p10le");
    cr_expect_str_eq(encoder_frames(&vaapi, true), "format=p010le,hwupload");
    free(eight);
    free(ten);
}

Test(encoder, threads_are_told_in_each_ones_words)
{
    char *x264 = video(ENCODER_LIBX264, false, 3), *x265 = video(ENCODER_LIBX265, false, 3),
         *svt = video(ENCODER_LIBSVTAV1, false, 3);
    cr_expect_not_null(strstr(x264, "[-threads:v][3]"));
    cr_expect_not_null(strstr(x265, ":pools=3]"));
    cr_expect_not_null(strstr(svt, ":lp=3]"));
    free(x264);
    free(x265);
    free(svt);
}

Test(encoder, the_device_is_named_where_one_is_needed)
{
    struct encoder_use use = {.id = ENCODER_H264_VAAPI, .device = "/dev/dri/renderD129"};
    struct argv argv = {0};
    encoder_push_device(&use, &argv);
    char *text = joined(&argv);
    cr_expect_str_eq(text, "[-init_hw_device][vaapi=gpu:/dev/dri/renderD129][-filter_hw_device]"
                           "[gpu]");
    free(text);
    use.id = ENCODER_LIBX264;
    encoder_push_device(&use, &argv);
    cr_expect_eq(argv.count, 0);
}

Test(encoders, the_first_line_that_says_something_is_the_reason)
{
    static const struct {
        const char *log, *reason;
    } cases[] = {
        {"[h264_nvenc @ 0x5581] Cannot load libcuda.so.1\nError initializing\n",
         "Cannot load libcuda.so.1"},
        {"Warning: using insecure memory!\n[h264_nvenc @ 0x5581] Cannot load libcuda.so.1\n",
         "Cannot load libcuda.so.1"},
        {"\n  \nUnknown encoder 'x'\n", "Unknown encoder 'x'"},
        {"[a @ 0x1] \n[b @ 0x2] no\x1b[31m device", "no [31m device"},
        {"[no address] as it is", "[no address] as it is"},
        {"[broken @ 0x1\n] as it is", "[broken @ 0x1"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char reason[ENCODERS_REASON_BYTES];
        encoders_explain(cases[i].log, reason);
        cr_expect_str_eq(reason, cases[i].reason, "case %zu: %s", i, reason);
    }
}
