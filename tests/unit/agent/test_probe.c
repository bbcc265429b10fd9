#include "agent/base/progress.h"
#include "agent/media/probe_parse.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define VIDEO                                                                                      \
    "\"index\":0,\"codec_type\":\"video\",\"codec_name\":\"h264\",\"pix_fmt\":\"yuv420p\","        \
    "\"r_frame_rate\":\"25/1\",\"avg_frame_rate\":\"24000/1001\""
#define SIZE  ",\"width\":1280,\"height\":720"
#define AUDIO "{\"index\":1,\"codec_type\":\"audio\",\"codec_name\":\"aac\"}"
#define COVER                                                                                      \
    "{\"index\":2,\"codec_type\":\"video\",\"codec_name\":\"mjpeg\",\"width\":9,\"height\":9,"     \
    "\"disposition\":{\"attached_pic\":1}}"
#define FORMAT ",\"format\":{\"duration\":\"12.5\",\"start_time\":\"0.5\"}}"

static enum probe_verdict parse(const char *json, struct probe *probe, struct error *err)
{
    return probe_parse(json, strlen(json), -1, probe, err);
}

Test(probe, a_video_says_what_it_is)
{
    struct probe probe;
    struct error err;
    cr_assert_eq(parse("{\"streams\":[{" VIDEO SIZE ",\"duration\":\"12.4\"}," AUDIO "]" FORMAT,
                       &probe, &err),
                 PROBE_VIDEO);
    cr_expect_float_eq(probe.duration_s, 12.4, 1e-9, "the video's own duration comes first");
    cr_expect_eq(probe.width, 1280);
    cr_expect_eq(probe.height, 720);
    cr_expect_eq(probe.video_index, 0);
    cr_assert_eq(probe.audio.count, 1);
    cr_expect_eq(probe.audio.tracks[0].index, 1);
    cr_expect_str_eq(probe.video_codec, "h264");
    cr_expect_str_eq(probe.audio.tracks[0].codec, "aac");
    cr_expect_float_eq(probe.frame_rate, 23.976, 1e-3);
    cr_expect_float_eq(probe.tick_rate, 25, 1e-9);
    cr_expect_float_eq(probe.start_s, 0.5, 1e-9);
    cr_expect_not(probe.turned);
    cr_expect_not(probe.interlaced);
}

