/* What a source is, by what its packets say. */
#include "agent/media/reason.h"
#include "agent/media/source.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* ---- scan ---- */

static struct scan of_two(void)
{
    return (struct scan){.streams = {{.index = 0, .start_s = -1}, {.index = 3, .start_s = -1}},
                         .count = 2};
}

Test(scan, packets_are_counted_and_measured_by_their_stream_s_clock)
{
    struct scan scan = of_two();
    static const char *const lines[] = {
        "#software: Lavf59.27.100",
        "#tb 0: 1/1000",
        "#tb 1: 1/48000",
        "0, -80, -40, 40, 10, 0x1",
        "0, 0, 40, 40, 20, 0x2, S=1,",
        "0, 40, 0, 40, 30, 0x3",
        "1, 0, 0, 48000, 5, 0x4",
        "7, 0, 0, 48000, 5, 0x4",
        "1, 48000, 48000, 24000, -5, ",
        "nonsense",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        scan_take_packet(&scan, lines[i]);
    const struct scan_stream *video = scan_find(&scan, 0), *audio = scan_find(&scan, 3);
    cr_assert(video && audio);
    cr_expect_eq(video->packets, 3);
    cr_expect_eq(video->bytes, 60);
    cr_expect_float_eq(video->start_s, 0, 1e-9);
    cr_expect_float_eq(video->end_s, 0.08, 1e-9);
    cr_expect_eq(audio->packets, 1);
    cr_expect_float_eq(audio->end_s, 1, 1e-9);
    cr_expect_null(scan_find(&scan, 1));
}

Test(scan, the_first_error_that_tells_something_is_kept)
{
    struct scan scan = of_two();
    scan_take_error(&scan, "    Last message repeated 3 times");
    scan_take_error(&scan, "[mov,mp4 @ 0x55] stream 0, offset 0x30: partial file");
    scan_take_error(&scan, "something else");
    cr_expect(scan.is_partial);
    cr_expect_str_eq(scan.complaint, "[mov,mp4 @ 0x55] stream 0, offset 0x30: partial file");
}

/* ---- source ---- */

Test(source, moving_pictures_go_before_a_cover_and_flags_decide_between_equals)
{
    static const struct {
        int64_t packets[3], pixels[3];
        int by_flag, picked;
    } cases[] = {
        {{1, 750, 0}, {9, 9, 0}, 0, 1},   {{750, 1, 0}, {9, 9, 0}, 0, 0},
        {{500, 750, 0}, {9, 9, 0}, 0, 0}, {{12, 750, 700}, {9, 9, 9}, 0, 1},
        {{0, 750, 0}, {9, 9, 0}, 0, 1},   {{1, 1, 0}, {4, 9, 0}, 0, 1},
        {{0, 0, 0}, {9, 9, 0}, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct probe probe = {.video_index = cases[i].by_flag, .stream_count = 3};
        struct scan scan = {.count = 3};
        for (int j = 0; j < 3; j++) {
            probe.streams[j] = (struct probe_stream){
                .index = j, .is_video = cases[i].pixels[j] > 0, .pixels = cases[i].pixels[j]};
            scan.streams[j] = (struct scan_stream){.index = j, .packets = cases[i].packets[j]};
        }
        cr_expect_eq(source_pick_video(&probe, &scan), cases[i].picked, "case %zu", i);
    }
}

Test(source, a_header_is_believed_only_where_the_file_bears_it_out)
{
    enum { MB = 1000 * 1000 };
    static const struct {
        const char *format;
        double claimed_s, there_s;
        int64_t file_bytes, read_bytes;
        bool is_partial;
        enum source_length length;
    } cases[] = {
        {"mov,mp4,m4a,3gp,3g2,mj2", 20, 20, 9 * MB, 8 * MB, false, SOURCE_WHOLE},
        {"mov,mp4,m4a,3gp,3g2,mj2", 20, 19.6, 9 * MB, 8 * MB, true, SOURCE_WHOLE},
        {"mov,mp4,m4a,3gp,3g2,mj2", 20, 10, 4 * MB, 4 * MB, true, SOURCE_CUT_OFF},
        {"mov,mp4,m4a,3gp,3g2,mj2", 143165, 1, MB, MB, false, SOURCE_CLAIMED},
        {"mov,mp4,m4a,3gp,3g2,mj2", 1860, 97, 900 * MB, 50 * MB, false, SOURCE_DAMAGED},
        {"matroska,webm", 20, 10, 4 * MB, 4 * MB, true, SOURCE_CUT_OFF},
        {"matroska,webm", 20, 10, 4 * MB, 4 * MB, false, SOURCE_CLAIMED},
        {"flv", 20, 10, 4 * MB, 4 * MB, false, SOURCE_CUT_OFF},
        {"avi", 1860, 97, 50 * MB, 50 * MB, false, SOURCE_CUT_OFF},
        {"flv", 143165, 1, 50000, 50000, false, SOURCE_CLAIMED},
        {"mpegts", 5003, 6, 9 * MB, 9 * MB, false, SOURCE_WHOLE},
        {"flv", 0, 6, 9 * MB, 9 * MB, false, SOURCE_WHOLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct probe probe = {.duration_s = cases[i].claimed_s};
        struct scan scan = {.streams = {{.end_s = cases[i].there_s}},
                            .count = 1,
                            .bytes = cases[i].read_bytes,
                            .is_partial = cases[i].is_partial};
        snprintf(probe.format, sizeof probe.format, "%s", cases[i].format);
        cr_expect_eq(source_judge_length(&probe, &scan, cases[i].file_bytes), cases[i].length,
                     "case %zu", i);
    }
}

Test(source, an_avi_s_header_says_how_long_it_was_to_be)
{
    unsigned char head[SOURCE_HEAD_BYTES] = "RIFF....AVI LIST....hdrlavih....\x40\x9c\0\0";
    memcpy(head + 48, "\xf4\x01\0\0", 4);
    cr_expect_float_eq(source_avi_claims_s(head, sizeof head), 20, 1e-9);
    cr_expect_float_eq(source_avi_claims_s(head, sizeof head - 1), 0, 1e-9);
    head[8] = 'W';
    cr_expect_float_eq(source_avi_claims_s(head, sizeof head), 0, 1e-9);
}

/* ---- reason ---- */

Test(reason, the_line_that_tells_something_is_found_in_a_log)
{
    static const struct {
        const char *log, *line;
    } cases[] = {
        {"", ""},
        {"[h264 @ 0x55aa] no frame!\nConversion failed!\n", "no frame!"},
        {"    Last message repeated 1 times\nError while decoding stream #0:0: x\n",
         "Error while decoding stream #0:0: x"},
        {"\n\nthe encoder is on strike", "the encoder is on strike"},
        {"[h264 @ 0x1] no frame!\n[aost#0:1/aac @ 0x2] Cannot allocate memory\nConversion failed!",
         "Cannot allocate memory"},
        {"a\tb\x1b[31mc\n", "a b [31mc"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[REASON_LINE_BYTES];
        reason_find_line(cases[i].log, strlen(cases[i].log), line);
        cr_expect_str_eq(line, cases[i].line, "case %zu: \"%s\"", i, line);
    }
}

Test(reason, the_last_lines_of_a_log_that_fit_follow_the_reason)
{
    static const struct {
        const char *log, *text;
    } cases[] = {
        {"", "why"},
        {"one\n\ntwo\n", "why\none\ntwo"},
        {"a line that is too long for it\nlast\x1b[2J\n", "why\nlast [2J"},
        {"using /etc/key\nlast", "why\nlast"},
        {"a line that is too long for it", "why"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[20] = "why";
        reason_add_lines(cases[i].log, strlen(cases[i].log), "/etc/key", text, sizeof text);
        cr_expect_str_eq(text, cases[i].text, "case %zu: \"%s\"", i, text);
    }
}

Test(reason, a_line_says_whose_fault_it_is)
{
    static const struct {
        const char *line, *words;
        enum error_class class;
        bool has_code; /* the node's */
    } cases[] = {
        {"moov atom not found", "its index is missing", ERROR_PERMANENT, false},
        {"Decoder (codec vvc) not found for input stream #0:0",
         "this node is not capable of it: Decoder (codec vvc)", ERROR_TEMPORARY, true},
        {"Cannot allocate memory", "Cannot allocate memory", ERROR_TEMPORARY, true},
        {"the encoder is on strike", "it ended: the encoder is on strike", ERROR_TEMPORARY, false},
        {"", "it ended", ERROR_TEMPORARY, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err;
        cr_expect_eq(reason_of_line(cases[i].line, "it ended", &err), -1);
        cr_expect(strstr(err.message, cases[i].words), "case %zu: %s", i, err.message);
        cr_expect_eq(err.class, cases[i].class, "case %zu", i);
        cr_expect_eq(err.code != 0, cases[i].has_code, "case %zu", i);
    }
}
