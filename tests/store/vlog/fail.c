/* A failure that comes to us, beside what the stock server's own /fail does to the same rows. */
#include "lib/cleanup.h"
#include "store_rig.h"

#include <criterion/criterion.h>

/* All that a stock server has of a job, but for the time of a final failure. */
#define ROWS                                                                                       \
    "SELECT COALESCE(j.worker_id = j.processed_by_worker_id, false) || ':' ||"                     \
    " COALESCE(j.current_step, '-') || ':' || j.progress_percent || ':' || j.attempt_number ||"    \
    " ':' || j.max_attempts || ':' || COALESCE(j.last_error, '-') || ':' ||"                       \
    " (j.claimed_at IS NULL) || (j.claim_expires_at IS NULL) || (j.completed_at IS NULL) ||"       \
    " (j.started_at IS NULL) || (j.last_checkpoint IS NULL) ||"                                    \
    " (j.processed_by_worker_name IS NULL) || ':' || v.status || ':' ||"                           \
    " COALESCE(v.error_message, '-') || ':' || (SELECT COUNT(*) FROM quality_progress q"           \
    " WHERE q.job_id = j.id) || ':' || (SELECT COUNT(*) FROM workers w"                            \
    " WHERE w.current_job_id = j.id) FROM transcoding_jobs j JOIN videos v ON v.id = j.video_id"   \
    " WHERE j.id = %lld"

static char *rows_of(struct rig *rig, int64_t job)
{
    TEXT(sql) = must_printf(ROWS, (long long)job);
    return rig_text(rig, sql);
}

/* A job in anna's hands, half done, on its n-th attempt. */
static int64_t half_done(struct rig *rig, const char *slug, int attempt)
{
    int64_t job = rig_add_job(rig, slug);
    TEXT(give) = must_printf("SELECT stock_claim(%lld, '%s');", (long long)job,
                             rig->anna.worker_id);
    TEXT(work) = must_printf(
        "INSERT INTO quality_progress (job_id, quality, status) VALUES (%lld, '720p', 'uploading');"
        "UPDATE transcoding_jobs SET progress_percent = 50, current_step = 'upload',"
        " attempt_number = %d WHERE id = %lld",
        (long long)job, attempt, (long long)job);
    rig_sql(rig, give);
    rig_sql(rig, work);
    return job;
}

Test(beside_fail, leaves_the_rows_as_the_stock_servers_own_does)
{
    static const struct {
        int attempt;
        bool retry, will_retry;
    } cases[] = {{1, true, true}, {2, true, true}, {3, true, false}, {1, false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig *rig = rig_new();
        int64_t theirs = half_done(rig, "theirs", cases[i].attempt);
        TEXT(stock) = must_printf("SELECT stock_fail(%lld, %s)", (long long)theirs,
                                  cases[i].will_retry ? "true" : "false");
        rig_sql(rig, stock);
        TEXT(wanted) = rows_of(rig, theirs);

        int64_t ours = half_done(rig, "ours", cases[i].attempt);
        struct store_failed failed = rig_fail(rig, rig_caller(&rig->anna, TAILSLATE_ABSENT_INT),
                                              ours, cases[i].retry);
        cr_expect_eq(failed.will_retry, cases[i].will_retry);
        TEXT(found) = rows_of(rig, ours);
        cr_expect_str_eq(found, wanted, "case %zu: %s, and theirs %s", i, found, wanted);
        rig_free(rig);
    }
}

static void stock_gives(struct rig *rig, int64_t job)
{
    TEXT(sql) = must_printf("SELECT stock_claim(%lld, '%s')", (long long)job, rig->anna.worker_id);
    rig_sql(rig, sql);
}

/* The stock server counts no claims: all of a worker's on a job have one epoch. */
Test(beside_fail, of_one_claim_is_not_taken_for_that_of_the_next)
{
    struct rig *rig = rig_new();
    struct store_caller anna = rig_caller(&rig->anna, TAILSLATE_ABSENT_INT);
    int64_t job = half_done(rig, "film", 1);
    cr_expect_not(rig_fail(rig, anna, job, true).replayed);
    cr_expect(rig_fail(rig, anna, job, true).replayed);
    stock_gives(rig, job);
    /* Its claim runs out and the stock server clears it: who failed is nobody's replay. */
    rig_sql(rig, "UPDATE transcoding_jobs SET worker_id = NULL, claimed_at = NULL,"
                 " claim_expires_at = NULL");
    struct store_failed second = rig_fail(rig, anna, job, true);
    cr_expect_eq(second.standing, TAILSLATE_STANDING_LATE);
    cr_expect_not(second.replayed);
    cr_expect_eq(rig_number(rig, "SELECT attempt_number FROM transcoding_jobs"), 3);
    cr_expect(rig_fail(rig, anna, job, true).replayed);
    cr_expect_eq(rig_number(rig, "SELECT attempt_number FROM transcoding_jobs"), 3);
    rig_free(rig);
}

Test(beside_fail, changes_no_completed_job_although_the_stock_servers_would)
{
    struct rig *rig = rig_new();
    struct store_caller anna = rig_caller(&rig->anna, TAILSLATE_ABSENT_INT);
    int64_t job = half_done(rig, "film", 1);
    cr_assert_eq(rig_present(rig, anna, job, 1), TAILSLATE_VERDICT_COMMIT);
    TEXT(before) = rows_of(rig, job);
    cr_expect_eq(rig_fail(rig, anna, job, true).standing, TAILSLATE_STANDING_COMPLETED);
    cr_expect_eq(rig_fail(rig, anna, job, false).standing, TAILSLATE_STANDING_COMPLETED);
    TEXT(after) = rows_of(rig, job);
    cr_expect_str_eq(after, before);
    rig_free(rig);
}

Test(beside_fail, a_failed_video_that_an_operator_queues_again_is_not_completed)
{
    struct rig *rig = rig_new();
    struct store_caller anna = rig_caller(&rig->anna, TAILSLATE_ABSENT_INT);
    int64_t job = half_done(rig, "film", 3);
    cr_expect_not(rig_fail(rig, anna, job, true).will_retry);
    TEXT(retry) = must_printf("SELECT stock_retry(%lld)", (long long)job);
    rig_sql(rig, retry);
    cr_expect_eq(rig_present(rig, anna, job, 1), TAILSLATE_VERDICT_GONE);
    rig_free(rig);
}
