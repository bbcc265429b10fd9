/* What a node encodes with: real encoders where it has them, doubles where it would need hardware.
 */
#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"
#include "transcoder.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { DECODE_MS = 120 * 1000, CHECK_MS = 60 * 1000, CHECK_LIMIT_MS = 25 * 1000 };

/* ---- real codecs ----------------------------------------------------------------------------- */

static int lines_of(const char *text)
{
    int lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

static void check_rendition(const struct rig *rig, const char *quality, const char *described)
{
    TEXT(path) = rig_path(rig, "videos/film/%s/stream.m3u8", quality);
    TEXT(words) = media_probe(path, "stream=codec_name,codec_tag_string,pix_fmt", "v:0");
    for (char *at = words; *at; at++)
        if (*at == '\n')
            *at = at[1] ? ' ' : '\0';
    /* Once for the program, once for the stream. */
    cr_assert(strncmp(words, described, strlen(described)) == 0, "%s: %s", quality, words);
    cr_assert_float_eq(media_duration(path), 5.0, 0.5, "%s", quality);
}

static void film_becomes(const char *codec, const char *described, const char *word)
{
    static const char *const names[] = {"720p", "480p", "360p"};
    struct rig *rig = rig_new();
    TEXT(value) = must_printf("\"%s\"", codec);
    rig_agent_set(rig, "transcode.codec", value);
    int64_t job = rig_begin(rig, media_clip(MEDIA_HD));
    rig_wait_completed(rig, job);
    char recorded[16];
    inspect_text(rig, recorded, sizeof recorded, "SELECT primary_codec FROM videos WHERE id=1");
    cr_assert_str_eq(recorded, codec);
    TEXT(first) = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        check_rendition(rig, names[i], described);
        TEXT(path) = rig_path(rig, "videos/film/%s/stream.m3u8", names[i]);
        TEXT(times) = media_keyframes(path);
        cr_assert_eq(lines_of(times), 5, "a keyframe a second: %s", times);
        if (!first)
            first = must_strdup(times);
        cr_assert_str_eq(times, first, "%s has its keyframes elsewhere", names[i]);
    }
    TEXT(master_path) = rig_path(rig, "videos/film/master.m3u8");
    TEXT(master) = file_read(master_path);
    TEXT(manifest_path) = rig_path(rig, "videos/film/manifest.mpd");
    TEXT(manifest) = file_read(manifest_path);
    cr_assert(strstr(master, word), "%s", master);
    cr_assert(strstr(manifest, word), "%s", manifest);
    media_plays(master_path);
    rig_end(rig);
}

Test(encoders, a_video_in_hevc_plays_and_its_renditions_are_aligned, .timeout = 300)
{
    film_becomes("hevc", "hevc hvc1 yuv420p", "hvc1.1.");
}

Test(encoders, a_video_in_av1_plays_and_its_renditions_are_aligned, .timeout = 300)
{
    film_becomes("av1", "av1 av01 yuv420p", "av01.0.");
}

/* ---- high dynamic range ---------------------------------------------------------------------- */

static char *clip_in_pq(const struct rig *rig)
{
    char *path = rig_path(rig, "pq.mp4");
    RUN(run) = run_program((const char *[]){"ffmpeg",
                                            "-nostdin",
                                            "-v",
                                            "error",
                                            "-f",
                                            "lavfi",
                                            "-i",
                                            "testsrc2=size=320x180:rate=25:duration=1.5",
                                            "-c:v",
                                            "libx265",
                                            "-preset",
                                            "ultrafast",
                                            "-pix_fmt",
                                            "yuv420p10le",
                                            "-color_primaries",
                                            "bt2020",
                                            "-color_trc",
                                            "smpte2084",
                                            "-colorspace",
                                            "bt2020nc",
                                            "-x265-params",
                                            "log-level=error:colorprim=bt2020:transfer=smpte2084:"
                                            "colormatrix=bt2020nc",
                                            "-tag:v",
                                            "hvc1",
                                            path,
                                            NULL},
                           NULL, DECODE_MS);
    cr_assert_eq(run.status, 0, "%s", run.err);
    return path;
}

static void pq_becomes(const char *codec, const char *described, const char *range)
{
    struct rig *rig = rig_new();
    TEXT(value) = must_printf("\"%s\"", codec);
    rig_agent_set(rig, "transcode.codec", value);
    rig_start_verifier(rig);
    TEXT(video) = clip_in_pq(rig);
    int64_t job = rig_add_job(rig, video, "film");
    rig_start_agent(rig);
    rig_wait_completed(rig, job);
    TEXT(path) = rig_path(rig, "videos/film/360p/stream.m3u8");
    TEXT(words) = media_probe(path, "stream=pix_fmt,color_transfer", "v:0");
    cr_assert(strncmp(words, described, strlen(described)) == 0, "%s", words);
    TEXT(master_path) = rig_path(rig, "videos/film/master.m3u8");
    TEXT(master) = file_read(master_path);
    cr_assert_eq(strstr(master, "VIDEO-RANGE=PQ") != NULL, range != NULL, "%s", master);
    rig_end(rig);
}

