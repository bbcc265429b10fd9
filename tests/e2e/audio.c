/* Which sound a video gets: the one that decodes. */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { MAKE_MS = 60 * 1000 };

#define PICTURE "-f lavfi -i testsrc2=s=160x120:r=25:d=1.2 "
#define TONE    "-f lavfi -i sine=r=48000:d=1.2 "
#define SILENCE "-f lavfi -i anullsrc=r=48000:cl=stereo:d=1.2 "
#define X264    "-c:v libx264 -preset ultrafast -pix_fmt yuv420p "

/* words: ffmpeg's, as the shell splits them. The path is owned. */
static char *make_clip(const struct rig *rig, const char *name, const char *words)
{
    char *path = rig_path(rig, "%s", name);
    TEXT(script) = must_printf("ffmpeg -nostdin -v error -y %s '%s'", words, path);
    RUN(run) = run_program((const char *[]){"sh", "-c", script, NULL}, NULL, MAKE_MS);
    cr_assert(run.status == 0, "cannot make %s: %s", name, run.err);
    return path;
}

/* Writes over every place where the video has these four letters; the sample entries come first. */
static void overwrite(const char *path, const char *letters, const char *others)
{
    TEXT(script) = must_printf("perl -0777 -pi -e 's/%s/%s/' '%s'", letters, others, path);
    RUN(run) = run_program((const char *[]){"sh", "-c", script, NULL}, NULL, MAKE_MS);
    cr_assert(run.status == 0, "%s", run.err);
}

/* The loudest sample of the published video, in dB of full scale; silence is -91. */
static double loudness(const struct rig *rig, const char *slug)
{
    TEXT(path) = rig_path(rig, "videos/%s/360p/stream.m3u8", slug);
    RUN(run) = run_program(
        (const char *[]){"ffmpeg", "-nostdin", "-hide_banner", "-allowed_extensions", "ALL", "-i",
                         path, "-map", "0:a:0", "-af", "volumedetect", "-f", "null", "-", NULL},
        NULL, MAKE_MS);
    const char *found = strstr(run.err, "max_volume: ");
    cr_assert(run.status == 0 && found, "%s has no sound: %s", path, run.err);
    return strtod(found + strlen("max_volume: "), NULL);
}

static void publish(struct rig *rig, const char *path)
{
    rig_wait_completed(rig, rig_begin(rig, path));
}

static void expect_loud(const struct rig *rig)
{
    double peak_db = loudness(rig, "film");
    cr_expect_gt(peak_db, -40.0, "the peak is %.1f dB", peak_db);
}

Test(audio, a_track_without_packets_is_passed_over, .timeout = 180)
{
    struct rig *rig = rig_new();
    TEXT(video) = make_clip(rig, "empty.mkv", /* the name is what `job add` goes by */
                            PICTURE TONE "-map 0 -map 1 -map 1 " X264
                                         "-c:a:0 ac3 -bsf:a:0 noise=drop=1 -c:a:1 mp2 -f mpegts");
    publish(rig, video);
    expect_loud(rig);
    rig_end(rig);
}

Test(audio, a_track_of_an_unknown_codec_is_passed_over, .timeout = 180)
{
    struct rig *rig = rig_new();
    TEXT(video) = make_clip(rig, "apac.mp4",
                            PICTURE SILENCE TONE "-map 0 -map 1 -map 2 " X264 "-c:a aac");
    overwrite(video, "mp4a", "apac");
    overwrite(video, "esds", "dapa");
    publish(rig, video);
    expect_loud(rig);
    rig_end(rig);
}

Test(audio, a_commentary_is_not_the_main_audio_though_it_comes_first, .timeout = 180)
{
    struct rig *rig = rig_new();
    TEXT(video) = make_clip(rig, "commentary.mkv",
                            PICTURE SILENCE TONE
                            "-map 0 -map 1 -map 1 -map 2 " X264 "-c:a aac "
                            "-disposition:a:0 default+comment -metadata:s:a:1 'title=Audio "
                            "description' -disposition:a:1 0 -disposition:a:2 0");
    publish(rig, video);
    expect_loud(rig);
    rig_end(rig);
}

/* Ambisonics and channels without positions: ffmpeg has no matrix to mix them down with. */
Test(audio, any_number_of_channels_is_mixed_down, .timeout = 240)
{
    static const struct {
        const char *name, *words;
    } cases[] = {
        {"ambisonic.mkv", "-f lavfi -i aevalsrc='sin(2765*t)|0|0|0:c=4.0:d=1.2' -map 0 -map 1 " X264
                          "-c:a libopus -mapping_family 2"},
        {"ten.mkv", "-f lavfi -i aevalsrc='0|0|0|0|0|0|0|0|0|sin(2765*t):d=1.2' -map 0 -map 1 " X264
                    "-c:a pcm_s16le"},
        {"wide.mkv",
         "-f lavfi -i aevalsrc='0|0|0|0|0|0|sin(2765*t)|0:c=7.1:d=1.2' -map 0 -map 1 " X264
         "-c:a flac"},
    };
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    rig_start_agent(rig);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *words = must_printf(PICTURE "%s", cases[i].words);
        TEXT(video) = make_clip(rig, cases[i].name, words);
        char slug[32];
        snprintf(slug, sizeof slug, "film-%zu", i);
        rig_wait_completed(rig, rig_add_job(rig, video, slug));
        double peak_db = loudness(rig, slug);
        cr_expect_gt(peak_db, -40.0, "%s: the peak is %.1f dB", cases[i].name, peak_db);
        free(words);
    }
    rig_end(rig);
}

