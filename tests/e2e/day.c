/* An operator's day: one trouble after the other, and each is seen in `status` before the operator
 * has looked for it. At its end every video is ready, and none was done twice. */
#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "mounts.h"
#include "player.h"
#include "rig.h"
#include "settings.h"
#include "transcoder.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEEN_MS = 10 * 1000, JOBS = 5 };

/* ---- what the operator sees ------------------------------------------------------------------ */

struct question {
    struct rig *rig;
    struct run (*program)(struct rig *rig, const char *const words[]);
    const char *words, *to_do;
    char *said; /* the last answer */
};

static bool is_seen(void *ctx)
{
    struct question *question = ctx;
    RUN(run) = question->program(question->rig, (const char *[]){"status", NULL});
    free(question->said);
    question->said = must_strdup(run.out);
    return strstr(run.out, question->words) && strstr(run.out, question->to_do);
}

/* `status` of the program says both within 10 s of since_ms, whatever was waited for in between. */
static void seen(struct question question, int64_t since_ms)
{
    int64_t left_ms = since_ms + SEEN_MS - mono_ms();
    bool is_there = log_wait_until(question.rig->verifier->log, is_seen, &question, left_ms);
    cr_assert(is_there, "status does not say \"%s\" and \"%s\":\n%s", question.words,
              question.to_do, question.said);
    free(question.said);
}

/* ---- two nodes ------------------------------------------------------------------------------- */

/* One whose transcoder never ends, so that it dies at work. */
static struct process *start_other_node(struct rig *rig)
{
    char key[128];
    struct settings settings = rig->agent_settings;
    TEXT(key_file) = rig_path(rig, "other.key");
    TEXT(state) = rig_path(rig, "other");
    TEXT(config) = rig_path(rig, "other.cfg");
    TEXT(log) = rig_path(rig, "other.log");
    TEXT(hangs) = rig_script(rig, "other-ffmpeg",
                             "case \"$*\" in *libx264*hls*) exec sleep 1000;; esac\n"
                             "exec ffmpeg \"$@\"");
    rig_add_worker(rig, "other", key);
    cr_assert_eq(mkdir(state, 0700), 0);
    settings_set_text(&settings, "server.api_key_file", key_file);
    settings_set_text(&settings, "node.state_dir", state);
    settings_set_text(&settings, "transcode.ffmpeg", hangs);
    settings_write(&settings, config);
    struct process *agent = process_start(
        (const char *[]){TAILSLATE_AGENT, "-c", config, "run", NULL}, (const char *const *)rig->env,
        log, NULL);
    process_expect(agent, "event=agent.ready", RIG_START_MS, NULL);
    return agent;
}

static void kill_other_node(struct rig *rig, struct process *agent)
{
    TEXT(config) = rig_path(rig, "other.cfg");
    TEXT(state) = rig_path(rig, "other/");
    guard_kill_all(config);
    guard_kill_all(state);
    process_free(agent);
}

/* The worker transcodes the job (0: any). */
static void wait_transcode(const struct rig *rig, const char *worker, int job)
{
    inspect_wait_int(rig, 1, RIG_JOB_MS,
                     "SELECT count(*) FROM transcoding_jobs j JOIN workers w"
                     " ON w.worker_id = j.worker_id WHERE w.worker_name = '%s'"
                     " AND j.claimed_at IS NOT NULL AND j.current_step = 'transcode'"
                     " AND %d IN (0, j.id)",
                     worker, job);
}

static void wait_completions(const struct rig *rig, int count)
{
    inspect_wait_int(rig, 1, RIG_JOB_MS, "SELECT count(*) >= %d FROM completions", count);
}

/* ---- the day --------------------------------------------------------------------------------- */

static struct rig *yesterday(void)
{
    struct rig *rig = rig_new();
    rig_verifier_set(rig, "claims.duration_minutes", "0.1");
    rig_verifier_set(rig, "workers.offline_minutes", "0.05");
    rig_verifier_set(rig, "sweeper.interval_seconds", "0.5");
    rig_verifier_set(rig, "sweeper.grace_seconds", "1");
    rig_agent_set(rig, "claim.wait_seconds", "30"); /* as it is by default */
    transcoder_takes_time(rig, "2");
    TEXT(uploads) = rig_path(rig, "uploads");
    TEXT(marker) = rig_path(rig, "uploads/.tailslate-directory");
    TEXT(share) = rig_path(rig, "share");
    TEXT(videos) = rig_path(rig, "videos");
    cr_assert_eq(unlink(marker), 0); /* the mount point is empty */
    cr_assert_eq(mkdir(share, 0700), 0);
    mounts_bind(share, uploads);
    mounts_memory(videos, "96m");
    RUN(adopt) = rig_verifier(rig, (const char *[]){"check", "--adopt-directories", NULL});
    cr_assert_eq(adopt.status, 0, "%s", adopt.err);
    for (int job = 1; job <= JOBS; job++)
        rig_add_job(rig, media_clip(job == JOBS ? MEDIA_LONG : MEDIA_TINY), NULL);
    mounts_end(uploads);
    return rig;
}

