/* The videos that people have: what is odd about them, and what becomes of each. */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <stdlib.h>
#include <string.h>

enum { MAKE_MS = 60 * 1000, END_MS = 40 * 1000 };

#define PICTURES "-f lavfi -i testsrc2=s=160x120:r=25 "
#define SOUND    "-f lavfi -i sine=sample_rate=48000 "
#define X264     "-c:v libx264 -preset ultrafast -pix_fmt yuv420p "

static struct rig *begin(void)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    return rig;
}

/* Shell commands in the scratch directory. */
static void make(const struct rig *rig, const char *commands)
{
    TEXT(script) = must_printf("set -e; cd '%s'; ff() { ffmpeg -nostdin -v error -y \"$@\"; }; %s",
                               rig->dir, commands);
    RUN(run) = run_program((const char *[]){"sh", "-c", script, NULL}, NULL, MAKE_MS);
    cr_assert_eq(run.status, 0, "%s: %s", commands, run.err);
}

static void publishes(struct rig *rig, const char *name)
{
    TEXT(path) = rig_path(rig, "%s", name);
    int64_t job = rig_add_job(rig, path, name);
    rig_wait_final(rig, job);
    inspect_job_completed_once(rig, job);
}

static char *playlist(const struct rig *rig, const char *name)
{
    return rig_path(rig, "videos/%s/360p/stream.m3u8", name);
}

static void lasts(const struct rig *rig, const char *name, double seconds)
{
    TEXT(path) = playlist(rig, name);
    cr_expect_float_eq(media_duration(path), seconds, 0.3, "%s: %g s", name, media_duration(path));
    cr_expect_float_eq(
        (double)inspect_int(rig, "SELECT duration*1000 FROM videos WHERE slug='%s'", name) / 1000,
        seconds, 0.3, "%s", name);
}

/* At the first attempt, in words. */
static void refuses(struct rig *rig, const char *name, const char *words)
{
    char reason[600];
    TEXT(path) = rig_path(rig, "%s", name);
    int64_t job = rig_add_job(rig, path, name);
    inspect_wait_int(rig, 1, END_MS,
                     "SELECT count(*) FROM videos WHERE slug='%s' AND status='failed'", name);
    inspect_text(rig, reason, sizeof reason, "SELECT error_message FROM videos WHERE slug='%s'",
                 name);
    cr_log_info("%s: %s", name, reason);
    cr_expect(strstr(reason, words), "%s: the reason does not say \"%s\": %s", name, words, reason);
    cr_expect_eq(inspect_int(rig, "SELECT attempt_number FROM transcoding_jobs WHERE id=%lld",
                             (long long)job),
                 1, "%s was tried again", name);
}

/* ---- pictures ---- */

/* By the matrix of standard definition this green is 113. */
Test(sources, rgb_keeps_its_colours_and_says_which_they_are, .timeout = 120)
{
    struct rig *rig = begin();
    make(rig, "ff -f lavfi -i color=c=0x00c000:s=160x120:r=25 -t 1 -c:v libx264rgb -qp 0 rgb.mkv");
    rig_start_agent(rig);
    publishes(rig, "rgb.mkv");
    TEXT(path) = playlist(rig, "rgb.mkv");
    TEXT(marked) = media_probe(path, "stream=color_space,color_range", "v:0");
    cr_expect(strncmp(marked, "tv\nbt709", 8) == 0, "%s", marked);
    RUN(run) = run_program((const char *[]){"ffmpeg", "-nostdin", "-v", "error",
                                            "-allowed_extensions", "ALL", "-i", path, "-vf",
                                            "signalstats,metadata=print:file=-", "-frames:v", "1",
                                            "-f", "null", "-", NULL},
                           NULL, MAKE_MS);
    const char *brightness = strstr(run.out, "YAVG=");
    cr_assert(brightness, "%s%s", run.out, run.err);
    cr_expect_float_eq(strtod(brightness + 5, NULL), 134, 2, "%s", brightness);
    rig_end(rig);
}

