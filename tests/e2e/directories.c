/* The server's directories: one that is away costs no job, one that comes back is used at once. */
#include "base/clock.h"
#include "call.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"
#include "worker.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(directories, .timeout = 300);

enum { SEEN_MS = 10 * 1000, MANY = 20 };

#define MISSING "is not the directory that this server used before (its marker file is missing)"

/* As a share that is not mounted looks: its mount point is there and empty. */
static void take_away(struct rig *rig, const char *name)
{
    TEXT(path) = rig_path(rig, "%s", name);
    TEXT(aside) = rig_path(rig, "%s.aside", name);
    cr_assert_eq(rename(path, aside), 0);
    cr_assert_eq(mkdir(path, 0700), 0);
}

static void bring_back(struct rig *rig, const char *name)
{
    TEXT(path) = rig_path(rig, "%s", name);
    TEXT(aside) = rig_path(rig, "%s.aside", name);
    cr_assert_eq(rmdir(path), 0, "something was written into the empty %s", name);
    cr_assert_eq(rename(aside, path), 0);
}

static void expect_log(struct rig *rig, const char *words)
{
    process_expect(rig->verifier, words, SEEN_MS, NULL);
}

static struct reply ask(const struct rig *rig, const char *path)
{
    TEXT(url) = must_printf("http://127.0.0.1:%d%s", rig->port, path);
    struct call call = {.url = url};
    return call_make(&call);
}

/* Health, readyz, status and check say it in the same words. */
static void expect_words(struct rig *rig, const char *words)
{
    REPLY(health) = ask(rig, "/api/health");
    REPLY(ready) = ask(rig, "/readyz");
    RUN(status) = rig_verifier(rig, (const char *[]){"status", NULL});
    RUN(check) = rig_verifier(rig, (const char *[]){"check", NULL});
    cr_expect_eq(health.status, 503);
    cr_expect(strstr(reply_text(&health, "detail"), words), "%s", health.body);
    cr_expect_eq(ready.status, 503);
    cr_expect(strstr(reply_text(&ready, "detail"), words), "%s", ready.body);
    cr_expect(strstr(status.out, words), "%s", status.out);
    cr_expect(strstr(check.out, words), "%s", check.out);
    cr_expect_eq(check.status, 75);
}

Test(directories, twenty_jobs_wait_for_a_source_directory_that_is_away_and_none_fails)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    for (int i = 0; i < MANY; i++)
        rig_add_job(rig, media_clip(MEDIA_TINY), NULL);
    take_away(rig, "uploads");
    expect_log(rig, "event=directory.problem");
    expect_words(rig, MISSING);
    struct worker worker = worker_new(rig, "by-hand");
    REPLY(none) = worker_try_claim(&worker, 0);
    reply_is(&none, 200, NULL);
    cr_expect(!reply_has(&none, "job_id"), "%s", none.body);
    cr_expect(strstr(reply_text(&none, "waiting_reason"), MISSING), "%s", none.body);
    REPLY(later) = worker_try_claim(&worker, 1);
    reply_is(&later, 503, "store_unavailable");
    cr_expect(strstr(reply_text(&later, "detail"), MISSING), "%s", later.body);
    cr_expect_eq(inspect_int(rig, "SELECT COUNT(*) FROM videos WHERE status = 'pending'"), MANY);

    bring_back(rig, "uploads");
    expect_log(rig, "event=directory.usable directory=uploads");
    for (int i = 0; i < MANY; i++)
        cr_assert(worker_claim(&worker), "claim %d", i + 1);
    cr_expect_eq(inspect_int(rig, "SELECT COUNT(*) FROM videos WHERE status = 'failed'"), 0);
    cr_expect_eq(inspect_int(rig, "SELECT MAX(attempt_number) FROM transcoding_jobs"), 1);
    REPLY(health) = ask(rig, "/api/health");
    reply_is(&health, 200, NULL);
    rig_end(rig);
}

Test(directories, an_agent_that_fetches_a_source_keeps_its_claim_until_the_directory_is_back)
{
    struct rig *rig = rig_new();
    struct peer *peer = rig_put_peer_between(rig);
    rig_start_verifier(rig);
    /* The agent's first requests for the source: it asks again when the directory is away. */
    peer_script(peer, "GET *source*",
                "503 code=store_unavailable; 503 retry-after=15 code=store_unavailable; pass");
    int64_t job = rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    rig_start_agent(rig);
    inspect_wait_int(rig, 1, RIG_JOB_MS, "SELECT claimed_at IS NOT NULL FROM transcoding_jobs");
    take_away(rig, "uploads");
    expect_log(rig, "event=directory.problem directory=uploads");
    process_expect(rig->verifier, "event=request.failed path=/api/worker/source/1", RIG_JOB_MS,
                   NULL);
    bring_back(rig, "uploads");
    rig_wait_completed(rig, job);
    cr_expect_eq(inspect_int(rig, "SELECT attempt_number FROM transcoding_jobs"), 1);
    cr_expect_eq(inspect_int(rig, "SELECT COUNT(*) FROM failures"), 0);
    rig_end(rig);
}

