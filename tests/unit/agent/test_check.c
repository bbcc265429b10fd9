#include "../base/scratch.h"
#include "agent/media/check.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHOLE                                                                                      \
    "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:6,\nseg_0000.m4s\n#EXTINF:6,\nseg_0001.m4s\n"   \
    "#EXTINF:0.1,\nseg_0002.m4s\n#EXT-X-ENDLIST\n"

static void put(const struct scratch *scratch, const char *name, size_t size)
{
    static const char zeros[4096];
    scratch_put(scratch, name, zeros, size, 0600);
}

static void put_rendition(const struct scratch *scratch, const char *playlist)
{
    scratch_put(scratch, "stream.m3u8", playlist, strlen(playlist), 0600);
    put(scratch, "init.mp4", 100);
    put(scratch, "seg_0000.m4s", 3000);
    put(scratch, "seg_0001.m4s", 1500);
    put(scratch, "seg_0002.m4s", 1000);
}

static int check(const struct scratch *scratch, struct error *err)
{
    struct check_rendition rendition = {.plan = {.quality = TAILSLATE_QUALITY_720P}};
    int result = check_files(scratch->fd, &rendition, err);
    if (result == 0)
        check_rendition_fini(&rendition);
    return result;
}

Test(check, durations_may_differ_by_one_percent_or_half_a_second)
{
    static const struct {
        double got, source;
        int result;
    } cases[] = {
        {60, 60, 0},     {59.5, 60, 0},      {59.3, 60, -1},  {60.7, 60, -1},     {0.6, 1, 0},
        {0.4, 1, -1},    {1.5, 1, 0},        {1782, 1800, 0}, {1781.9, 1800, -1}, {97, 1860, -1},
        {1818, 1800, 0}, {1818.1, 1800, -1}, {0, 0.4, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err;
        cr_expect_eq(check_duration(TAILSLATE_QUALITY_720P, cases[i].got, cases[i].source, &err),
                     cases[i].result, "case %zu", i);
    }
}

Test(check, the_reason_says_both_durations)
{
    struct error err;
    cr_assert_eq(check_duration(TAILSLATE_QUALITY_720P, 20.1, 60, &err), -1);
    cr_expect_str_eq(err.message, "720p is 20.1 s long, but the source is 60.0 s long");
    cr_expect_eq(err.class, ERROR_TEMPORARY);
}

Test(check, a_whole_rendition_passes_and_is_measured)
{
    SCRATCH(scratch);
    struct check_rendition rendition = {.plan = {.quality = TAILSLATE_QUALITY_720P}};
    struct error err;
    put_rendition(&scratch, WHOLE);
    cr_assert_eq(check_files(scratch.fd, &rendition, &err), 0, "%s", err.message);
    cr_expect_eq(rendition.playlist.count, 3);
    cr_expect_eq(rendition.rates.average_bps, 3636, "%lld", (long long)rendition.rates.average_bps);
    cr_expect_eq(rendition.rates.peak_bps, 4000, "the last one of 0.1 s is no peak: %lld",
                 (long long)rendition.rates.peak_bps);
    check_rendition_fini(&rendition);
}

Test(check, every_file_of_the_playlist_is_wanted_and_not_empty)
{
    static const char *const names[] = {"stream.m3u8", "init.mp4", "seg_0000.m4s", "seg_0002.m4s"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        SCRATCH(scratch);
        struct error err;
        put_rendition(&scratch, WHOLE);
        cr_assert_eq(check(&scratch, &err), 0);
        cr_assert_eq(unlinkat(scratch.fd, names[i], 0), 0);
        cr_expect_eq(check(&scratch, &err), -1, "%s is gone", names[i]);
        put(&scratch, names[i], 0);
        cr_expect_eq(check(&scratch, &err), -1, "%s is empty", names[i]);
        cr_assert_eq(unlinkat(scratch.fd, names[i], 0), 0);
        cr_assert_eq(symlinkat("/proc/version", scratch.fd, names[i]), 0);
        cr_expect_eq(check(&scratch, &err), -1, "%s is a link", names[i]);
    }
}

Test(check, a_playlist_that_is_cut_short_or_named_otherwise_is_refused)
{
    static const struct {
        const char *playlist, *why;
    } cases[] = {
        {"#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:6,\nseg_0000.m4s\n", "no EXT-X-ENDLIST"},
        {"#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXT-X-ENDLIST\n", "is empty"},
        {"#EXTM3U\n#EXTINF:6,\nseg_0000.m4s\n#EXT-X-ENDLIST\n", "not named"},
        {"#EXTM3U\n#EXT-X-MAP:URI=\"seg_0001.m4s\"\n#EXTINF:6,\nseg_0000.m4s\n#EXT-X-ENDLIST\n",
         "not named"},
        {"#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:6,\nseg_0001.m4s\n#EXT-X-ENDLIST\n",
         "not named"},
        {"nonsense", "EXTM3U"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        SCRATCH(scratch);
        struct error err;
        put_rendition(&scratch, cases[i].playlist);
        cr_expect_eq(check(&scratch, &err), -1, "case %zu", i);
        cr_expect_not_null(strstr(err.message, cases[i].why), "case %zu: %s", i, err.message);
    }
}

#define AUDIO(n)                                                                                   \
    "#EXTM3U\n#EXT-X-MAP:URI=\"audio_" n "_init.mp4\"\n#EXTINF:6,\naudio_" n                       \
    "_0000.m4s\n#EXT-X-ENDLIST\n"

static void put_audio(const struct scratch *scratch, const char *playlist, const char *text,
                      const char *init, const char *segment)
{
    scratch_put(scratch, playlist, text, strlen(text), 0600);
    put(scratch, init, 100);
    put(scratch, segment, 1500);
}

Test(check, a_further_audio_track_that_is_not_whole_is_left_out_with_a_warning)
{
    SCRATCH(scratch);
    struct probe source = {.audio = {.count = 3, .tracks = {{0}, {.index = 4}, {.index = 5}}}};
    struct ladder ladder = {.count = 1, .audio_files = 3, .audio_home = TAILSLATE_QUALITY_360P};
    struct check check = {.count = 0};
    struct tailslate_warnings warnings = {.count = 0};
    cr_assert_eq(mkdirat(scratch.fd, "360p", 0700), 0);
    put_audio(&scratch, "360p/audio_0.m3u8", AUDIO("0"), "360p/audio_0_init.mp4",
              "360p/audio_0_0000.m4s");
    put_audio(&scratch, "360p/audio_1.m3u8", AUDIO("1"), "360p/audio_1_init.mp4",
              "360p/audio_1_0001.m4s");
    put_audio(&scratch, "360p/audio_2.m3u8", AUDIO("2"), "360p/audio_2_init.mp4",
              "360p/audio_2_0000.m4s");
    check_audio(scratch.fd, &source, &ladder, &check, &warnings);
    cr_assert_eq(check.audio_count, 2);
    cr_expect_eq(check.audio[0].number, 0);
    cr_expect_eq(check.audio[1].number, 2);
    cr_expect_eq(check.audio[1].peak_bps, 2000);
    cr_assert_eq(warnings.count, 1);
    cr_expect(strstr(warnings.texts[0], "audio stream 4"), "%s", warnings.texts[0]);
    cr_expect_neq(faccessat(scratch.fd, "360p/audio_1.m3u8", F_OK, 0), 0);
}

Test(check, one_sound_is_no_choice)
{
    SCRATCH(scratch);
    struct probe source = {.audio = {.count = 2}};
    struct ladder ladder = {.count = 1, .audio_files = 2, .audio_home = TAILSLATE_QUALITY_360P};
    struct check check = {.count = 0};
    struct tailslate_warnings warnings = {.count = 0};
    cr_assert_eq(mkdirat(scratch.fd, "360p", 0700), 0);
    put_audio(&scratch, "360p/audio_0.m3u8", AUDIO("0"), "360p/audio_0_init.mp4",
              "360p/audio_0_0000.m4s");
    check_audio(scratch.fd, &source, &ladder, &check, &warnings);
    cr_expect_eq(check.audio_count, 0);
    cr_expect_eq(warnings.count, 1);
}