Test(sources, half_a_picture_a_second_begins_at_once_and_240_become_60, .timeout = 120)
{
    struct rig *rig = begin();
    make(rig, "ff -f lavfi -i testsrc2=s=160x120:r=0.5 -t 8 " X264 "slow.mp4;"
              "ff -f lavfi -i testsrc2=s=160x120:r=240 -t 1 " X264 "fast.mp4");
    rig_agent_set(rig, "transcode.original", "false");
    rig_start_agent(rig);
    publishes(rig, "slow.mp4");
    TEXT(slow) = playlist(rig, "slow.mp4");
    TEXT(start) = media_probe(slow, "stream=start_time", "v:0");
    cr_expect_float_eq(strtod(start, NULL), 0, 0.05, "%s", start);
    lasts(rig, "slow.mp4", 8);
    publishes(rig, "fast.mp4");
    TEXT(fast) = playlist(rig, "fast.mp4");
    TEXT(rate) = media_probe(fast, "stream=r_frame_rate", "v:0");
    cr_expect(strncmp(rate, "60/1", 4) == 0, "%s", rate);
    rig_end(rig);
}

Test(sources, a_cover_without_its_flag_is_not_taken_for_the_video, .timeout = 120)
{
    struct rig *rig = begin();
    make(rig, "ff " PICTURES "-frames:v 1 -s 640x480 cover.jpg;"
              "ff " PICTURES SOUND X264 "-c:a aac -t 2 video.mkv;"
              "ff -i cover.jpg -i video.mkv -map 0:v -map 1 -c copy covered.mkv");
    rig_start_agent(rig);
    publishes(rig, "covered.mkv");
    lasts(rig, "covered.mkv", 2);
    cr_expect_eq(inspect_int(rig, "SELECT source_width FROM videos"), 160);
    rig_end(rig);
}

/* ---- lengths ---- */

/* Segments cut the sound as well: a player need not load all of it at once. */
Test(sources, the_last_picture_is_held_as_long_as_there_is_sound, .timeout = 120)
{
    struct rig *rig = begin();
    make(rig, "ff " SOUND "-t 7 -c:a aac sound.m4a; ff " PICTURES "-frames:v 1 " X264 "one.mp4;"
              "ff " PICTURES "-t 2 " X264 "two.mp4;"
              "for n in one two; do ff -i $n.mp4 -i sound.m4a -map 0 -map 1 -c copy $n.mkv; done");
    rig_agent_set(rig, "transcode.segment_seconds", "2");
    rig_start_agent(rig);
    publishes(rig, "one.mkv");
    lasts(rig, "one.mkv", 7);
    publishes(rig, "two.mkv");
    lasts(rig, "two.mkv", 7);
    TEXT(fourth) = rig_path(rig, "videos/one.mkv/360p/seg_0003.m4s");
    cr_expect(inspect_wait_file(fourth, true, 0), "the sound was not cut into segments");
    rig_end(rig);
}

/* Not by the clock in the packets, which jumps, and not by a header that lies. */
Test(sources, a_video_is_as_long_as_what_decodes, .timeout = 120)
{
    struct rig *rig = begin();
    make(rig, "ff " PICTURES SOUND X264 "-c:a aac -t 2 one.ts;"
              "ff -i one.ts -c copy -output_ts_offset 5000 two.ts;"
              "cat one.ts two.ts >forward.ts; cat two.ts one.ts >back.ts;"
              "ff " PICTURES X264 "-t 2 true.flv; perl -0777 -pe"
              " 's/(duration\\0).{8}/$1\\x41\\x01\\x79\\xc0\\0\\0\\0\\0/s' true.flv >lies.flv");
    rig_start_agent(rig);
    publishes(rig, "forward.ts");
    lasts(rig, "forward.ts", 4);
    publishes(rig, "back.ts");
    lasts(rig, "back.ts", 4);
    publishes(rig, "lies.flv");
    lasts(rig, "lies.flv", 2);
    RUN(shown) = rig_verifier(rig, (const char *const[]){"job", "show", "3", NULL});
    cr_expect(strstr(shown.out, "the file claims a duration of 143160 s but contains 2.0 s"), "%s",
              shown.out);
    rig_end(rig);
}

#define CUT(name) "head -c $(($(stat -c %s whole." name ") / 2)) whole." name " >cut." name ";"