static void the_share_comes_late(struct rig *rig, int64_t since_ms)
{
    TEXT(uploads) = rig_path(rig, "uploads");
    TEXT(share) = rig_path(rig, "share");
    seen((struct question){rig, rig_verifier, "uploads", "is the share mounted?", NULL}, since_ms);
    seen((struct question){rig, rig_agent, "the server gives no job: uploads_dir",
                           "is the share mounted?", NULL},
         since_ms);
    mounts_bind(share, uploads);
    wait_completions(rig, 1);
}

static void the_disk_of_the_server_is_full(struct rig *rig)
{
    TEXT(ballast) = rig_path(rig, "videos/ballast");
    int64_t since_ms = mono_ms();
    mounts_fill(ballast);
    seen((struct question){rig, rig_verifier, "videos has no space left", "free some", NULL},
         since_ms);
    /* A job that it holds cannot be uploaded, or it gets none. */
    seen((struct question){rig, rig_agent, "has no space left", "to do:", NULL}, since_ms);
    cr_assert_eq(unlink(ballast), 0);
}

static void a_node_dies(struct rig *rig, struct process *other)
{
    wait_transcode(rig, "other", 0);
    int64_t since_ms = mono_ms();
    kill_other_node(rig, other);
    seen((struct question){rig, rig_verifier, "SILENT    other: last heartbeat", "holds job", NULL},
         since_ms);
}

static void a_key_is_revoked(struct rig *rig)
{
    TEXT(fresh) = rig_path(rig, "fresh.key");
    TEXT(used) = rig_path(rig, "node.key");
    wait_transcode(rig, "node", JOBS);
    int64_t since_ms = mono_ms();
    RUN(rotate) = rig_verifier(rig, (const char *[]){"worker", "rotate", "node", "--overlap", "0",
                                                     "--key-file", fresh, NULL});
    cr_assert_eq(rotate.status, 0, "%s", rotate.err);
    seen((struct question){rig, rig_agent, "the server refuses this worker's key",
                           "server.api_key_file", NULL},
         since_ms);
    cr_assert_eq(rename(fresh, used), 0);
}

static void expect_all_ready_once(struct rig *rig)
{
    wait_completions(rig, JOBS);
    for (int job = 1; job <= JOBS; job++) {
        inspect_job_completed_once(rig, job);
        TEXT(video) = inspect_video(rig, job);
        player_reads(video);
    }
    cr_expect_eq(inspect_int(rig, "SELECT count(*) FROM videos WHERE status = 'ready'"), JOBS);
    cr_expect_eq(inspect_int(rig, "SELECT count(*) FROM failures"), 0, "something was blamed");
    inspect_wait_spool(rig, "spool", 0, RIG_START_MS);
    inspect_spool_empty(rig);
}

Test(day, each_trouble_is_seen_at_once_and_in_the_evening_all_is_ready, .timeout = 180)
{
    struct rig *rig = yesterday();
    int64_t since_ms = mono_ms();
    rig_start_verifier(rig);
    rig_start_agent(rig);
    struct process *other = start_other_node(rig);
    the_share_comes_late(rig, since_ms);
    the_disk_of_the_server_is_full(rig);
    a_node_dies(rig, other);
    a_key_is_revoked(rig);
    expect_all_ready_once(rig);
    /* It does not come back. */
    RUN(revoke) = rig_verifier(rig, (const char *[]){"worker", "revoke", "other", NULL});
    cr_assert_eq(revoke.status, 0, "%s", revoke.err);
    RUN(status) = rig_verifier(rig, (const char *[]){"status", NULL});
    cr_expect_not(strstr(status.out, "SILENT") || strstr(status.out, "FILES"), "%s", status.out);
    rig_end(rig);
}
