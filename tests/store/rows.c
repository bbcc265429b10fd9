/* docs/PROMISES.md#the-verdicts, row by row, for every call about a job: one verdict for all of
 * them, and a refused call changes nothing. Rows 12 and 13 are decided before the store is asked;
 * row 9 is in faults/. */
#include "base/clock.h"
#include "lib/cleanup.h"
#include "store_rig.h"
#include "verifier/db/db.h"
#include "verifier/http/complete.h"
#include "verifier/store/store_complete.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define LONG_AGO "'2020-01-01T00:00:00.000000+00:00'"

/* ---- how a job got where it is; anna is who calls afterwards ---- */
typedef void making(struct rig *rig, int64_t job);

static void nobody_claimed(struct rig *rig, int64_t job)
{
    (void)rig, (void)job;
}

static void claimed(struct rig *rig, int64_t job)
{
    cr_assert_eq(rig_claim(rig, &rig->anna, job).claim_epoch, 1);
}

static void completed(struct rig *rig, int64_t job)
{
    claimed(rig, job);
    rig_present(rig, rig_caller(&rig->anna, 1), job, 1);
}

static void expired(struct rig *rig, int64_t job)
{
    claimed(rig, job);
    TEXT(sql) = must_printf("UPDATE transcoding_jobs SET claim_expires_at = " LONG_AGO
                            " WHERE id = %lld",
                            (long long)job);
    rig_sql(rig, sql);
}

static void released(struct rig *rig, int64_t job)
{
    claimed(rig, job);
    cr_assert_eq(rig_release(rig, job), STORE_RELEASED);
}

static void failed_once(struct rig *rig, int64_t job)
{
    claimed(rig, job);
    cr_assert(rig_fail(rig, rig_caller(&rig->anna, 1), job, true).will_retry);
}

static void claimed_again(struct rig *rig, int64_t job)
{
    claimed(rig, job);
    cr_assert_eq(rig_claim(rig, &rig->anna, job).claim_epoch, 2);
}

static void handed_on(struct rig *rig, int64_t job)
{
    released(rig, job);
    cr_assert_eq(rig_claim(rig, &rig->bert, job).claim_epoch, 2);
}

static void completed_by_another(struct rig *rig, int64_t job)
{
    handed_on(rig, job);
    rig_present(rig, rig_caller(&rig->bert, 2), job, 2);
}

static void failed_for_good(struct rig *rig, int64_t job)
{
    claimed(rig, job);
    cr_assert_not(rig_fail(rig, rig_caller(&rig->anna, 1), job, false).will_retry);
}

static void deleted(struct rig *rig, int64_t job)
{
    claimed(rig, job);
    TEXT(sql) = must_printf("UPDATE videos SET deleted_at = " LONG_AGO
                            " WHERE id = (SELECT video_id FROM transcoding_jobs WHERE id = %lld)",
                            (long long)job);
    rig_sql(rig, sql);
}

/* ---- what each call is told ---- */
enum { NO_EPOCH = -1, NO_SUCH_JOB = 1 };

