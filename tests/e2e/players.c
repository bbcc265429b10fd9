/* What players make of a finished video: the playlists are true, and `original` is published only
 * where its own is. The strict player itself (player.h) reads every video of this suite. */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "player.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COPY_MS = 10 * 1000 };

static struct rig *finished(enum media clip)
{
    struct rig *rig = rig_new();
    rig_agent_set(rig, "transcode.original", "true");
    int64_t job = rig_begin(rig, media_clip(clip));
    rig_wait_completed(rig, job);
    return rig;
}

static bool has_original(const struct rig *rig)
{
    return inspect_int(rig, "SELECT count(*) FROM video_qualities WHERE quality='original'") == 1;
}

/* ---- original -------------------------------------------------------------------------------- */

/* Which measure finds it may depend on FFmpeg's version: either reason. */
static void leaves_out_for_either(enum media clip, const char *reason, const char *other)
{
    struct rig *rig = finished(clip);
    char line[LINE_BYTES];
    cr_assert_not(has_original(rig), "%s: original is published", media_clip(clip));
    rig_expect(rig, "event=step.warning", 0, line);
    cr_assert(strstr(line, reason) || strstr(line, other), "%s: %s", media_clip(clip), line);
    TEXT(path) = rig_path(rig, "videos/film/master.m3u8");
    TEXT(master) = file_read(path);
    cr_assert_not(strstr(master, "original"), "%s", master);
    rig_end(rig);
}

static void leaves_out(enum media clip, const char *reason)
{
    leaves_out_for_either(clip, reason, reason);
}

Test(players, b_frames_without_times_are_not_published_as_original, .timeout = 180)
{
    leaves_out(MEDIA_UNTIMED, "");
}

Test(players, a_picture_that_begins_late_is_not_published_as_original, .timeout = 180)
{
    /* FFmpeg 5.1's copy begins late; 7.1's is short. */
    leaves_out_for_either(MEDIA_LATE, "its video begins at", "s long");
}

Test(players, sound_that_an_edit_list_delays_is_not_published_as_original, .timeout = 180)
{
    leaves_out(MEDIA_LATE_SOUND, "its audio begins at 0.38 s, but in 360p at 0.00 s");
}

Test(players, a_recording_that_begins_within_a_gop_is_not_published_as_original, .timeout = 180)
{
    leaves_out(MEDIA_MID_GOP, "");
}

Test(players, a_video_trimmed_by_an_edit_list_is_not_published_as_original, .timeout = 180)
{
    leaves_out(MEDIA_TRIMMED, "");
}

Test(players, a_copy_in_one_long_segment_is_not_published_as_original, .timeout = 180)
{
    leaves_out(MEDIA_FAR_KEYS, "keyframes are too far apart");
}

/* One ffmpeg makes them all: its refusal to copy would have cost the encoded ones, too. */
Test(players, a_video_whose_sound_cannot_be_copied_is_published_without_original, .timeout = 180)
{
    leaves_out(MEDIA_LOW_MP3, "muxing mp3 at 8000hz");
}

/* ---- what is reported ------------------------------------------------------------------------ */

static double measured_kbit(const struct rig *rig, const char *quality)
{
    TEXT(path) = rig_path(rig, "videos/film/%s", quality);
    TEXT(playlist) = must_printf("%s/stream.m3u8", path);
    TEXT(script) = must_printf("cat '%s'/seg_*.m4s | wc -c", path);
    RUN(run) = run_program((const char *[]){"sh", "-c", script, NULL}, NULL, COPY_MS);
    return strtod(run.out, NULL) * 8 / 1000 / media_duration(playlist);
}

Test(players, each_rendition_is_reported_with_the_bit_rate_that_it_has, .timeout = 180)
{
    static const char *const qualities[] = {"360p", "original"};
    struct rig *rig = finished(MEDIA_NORMAL);
    for (size_t i = 0; i < sizeof qualities / sizeof *qualities; i++) {
        int64_t kbit = inspect_int(rig, "SELECT bitrate FROM video_qualities WHERE quality='%s'",
                                   qualities[i]);
        double measured = measured_kbit(rig, qualities[i]);
        cr_assert(kbit > 0 && fabs((double)kbit - measured) < measured / 50,
                  "%s: %lld kbit/s reported, %.0f measured", qualities[i], (long long)kbit,
                  measured);
    }
    rig_end(rig);
}

