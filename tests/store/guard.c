/* What stands behind the verdicts: the guards of the WHERE, and the snapshot of a look. */
#include "lib/cleanup.h"
#include "store_rig.h"
#include "verifier/store/store_private.h"

#include <criterion/criterion.h>

static int64_t passes(struct rig *rig, const struct store_worker *worker, int64_t epoch)
{
    struct error err;
    int64_t count = 0;
    TRANSACTION(tx);
    cr_assert_eq(store_begin_reading(rig->store, &tx, &err), 0);
    cr_assert_eq(db_one_int(tx.db, &count, &err,
                            "SELECT COUNT(*) FROM transcoding_jobs WHERE" STORE_HOLDER_GUARD,
                            DB_ARGS(db_int(1), db_text(worker->worker_id), db_int(epoch))),
                 1);
    return count;
}

Test(store_guard, each_condition_by_itself_refuses)
{
    static const char *const spoilers[][2] = {
        {"UPDATE transcoding_jobs SET completed_at = claimed_at",
         "UPDATE transcoding_jobs SET completed_at = NULL"},
        {"UPDATE transcoding_jobs SET worker_id = 'x'",
         "UPDATE transcoding_jobs SET worker_id = processed_by_worker_id"},
        {"UPDATE transcoding_jobs SET processed_by_worker_id = 'x'",
         "UPDATE transcoding_jobs SET processed_by_worker_id = worker_id"},
        {"UPDATE job_epochs SET claim_epoch = 2", "UPDATE job_epochs SET claim_epoch = 1"},
        {"UPDATE videos SET status = 'failed'", "UPDATE videos SET status = 'processing'"},
        {"UPDATE videos SET deleted_at = created_at", "UPDATE videos SET deleted_at = NULL"},
    };
    struct rig *rig = rig_new();
    rig_add_job(rig, "film");
    rig_claim(rig, &rig->anna, 0);
    cr_assert_eq(passes(rig, &rig->anna, 1), 1);
    cr_expect_eq(passes(rig, &rig->bert, 1), 0);
    cr_expect_eq(passes(rig, &rig->anna, 0), 0);
    for (size_t i = 0; i < sizeof spoilers / sizeof spoilers[0]; i++) {
        rig_sql(rig, spoilers[i][0]);
        cr_expect_eq(passes(rig, &rig->anna, 1), 0, "%s", spoilers[i][0]);
        rig_sql(rig, spoilers[i][1]);
        cr_expect_eq(passes(rig, &rig->anna, 1), 1, "%s", spoilers[i][1]);
    }
    rig_free(rig);
}

static int64_t attempts(struct db *db, struct error *err)
{
    int64_t count = 0;
    cr_assert_eq(
        db_one_int(db, &count, err, "SELECT attempt_number FROM transcoding_jobs", DB_NO_ARGS), 1);
    return count;
}

/* A job row from before a commit beside a completions row from after it is a verdict that was never
 * true: 64 replays at once found it as a 409 to the holder. */
Test(store_guard, a_look_sees_one_moment)
{
    struct rig *rig = rig_new();
    struct error err;
    rig_add_job(rig, "film");
    struct store_transaction tx = {0};
    cr_assert_eq(store_begin_reading(rig->store, &tx, &err), 0);
    cr_expect_eq(attempts(tx.db, &err), 1);
    rig_sql(rig, "UPDATE transcoding_jobs SET attempt_number = 7");
    cr_expect_eq(attempts(tx.db, &err), 1);
    store_rollback(&tx);
    cr_expect_eq(rig_number(rig, "SELECT attempt_number FROM transcoding_jobs"), 7);
    rig_free(rig);
}

static void change(struct rig *rig, bool commits)
{
    struct error err;
    TRANSACTION(tx);
    cr_assert_eq(store_begin(rig->store, &tx, &err), 0);
    cr_assert_eq(
        db_run(tx.db, NULL, &err, "UPDATE transcoding_jobs SET attempt_number = 9", DB_NO_ARGS), 0);
    if (commits)
        cr_assert_eq(store_commit(&tx, &err), 0);
}

Test(store_guard, a_transaction_that_ends_without_a_commit_changes_nothing)
{
    struct rig *rig = rig_new();
    rig_add_job(rig, "film");
    change(rig, false);
    cr_expect_eq(rig_number(rig, "SELECT attempt_number FROM transcoding_jobs"), 1);
    change(rig, true);
    cr_expect_eq(rig_number(rig, "SELECT attempt_number FROM transcoding_jobs"), 9);
    rig_free(rig);
}