Test(encoders, high_dynamic_range_is_mapped_for_h264, .timeout = 180)
{
    pq_becomes("h264", "yuv420p\nbt709\n", NULL);
}

Test(encoders, high_dynamic_range_is_kept_in_hevc_and_said, .timeout = 180)
{
    pq_becomes("hevc", "yuv420p10le\nsmpte2084\n", "PQ");
}

/* ---- hardware, by a double ------------------------------------------------------------------- */

/* An ffmpeg that takes NVENC's words and does the work by libx264. `misdeed`: what it does instead
 * in a real job with NVENC. */
static void use_nvenc_double(struct rig *rig, const char *misdeed)
{
    TEXT(text) = must_printf("case \"$*\" in\n"
                             "*h264_nvenc*hls*) echo real >>'%s/calls'; %s;;\n"
                             "*testsrc2*) echo trial >>'%s/calls';;\n"
                             "esac\n"
                             "case \"$*\" in *h264_nvenc*) ;; *) exec ffmpeg \"$@\";; esac\n"
                             "skip=\n"
                             "for word; do\n"
                             "  shift\n"
                             "  case \"$skip$word\" in\n"
                             "  -rc|-no-scenecut|-forced-idr) skip=skip:; continue;;\n"
                             "  h264_nvenc) word=libx264;;\n"
                             "  p1) word=ultrafast;;\n"
                             "  skip:*) skip=; continue;;\n"
                             "  esac\n"
                             "  set -- \"$@\" \"$word\"\n"
                             "done",
                             rig->dir, misdeed, rig->dir);
    transcoder_use(rig, text);
    rig_agent_set(rig, "transcode.encoder", "\"auto\"");
}

static int calls(const struct rig *rig, const char *word)
{
    TEXT(path) = rig_path(rig, "calls");
    return log_count(path, word);
}

Test(encoders, hardware_that_works_is_used_and_reported, .timeout = 180)
{
    struct rig *rig = rig_new();
    use_nvenc_double(rig, ":");
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    rig_expect(rig, "event=step.encoder encoder=h264_nvenc", RIG_JOB_MS, NULL);
    rig_wait_completed(rig, job);
    cr_assert_eq(calls(rig, "real"), 1);
    rig_expect(rig, "event=encoders.found h264=h264_nvenc hevc=libx265 av1=libsvtav1", RIG_JOB_MS,
               NULL);
    inspect_wait_int(rig, 1, RIG_JOB_MS,
                     "SELECT count(*) FROM workers WHERE "
                     "capabilities LIKE '%%\"hwaccel_type\":\"nvidia\"%%\"h264\":[\"h264_nvenc\","
                     "\"libx264\"]%%' AND metadata LIKE '%%\"encoder\":\"h264_nvenc\"%%'");
    rig_end(rig);
}

Test(encoders, hardware_that_fails_in_a_job_gives_way_to_the_cpu_once, .timeout = 180)
{
    struct rig *rig = rig_new();
    use_nvenc_double(rig, "echo 'the GPU has fallen off the bus' >&2; exit 1");
    rig_start_verifier(rig);
    int64_t first = rig_add_job(rig, media_clip(MEDIA_TINY), "one");
    int64_t second = rig_add_job(rig, media_clip(MEDIA_TINY), "two");
    rig_start_agent(rig);
    char line[LINE_BYTES];
    rig_expect(rig, "event=step.encoder_failed encoder=h264_nvenc fallback=libx264", RIG_JOB_MS,
               line);
    cr_assert(strstr(line, "fallen off the bus"), "%s", line);
    rig_wait_final(rig, first);
    rig_wait_final(rig, second);
    inspect_job_completed_once(rig, first);
    inspect_job_completed_once(rig, second);
    cr_assert_eq(inspect_int(rig, "SELECT max(attempt_number) FROM transcoding_jobs"), 1);
    cr_assert_eq(calls(rig, "real"), 1, "the second job leaves the hardware alone");
    cr_assert_eq(rig_count_lines(rig, "event=step.encoder encoder=libx264 avoided=h264_nvenc"), 1);
    rig_end(rig);
}

Test(encoders, what_was_found_is_not_probed_again_until_ffmpeg_changes, .timeout = 180)
{
    struct rig *rig = rig_new();
    use_nvenc_double(rig, ":");
    rig_start_verifier(rig);
    rig_start_agent(rig);
    rig_expect(rig, "event=encoders.found", RIG_JOB_MS, NULL);
    int trials = calls(rig, "trial");
    cr_assert_gt(trials, 0);
    rig_stop_agent(rig);
    rig_start_agent(rig);
    rig_expect(rig, "event=encoders.found", RIG_JOB_MS, NULL);
    cr_assert_eq(calls(rig, "trial"), trials);
    rig_stop_agent(rig);
    TEXT(script) = rig_path(rig, "ffmpeg");
    cr_assert_eq(utimensat(AT_FDCWD, script, NULL, 0), 0);
    rig_start_agent(rig);
    rig_expect(rig, "event=encoders.found", RIG_JOB_MS, NULL);
    cr_assert_gt(calls(rig, "trial"), trials);
    rig_end(rig);
}

