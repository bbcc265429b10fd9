/* The main job, from a video to something that plays. */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"
#include "transcoder.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>

static void check_size(const struct rig *rig, const char *quality, const char *expected)
{
    char recorded[32];
    TEXT(path) = rig_path(rig, "videos/film/%s/stream.m3u8", quality);
    TEXT(size) = media_probe(path, "stream=width,height", "v:0");
    char *line_end = strchr(size, '\n');
    cr_assert(line_end, "%s: %s", quality, size);
    *line_end = 'x';
    size[strcspn(size, "\n")] = '\0';
    cr_assert_str_eq(size, expected, "%s is %s", quality, size);
    inspect_text(rig, recorded, sizeof recorded,
                 "SELECT width||'x'||height FROM video_qualities WHERE quality='%s'", quality);
    cr_assert_str_eq(recorded, expected, "%s is recorded as %s", quality, recorded);
}

static void check_playable(const struct rig *rig)
{
    const char *const names[] = {"720p", "480p", "360p", "original"};
    TEXT(first) = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        TEXT(path) = rig_path(rig, "videos/film/%s/stream.m3u8", names[i]);
        cr_assert_float_eq(media_duration(path), 5.0, 0.5, "%s", names[i]);
        media_plays(path);
        if (strcmp(names[i], "original") == 0)
            continue;
        TEXT(times) = media_keyframes(path);
        cr_assert(strchr(times, '\n'), "%s has no keyframes", names[i]);
        if (!first)
            first = steal_text(&times);
        else
            cr_assert_str_eq(times, first, "the keyframes of %s fall elsewhere", names[i]);
    }
    TEXT(master) = rig_path(rig, "videos/film/master.m3u8");
    TEXT(streams) = media_probe(master, "stream=codec_type", "v");
    int variants = 0;
    for (const char *at = streams; (at = strstr(at, "video")) != NULL; at++)
        variants++;
    cr_assert_geq(variants, 4, "master.m3u8 shows %d pictures", variants);
    TEXT(manifest) = rig_path(rig, "videos/film/manifest.mpd");
    cr_assert_float_eq(media_duration(manifest), 5.0, 0.5);
    TEXT(described) = media_probe(manifest, "stream=codec_type", "v");
    cr_assert(strstr(described, "video"), "%s", described);
    TEXT(thumbnail) = rig_path(rig, "videos/film/thumbnail.jpg");
    TEXT(codec) = media_probe(thumbnail, "stream=codec_name", "v:0");
    cr_assert_str_eq(codec, "mjpeg");
}

Test(main_job, a_video_becomes_playable_in_every_rendition, .timeout = 180)
{
    struct rig *rig = rig_new();
    rig_agent_set(rig, "transcode.original", "true");
    int64_t job = rig_begin(rig, media_clip(MEDIA_HD));
    rig_wait_completed(rig, job);
    cr_assert_eq(inspect_int(rig, "SELECT count(*) FROM video_qualities"), 4);
    check_size(rig, "720p", "1280x720");
    check_size(rig, "480p", "854x480");
    check_size(rig, "360p", "640x360");
    check_size(rig, "original", "1280x720");
    check_playable(rig);
    cr_assert_eq(inspect_int(rig, "SELECT source_width FROM videos"), 1280);
    cr_assert_eq(inspect_int(rig, "SELECT round(duration) FROM videos"), 5);
    rig_end(rig);
}

/* ffmpeg's own DASH reader gives sound and picture of one representation the same number and so
 * cannot decode both; a silent video shows that the manifest names the right segments. */
Test(main_job, the_manifest_of_a_silent_video_plays, .timeout = 180)
{
    struct rig *rig = rig_new();
    int64_t job = rig_begin(rig, media_clip(MEDIA_SILENT));
    rig_wait_completed(rig, job);
    TEXT(manifest) = rig_path(rig, "videos/film/manifest.mpd");
    cr_assert_float_eq(media_duration(manifest), 2.0, 0.2);
    media_plays(manifest);
    TEXT(master) = rig_path(rig, "videos/film/master.m3u8");
    media_plays(master);
    rig_end(rig);
}

Test(main_job, each_job_ends_with_one_line_that_says_how, .timeout = 180)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    rig_start_agent(rig);
    char line[LINE_BYTES], token[128], recorded[128];
    for (int i = 0; i < 2; i++) {
        int64_t job = rig_add_job(rig, media_clip(MEDIA_TINY), NULL);
        rig_wait_completed(rig, job);
        TEXT(words) = must_printf("event=job.final job=%lld token= outcome=", (long long)job);
        rig_expect(rig, words, 0, line);
        cr_assert(line_value(line, "token", token, sizeof token));
        inspect_text(rig, recorded, sizeof recorded,
                     "SELECT token FROM completions WHERE job_id=%lld", (long long)job);
        cr_assert_str_eq(token, recorded);
    }
    rig_stop_agent(rig);
    cr_assert_eq(rig_count_lines(rig, "event=job.final"), 2);
    rig_end(rig);
}