Test(directories, a_completion_and_an_upload_wait_for_a_videos_directory_that_is_away)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    struct worker worker = worker_new(rig, "by-hand");
    cr_assert(worker_claim(&worker));
    worker_put_tree(&worker);
    take_away(rig, "videos");
    expect_log(rig, "event=directory.problem directory=videos");
    REPLY(upload) = worker_put(&worker, "360p", "seg_0000.m4s", "moof", 4);
    reply_is(&upload, 503, "store_unavailable");
    REPLY(complete) = worker_complete(&worker, NULL);
    reply_is(&complete, 503, "store_unavailable");
    cr_expect(strstr(reply_text(&complete, "detail"), MISSING), "%s", complete.body);
    bring_back(rig, "videos");
    expect_log(rig, "event=directory.usable directory=videos");
    REPLY(again) = worker_complete(&worker, NULL);
    reply_is(&again, 200, NULL);
    rig_end(rig);
}

Test(directories, a_server_that_starts_without_its_share_says_so_and_uses_it_when_it_is_mounted)
{
    struct rig *rig = rig_new();
    rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    take_away(rig, "uploads");
    take_away(rig, "videos");
    rig_start_verifier(rig);
    expect_words(rig, MISSING);
    RUN(add) = rig_verifier(rig, (const char *[]){"job", "add", media_clip(MEDIA_TINY), NULL});
    cr_expect_eq(add.status, 75, "%d %s", add.status, add.err);
    cr_expect(strstr(add.err, MISSING), "%s", add.err);
    bring_back(rig, "uploads");
    bring_back(rig, "videos");
    expect_log(rig, "event=directory.reopened directory=videos");
    rig_start_agent(rig);
    rig_wait_completed(rig, 1);
    rig_end(rig);
}

/* The first of two is gone; no node is told. */
Test(directories, a_source_that_is_gone_fails_its_job_in_words_and_the_next_is_given)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    int64_t gone = rig_add_job(rig, media_clip(MEDIA_TINY), "gone");
    int64_t other = rig_add_job(rig, media_clip(MEDIA_TINY), "other");
    TEXT(source) = rig_path(rig, "uploads/1.mp4");
    cr_assert_eq(unlink(source), 0);
    struct worker worker = worker_new(rig, "by-hand");
    cr_assert(worker_claim(&worker));
    cr_expect_eq(worker.job, other);
    TEXT(id) = must_printf("%d", (int)gone);
    RUN(show) = rig_verifier(rig, (const char *[]){"job", "show", id, NULL});
    cr_expect(strstr(show.out, "its source file 1.* is gone from uploads_dir"), "%s", show.out);
    cr_expect_eq(inspect_int(rig, "SELECT COUNT(*) FROM failures"), 0);
    cr_expect_eq(inspect_int(rig, "SELECT COUNT(*) FROM videos WHERE status = 'failed'"), 1);
    rig_end(rig);
}

Test(directories, an_operator_may_adopt_a_new_directory)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    take_away(rig, "videos");
    expect_log(rig, "event=directory.problem");
    RUN(adopt) = rig_verifier(rig, (const char *[]){"check", "--adopt-directories", NULL});
    cr_expect_eq(adopt.status, 0, "%d %s", adopt.status, adopt.err);
    expect_log(rig, "event=directory.usable directory=videos");
    int64_t job = rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    rig_start_agent(rig);
    rig_wait_completed(rig, job);
    rig_end(rig);
}

Test(directories, one_that_does_not_exist_at_the_start_is_a_reason_to_try_again)
{
    struct rig *rig = rig_new();
    TEXT(path) = rig_path(rig, "videos");
    TEXT(aside) = rig_path(rig, "videos.aside");
    cr_assert_eq(rename(path, aside), 0);
    RUN(serve) = rig_verifier(rig, (const char *[]){"serve", NULL});
    cr_expect_eq(serve.status, 75, "%d %s", serve.status, serve.err);
    cr_expect(strstr(serve.err, "files.videos_dir"), "%s", serve.err);
    cr_assert_eq(rename(aside, path), 0);
    rig_end(rig);
}
