/* Completions of many jobs at once, which SQLite commits in groups: none is told what is not on
 * disk, whatever becomes of its neighbors. On PostgreSQL each is by itself, and the same holds. */
#include "base/clock.h"
#include "lib/cleanup.h"
#include "store_rig.h"
#include "verifier/http/complete.h"
#include "verifier/store/store_pool.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>

enum { JOBS = 16, PATIENCE_MS = 20 * 1000 };

struct presenter {
    struct rig *rig;
    int64_t job;
    pthread_t thread;
    int result;
    struct error err;
    struct tailslate_result told;
    enum tailslate_standing standing;
};

static void *present(void *ctx)
{
    struct presenter *presenter = ctx;
    struct store_caller caller = rig_caller(&presenter->rig->anna, 1);
    struct tailslate_completion completion = rig_completion(presenter->job, 1);
    presenter->result = complete_job(presenter->rig->store, NULL, &caller, presenter->job,
                                     &completion, &presenter->told, &presenter->err);
    return NULL;
}

static void *beat(void *ctx)
{
    struct presenter *presenter = ctx;
    struct store_worker worker = presenter->rig->anna;
    struct message_heartbeat heartbeat = {
        .status = WORKER_BUSY, .jobs_known = true, .jobs = {presenter->job}, .job_count = 1};
    presenter->result = store_heartbeat(presenter->rig->store, &worker, &heartbeat,
                                        &presenter->err);
    return NULL;
}

static void *report(void *ctx)
{
    struct presenter *presenter = ctx;
    struct store_caller caller = rig_caller(&presenter->rig->anna, 1);
    struct message_progress progress = rig_half_way();
    char expires[WALL_TEXT_BYTES];
    presenter->result = store_progress(presenter->rig->store, &caller, presenter->job, &progress,
                                       &presenter->standing, expires, &presenter->err);
    return NULL;
}

/* A transaction that the database rolls back by itself, as on a full disk. */
static void *lose(void *ctx)
{
    struct presenter *presenter = ctx;
    TRANSACTION(tx);
    cr_assert_eq(store_begin_together(presenter->rig->store, NULL, 0, &tx, &presenter->err), 0);
    presenter->result = db_run(tx.db, NULL, &presenter->err,
                               "INSERT OR ROLLBACK INTO schema_version SELECT version FROM"
                               " schema_version UNION ALL SELECT NULL",
                               DB_NO_ARGS);
    return NULL;
}

/* Where the store has groups: until so many wait for their turn. */
static void await_queue(struct store *store, int count)
{
    int64_t until_ms = mono_ms() + PATIENCE_MS;
    while (store->group && db_group_counts(store->group).waiting != count) {
        cr_assert_lt(mono_ms(), until_ms);
        sched_yield();
    }
}

/* They come one after the other while nobody can write. */
static void run_behind(struct rig *rig, struct presenter *presenters, int count,
                       void *(*const acts[])(void *ctx))
{
    struct error err;
    TRANSACTION(tx);
    cr_assert_eq(store_begin(rig->store, &tx, &err), 0, "%s", err.message);
    for (int i = 0; i < count; i++) {
        presenters[i].rig = rig;
        cr_assert_eq(pthread_create(&presenters[i].thread, NULL, acts[i], &presenters[i]), 0);
        await_queue(rig->store, i + 1);
    }
    store_rollback(&tx);
    for (int i = 0; i < count; i++)
        pthread_join(presenters[i].thread, NULL);
}

static int64_t claimed_job(struct rig *rig)
{
    int64_t job = rig_add_job(rig, NULL);
    cr_assert_eq(rig_claim(rig, &rig->anna, job).claim_epoch, 1);
    return job;
}

static int64_t completions_of(struct rig *rig, int64_t job)
{
    TEXT(sql) = must_printf("SELECT COUNT(*) FROM completions WHERE job_id = %d", (int)job);
    return rig_number(rig, sql);
}

Test(group, of_completions_that_come_at_once_are_committed_together)
{
    struct rig *rig = rig_new();
    struct presenter presenters[JOBS] = {0};
    void *(*acts[JOBS])(void *ctx);
    for (int i = 0; i < JOBS; i++) {
        presenters[i].job = claimed_job(rig);
        acts[i] = present;
    }
    int64_t before = rig->store->group ? db_group_counts(rig->store->group).commits : 0;
    run_behind(rig, presenters, JOBS, acts);
    for (int i = 0; i < JOBS; i++) {
        cr_expect_eq(presenters[i].result, 0, "%s", presenters[i].err.message);
        cr_expect(tailslate_verify_commits(presenters[i].told.verdict));
        cr_expect_eq(completions_of(rig, presenters[i].job), 1);
    }
    if (rig->store->group)
        cr_expect_lt(db_group_counts(rig->store->group).commits - before, JOBS / 2);
    rig_free(rig);
}