/* ---- nothing works --------------------------------------------------------------------------- */

/* What is found out by a short encode of a made picture. */
static void trials_do(struct rig *rig, const char *deed)
{
    TEXT(text) = must_printf("case \"$*\" in *testsrc2*) %s;; esac", deed);
    transcoder_use(rig, text);
}

Test(encoders, where_no_encoder_works_nothing_is_claimed_and_it_is_said, .timeout = 120)
{
    struct rig *rig = rig_new();
    trials_do(rig, "echo '[x @ 0x1] no license' >&2; exit 1");
    rig_start_verifier(rig);
    rig_start_agent(rig);
    rig_expect(rig, "event=encoders.none codec=auto", RIG_JOB_MS, NULL);
    int64_t job = rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    RUN(check) = rig_agent(rig, (const char *[]){"check", NULL});
    cr_assert_eq(check.status, 78, "%d %s", check.status, check.out);
    cr_assert(strstr(check.out, "libx264     not usable: no license"), "%s", check.out);
    cr_assert(strstr(check.out, "no encoder for h264 works"), "%s", check.out);
    cr_assert_eq(inspect_int(rig,
                             "SELECT count(*) FROM transcoding_jobs WHERE id=%lld AND "
                             "claimed_at IS NOT NULL",
                             (long long)job),
                 0);
    rig_end(rig);
}

static void check_ends_in_time(struct rig *rig, const char *word)
{
    int64_t begun_ms = mono_ms();
    RUN(check) = rig_agent(rig, (const char *[]){"check", NULL});
    cr_assert_eq(check.status, 78, "%d %s", check.status, check.out);
    cr_assert(strstr(check.out, word), "%s", check.out);
    cr_assert_lt(mono_ms() - begun_ms, CHECK_LIMIT_MS);
}

Test(encoders, check_ends_though_every_encode_hangs, .timeout = 120)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    /* A child of its own: the whole group has to go, or the log's memory stays open. */
    trials_do(rig, "trap '' TERM; sleep 601 & wait");
    check_ends_in_time(rig, "libx264     not usable: it did not finish within");
    pid_t left[1];
    cr_assert_eq(inspect_processes((const char *[]){"sleep", "601", NULL}, left, 1), 0);
    rig_end(rig);
}

Test(encoders, check_ends_though_ffmpeg_hangs_at_once, .timeout = 120)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    transcoder_use(rig, "exec sleep 602");
    check_ends_in_time(rig, "still running after");
    rig_end(rig);
}

/* ---- what the server has already ------------------------------------------------------------- */

Test(encoders, a_retranscode_of_one_quality_keeps_the_others_listed, .timeout = 240)
{
    struct rig *rig = rig_new();
    int64_t job = rig_begin(rig, media_clip(MEDIA_HD));
    rig_wait_completed(rig, job);
    /* Stopped first: its claim waits at the server and would get the job. */
    rig_stop_agent(rig);
    inspect_change(rig, "UPDATE transcoding_jobs SET completed_at=NULL, "
                        "retranscode_metadata='{\"retranscode_all\": false, "
                        "\"qualities_to_delete\": [\"480p\"]}'");
    rig_start_agent(rig);
    char line[LINE_BYTES];
    rig_expect(rig, "event=step.planned renditions=1", RIG_JOB_MS, line);
    rig_wait_final(rig, job);
    inspect_tree(rig, job);
    TEXT(master_path) = rig_path(rig, "videos/film/master.m3u8");
    TEXT(master) = file_read(master_path);
    TEXT(manifest_path) = rig_path(rig, "videos/film/manifest.mpd");
    TEXT(manifest) = file_read(manifest_path);
    static const char *const in_master[] = {
        "RESOLUTION=1280x720\n720p/stream.m3u8\n",
        "RESOLUTION=854x480,CODECS=", "RESOLUTION=640x360\n360p/stream.m3u8\n"};
    for (size_t i = 0; i < 3; i++)
        cr_assert(strstr(master, in_master[i]), "%s", master);
    cr_assert_not(strstr(master, "AVERAGE-BANDWIDTH=2628000"), "not the nominal rate: %s", master);
    static const char *const in_manifest[] = {"id=\"720p\"", "id=\"480p\"", "id=\"360p\""};
    for (size_t i = 0; i < 3; i++)
        cr_assert(strstr(manifest, in_manifest[i]), "%s", manifest);
    cr_assert_eq(inspect_int(rig, "SELECT count(*) FROM video_qualities"), 3);
    media_plays(master_path);
    rig_end(rig);
}
