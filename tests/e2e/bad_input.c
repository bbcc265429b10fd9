/* Sources, tools and disks that are not what they should be: a clear word, and nothing lost. */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"
#include "transcoder.h"

#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FAILED_MS = 40 * 1000 };

static struct rig *with_source(const char *video, int64_t *job)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    *job = rig_add_job(rig, video, "film");
    return rig;
}

struct failing {
    enum media clip;  /* of a source */
    const char *deed; /* what the shell does in place of an encode */
    const char *word; /* of the reason that the video has in the end */
};

static void add_all(struct rig *rig, const struct failing *all, int count)
{
    for (int i = 0; i < count; i++) {
        int64_t job = rig_add_job(rig, media_clip(all[i].clip), NULL);
        cr_assert_eq(job, i + 1);
    }
}

/* The video ends as failed, for the reason. */
static void check_failed(struct rig *rig, int64_t job, const char *word)
{
    char reason[600];
    inspect_text(rig, reason, sizeof reason, "SELECT error_message FROM videos WHERE id=%lld",
                 (long long)job);
    cr_log_info("reason: %s", reason);
    cr_expect(strcasestr(reason, word), "the reason does not say \"%s\": %s", word, reason);
    cr_expect_eq(
        inspect_int(rig, "SELECT count(*) FROM completions WHERE job_id=%lld", (long long)job), 0);
}

/* All fail, each for its reason, and the node goes on; after a restart, too. */
static void all_fail(struct rig *rig, const struct failing *all, int count)
{
    inspect_wait_int(rig, count, count * FAILED_MS,
                     "SELECT count(*) FROM videos WHERE status='failed'");
    for (int i = 0; i < count; i++)
        check_failed(rig, i + 1, all[i].word);
    inspect_wait_spool(rig, "spool", 0, FAILED_MS);
    inspect_spool_empty(rig);
    rig_agent_set(rig, "transcode.ffmpeg", "\"ffmpeg\"");
    rig_agent_set(rig, "transcode.stall_seconds", "120.0");
    rig_stop_agent(rig);
    rig_start_agent(rig);
    TEXT(last) = must_printf("  job %d: ", count); /* the failures, after a restart, too */
    inspect_wait_status(rig, NULL, last, FAILED_MS);
    int64_t next = rig_add_job(rig, media_clip(MEDIA_TINY), "next");
    rig_wait_completed(rig, next);
    rig_end(rig);
}

static void completes_as(enum media clip, const char *sizes)
{
    int64_t job;
    struct rig *rig = with_source(media_clip(clip), &job);
    rig_start_agent(rig);
    rig_wait_completed(rig, job);
    char found[200];
    inspect_text(rig, found, sizeof found,
                 "SELECT group_concat(quality||' '||width||'x'||height, ', ') FROM "
                 "(SELECT * FROM video_qualities ORDER BY quality)");
    cr_assert_str_eq(found, sizes, "%s", found);
    TEXT(playlist) = rig_path(rig, "videos/film/360p/stream.m3u8");
    TEXT(probed) = media_probe(playlist, "stream=width,height", "v:0");
    int width, height;
    cr_assert(sscanf(probed, "%d\n%d", &width, &height) == 2, "%s", probed);
    TEXT(real) = must_printf("360p %dx%d", width, height);
    cr_assert(strstr(found, real), "recorded %s, but made %s", found, real);
    rig_end(rig);
}

/* ---- sources ---- */

Test(bad_source, what_is_no_whole_video_fails_for_its_reason, .timeout = 240)
{
    static const struct failing all[] = {
        {.clip = MEDIA_TEXT, .word = "cannot be read"},
        {.clip = MEDIA_TINY, .word = "empty"}, /* cut below: `job add` takes none that is empty */
        {.clip = MEDIA_NO_MOOV, .word = "truncated or damaged: its index is missing"},
        {.clip = MEDIA_TRUNCATED, .word = "truncated at about 5 s of 20 s"},
        {.clip = MEDIA_AUDIO, .word = "no video stream"},
    };
    enum { COUNT = sizeof all / sizeof *all };
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    add_all(rig, all, COUNT);
    TEXT(empty) = rig_path(rig, "uploads/2.mp4");
    cr_assert_eq(truncate(empty, 0), 0);
    rig_start_agent(rig);
    all_fail(rig, all, COUNT);
}

Test(bad_source, the_report_ends_with_the_last_lines_of_the_transcoder_s_log, .timeout = 120)
{
    int64_t job;
    struct rig *rig = with_source(media_clip(MEDIA_TINY), &job);
    TEXT(script) = rig_script(rig, "sad", "echo 'line one' >&2; echo 'line two' >&2; exit 1\n");
    TEXT(quoted) = must_printf("\"%s\"", script);
    rig_agent_set(rig, "transcode.recipe", "\"command\"");
    rig_agent_set(rig, "transcode.command", quoted);
    rig_start_agent(rig);
    inspect_wait_int(rig, 1, FAILED_MS,
                     "SELECT count(*) > 0 FROM failures WHERE error_message LIKE '%%line one' || "
                     "char(10) || 'line two'");
    RUN(show) = rig_verifier(rig, (const char *[]){"job", "show", "1", NULL});
    cr_assert(strstr(show.out, "\n            line one\n            line two\n"), "%s", show.out);
    rig_end(rig);
}

