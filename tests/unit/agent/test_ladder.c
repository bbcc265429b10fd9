#include "agent/media/ladder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct config config(void)
{
    struct config config = {0};
    strcpy(config.transcode.ffmpeg, "ffmpeg");
    strcpy(config.transcode.preset, "veryfast");
    strcpy(config.transcode.codec, "auto");
    config.transcode.segment_seconds = 6;
    config.transcode.max_fps = 60;
    config.transcode.original = true;
    return config;
}

static struct probe video(int64_t width, int64_t height)
{
    struct probe probe = {
        .duration_s = 10,
        .width = width,
        .height = height,
        .coded_width = width,
        .coded_height = height,
        .audio = {.count = 1, .tracks = {{.index = 1, .channels = 2, .codec = "aac"}}},
        .video_codec = "h264",
        .pixel_format = "yuv420p",
        .frame_rate = 25,
        .tick_rate = 25,
    };
    return probe;
}

static struct ladder plan(struct probe probe, tailslate_quality_set existing)
{
    struct config settings = config();
    struct ladder ladder;
    ladder_plan(&probe, &settings, existing, &ladder);
    return ladder;
}

#define Q(name) (1u << TAILSLATE_QUALITY_##name)

Test(ladder, a_rung_applies_where_the_short_side_reaches_it_and_nothing_is_upscaled)
{
    static const struct {
        int64_t width, height;
        tailslate_quality_set made;
    } cases[] = {
        {3840, 2160, Q(2160P) | Q(1440P) | Q(1080P) | Q(720P) | Q(480P) | Q(360P) | Q(ORIGINAL)},
        {1920, 1080, Q(1080P) | Q(720P) | Q(480P) | Q(360P) | Q(ORIGINAL)},
        {1920, 1079, Q(720P) | Q(480P) | Q(360P) | Q(ORIGINAL)},
        {1080, 1920, Q(1080P) | Q(720P) | Q(480P) | Q(360P) | Q(ORIGINAL)},
        {1280, 720, Q(720P) | Q(480P) | Q(360P) | Q(ORIGINAL)},
        {640, 360, Q(360P) | Q(ORIGINAL)},
        {320, 180, Q(360P) | Q(ORIGINAL)},
        {1, 1, Q(360P) | Q(ORIGINAL)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(plan(video(cases[i].width, cases[i].height), 0).made, cases[i].made,
                     "%lldx%lld", (long long)cases[i].width, (long long)cases[i].height);
}

Test(ladder, sizes_are_even_and_keep_the_shape)
{
    static const struct {
        int64_t width, height;
        enum tailslate_quality quality;
        int64_t out_width, out_height;
    } cases[] = {
        {1920, 1080, TAILSLATE_QUALITY_1080P, 1920, 1080},
        {1920, 1080, TAILSLATE_QUALITY_480P, 854, 480},
        {1080, 1920, TAILSLATE_QUALITY_720P, 720, 1280},
        {853, 481, TAILSLATE_QUALITY_480P, 852, 480},
        {853, 481, TAILSLATE_QUALITY_360P, 638, 360},
        {321, 181, TAILSLATE_QUALITY_360P, 320, 180},
        {1, 1, TAILSLATE_QUALITY_360P, 2, 2},
        {1920, 800, TAILSLATE_QUALITY_720P, 1728, 720},
        {853, 481, TAILSLATE_QUALITY_ORIGINAL, 853, 481},
        {853, 480, TAILSLATE_QUALITY_480P, 852, 480},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct probe probe = video(cases[i].width, cases[i].height);
        struct ladder_rendition rendition;
        ladder_describe(&probe, cases[i].quality, &rendition);
        cr_expect_eq(rendition.width, cases[i].out_width, "case %zu: %lld", i,
                     (long long)rendition.width);
        cr_expect_eq(rendition.height, cases[i].out_height, "case %zu: %lld", i,
                     (long long)rendition.height);
    }
}

Test(ladder, what_exists_already_is_left_out)
{
    struct ladder ladder = plan(video(1280, 720), Q(480P) | Q(ORIGINAL));
    cr_expect_eq(ladder.made, Q(720P) | Q(360P));
    cr_expect_eq(ladder.count, 2);
    cr_expect_eq(plan(video(1280, 720), Q(720P) | Q(480P) | Q(360P) | Q(ORIGINAL)).count, 0);
}

Test(ladder, original_is_made_only_where_players_can_read_the_copy)
{
    static const struct {
        const char *codec, *pixels;
        bool turned, made;
    } cases[] = {
        {"h264", "yuv420p", false, true},        {"hevc", "yuv420p10le", false, true},
        {"av1", "yuv420p", false, true},         {"vp9", "yuv420p", false, false},
        {"mpeg2video", "yuv420p", false, false}, {"h264", "yuv422p", false, false},
        {"h264", "yuv420p", true, false},        {"ffv1", "yuv444p", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct probe probe = video(1280, 720);
        strcpy(probe.video_codec, cases[i].codec);
        strcpy(probe.pixel_format, cases[i].pixels);
        probe.turned = cases[i].turned;
        struct ladder ladder = plan(probe, 0);
        cr_expect_eq((ladder.made & Q(ORIGINAL)) != 0, cases[i].made, "case %zu", i);
        cr_expect_eq(ladder.without_original == NULL, cases[i].made, "case %zu", i);
    }
}

Test(ladder, no_original_is_wanted_and_none_is_missed)
{
    struct config settings = config();
    struct probe probe = video(640, 360);
    struct ladder ladder;
    settings.transcode.original = false;
    ladder_plan(&probe, &settings, 0, &ladder);
    cr_expect_eq(ladder.made, Q(360P));
    cr_expect_null(ladder.without_original);
}

/* The arguments as one line, each in brackets. */
static char *line_with(struct probe probe, tailslate_quality_set existing, struct encoder_use use)
{
    struct config settings = config();
    struct ladder ladder = plan(probe, existing);
    struct argv argv = {0};
    ladder_argv(&ladder, &probe, &settings, &use, "source", "output", &argv);
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    for (size_t i = 0; i < argv.count; i++)
        fprintf(out, "[%s]", argv.items[i]);
    fclose(out);
    argv_fini(&argv);
    return text;
}

static char *line(struct probe probe, tailslate_quality_set existing)
{
    return line_with(probe, existing, (struct encoder_use){.id = ENCODER_LIBX264});
}

static int count(const char *text, const char *word)
{
    int found = 0;
    while ((text = strstr(text, word))) {
        found++;
        text += strlen(word);
    }
    return found;
}

Test(ladder, one_process_decodes_once_and_has_an_output_a_rendition)
{
    char *text = line(video(1280, 720), 0);
    cr_expect_eq(count(text, "[-i]"), 1);
    cr_expect_eq(count(text, "split=3"), 1);
    cr_expect_eq(count(text, "[-f][hls]"), 4);
    cr_expect_eq(count(text, "[output/720p/stream.m3u8]"), 1);
    cr_expect_eq(count(text, "[output/original/seg_%04d.m4s]"), 1);
    cr_expect_eq(count(text, "[-c:v][copy]"), 1);
    cr_expect_eq(count(text, "var_stream_map"), 0);
    free(text);
}

Test(ladder, every_encoded_rendition_has_the_same_keyframe_rule)
{
    char *text = line(video(1280, 720), 0);
    cr_expect_eq(count(text, "[expr:if(isnan(prev_forced_t),1,"
                             "gte(t,(floor(prev_forced_t/2)+1)*2))][-g][100000][-sc_threshold][0]"),
                 3);
    free(text);
}

Test(ladder, the_input_is_opened_as_a_file_of_a_video_and_nothing_else)
{
    char *text = line(video(1280, 720), 0);
    const char *input = strstr(text, "[-i][file:source]");
    cr_assert_not_null(input);
    const char *guard = strstr(
        text, "[-protocol_whitelist][file,pipe][-format_whitelist][" PROBE_FORMATS "]");
    cr_assert_not_null(guard);
    cr_expect_lt(guard, input);
    cr_expect_not_null(strstr(text, "[-nostdin]"));
    free(text);
}

Test(ladder, a_video_without_sound_maps_none)
{
    struct probe probe = video(640, 360);
    probe.audio.count = 0;
    char *text = line(probe, 0);
    cr_expect_eq(count(text, "-c:a"), 0);
    cr_expect_eq(count(text, "[0:1]"), 0);
    free(text);
}

Test(ladder, a_choice_of_audio_goes_beside_the_smallest_rendition)
{
    struct probe probe = video(1280, 720);
    probe.audio.tracks[1] = (struct audio_track){.index = 4, .channels = 2, .codec = "ac3"};
    probe.audio.count = 2;
    char *text = line(probe, 0);
    cr_expect_eq(count(text, "[0:4]"), 1);
    cr_expect_eq(count(text, "[output/360p/audio_0.m3u8]"), 1, "%s", text);
    cr_expect_eq(count(text, "[output/360p/audio_1.m3u8]"), 1, "%s", text);
    cr_expect_eq(count(text, "[movflags=+separate_moof][-output_ts_offset][0.2]"), 6);
    cr_expect_eq(count(text, "[-hls_fmp4_init_filename][audio_1_init.mp4]"), 1);
    cr_expect_eq(count(text, "[output/360p/audio_1_%04d.m4s]"), 1);
    free(text);
    text = line(probe, Q(360P) | Q(480P));
    cr_expect_eq(count(text, "[output/720p/audio_1.m3u8]"), 1, "%s", text);
    free(text);
    text = line(probe, Q(360P) | Q(480P) | Q(720P));
    cr_expect_eq(count(text, "[output/original/audio_1.m3u8]"), 1, "%s", text);
    free(text);
}

Test(ladder, sound_that_mp4_does_not_take_becomes_aac_in_the_original_too)
{
    struct probe probe = video(640, 360);
    char *copied = line(probe, 0);
    cr_expect_eq(count(copied, "[-c:a][aac]"), 1);
    cr_expect_eq(count(copied, "[-c:a][copy][-bsf:a][aac_adtstoasc]"), 1);
    free(copied);
    strcpy(probe.audio.tracks[0].codec, "vorbis");
    char *made = line(probe, 0);
    cr_expect_eq(count(made, "[-c:a][aac]"), 2);
    cr_expect_eq(count(made, "[-c:a][copy]"), 0);
    free(made);
}

static char *encoder_line(const struct audio_track *track)
{
    struct argv argv = {0};
    audio_push_encoder(track, &argv);
    char *text = must_strdup(argv.count > 1 ? argv.items[1] : "");
    argv_fini(&argv);
    return text;
}

#define CONTINUOUS "aresample=async=1:first_pts=0"

Test(audio_mix, only_what_ffmpeg_has_a_matrix_for_is_left_to_it)
{
    static const struct {
        int64_t channels;
        const char *layout, *filter;
    } cases[] = {
        {1, "mono", CONTINUOUS},
        {2, "", CONTINUOUS},
        {6, "5.1(side)", CONTINUOUS},
        {4, "ambisonic 1", "pan=stereo|c0=0.5*c0+0.5*c1|c1=0.5*c0-0.5*c1," CONTINUOUS},
        {3, "unknown", "pan=stereo|c0<c0+c1+c2|c1<c0+c1+c2," CONTINUOUS},
        {3, "3 channels (FL+FR+LFE)", "pan=stereo|c0<c0+c1+c2|c1<c0+c1+c2," CONTINUOUS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct audio_track track = {.channels = cases[i].channels,
                                    .mix = audio_mix_of(cases[i].channels, cases[i].layout)};
        char *text = encoder_line(&track);
        cr_expect_str_eq(text, cases[i].filter, "case %zu: %s", i, text);
        free(text);
    }
}

Test(audio_mix, the_mean_is_the_last_resort)
{
    struct audio_track track = {.channels = 24, .mix = AUDIO_MIX_MATRIX};
    cr_expect(audio_simplify_mix(&track));
    cr_expect_eq(track.mix, AUDIO_MIX_MEAN);
    cr_expect_not(audio_simplify_mix(&track));
    track = (struct audio_track){.channels = 1, .mix = AUDIO_MIX_MATRIX};
    cr_expect_not(audio_simplify_mix(&track));
}

Test(ladder, hevc_gets_the_tag_that_apple_players_take)
{
    struct probe probe = video(640, 360);
    strcpy(probe.video_codec, "hevc");
    char *text = line(probe, 0);
    cr_expect_eq(count(text, "[-tag:v][hvc1]"), 1);
    free(text);
}

static char *line_of_range(enum probe_range range, enum encoder_id id, bool can_tone_map)
{
    struct probe probe = video(1280, 720);
    probe.range = range;
    return line_with(probe, Q(ORIGINAL),
                     (struct encoder_use){.id = id, .can_tone_map = can_tone_map});
}

Test(ladder, high_dynamic_range_is_kept_where_the_codec_can_and_else_mapped)
{
    static const struct {
        enum probe_range range;
        enum encoder_id id;
        bool can_map;
        const char *there, *not_there;
    } cases[] = {
        {PROBE_RANGE_SDR, ENCODER_LIBX265, true, "format=yuv420p[v0]", "tonemap"},
        {PROBE_RANGE_SDR, ENCODER_LIBX264, true, "[0:0]split=3", "tonemap"},
        {PROBE_RANGE_PQ, ENCODER_LIBX265, true, "format=yuv420p10le[v0]", "tonemap"},
        {PROBE_RANGE_HLG, ENCODER_LIBSVTAV1, true, "format=yuv420p10le[v2]", "tonemap"},
        {PROBE_RANGE_PQ, ENCODER_LIBX264, true, "[0:0]zscale=tin=smpte2084", "yuv420p10le"},
        {PROBE_RANGE_HLG, ENCODER_H264_VAAPI, true, "[0:0]zscale=tin=arib-std-b67", "p010le"},
        {PROBE_RANGE_PQ, ENCODER_LIBX264, false, "format=yuv420p[v0]", "zscale"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = line_of_range(cases[i].range, cases[i].id, cases[i].can_map);
        cr_expect_not_null(strstr(text, cases[i].there), "case %zu: %s", i, text);
        cr_expect_null(strstr(text, cases[i].not_there), "case %zu: %s", i, text);
        free(text);
    }
}

Test(ladder, who_counts_frames_is_told_their_rate)
{
    struct probe probe = video(640, 360);
    probe.frame_rate = probe.tick_rate = 30000.0 / 1001;
    char *text = line_with(probe, Q(ORIGINAL), (struct encoder_use){.id = ENCODER_LIBSVTAV1});
    cr_expect_eq(count(text, "[-g][60]"), 1);
    cr_expect_eq(count(text, "[-r:v][29.97002997]"), 1, "%s", text);
    free(text);
}

Test(ladder, a_video_of_varying_rate_gets_a_usual_one)
{
    static const struct {
        double average, tick;
        const char *rate; /* NULL: its own */
    } cases[] = {
        {25, 25, NULL},   {59.94, 59.94, NULL}, {24, 60, NULL},
        {29, 1000, "30"}, {55, 90000, "60"},    {23.976, 240, "30"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct probe probe = video(640, 360);
        probe.frame_rate = cases[i].average;
        probe.tick_rate = cases[i].tick;
        char *text = line(probe, Q(ORIGINAL));
        char expected[32] = "[-r:v]";
        if (cases[i].rate)
            snprintf(expected, sizeof expected, "[-r:v][%s]", cases[i].rate);
        cr_expect_eq(count(text, expected), cases[i].rate ? 1 : 0, "case %zu", i);
        free(text);
    }
}

/* Evenly: 144 becomes 48 and not 60, of which every other picture would stay longer. */
Test(ladder, a_rate_over_the_limit_is_divided_evenly)
{
    static const struct {
        double rate;
        const char *made; /* NULL: its own */
    } cases[] = {{60, NULL},  {59.94, NULL}, {60.03, NULL},         {120, "60"}, {119.88, "59.94"},
                 {144, "48"}, {240, "60"},   {1000, "58.82352941"}, {75, "37.5"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct probe probe = video(640, 360);
        char expected[32] = "[-r:v]";
        probe.frame_rate = probe.tick_rate = cases[i].rate;
        char *text = line(probe, Q(ORIGINAL));
        if (cases[i].made)
            snprintf(expected, sizeof expected, "[-r:v][%s]", cases[i].made);
        cr_expect_eq(count(text, expected), cases[i].made ? 1 : 0, "case %zu: %s", i, text);
        free(text);
    }
}

/* The pictures that B-frames wait for are seconds there, and the rendition would begin with them.
 */
Test(ladder, a_slow_video_has_no_b_frames)
{
    struct probe probe = video(640, 360);
    char *usual = line(probe, Q(ORIGINAL));
    cr_expect_eq(count(usual, "[-bf:v][0]"), 0);
    free(usual);
    probe.frame_rate = probe.tick_rate = 0.5;
    char *slow = line(probe, Q(ORIGINAL));
    cr_expect_eq(count(slow, "[-bf:v][0]"), 1);
    free(slow);
}

Test(ladder, rgb_is_converted_by_the_matrix_that_it_is_marked_with)
{
    static const struct {
        const char *pixels;
        int marked;
    } cases[] = {{"yuv420p", 0}, {"gbrp", 3}, {"bgr0", 3}, {"rgb24", 3}, {"pal8", 3}, {"gray", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct probe probe = video(1280, 720);
        strcpy(probe.pixel_format, cases[i].pixels);
        char *text = line(probe, Q(ORIGINAL));
        cr_expect_eq(count(text, ":out_color_matrix=bt709:out_range=tv,setsar=1,setparams="),
                     cases[i].marked, "%s: %s", cases[i].pixels, text);
        free(text);
    }
}

Test(ladder, the_last_picture_is_held_while_the_sound_goes_on)
{
    struct probe probe = video(640, 360);
    probe.video_s = 9.7;
    char *usual = line(probe, Q(ORIGINAL));
    cr_expect_eq(count(usual, "tpad"), 0);
    free(usual);
    probe.video_s = 4;
    char *held = line(probe, Q(ORIGINAL));
    cr_expect_eq(count(held, "[0:0]fps=25,tpad=stop_mode=clone:stop_duration=6.000,split=1"), 1,
                 "%s", held);
    free(held);
}

Test(ladder, only_the_original_is_missing_so_nothing_is_decoded)
{
    char *text = line(video(640, 360), Q(360P));
    cr_expect_eq(count(text, "filter_complex"), 0);
    cr_expect_eq(count(text, "libx264"), 0);
    cr_expect_eq(count(text, "[-c:v][copy]"), 1);
    free(text);
}

static const struct argv_value values[] = {{"source", "/a b/'\"$ü"}, {"job_id", "7"}};

static int fill(const char *pattern, struct argv *argv, struct error *err)
{
    *argv = (struct argv){0};
    return argv_fill(argv, pattern, values, sizeof values / sizeof values[0], err);
}

Test(argv, a_value_with_blanks_and_quotes_stays_one_argument)
{
    struct argv argv;
    struct error err;
    cr_assert_eq(fill("prog -i {source} --id={job_id} 'two words' \"\" a\\ b {{x}", &argv, &err),
                 0);
    const char *const expected[] = {"prog",      "-i", "/a b/'\"$ü", "--id=7",
                                    "two words", "",   "a b",        "{x}"};
    cr_assert_eq(argv.count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < argv.count; i++)
        cr_expect_str_eq(argv.items[i], expected[i]);
    cr_expect_null(argv.items[argv.count]);
    argv_fini(&argv);
}

Test(argv, what_cannot_be_filled_is_refused)
{
    static const struct {
        const char *pattern, *why;
    } cases[] = {
        {"prog {nothing}", "unknown placeholder {nothing}"},
        {"prog 'open", "unclosed quote '"},
        {"", "the command is empty"},
        {"   ", "the command is empty"},
        {"prog {source", "unknown placeholder {source"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct argv argv;
        struct error err;
        cr_assert_eq(fill(cases[i].pattern, &argv, &err), -1, "%s", cases[i].pattern);
        if (strstr(cases[i].pattern, "{source") == NULL)
            cr_expect_not_null(strstr(err.message, cases[i].why), "%s", err.message);
        argv_fini(&argv);
    }
}