/* ---- beside stock workers -------------------------------------------------------------------- */

/* Such a worker makes 720p again, say, and writes the master playlist for all of them. */
Test(players, every_rendition_plays_under_the_name_that_a_stock_worker_gives_it, .timeout = 180)
{
    struct rig *rig = finished(MEDIA_NORMAL);
    TEXT(video) = rig_path(rig, "videos/film");
    TEXT(script) = must_printf("cd '%s'; sed -i 's#/stream.m3u8#.m3u8#' master.m3u8", video);
    TEXT(master) = rig_path(rig, "videos/film/master.m3u8");
    RUN(run) = run_program((const char *[]){"sh", "-ec", script, NULL}, NULL, COPY_MS);
    cr_assert_eq(run.status, 0, "%s", run.err);
    TEXT(text) = file_read(master);
    cr_assert(strstr(text, "\noriginal.m3u8\n") && strstr(text, "\n360p.m3u8\n"), "%s", text);
    media_plays(master);
    rig_end(rig);
}

/* ---- the strict player ----------------------------------------------------------------------- */

static char *complaint_after(const struct rig *rig, const char *damage)
{
    TEXT(good) = rig_path(rig, "videos/film");
    TEXT(bad) = rig_path(rig, "damaged");
    TEXT(script) = must_printf("rm -rf '%s'; cp -r '%s' '%s'; cd '%s'; %s", bad, good, bad, bad,
                               damage);
    RUN(run) = run_program((const char *[]){"sh", "-ec", script, NULL}, NULL, COPY_MS);
    cr_assert(run.status == 0, "%s: %s", damage, run.err);
    return player_complaint(bad);
}

Test(players, the_strict_player_refuses_what_players_refuse, .timeout = 180)
{
    static const struct {
        const char *damage, *complaint;
    } cases[] = {
        {"true", NULL},
        {"sed -i 's/,BANDWIDTH=/,BANDWIDTH=9/;s/:BANDWIDTH=/:BANDWIDTH=9/' master.m3u8",
         "BANDWIDTH is 9"},
        {"sed -i 's/AVERAGE-BANDWIDTH=/AVERAGE-BANDWIDTH=9/' master.m3u8",
         "AVERAGE-BANDWIDTH is 9"},
        {"sed -i 's/avc1\\./avc1.4/' master.m3u8", "CODECS"},
        {"sed -i 's/,mp4a.40.2//' master.m3u8", "CODECS"},
        {"sed -i 's/RESOLUTION=/RESOLUTION=1/' master.m3u8", "RESOLUTION"},
        {"sed -i 's/TARGETDURATION:.*/TARGETDURATION:1/' original/stream.m3u8", "over the target"},
        {"sed -i 's/TARGETDURATION:.*/TARGETDURATION:60/' original/stream.m3u8",
         "the target duration is"},
        {"sed -i 's/#EXTINF:.*/#EXTINF:1.5,/' original/stream.m3u8", "EXTINF of"},
        {"sed -i 's/#EXTINF:.*/#EXTINF:0.000,/' original/stream.m3u8", "EXTINF or one of 0"},
        {"sed -i /ENDLIST/d original/stream.m3u8", "an end is wanted"},
        {": >original/seg_0000.m4s", "not there or empty"},
        {"cp original/seg_0000.m4s original/seg_0001.m4s", "EXTINF of"},
        {"sed -i 's/,AVERAGE/,NOTHING/' master.m3u8", "AVERAGE-BANDWIDTH is 0"},
        {"sed -i 's/bandwidth=\"/bandwidth=\"9/' manifest.mpd", "the bandwidth of"},
        {"sed -i 's/ d=\"/ d=\"1/' manifest.mpd", "long there"},
        {"rm manifest.mpd", "manifest.mpd is not there"},
    };
    struct rig *rig = finished(MEDIA_NORMAL);
    cr_assert(has_original(rig));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        TEXT(complaint) = complaint_after(rig, cases[i].damage);
        cr_expect(cases[i].complaint ? complaint && strstr(complaint, cases[i].complaint)
                                     : complaint == NULL,
                  "%s: %s", cases[i].damage, complaint ? complaint : "no complaint");
    }
    rig_end(rig);
}