Test(bad_source, a_video_without_sound_is_fine, .timeout = 120)
{
    completes_as(MEDIA_SILENT, "360p 640x360");
}

Test(bad_source, portrait_is_measured_by_its_short_side, .timeout = 120)
{
    completes_as(MEDIA_PORTRAIT, "360p 360x640");
}

Test(bad_source, a_rotation_flag_is_applied, .timeout = 120)
{
    completes_as(MEDIA_ROTATED, "360p 360x640");
}

Test(bad_source, odd_dimensions_become_even, .timeout = 120)
{
    completes_as(MEDIA_ODD, "360p 320x180");
}

Test(bad_source, a_video_shorter_than_a_segment_is_one_segment, .timeout = 120)
{
    int64_t job;
    struct rig *rig = with_source(media_clip(MEDIA_SHORT), &job);
    rig_agent_set(rig, "transcode.segment_seconds", "6");
    rig_start_agent(rig);
    rig_wait_completed(rig, job);
    rig_end(rig);
}

Test(bad_source, a_name_full_of_tricks_is_only_a_name, .timeout = 120)
{
    static const char *const tricky[] = {"it's \"$HOME\" `id` ü 100%.mp4", "-i.mp4", "a;b&c|d.mp4"};
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    rig_start_agent(rig);
    for (size_t i = 0; i < sizeof tricky / sizeof *tricky; i++) {
        TEXT(path) = rig_path(rig, "%s", tricky[i]);
        RUN(copy) = run_program((const char *[]){"cp", "--", media_clip(MEDIA_TINY), path, NULL},
                                NULL, FAILED_MS);
        cr_assert_eq(copy.status, 0, "%s", copy.err);
        int64_t job = rig_add_job(rig, path, NULL);
        rig_wait_completed(rig, job);
    }
    rig_end(rig);
}

/* ---- transcoders ---- */

Test(bad_transcoder, what_does_not_encode_fails_for_its_reason, .timeout = 240)
{
    static const struct failing all[] = {
        {MEDIA_NORMAL, "echo 'the encoder is on strike' >&2; exit 1", "on strike"},
        {MEDIA_NORMAL, "kill -SEGV $$", "signal"},
        {MEDIA_NORMAL, "exec sleep 1000", "progress"},
        {MEDIA_NORMAL, "trap '' TERM INT; while :; do sleep 1000; done", "progress"},
        {MEDIA_NORMAL, "exec ffmpeg -t 0.75 \"$@\"", "0.8 s long, but the source is 3.0 s long"},
        {MEDIA_NORMAL, "exit 0", "360p"},
    };
    enum { COUNT = sizeof all / sizeof *all };
    struct rig *rig = rig_new();
    TEXT(deeds) = must_strdup("");
    for (int i = 0; i < COUNT; i++) { /* it works in the record's directory, <job>.<n> */
        TEXT(before) = steal_text(&deeds);
        deeds = must_printf("%s*/%d.*) %s;; ", before, i + 1, all[i].deed);
    }
    transcoder_does(rig, "case \"$PWD\" in %s esac", deeds);
    rig_agent_set(rig, "transcode.stall_seconds", "0.5");
    rig_start_verifier(rig);
    add_all(rig, all, COUNT);
    rig_start_agent(rig);
    all_fail(rig, all, COUNT);
}

Test(bad_transcoder, one_that_is_slow_but_goes_on_is_left_alone, .timeout = 120)
{
    int64_t job;
    struct rig *rig = with_source(media_clip(MEDIA_NORMAL), &job);
    transcoder_takes_time(rig, "1");
    rig_agent_set(rig, "transcode.stall_seconds", "2.5");
    rig_start_agent(rig);
    rig_wait_completed(rig, job);
    cr_assert_eq(inspect_int(rig, "SELECT attempt_number FROM transcoding_jobs"), 1);
    rig_end(rig);
}

/* ---- disks ---- */

Test(bad_disk, below_the_limit_of_free_space_nothing_is_claimed, .timeout = 120)
{
    struct rig *rig = rig_new();
    rig_agent_set(rig, "node.min_free_disk_gb", "900000");
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    rig_expect(rig, "event=disk.low", FAILED_MS, NULL);
    cr_assert_eq(
        inspect_int(rig, "SELECT count(*) FROM transcoding_jobs WHERE claimed_at NOT NULL"), 0);
    rig_stop_agent(rig);
    rig_agent_set(rig, "node.min_free_disk_gb", "0");
    rig_start_agent(rig);
    rig_wait_completed(rig, job);
    rig_end(rig);
}