static const struct row {
    const char *name;
    making *make;
    int64_t epoch; /* that anna gives */
    int flags;
    enum tailslate_verdict completion; /* with the token of `completed` */
    enum tailslate_standing standing;  /* of progress, upload and failure */
} rows[] = {
    {"1, claimed", claimed, 1, 0, TAILSLATE_VERDICT_COMMIT, TAILSLATE_STANDING_HELD},
    {"1, claimed, a stock worker", claimed, NO_EPOCH, 0, TAILSLATE_VERDICT_COMMIT,
     TAILSLATE_STANDING_HELD},
    {"1, claimed again", claimed_again, 2, 0, TAILSLATE_VERDICT_COMMIT, TAILSLATE_STANDING_HELD},
    {"2, completed", completed, 1, 0, TAILSLATE_VERDICT_REPLAY, TAILSLATE_STANDING_COMPLETED},
    {"2, completed, a stock worker", completed, NO_EPOCH, 0, TAILSLATE_VERDICT_REPLAY,
     TAILSLATE_STANDING_COMPLETED},
    {"5, expired", expired, 1, 0, TAILSLATE_VERDICT_COMMIT_LATE, TAILSLATE_STANDING_LATE},
    {"5, expired, a stock worker", expired, NO_EPOCH, 0, TAILSLATE_VERDICT_COMMIT_LATE,
     TAILSLATE_STANDING_LATE},
    {"5, released", released, 1, 0, TAILSLATE_VERDICT_COMMIT_LATE, TAILSLATE_STANDING_LATE},
    {"5, released, a stock worker", released, NO_EPOCH, 0, TAILSLATE_VERDICT_COMMIT_LATE,
     TAILSLATE_STANDING_LATE},
    {"5, failed by itself", failed_once, 1, 0, TAILSLATE_VERDICT_COMMIT_LATE,
     TAILSLATE_STANDING_FAILED},
    {"6, an earlier claim", claimed_again, 1, 0, TAILSLATE_VERDICT_SUPERSEDED,
     TAILSLATE_STANDING_SUPERSEDED},
    {"6, handed on", handed_on, 1, 0, TAILSLATE_VERDICT_SUPERSEDED, TAILSLATE_STANDING_SUPERSEDED},
    {"6, handed on, a stock worker", handed_on, NO_EPOCH, 0, TAILSLATE_VERDICT_SUPERSEDED,
     TAILSLATE_STANDING_SUPERSEDED},
    {"6, handed on, with the other's epoch", handed_on, 2, 0, TAILSLATE_VERDICT_SUPERSEDED,
     TAILSLATE_STANDING_SUPERSEDED},
    {"6, completed by another", completed_by_another, 1, 0, TAILSLATE_VERDICT_SUPERSEDED,
     TAILSLATE_STANDING_SUPERSEDED},
    {"7, failed for good", failed_for_good, 1, 0, TAILSLATE_VERDICT_GONE, TAILSLATE_STANDING_GONE},
    {"7, deleted", deleted, 1, 0, TAILSLATE_VERDICT_GONE, TAILSLATE_STANDING_GONE},
    {"10, no such job", nobody_claimed, 1, NO_SUCH_JOB, TAILSLATE_VERDICT_NO_JOB,
     TAILSLATE_STANDING_NO_JOB},
    {"11, never claimed", nobody_claimed, NO_EPOCH, 0, TAILSLATE_VERDICT_NOT_YOURS,
     TAILSLATE_STANDING_NOT_YOURS},
    {"11, an epoch that nobody gave", claimed, 7, 0, TAILSLATE_VERDICT_NOT_YOURS,
     TAILSLATE_STANDING_NOT_YOURS},
};
enum { ROWS = sizeof rows / sizeof *rows };

/* ---- the calls ---- */
static enum tailslate_standing upload(struct rig *rig, struct store_caller caller, int64_t job)
{
    int published = 0;
    enum tailslate_standing standing;
    struct error err;
    cr_assert_eq(store_upload(rig->store, &caller, job, rig_publish, &published, &standing, &err),
                 0, "%s", err.message);
    cr_expect_eq(published == 1,
                 tailslate_verify_standing_problem(standing) == TAILSLATE_PROBLEM_NONE);
    return standing;
}

static enum tailslate_standing failure(struct rig *rig, struct store_caller caller, int64_t job)
{
    return rig_fail(rig, caller, job, true).standing;
}

typedef enum tailslate_standing calling(struct rig *rig, struct store_caller caller, int64_t job);

/* All that a call could change. */
static char *picture(struct rig *rig, int64_t job)
{
    TEXT(sql) = must_printf(
        "SELECT COALESCE(j.worker_id, '-') || ' ' || COALESCE(j.processed_by_worker_id, '-')"
        " || CASE WHEN j.completed_at IS NULL THEN ' open' ELSE ' closed' END"
        " || CASE WHEN j.claimed_at IS NULL THEN ' free ' ELSE ' claimed ' END"
        " || j.attempt_number || ' ' || j.progress_percent || ' ' || v.status || ' '"
        " || (SELECT COUNT(*) FROM completions c WHERE c.job_id = j.id) || ' '"
        " || (SELECT COUNT(*) FROM failures f WHERE f.job_id = j.id) || ' '"
        " || (SELECT COUNT(*) FROM video_qualities q WHERE q.video_id = v.id) || ' '"
        " || COALESCE((SELECT e.claim_epoch FROM job_epochs e WHERE e.job_id = j.id), 0)"
        " FROM transcoding_jobs j JOIN videos v ON v.id = j.video_id WHERE j.id = %lld",
        (long long)job);
    return rig_text(rig, sql);
}