Test(sources, a_file_that_is_cut_off_fails_once_and_says_where, .timeout = 120)
{
    struct rig *rig = begin();
    make(rig,
         "set -- " PICTURES SOUND "-t 20 " X264 "-c:a libmp3lame;"
         "ff \"$@\" whole.mkv; ff \"$@\" whole.flv; ff \"$@\" whole.avi;"
         "ff \"$@\" -movflags +faststart whole.mp4;" CUT("mkv") CUT("mp4") CUT("flv") CUT("avi"));
    rig_start_agent(rig);
    refuses(rig, "cut.mkv", "the file is truncated at about 10 s of 20 s");
    refuses(rig, "cut.mp4", "the file is truncated at about 10 s of 20 s");
    refuses(rig, "cut.flv", "the file is truncated at about 10 s of 20 s");
    refuses(rig, "cut.avi", "the file is truncated at about 10 s of 20 s");
    rig_end(rig);
}

Test(sources, a_file_that_is_cut_off_is_published_where_that_is_wanted, .timeout = 120)
{
    struct rig *rig = begin();
    make(rig, "ff " PICTURES SOUND "-t 8 " X264 "-c:a aac whole.mkv;" CUT("mkv"));
    rig_agent_set(rig, "transcode.accept_truncated", "true");
    rig_start_agent(rig);
    publishes(rig, "cut.mkv");
    lasts(rig, "cut.mkv", 4);
    RUN(shown) = rig_verifier(rig, (const char *const[]){"job", "show", "1", NULL});
    cr_expect(strstr(shown.out, "warnings    the file is truncated at about 4 s of 8 s; published "
                                "because transcode.accept_truncated is set"),
              "%s", shown.out);
    rig_end(rig);
}

/* ---- kinds ---- */

Test(sources, of_many_kinds_are_taken, .timeout = 180)
{
    static const char *const names[] = {"a.ts", "a.wmv", "a.mxf", "a.gif", "a.h264", "a.dv"};
    struct rig *rig = begin();
    make(rig, "set -- " PICTURES SOUND "-t 1;"
              "ff \"$@\" -c:v mpeg2video -c:a mp2 a.ts; ff \"$@\" -c:v wmv2 -c:a wmav2 a.wmv;"
              "ff \"$@\" -c:v mpeg2video -c:a pcm_s16le a.mxf; ff " PICTURES "-t 1 a.gif;"
              "ff " PICTURES "-t 1 " X264 "a.h264;"
              "ff \"$@\" -s 720x576 -pix_fmt yuv420p -ac 2 a.dv");
    rig_start_agent(rig);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        publishes(rig, names[i]);
    rig_end(rig);
}

Test(sources, what_can_never_be_a_video_fails_once_and_says_why, .timeout = 120)
{
    struct rig *rig = begin();
    make(rig, "ff " PICTURES "-frames:v 1 still.gif; ff " SOUND "-t 1 -f mp3 sound.mp4;"
              "ff " PICTURES X264 "-t 1 -encryption_scheme cenc-aes-ctr"
              " -encryption_key 76a6c65c5ea762046bd749a2e632ccbb"
              " -encryption_kid a7e61c373e219033c21091fa607bf3b8 locked.mp4;"
              "ff " PICTURES X264 "-t 1 -movflags +faststart good.mp4;"
              "LC_ALL=C sed 's/avc1/zzz1/g; s/avcC/zzzC/g' good.mp4 >strange.mp4;"
              "perl -0777 -pe 'srand 1; $i = 64 + index $_, \"mdat\";"
              "substr($_, $i) = join \"\", map { chr rand 256 } 1 .. length($_) - $i' good.mp4"
              " >noise.mp4;"
              "ff " PICTURES X264 "-t 4 -g 25 -movflags +faststart long.mp4;"
              "perl -0777 -pe 'srand 1; $i = int(length($_) * 0.6);"
              "substr($_, $i) = join \"\", map { chr rand 256 } 1 .. length($_) - $i' long.mp4"
              " >tail.mp4");
    rig_start_agent(rig);
    refuses(rig, "still.gif", "probe: it is a still image, not a video (GIF)");
    refuses(rig, "sound.mp4", "audio only, MP3");
    refuses(rig, "locked.mp4", "the video is encrypted");
    refuses(rig, "strange.mp4", "ffmpeg does not know the video's codec (zzz1 in the file)");
    refuses(rig, "noise.mp4", "thumbnail: no frame of the video can be decoded");
    refuses(rig, "tail.mp4", "s of the video's 4.0 s can be decoded");
    RUN(shown) = rig_verifier(rig, (const char *const[]){"job", "show", "5", NULL});
    cr_expect(strstr(shown.out, "last error  thumbnail: no frame"), "%s", shown.out);
    rig_end(rig);
}