Test(probe, the_duration_is_taken_from_the_stream_its_tag_or_the_container)
{
    static const struct {
        const char *member, *format;
        double expected;
    } cases[] = {
        {",\"duration\":\"3.25\",\"tags\":{\"DURATION\":\"00:00:09.0\"}", FORMAT, 3.25},
        {",\"tags\":{\"DURATION\":\"01:00:02.500000000\"}", FORMAT, 3602.5},
        {"", FORMAT, 12.5},
        {",\"duration\":\"N/A\"", FORMAT, 12.5},
        {",\"duration\":\"-1\"", FORMAT, 12.5},
        {"", "}", 0},
        {",\"duration\":\"inf\"", "}", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char json[1024];
        struct probe probe;
        struct error err;
        snprintf(json, sizeof json, "{\"streams\":[{" VIDEO SIZE "%s}]%s", cases[i].member,
                 cases[i].format);
        cr_assert_eq(parse(json, &probe, &err), PROBE_VIDEO, "case %zu", i);
        cr_expect_float_eq(probe.duration_s, cases[i].expected, 1e-9, "case %zu: %g", i,
                           probe.duration_s);
    }
}

Test(probe, the_displayed_size_knows_rotation_and_pixel_shape)
{
    static const struct {
        const char *member;
        int64_t width, height;
        bool turned;
    } cases[] = {
        {",\"side_data_list\":[{\"rotation\":90}]", 720, 1280, true},
        {",\"side_data_list\":[{},{\"rotation\":-90}]", 720, 1280, true},
        {",\"side_data_list\":[{\"rotation\":270}]", 720, 1280, true},
        {",\"side_data_list\":[{\"rotation\":180}]", 1280, 720, true},
        {",\"side_data_list\":[{\"rotation\":0}]", 1280, 720, false},
        {",\"side_data_list\":[{\"rotation\":-360}]", 1280, 720, false},
        {",\"sample_aspect_ratio\":\"4:3\"", 1707, 720, false},
        {",\"sample_aspect_ratio\":\"0:1\"", 1280, 720, false},
        {",\"sample_aspect_ratio\":\"1:1\"", 1280, 720, false},
        {",\"sample_aspect_ratio\":\"9999:1\"", 1280, 720, false},
        {",\"sample_aspect_ratio\":\"4:3\",\"side_data_list\":[{\"rotation\":90}]", 720, 1707,
         true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char json[1024];
        struct probe probe;
        struct error err;
        snprintf(json, sizeof json, "{\"streams\":[{" VIDEO SIZE "%s}]}", cases[i].member);
        cr_assert_eq(parse(json, &probe, &err), PROBE_VIDEO, "case %zu", i);
        cr_expect_eq(probe.width, cases[i].width, "case %zu", i);
        cr_expect_eq(probe.height, cases[i].height, "case %zu", i);
        cr_expect_eq(probe.turned, cases[i].turned, "case %zu", i);
        cr_expect_eq(probe.coded_width, 1280);
    }
}

Test(probe, what_has_no_video_in_it_is_told_apart)
{
    static const struct {
        const char *json, *why;
        enum probe_verdict verdict;
    } cases[] = {
        {"{\"streams\":[" AUDIO "]}", "audio only", PROBE_NO_VIDEO},
        {"{\"streams\":[" AUDIO "," COVER "]}", "audio only, AAC, with cover art", PROBE_NO_VIDEO},
        {"{\"streams\":[" COVER "]}", "no video stream", PROBE_NO_VIDEO},
        {"{\"streams\":[]}", "no video stream", PROBE_NO_VIDEO},
        {"{\"streams\":[{" VIDEO "}]}", "no usable size", PROBE_UNREADABLE},
        {"{\"streams\":[{" VIDEO ",\"width\":0,\"height\":720}]}", "size", PROBE_UNREADABLE},
        {"{\"streams\":[{" VIDEO ",\"width\":70000,\"height\":9}]}", "size", PROBE_UNREADABLE},
        {"not json", "ffprobe's output", PROBE_UNREADABLE},
        {"", "ffprobe's output", PROBE_UNREADABLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct probe probe;
        struct error err;
        cr_expect_eq(parse(cases[i].json, &probe, &err), cases[i].verdict, "case %zu", i);
        cr_expect_not_null(strstr(err.message, cases[i].why), "%s", err.message);
    }
}

Test(probe, a_default_stream_goes_before_the_first_and_a_cover_never)
{
    struct probe probe;
    struct error err;
    cr_assert_eq(parse("{\"streams\":[" COVER ",{\"index\":3,\"codec_type\":\"video\",\"width\":8,"
                       "\"height\":8},{\"index\":4,\"codec_type\":\"video\",\"width\":6,"
                       "\"height\":6,\"disposition\":{\"default\":1}}]}",
                       &probe, &err),
                 PROBE_VIDEO);
    cr_expect_eq(probe.video_index, 4);
    cr_expect_eq(probe.audio.count, 0);
}

/* A program that could not answer is no word about the video: it is tried again. */
Test(probe, no_answer_is_not_final)
{
    static const char *const answers[] = {
        "", "\n", "{}", "{\n\n}\n", "{\"streams\":[{\"index\":0,", "[]"};
    struct probe probe;
    struct error err;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        cr_expect_eq(parse(answers[i], &probe, &err), PROBE_UNREADABLE, "%s", answers[i]);
        cr_expect_eq(err.class, ERROR_TEMPORARY, "%s", answers[i]);
        cr_expect(strstr(err.message, "ffprobe's output"), "%s", err.message);
    }
    cr_expect_eq(parse("{\"streams\":[]}", &probe, &err), PROBE_NO_VIDEO);
    cr_expect_eq(err.class, ERROR_PERMANENT);
}

Test(probe, sound_without_a_codec_is_no_sound)
{
    struct probe probe;
    struct error err;
    cr_assert_eq(parse("{\"streams\":[{" VIDEO SIZE "},{\"index\":1,\"codec_type\":\"audio\"}]}",
                       &probe, &err),
                 PROBE_VIDEO);
    cr_expect_eq(probe.audio.count, 0);
}

#define TRACK(index, more) "{\"index\":" #index ",\"codec_type\":\"audio\"," more "}"
#define NAMED              "\"codec_name\":\"aac\""

static void expect_order(const char *tracks, const char *expected)
{
    char json[2048], order[64] = "";
    struct probe probe;
    struct error err;
    snprintf(json, sizeof json, "{\"streams\":[{" VIDEO SIZE "},%s]}", tracks);
    cr_assert_eq(parse(json, &probe, &err), PROBE_VIDEO, "%s", err.message);
    for (size_t i = 0; i < probe.audio.count; i++)
        snprintf(order + strlen(order), sizeof order - strlen(order), "%d ",
                 probe.audio.tracks[i].index);
    cr_expect_str_eq(order, expected, "%s: %s", tracks, order);
}

Test(probe, sound_is_preferred_by_kind_then_by_flag_then_by_order)
{
    expect_order(TRACK(1, NAMED) "," TRACK(2, NAMED), "1 2 ");
    expect_order(TRACK(1, NAMED) "," TRACK(2, NAMED ",\"disposition\":{\"default\":1}"), "2 1 ");
    expect_order(TRACK(1, "\"profile\":0") "," TRACK(2, NAMED), "2 ");
    expect_order(TRACK(1, NAMED ",\"disposition\":{\"default\":1,\"comment\":1}") "," TRACK(
                     2, NAMED ",\"disposition\":{\"visual_impaired\":1}") "," TRACK(3, NAMED),
                 "3 1 2 ");
    expect_order(TRACK(1, NAMED ",\"tags\":{\"title\":\"Director's Commentary\"}") "," TRACK(
                     2, NAMED ",\"tags\":{\"title\":\"Stereo\"}"),
                 "2 1 ");
    expect_order(TRACK(1, NAMED ",\"disposition\":{\"comment\":1}"), "1 ");
}

static bool read_progress(const char *text, struct progress *progress)
{
    return progress_parse(text, strlen(text), progress);
}

Test(progress, the_last_known_values_count)
{
    struct progress progress = {0};
    cr_expect(read_progress("frame=10\nout_time_us=400000\nspeed=2.0x\nprogress=continue\n"
                            "frame=20\nout_time_us=800000\nspeed=N/A\nprogress=continue\n",
                            &progress));
    cr_expect_eq(progress.frame, 20);
    cr_expect_float_eq(progress.out_time_s, 0.8, 1e-9);
    cr_expect_float_eq(progress.speed, 2, 1e-9);
    cr_expect_not(progress.ended);
}

Test(progress, a_line_that_is_being_written_does_not_count)
{
    struct progress progress = {.out_time_s = 1};
    cr_expect_not(read_progress("frame=1", &progress));
    cr_expect(read_progress("out_time_us=2000000\nout_time_us=99", &progress));
    cr_expect_float_eq(progress.out_time_s, 2, 1e-9);
}

Test(progress, nothing_known_leaves_it_alone)
{
    struct progress progress = {.out_time_s = 1, .frame = 2};
    cr_expect_not(read_progress("", &progress));
    cr_expect_not(read_progress("out_time_us=N/A\nframe=9\n", &progress));
    cr_expect_eq(progress.frame, 2);
}

Test(progress, the_end_is_seen)
{
    struct progress progress = {0};
    read_progress("out_time_us=5\nprogress=end\n", &progress);
    cr_expect(progress.ended);
}