static int64_t scene(struct rig *rig, const struct row *row, const char *call)
{
    char slug[64];
    snprintf(slug, sizeof slug, "film-%d-%s", (int)(row - rows), call);
    int64_t job = rig_add_job(rig, slug);
    row->make(rig, job);
    return job;
}

static struct store_caller caller_of(struct rig *rig, const struct row *row)
{
    return rig_caller(&rig->anna, row->epoch == NO_EPOCH ? TAILSLATE_ABSENT_INT : row->epoch);
}

static int64_t named(const struct row *row, int64_t job)
{
    return row->flags & NO_SUCH_JOB ? INT64_MAX : job;
}

static void expect_standings(calling *call, const char *name)
{
    struct rig *rig = rig_new();
    for (int i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];
        int64_t job = scene(rig, row, name);
        TEXT(before) = picture(rig, job);
        enum tailslate_standing standing = call(rig, caller_of(rig, row), named(row, job));
        cr_expect_eq(standing, row->standing, "row %s: %d, not %d", row->name, standing,
                     row->standing);
        TEXT(after) = picture(rig, job);
        bool refused = tailslate_verify_standing_problem(row->standing) != TAILSLATE_PROBLEM_NONE;
        if (refused)
            cr_expect_str_eq(before, after, "row %s", row->name);
    }
    rig_free(rig);
}

Test(rows, of_progress)
{
    expect_standings(rig_progress, "progress");
}

Test(rows, of_an_upload)
{
    expect_standings(upload, "upload");
}

Test(rows, of_a_failure)
{
    expect_standings(failure, "fail");
}

Test(rows, of_a_completion)
{
    struct rig *rig = rig_new();
    for (int i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];
        int64_t job = scene(rig, row, "complete");
        TEXT(before) = picture(rig, job);
        struct tailslate_completion completion = rig_completion(job, 1);
        struct tailslate_result result = rig_complete(rig, caller_of(rig, row), named(row, job),
                                                      &completion);
        cr_expect_eq(result.verdict, row->completion, "row %s: %d, not %d", row->name,
                     result.verdict, row->completion);
        cr_expect_eq(result.late, row->completion == TAILSLATE_VERDICT_COMMIT_LATE, "row %s",
                     row->name);
        TEXT(after) = picture(rig, job);
        if (!tailslate_verify_commits(row->completion)) {
            cr_expect_str_eq(before, after, "row %s", row->name);
            continue;
        }
        /* And then it is row 2, for ever. */
        result = rig_complete(rig, caller_of(rig, row), job, &completion);
        cr_expect_eq(result.verdict, TAILSLATE_VERDICT_REPLAY, "row %s", row->name);
    }
    rig_free(rig);
}

Test(rows, of_a_completion_that_comes_again)
{
    struct rig *rig = rig_new();
    int64_t job = rig_add_job(rig, "film");
    completed(rig, job);
    struct store_caller anna = rig_caller(&rig->anna, 1);
    struct tailslate_completion same = rig_completion(job, 1), other = rig_completion(job, 2),
                                none = rig_completion(job, 0), changed = same;
    changed.duration = 13;
    TEXT(before) = picture(rig, job);
    cr_expect_eq(rig_complete(rig, anna, job, &same).verdict, TAILSLATE_VERDICT_REPLAY, "row 2");
    cr_expect_eq(rig_complete(rig, anna, job, &changed).verdict, TAILSLATE_VERDICT_TOKEN_REUSED,
                 "row 3");
    cr_expect_eq(rig_complete(rig, anna, job, &other).verdict, TAILSLATE_VERDICT_REPLAY, "row 4");
    cr_expect_eq(rig_complete(rig, anna, job, &none).verdict, TAILSLATE_VERDICT_REPLAY, "row 4");
    rig->missing = 1u << TAILSLATE_QUALITY_720P;
    cr_expect_eq(rig_complete(rig, anna, job, &same).verdict, TAILSLATE_VERDICT_REPLAY,
                 "row 2, not 14");
    TEXT(after) = picture(rig, job);
    cr_expect_str_eq(before, after);
    rig_free(rig);
}

