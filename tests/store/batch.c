/* Several statements in one go (db_batch), on every kind of database. */
#include "lib/cleanup.h"
#include "store_rig.h"
#include "verifier/db/db.h"

#include <criterion/criterion.h>
#include <string.h>

#define ADD "INSERT INTO job_queue (job_id, priority) VALUES ($1, $2)"

struct batch {
    struct rig *rig;
    struct db *db;
    struct error err;
    int64_t job;
};

static struct batch batch_new(void)
{
    struct batch batch = {.rig = rig_new()};
    batch.db = db_open(batch.rig->url, NULL, &batch.err);
    cr_assert(batch.db, "%s", batch.err.message);
    batch.job = rig_add_job(batch.rig, "film");
    return batch;
}

static void batch_end(struct batch *batch)
{
    db_close(batch->db);
    rig_free(batch->rig);
}

static int64_t queued(struct batch *batch)
{
    return rig_number(batch->rig, "SELECT COUNT(*) FROM job_queue");
}

static void add_up(struct db_step *step, struct db_rows *rows)
{
    int64_t *sum = step->ctx;
    *sum = *sum * 10 + db_get_int(rows, 0);
}

Test(batch, runs_its_steps_in_order_and_gives_the_rows_of_each)
{
    struct batch batch = batch_new();
    int64_t sum = 0;
    struct db_step steps[] = {
        {.sql = ADD, DB_ARGS(db_int(batch.job), db_int(4))},
        {.sql = "SELECT priority FROM job_queue UNION ALL SELECT 7", .row = add_up, .ctx = &sum},
        {.sql = "UPDATE job_queue SET priority = priority + 1"},
        {.sql = "SELECT priority FROM job_queue", .row = add_up, .ctx = &sum},
        {.sql = "SELECT priority FROM job_queue WHERE priority = 9", .row = add_up, .ctx = &sum},
    };
    cr_assert_eq(db_batch(batch.db, DB_BEGIN, steps, 5, &batch.err), 0, "%s", batch.err.message);
    cr_expect_eq(sum, 475);
    cr_expect_eq(steps[1].rows, 2);
    cr_expect_eq(steps[4].rows, 0);
    db_rollback(batch.db);
    cr_expect_eq(queued(&batch), 0);
    batch_end(&batch);
}

Test(batch, a_begin_and_a_commit_belong_to_one_transaction)
{
    struct batch batch = batch_new();
    struct db_step add = {.sql = ADD, DB_ARGS(db_int(batch.job), db_int(4))};
    struct db_step change = {.sql = "UPDATE job_queue SET priority = 5"};
    cr_assert_eq(db_batch(batch.db, DB_BEGIN, &add, 1, &batch.err), 0);
    cr_expect_eq(queued(&batch), 0, "nothing is committed");
    cr_assert_eq(db_batch(batch.db, DB_COMMIT, &change, 1, &batch.err), 0, "%s", batch.err.message);
    cr_expect_eq(rig_number(batch.rig, "SELECT priority FROM job_queue"), 5);
    batch_end(&batch);
}

/* Of a batch with a commit, and of its connection afterwards. */
static void expect_nothing(struct batch *batch, struct db_step *steps, size_t count, int code)
{
    cr_assert_eq(db_batch(batch->db, DB_BEGIN, NULL, 0, &batch->err), 0, "%s", batch->err.message);
    cr_expect_eq(db_batch(batch->db, DB_COMMIT, steps, count, &batch->err), -1);
    cr_expect_eq(batch->err.code, code, "%d %s", batch->err.code, batch->err.message);
    db_rollback(batch->db);
    cr_expect_eq(queued(batch), 0);
    cr_assert_not(db_is_broken(batch->db), "%s", batch->err.message);
    struct db_step add = {.sql = ADD, DB_ARGS(db_int(batch->job), db_int(1))};
    cr_assert_eq(db_batch(batch->db, DB_BEGIN, &add, 1, &batch->err), 0, "%s", batch->err.message);
    db_rollback(batch->db);
}