Test(audio, a_video_whose_audio_cannot_be_decoded_is_published_silent_with_a_warning,
     .timeout = 180)
{
    struct rig *rig = rig_new();
    TEXT(video) = make_clip(rig, "deaf.mp4", PICTURE TONE X264 "-c:a aac");
    overwrite(video, "mp4a", "apac");
    overwrite(video, "esds", "dapa");
    publish(rig, video);
    TEXT(playlist) = rig_path(rig, "videos/film/360p/stream.m3u8");
    TEXT(kinds) = media_probe(playlist, "stream=codec_type", NULL);
    cr_expect_null(strstr(kinds, "audio"), "%s", kinds);
    rig_expect(rig, "level=warning event=step.warning reason=\"the video has no sound:", 0, NULL);
    inspect_wait_status(rig, "--json", "the video has no sound", RIG_START_MS);
    RUN(shown) = rig_verifier(rig, (const char *const[]){"job", "show", "1", NULL});
    cr_expect(strstr(shown.out, "the video has no sound: no audio track"), "%s", shown.out);
    rig_end(rig);
}

/* In a fragmented MP4 only the edit list says that a track begins late; browsers do not read it,
 * and play the sound too early. */
Test(audio, sound_that_begins_late_begins_with_silence, .timeout = 180)
{
    struct rig *rig = rig_new();
    TEXT(video) = make_clip(rig, "late.mkv",
                            PICTURE "-itsoffset 0.8 " TONE "-map 0 -map 1 -t 2 " X264 "-c:a aac");
    publish(rig, video);
    TEXT(playlist) = rig_path(rig, "videos/film/360p/stream.m3u8");
    TEXT(start) = media_probe(playlist, "stream=start_time", "a:0");
    cr_expect_lt(strtod(start, NULL), 0.2, "it begins at %s s", start);
    expect_loud(rig);
    rig_end(rig);
}

static int count(const char *text, const char *word)
{
    int found = 0;
    for (; (text = strstr(text, word)); text += strlen(word))
        found++;
    return found;
}

/* Each rendition plays by itself, with the first; who wants to choose takes pictures and sound from
 * playlists of their own. */
Test(audio, every_language_is_a_choice_that_plays, .timeout = 180)
{
    struct rig *rig = rig_new();
    TEXT(video) = make_clip(rig, "languages.mkv",
                            PICTURE SILENCE TONE SILENCE
                            "-map 0 -map 1 -map 2 -map 3 " X264 "-c:a aac "
                            "-metadata:s:a:0 language=eng -disposition:a:0 comment "
                            "-metadata:s:a:1 language=ger -disposition:a:1 default "
                            "-metadata:s:a:2 language=fre -disposition:a:2 0");
    publish(rig, video);
    expect_loud(rig);
    TEXT(path) = rig_path(rig, "videos/film/master.m3u8");
    TEXT(master) = file_read(path);
    cr_expect(
        strstr(master,
               "NAME=\"de\",LANGUAGE=\"de\",DEFAULT=YES,AUTOSELECT=YES,URI=\"360p/audio_0.m3u8\""),
        "%s", master);
    cr_expect(strstr(master, "LANGUAGE=\"fr\",DEFAULT=NO,AUTOSELECT=YES,URI=\"360p/audio_1.m3u8\""),
              "%s", master);
    cr_expect(strstr(master, "LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=NO,URI=\"360p/audio_2.m3u8\""),
              "%s", master);
    cr_expect_eq(count(master, ",AUDIO=\"audio\""), count(master, "#EXT-X-STREAM-INF"));
    for (int number = 0; number <= 2; number++) {
        TEXT(playlist) = rig_path(rig, "videos/film/360p/audio_%d.m3u8", number);
        cr_expect_float_eq(media_duration(playlist), 1.2, 0.1);
        media_plays(playlist);
    }
    TEXT(pictures) = rig_path(rig, "videos/film/360p/video.m3u8");
    TEXT(kinds) = media_probe(pictures, "stream=codec_type", NULL);
    cr_expect_null(strstr(kinds, "audio"), "%s", kinds);
    /* What begins before the offset is cut away, with all that follows up to a keyframe. */
    TEXT(mpd_path) = rig_path(rig, "videos/film/manifest.mpd");
    TEXT(mpd) = file_read(mpd_path);
    cr_expect(strstr(mpd, "presentationTimeOffset=\"0\""), "%s", mpd);
    media_plays(pictures);
    media_plays(path);
    rig_end(rig);
}

/* Of the server's files nothing may be lost: what it names missing is sent again. */
Test(audio, a_further_track_that_the_server_lost_is_sent_again, .timeout = 180)
{
    struct rig *rig = rig_new();
    TEXT(video) = make_clip(rig, "two.mkv",
                            PICTURE TONE TONE "-map 0 -map 1 -map 2 " X264 "-c:a aac");
    struct peer *peer = rig_put_peer_between(rig);
    peer_script(peer, "POST *audio_1_0000.m4s", "200 {\"status\":\"ok\"}; pass");
    publish(rig, video);
    cr_expect_eq(peer_count(peer, "POST *audio_1_0000.m4s"), 2);
    TEXT(playlist) = rig_path(rig, "videos/film/360p/audio_1.m3u8");
    media_plays(playlist);
    rig_end(rig);
}