Test(main_job, two_slots_work_on_two_jobs_at_a_time, .timeout = 180)
{
    struct rig *rig = rig_new();
    rig_agent_set(rig, "node.slots", "2");
    /* Each transcode waits until another has started: with one slot it would wait for ever. */
    TEXT(meet) = rig_path(rig, "meet");
    cr_assert_eq(mkfifo(meet, 0600), 0);
    transcoder_does(rig, "if mkdir '%s.first' 2>/dev/null; then : <'%s'; else : >'%s'; fi", meet,
                    meet, meet);
    rig_start_verifier(rig);
    int64_t first = rig_add_job(rig, media_clip(MEDIA_TINY), "one");
    int64_t second = rig_add_job(rig, media_clip(MEDIA_TINY), "two");
    rig_start_agent(rig);
    rig_wait_final(rig, first);
    rig_wait_final(rig, second);
    inspect_job_completed_once(rig, first);
    inspect_job_completed_once(rig, second);
    inspect_wait_spool(rig, "spool", 0, RIG_START_MS);
    rig_end(rig);
}

Test(main_job, a_program_of_ones_own_makes_the_output, .timeout = 180)
{
    struct rig *rig = rig_new();
    TEXT(text) = must_printf("cp -r '%s'/. \"$2\" && echo \"$1|$2|$3\" >'%s/called'", media_tree(),
                             rig->dir);
    TEXT(script) = rig_script(rig, "transcoder", text);
    TEXT(command) = must_printf("\"%s {source} {output} {job_id}\"", script);
    rig_agent_set(rig, "transcode.recipe", "\"command\"");
    rig_agent_set(rig, "transcode.command", command);
    int64_t job = rig_begin(rig, media_clip(MEDIA_NORMAL));
    rig_wait_delivered(rig, job);
    TEXT(path) = rig_path(rig, "called");
    TEXT(called) = file_read(path);
    TEXT(tail) = must_printf("|%lld\n", (long long)job);
    cr_assert(strlen(called) > strlen(tail) &&
                  strcmp(called + strlen(called) - strlen(tail), tail) == 0,
              "it was called with %s", called);
    cr_assert_eq(inspect_int(rig, "SELECT width FROM video_qualities WHERE quality='360p'"), 640);
    rig_end(rig);
}

/* A program of one's own has a word for people: it is in the record, the log, both commands. */
Test(main_job, a_warning_is_shown_by_the_log_and_by_both_programs, .timeout = 180)
{
    struct rig *rig = rig_new();
    peer_script(rig_put_peer_between(rig), "POST *complete", "503 retry-after=3600");
    TEXT(text) = must_printf("cp -r '%s'/. \"$1\" && echo '{\"qualities\": [], \"warnings\": "
                             "[\"one channel is silent\"]}' >\"$1/result.json\"",
                             media_tree());
    TEXT(script) = rig_script(rig, "transcoder", text);
    TEXT(command) = must_printf("\"%s {output}\"", script);
    rig_agent_set(rig, "transcode.recipe", "\"command\"");
    rig_agent_set(rig, "transcode.command", command);
    int64_t job = rig_begin(rig, media_clip(MEDIA_NORMAL));
    rig_expect(rig, "event=step.warning reason=\"one channel is silent\"", RIG_JOB_MS, NULL);
    RUN(held) = rig_agent(rig, (const char *const[]){"status", NULL});
    cr_expect(strstr(held.out, "warning: one channel is silent"), "%s", held.out);

    peer_script(rig->peer, "POST *complete", "pass");
    RUN(retry) = rig_agent(rig, (const char *const[]){"spool", "retry", "--all", NULL});
    cr_assert_eq(retry.status, 0, "%s", retry.err);
    rig_wait_delivered(rig, job);
    rig_expect(rig, "event=job.final outcome=completed reason=\"warning: one channel is silent\"",
               0, NULL);
    RUN(shown) = rig_verifier(rig, (const char *const[]){"job", "show", "1", NULL});
    cr_expect(strstr(shown.out, "warnings    one channel is silent\n"), "%s", shown.out);
    RUN(json) = rig_verifier(rig, (const char *const[]){"job", "show", "1", "--json", NULL});
    cr_expect(strstr(json.out, "one channel is silent"), "%s", json.out);
    cr_expect_eq(rig_count_lines(rig, "event=step.warning"), 1);
    rig_end(rig);
}

Test(main_job, the_idle_agent_is_small_and_soon_heard, .timeout = 60)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    rig_start_agent(rig);
    inspect_wait_int(rig, 1, 5000, "SELECT count(*) FROM workers WHERE last_heartbeat NOT NULL");
    /* With sanitizers the figure says nothing; that it can be read is what tests/bench needs. */
    cr_assert_gt(inspect_rss_anon_kib(rig->agent->pid), 0);
    rig_end(rig);
}
