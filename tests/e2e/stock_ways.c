/* A stock worker's three ways to upload, behind a proxy that swallows answers: the first one to
 * each call, whichever it is. What the worker does not try again then costs it two of its three
 * attempts, and every job is completed all the same, once. STOCK_JOBS: how many each way
 * (tests/long.sh). */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "worker.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { JOBS = 3, JOB_MS = 30 * 1000 };

static int jobs_wanted(void)
{
    const char *wanted = getenv("STOCK_JOBS");
    return wanted ? (int)strtol(wanted, NULL, 10) : JOBS;
}

static struct run work(struct rig *rig, const char *way, int jobs)
{
    TEXT(server) = must_printf("http://127.0.0.1:%d", peer_port(rig->peer));
    TEXT(key) = rig_path(rig, "stock.key");
    TEXT(directory) = rig_path(rig, "stock.work");
    TEXT(how) = must_printf("--way=%s", way);
    TEXT(tree) = must_printf("--tree=%s", media_tree());
    TEXT(count) = must_printf("--jobs=%d", jobs);
    rig_set_env(rig, "STOCK_PAUSES", "0.05 0.1 0.2");
    return run_program((const char *[]){TAILSLATE_SOURCE_DIR "/tests/e2e/stock_worker.sh", server,
                                        key, directory, how, tree, count, NULL},
                       (const char *const *)rig->env, (int64_t)jobs * JOB_MS);
}

/* A claim whose answer is lost is nobody's until it has expired. */
static struct rig *begin(int jobs)
{
    char key[128];
    struct rig *rig = rig_new();
    rig_verifier_set(rig, "claims.duration_minutes", "0.02");
    rig_verifier_set(rig, "workers.offline_minutes", "0.02");
    rig_verifier_set(rig, "sweeper.grace_seconds", "0");
    rig_start_verifier(rig);
    for (int i = 0; i < jobs; i++)
        rig_add_job(rig, media_clip(MEDIA_TINY), NULL);
    rig_add_worker(rig, "stock", key);
    rig->peer = peer_start();
    peer_set_upstream(rig->peer, rig->port);
    peer_script(rig->peer, "* *", "first-lost");
    return rig;
}

static int64_t count(struct rig *rig, const char *what)
{
    TEXT(sql) = must_printf("SELECT count(*) FROM %s", what);
    return inspect_int(rig, "%s", sql);
}

static void all_are_completed(const char *way)
{
    int jobs = jobs_wanted();
    struct rig *rig = begin(jobs);
    RUN(run) = work(rig, way, jobs);
    cr_assert_eq(run.status, 0, "%d %s%s", run.status, run.out, run.err);
    fprintf(stderr, "%s: %s", way, run.out);
    cr_expect_eq(count(rig, "completions"), jobs);
    cr_expect_eq(count(rig, "videos WHERE status = 'ready'"), jobs);
    cr_expect_eq(count(rig, "transcoding_jobs WHERE completed_at IS NOT NULL"), jobs);
    cr_expect_eq(count(rig, "video_qualities"), 2 * jobs);
    cr_expect_geq(peer_count(rig->peer, "POST */complete"), 2 * jobs, "no answer was swallowed");
    rig_end(rig);
}

Test(stock_ways, tar_archives_complete_every_job_though_answers_are_lost, .timeout = 3600)
{
    all_are_completed("tar");
}

Test(stock_ways, segments_with_wrong_counts_complete_every_job_though_answers_are_lost,
     .timeout = 3600)
{
    all_are_completed("segments");
}

Test(stock_ways, both_mixed_complete_every_job_though_answers_are_lost, .timeout = 3600)
{
    all_are_completed("mixed");
}
