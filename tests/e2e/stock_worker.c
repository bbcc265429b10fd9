/* Workers that know nothing of ours: stock_worker.sh does a whole job by curl and tar. */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "transcoder.h"
#include "worker.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

enum { STOCK_MS = 60 * 1000 };

static struct run stock(struct rig *rig, const char *name, const char *option)
{
    TEXT(server) = must_printf("http://127.0.0.1:%d", rig->port);
    TEXT(key) = rig_path(rig, "%s.key", name);
    TEXT(work) = rig_path(rig, "%s.work", name);
    return run_program((const char *[]){TAILSLATE_SOURCE_DIR "/tests/e2e/stock_worker.sh", server,
                                        key, work, option, NULL},
                       (const char *const *)rig->env, STOCK_MS);
}

static struct rig *with_stock_worker(void)
{
    char key[128];
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    rig_add_worker(rig, "stock", key);
    return rig;
}

static void is_three_times_acknowledged(const struct run *run)
{
    cr_assert_eq(run->status, 0, "%d %s%s", run->status, run->out, run->err);
    cr_assert_str_eq(run->out, "200 Job completed successfully\n"
                               "200 Job already completed\n"
                               "200 Job already completed\n");
}

Test(stock_worker, it_does_a_whole_job_and_its_three_tokens_have_one_effect, .timeout = 120)
{
    struct rig *rig = with_stock_worker();
    int64_t job = rig_add_job(rig, media_clip(MEDIA_NORMAL), "film");
    RUN(run) = stock(rig, "stock", NULL);
    is_three_times_acknowledged(&run);
    inspect_job_completed_once(rig, job);
    cr_assert_eq(inspect_int(rig, "SELECT count(*) FROM video_qualities"), 2);
    rig_end(rig);
}

Test(stock_worker, an_old_one_without_tokens_is_served_too, .timeout = 120)
{
    struct rig *rig = with_stock_worker();
    int64_t job = rig_add_job(rig, media_clip(MEDIA_NORMAL), "film");
    RUN(run) = stock(rig, "stock", "--no-token");
    is_three_times_acknowledged(&run);
    inspect_job_completed_once(rig, job);
    rig_end(rig);
}

/* Streaming upload: it deletes what it has sent, and counts what is left. Its job's number decides
 * what that is (none, one, all), and whether the playlist came first. */
Test(stock_worker, its_segments_are_taken_whatever_it_counts, .timeout = 120)
{
    struct rig *rig = with_stock_worker();
    for (int i = 0; i < 3; i++) {
        int64_t job = rig_add_job(rig, media_clip(MEDIA_NORMAL), NULL);
        RUN(run) = stock(rig, "stock", "--way=segments");
        is_three_times_acknowledged(&run);
        inspect_job_completed_once(rig, job);
    }
    rig_end(rig);
}

Test(stock_worker, without_a_job_it_is_told_so, .timeout = 60)
{
    struct rig *rig = with_stock_worker();
    RUN(run) = stock(rig, "stock", NULL);
    cr_assert_eq(run.status, 3, "%s%s", run.out, run.err);
    rig_end(rig);
}

Test(stock_worker, it_works_beside_our_agent, .timeout = 180)
{
    struct rig *rig = with_stock_worker();
    int64_t first = rig_add_job(rig, media_clip(MEDIA_NORMAL), "one");
    struct worker ours = worker_new(rig, "by-hand");
    cr_assert(worker_claim(&ours) && ours.job == first);
    int64_t second = rig_add_job(rig, media_clip(MEDIA_NORMAL), "two");
    RUN(run) = stock(rig, "stock", NULL);
    is_three_times_acknowledged(&run);
    inspect_job_completed_once(rig, second);
    rig_start_agent(rig);
    int64_t third = rig_add_job(rig, media_clip(MEDIA_TINY), "three");
    rig_wait_final(rig, third);
    inspect_job_completed_once(rig, third);
    worker_put_tree(&ours);
    char token[128];
    worker_token(&ours, token);
    REPLY(reply) = worker_complete(&ours, token);
    reply_is(&reply, 200, NULL);
    inspect_job_completed_once(rig, first);
    rig_end(rig);
}

Test(stock_worker, it_takes_over_from_our_agent_and_our_agent_lets_go, .timeout = 180)
{
    struct rig *rig = with_stock_worker();
    transcoder_takes_time(rig, "0.2");
    int64_t job = rig_add_job(rig, media_clip(MEDIA_NORMAL), "film");
    rig_start_agent(rig);
    transcoder_wait(rig);
    struct worker thief = worker_new(rig, "thief");
    thief.sends_epoch = false;
    worker_take_over(&thief, job);
    rig_wait_final(rig, job);
    inspect_wait_spool(rig, "spool", 0, STOCK_MS);
    worker_put_tars(&thief);
    REPLY(reply) = worker_complete(&thief, NULL);
    reply_is(&reply, 200, NULL);
    inspect_job_completed_once(rig, job);
    rig_end(rig);
}