Test(batch, the_first_step_that_fails_is_its_error_and_nothing_is_committed)
{
    struct batch batch = batch_new();
    int64_t sum = 0;
    struct db_step steps[] = {
        {.sql = ADD, DB_ARGS(db_int(batch.job), db_int(4))},
        {.sql = ADD, DB_ARGS(db_int(batch.job), db_int(5))}, /* taken */
        {.sql = "SELECT priority FROM job_queue", .row = add_up, .ctx = &sum},
        {.sql = ADD, DB_ARGS(db_int(-1), db_int(6))}, /* no such job */
    };
    expect_nothing(&batch, steps, 4, DB_CONFLICT);
    cr_expect_eq(sum, 0, "what follows is not run");
    batch_end(&batch);
}

Test(batch, a_condition_without_a_row_ends_it)
{
    struct batch batch = batch_new();
    struct db_step steps[] = {
        {.sql = ADD, DB_ARGS(db_int(batch.job), db_int(4))},
        {.sql = "UPDATE job_queue SET priority = 9 WHERE priority = $1 RETURNING job_id",
         DB_ARGS(db_int(3)),
         .needs_row = true},
        {.sql = "UPDATE job_queue SET priority = 10"},
    };
    expect_nothing(&batch, steps, 3, DB_REFUSED);
    steps[1].values = &(struct db_value){.type = DB_INT, .integer = 4};
    cr_assert_eq(db_batch(batch.db, DB_BEGIN, NULL, 0, &batch.err), 0);
    cr_assert_eq(db_batch(batch.db, DB_COMMIT, steps, 3, &batch.err), 0, "%s", batch.err.message);
    cr_expect_eq(rig_number(batch.rig, "SELECT priority FROM job_queue"), 10);
    batch_end(&batch);
}

static void note_and_change(struct db_step *step, struct db_rows *rows)
{
    struct batch *batch = step->ctx;
    cr_expect_eq(db_get_int(rows, 0), 1);
    rig_sql(batch->rig, "UPDATE transcoding_jobs SET attempt_number = 7");
}

Test(batch, of_reading_is_one_snapshot_and_leaves_no_transaction)
{
    struct batch batch = batch_new();
    int64_t seen = 0;
    struct db_step steps[] = {
        {.sql = "SELECT attempt_number FROM transcoding_jobs",
         .row = note_and_change,
         .ctx = &batch},
        {.sql = "SELECT attempt_number FROM transcoding_jobs WHERE id > 0",
         .row = add_up,
         .ctx = &seen},
    };
    cr_assert_eq(db_batch(batch.db, DB_READ, steps, 2, &batch.err), 0, "%s", batch.err.message);
    cr_expect_eq(seen, 1);
    cr_assert_eq(db_batch(batch.db, DB_READ, &steps[1], 1, &batch.err), 0, "%s", batch.err.message);
    cr_expect_eq(seen, 17);
    cr_expect_eq(db_begin(batch.db, &batch.err), 0, "%s", batch.err.message);
    db_rollback(batch.db);
    batch_end(&batch);
}

Test(batch, forgets_statements_rather_than_mix_them_up)
{
    enum { ROUNDS = 40, STEPS = 20 };
    struct batch batch = batch_new();
    char *texts[ROUNDS * STEPS];
    for (int round = 0; round < ROUNDS; round++) {
        int64_t sums[STEPS] = {0};
        struct db_step steps[STEPS] = {0};
        for (int i = 0; i < STEPS; i++) {
            char **text = &texts[round * STEPS + i];
            *text = must_printf("SELECT %d", round * STEPS + i);
            steps[i] = (struct db_step){.sql = *text, .row = add_up, .ctx = &sums[i]};
        }
        cr_assert_eq(db_batch(batch.db, DB_READ, steps, STEPS, &batch.err), 0);
        for (int i = 0; i < STEPS; i++)
            cr_expect_eq(sums[i], round * STEPS + i);
    }
    for (int i = 0; i < ROUNDS * STEPS; i++)
        free(texts[i]);
    batch_end(&batch);
}