Test(rows, of_a_completion_whose_files_are_not_there)
{
    struct rig *rig = rig_new();
    for (int i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];
        int64_t job = scene(rig, row, "missing");
        struct tailslate_completion completion = rig_completion(job, 1);
        rig->missing = 1u << TAILSLATE_QUALITY_720P;
        TEXT(before) = picture(rig, job);
        struct tailslate_result result = rig_complete(rig, caller_of(rig, row), named(row, job),
                                                      &completion);
        cr_expect_eq(result.verdict,
                     tailslate_verify_commits(row->completion) ? TAILSLATE_VERDICT_FILES_MISSING
                                                               : row->completion,
                     "row %s: %d", row->name, result.verdict);
        TEXT(after) = picture(rig, job);
        cr_expect_str_eq(before, after, "row %s", row->name);
        rig->missing = 0;
    }
    rig_free(rig);
}

/* Row 8: on PostgreSQL somebody has this job's row, on SQLite the file. */
Test(rows, of_calls_that_do_not_get_the_lock)
{
    enum { MARGIN_MS = 3000 };
    struct rig *rig = rig_new();
    int64_t job = rig_add_job(rig, "film");
    claimed(rig, job);
    struct store_caller anna = rig_caller(&rig->anna, 1);
    struct tailslate_completion completion = rig_completion(job, 1);
    struct tailslate_result result;
    struct error err;
    void *holder = rig_hold(rig, "UPDATE transcoding_jobs SET current_step = current_step");
    int64_t start_ms = mono_ms();
    cr_expect_eq(complete_job(rig->store, NULL, &anna, job, &completion, &result, &err), -1);
    cr_expect(mono_ms() - start_ms < DB_WAIT_MS + MARGIN_MS);
    cr_expect_eq(err.code, DB_BUSY, "%s", err.message);
    cr_expect_eq(err.class, ERROR_TEMPORARY);
    rig_let_go(rig, holder);
    cr_expect_eq(rig_complete(rig, anna, job, &completion).verdict, TAILSLATE_VERDICT_COMMIT);

    /* A replay needs no lock. */
    holder = rig_hold(rig, "UPDATE transcoding_jobs SET current_step = current_step");
    cr_expect_eq(rig_complete(rig, anna, job, &completion).verdict, TAILSLATE_VERDICT_REPLAY);
    rig_let_go(rig, holder);
    rig_free(rig);
}

struct waiting {
    pthread_t thread;
    struct rig *rig;
    calling *call;
    int64_t job;
    enum tailslate_standing standing;
};

static enum tailslate_standing completion_in_the_lock(struct rig *rig, struct store_caller caller,
                                                      int64_t job)
{
    struct tailslate_completion completion = rig_completion(job, 1);
    struct tailslate_result result;
    struct error err;
    cr_assert_eq(store_complete(rig->store, &caller, job, &completion, &result, &err), 0, "%s",
                 err.message);
    return result.verdict == TAILSLATE_VERDICT_SUPERSEDED ? TAILSLATE_STANDING_SUPERSEDED
                                                          : TAILSLATE_STANDING_HELD;
}

static void *call_and_wait(void *ctx)
{
    struct waiting *waiting = ctx;
    waiting->standing = waiting->call(waiting->rig, rig_caller(&waiting->rig->anna, 1),
                                      waiting->job);
    return NULL;
}

/* What is decided is read when the lock is had: here the claim is given again while a call waits.
 */
Test(rows, are_read_after_the_wait_for_the_lock)
{
    static calling *const calls[] = {completion_in_the_lock, failure, rig_progress, upload};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct rig *rig = rig_new();
        struct waiting waiting = {.rig = rig, .call = calls[i], .job = rig_add_job(rig, "film")};
        claimed(rig, waiting.job);
        void *holder = rig_hold(rig, "UPDATE transcoding_jobs SET current_step = current_step;"
                                     "UPDATE job_epochs SET claim_epoch = 2");
        cr_assert_eq(pthread_create(&waiting.thread, NULL, call_and_wait, &waiting), 0);
        rig_await_waiter(rig);
        rig_commit(rig, holder);
        pthread_join(waiting.thread, NULL);
        cr_expect_eq(waiting.standing, TAILSLATE_STANDING_SUPERSEDED, "call %zu", i);
        rig_free(rig);
    }
}