/* The agent in a mount namespace of its own, where the spool lies on a small disk. */
static void start_agent_on_small_disk(struct rig *rig, const char *size)
{
    /* settings_write by way of any command of the agent; `version` needs nothing. */
    RUN(version) = rig_agent(rig, (const char *[]){"version", NULL});
    TEXT(log) = rig_path(rig, "agent.%d.log", ++rig->agent_lives);
    TEXT(script) = must_printf("mount -t tmpfs -o size=%s tmpfs '%s/agent' && "
                               "head -c 100M /dev/zero >'%s/agent/ballast' 2>/dev/null; "
                               "exec '%s' -c '%s/agent.cfg' run",
                               size, rig->dir, rig->dir, TAILSLATE_AGENT, rig->dir);
    const char *flags = getuid() == 0 ? "-m" : "-rm";
    rig->agent = process_start(
        (const char *[]){"unshare", flags, "--propagation", "private", "sh", "-c", script, NULL},
        (const char *const *)rig->env, log, NULL);
}

Test(bad_disk, a_full_disk_loses_nothing, .timeout = 120)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    int64_t job = rig_add_job(rig, media_clip(MEDIA_NORMAL), "film");
    start_agent_on_small_disk(rig, "8m");
    /* It says so, in whatever it was about to write. */
    rig_expect(rig, "level=", FAILED_MS, NULL);
    TEXT(ballast) = must_printf("/proc/%d/root%s/agent/ballast", (int)rig->agent->pid, rig->dir);
    cr_assert(log_wait(rig->agent->log, "No space left", FAILED_MS, NULL),
              "it does not say that the disk is full");
    cr_assert_eq(inspect_int(rig, "SELECT count(*) FROM videos WHERE status='failed'"), 0,
                 "a full disk of the node was blamed on the film");
    cr_assert(unlink(ballast) == 0, "%s", ballast);
    if (process_ends_within(rig->agent, 0)) {
        /* Not to start on a full disk is fair: its supervisor starts it again. */
        cr_assert_eq(process_wait(rig->agent, 0), 75);
        rig_kill_agent(rig);
        rig_start_agent(rig);
    }
    inspect_wait_int(rig, 1, RIG_JOB_MS, "SELECT count(*) FROM completions WHERE job_id=%lld",
                     (long long)job);
    inspect_job_completed_once(rig, job);
    rig_end(rig);
}

/* ---- the node itself ---- */

Test(bad_node, without_ffmpeg_it_does_not_start, .timeout = 60)
{
    struct rig *rig = rig_new();
    rig_agent_set(rig, "transcode.ffmpeg", "\"/nowhere/ffmpeg\"");
    rig_start_verifier(rig);
    rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    RUN(run) = rig_agent(rig, (const char *[]){"run", NULL});
    cr_assert_eq(run.status, 78, "%d: %s", run.status, run.err);
    cr_assert(strstr(run.err, "/nowhere/ffmpeg"), "%s", run.err);
    cr_assert_eq(
        inspect_int(rig, "SELECT count(*) FROM transcoding_jobs WHERE claimed_at NOT NULL"), 0,
        "it claimed a job that it cannot do");
    RUN(check) = rig_agent(rig, (const char *[]){"check", NULL});
    cr_assert_eq(check.status, 78);
    cr_assert(strstr(check.err, "/nowhere/ffmpeg") || strstr(check.out, "/nowhere/ffmpeg"));
    rig_end(rig);
}

Test(bad_node, a_spool_that_cannot_be_written_is_said_at_once, .timeout = 60)
{
    struct rig *rig = rig_new();
    rig_agent_set(rig, "node.state_dir", "\"/proc/tailslate\"");
    RUN(run) = rig_agent(rig, (const char *[]){"run", NULL});
    cr_assert(run.status == 78 || run.status == 75, "%d", run.status);
    cr_assert(strstr(run.err, "/proc/tailslate"), "%s", run.err);
    rig_end(rig);
}

Test(bad_node, a_file_in_the_place_of_the_spool_is_said_at_once, .timeout = 60)
{
    struct rig *rig = rig_new();
    TEXT(file) = rig_path(rig, "agent/spool");
    file_write(file, "", 0600);
    RUN(run) = rig_agent(rig, (const char *[]){"run", NULL});
    cr_assert_eq(run.status, 78, "%d: %s", run.status, run.err);
    cr_assert(strstr(run.err, "spool"), "%s", run.err);
    rig_end(rig);
}

Test(bad_node, a_foreign_file_and_a_corrupt_record_stop_nobody, .timeout = 120)
{
    struct rig *rig = rig_new();
    const char *const directories[] = {"agent/spool", "agent/spool/7.1", "agent/spool/not-ours"};
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        TEXT(path) = rig_path(rig, "%s", directories[i]);
        cr_assert(mkdir(path, 0700) == 0);
    }
    TEXT(corrupt) = rig_path(rig, "agent/spool/7.1/claim.json");
    file_write(corrupt, "{\"claim\": 7, half of", 0600);
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    rig_wait_final(rig, job);
    inspect_job_completed_once(rig, job);
    inspect_wait_spool(rig, "quarantine", 1, FAILED_MS);
    TEXT(foreign) = rig_path(rig, "agent/spool/not-ours");
    cr_assert(access(foreign, F_OK) == 0, "what is not ours was touched");
    rig_end(rig);
}