Test(group, of_heartbeats_that_come_at_once_are_committed_together)
{
    struct rig *rig = rig_new();
    struct presenter presenters[JOBS] = {0};
    void *(*acts[JOBS])(void *ctx);
    for (int i = 0; i < JOBS; i++) {
        presenters[i].job = i + 1;
        acts[i] = beat;
    }
    int64_t before = rig->store->group ? db_group_counts(rig->store->group).commits : 0;
    run_behind(rig, presenters, JOBS, acts);
    for (int i = 0; i < JOBS; i++)
        cr_expect_eq(presenters[i].result, 0, "%s", presenters[i].err.message);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM held_jobs WHERE job_id > 0"), 1);
    if (rig->store->group)
        cr_expect_lt(db_group_counts(rig->store->group).commits - before, JOBS / 2);
    rig_free(rig);
}

/* The job is somebody else's from now on. */
static void *take_away(void *ctx)
{
    struct presenter *presenter = ctx;
    TRANSACTION(tx);
    cr_assert_eq(store_begin_together(presenter->rig->store, NULL, 0, &tx, &presenter->err), 0);
    cr_assert_eq(db_run(tx.db, NULL, &presenter->err,
                        "UPDATE transcoding_jobs SET worker_id = $2, processed_by_worker_id = $2"
                        " WHERE id = $1",
                        DB_ARGS(db_int(presenter->job), db_text(presenter->rig->bert.worker_id))),
                 0);
    presenter->result = store_commit(&tx, &presenter->err);
    return NULL;
}

/* Each has read its job before the first one could write. */
Test(group, of_which_one_completion_is_refused_completes_the_others)
{
    struct rig *rig = rig_new();
    struct presenter presenters[4] = {0};
    for (int i = 0; i < 3; i++)
        presenters[i].job = claimed_job(rig);
    presenters[3].job = presenters[1].job;
    run_behind(rig, presenters, 4,
               (void *(*const[])(void *)){present, take_away, present, present});
    for (int i = 0; i < 4; i++)
        cr_expect_eq(presenters[i].result, 0, "%s", presenters[i].err.message);
    cr_expect_eq(completions_of(rig, presenters[0].job), 1);
    cr_expect_eq(completions_of(rig, presenters[2].job), 1);
    bool was_in_time = tailslate_verify_commits(presenters[3].told.verdict);
    cr_expect_eq(completions_of(rig, presenters[3].job), was_in_time);
    cr_expect_not(rig->store->group && was_in_time);
    rig_free(rig);
}

/* P4 the other way round: the report finds the job with somebody who does not get it. */
Test(group, that_is_lost_refuses_nobody)
{
    struct rig *rig = rig_new();
    struct presenter presenters[3] = {0};
    presenters[0].job = presenters[1].job = claimed_job(rig);
    run_behind(rig, presenters, 3, (void *(*const[])(void *)){take_away, report, lose});
    cr_expect_eq(presenters[2].result, -1);
    cr_expect_eq(presenters[0].result != 0, rig->store->group != NULL);
    bool is_refused = presenters[1].result == 0 &&
                      presenters[1].standing != TAILSLATE_STANDING_HELD;
    cr_expect_not(rig->store->group && is_refused, "%d", presenters[1].standing);
    if (rig->store->group)
        cr_expect_eq(rig_progress(rig, rig_caller(&rig->anna, 1), presenters[0].job),
                     TAILSLATE_STANDING_HELD);
    rig_free(rig);
}

/* P1: the second copy finds the first one's completion, which is lost a moment later. */
Test(group, that_is_lost_acknowledges_neither_a_completion_nor_its_replay)
{
    struct rig *rig = rig_new();
    struct presenter presenters[3] = {0};
    presenters[0].job = presenters[1].job = claimed_job(rig);
    run_behind(rig, presenters, 3, (void *(*const[])(void *)){present, present, lose});
    int64_t is_there = completions_of(rig, presenters[0].job);
    cr_expect_eq(presenters[2].result, -1);
    for (int i = 0; i < 2; i++)
        cr_expect(presenters[i].result != 0 || is_there, "%d was told %d", i,
                  presenters[i].told.verdict);
    cr_expect_eq(is_there, rig->store->group ? 0 : 1);
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, 1), presenters[0].job, 1),
                 is_there ? TAILSLATE_VERDICT_REPLAY : TAILSLATE_VERDICT_COMMIT);
    rig_free(rig);
}
