/* A batch whose connection ends in the middle. */
#include "bench.h"
#include "lib/cleanup.h"
#include "verifier/db/db.h"

#include <criterion/criterion.h>

#define ADD "INSERT INTO job_queue (job_id, priority) VALUES ($1, $2)"
#define DIE "SELECT pg_terminate_backend(pg_backend_pid())"

static struct db *open_by_proxy(struct bench *bench)
{
    struct error err;
    TEXT(url) = postgres_url_at(bench->rig->url, fault_proxy_port(bench->proxy));
    struct db *db = db_open(url, NULL, &err);
    cr_assert(db, "%s", err.message);
    return db;
}

static int64_t queued(struct bench *bench)
{
    return rig_number(bench->rig, "SELECT COUNT(*) FROM job_queue");
}

/* Where a commit was sent, nobody can tell from here that it was never reached. */
static void expect_death(enum db_frame frame, int code)
{
    struct bench bench = bench_new();
    struct db *db = open_by_proxy(&bench);
    struct error err;
    struct db_step steps[] = {
        {.sql = ADD, DB_ARGS(db_int(bench.job_id), db_int(1))},
        {.sql = DIE},
        {.sql = "UPDATE job_queue SET priority = 2"},
    };
    if (frame == DB_COMMIT)
        cr_assert_eq(db_begin(db, &err), 0);
    cr_expect_eq(db_batch(db, frame, steps, 3, &err), -1);
    cr_expect_eq(err.code, code, "%d %s", err.code, err.message);
    cr_expect_eq(err.class, ERROR_TEMPORARY);
    cr_expect(db_is_broken(db));
    db_rollback(db);
    cr_expect_eq(db_batch(db, DB_BEGIN, NULL, 0, &err), -1);
    cr_expect_eq(err.code, DB_BROKEN);
    db_close(db);
    cr_expect_eq(queued(&bench), 0);
    bench_free(&bench);
}

Test(batch_fault, a_server_process_that_ends_in_the_middle_breaks_the_connection)
{
    expect_death(DB_BEGIN, DB_BROKEN);
}

Test(batch_fault, a_server_process_that_ends_before_the_commit_leaves_it_unknown)
{
    expect_death(DB_COMMIT, DB_UNKNOWN);
}

/* The next batch with a commit is cut off. */
static void expect_unknown(enum fault fault, int64_t committed)
{
    struct bench bench = bench_new();
    struct db *db = open_by_proxy(&bench);
    struct error err;
    struct db_step add = {.sql = ADD, DB_ARGS(db_int(bench.job_id), db_int(1))};
    cr_assert_eq(db_begin(db, &err), 0);
    fault_proxy_cut(bench.proxy, "COMMIT", fault);
    cr_expect_eq(db_batch(db, DB_COMMIT, &add, 1, &err), -1);
    cr_expect_eq(err.code, DB_UNKNOWN, "%d %s", err.code, err.message);
    cr_expect_eq(fault_proxy_cuts(bench.proxy), 1);
    db_close(db);
    cr_expect_eq(queued(&bench), committed);
    bench_free(&bench);
}

Test(batch_fault, a_commit_whose_answer_is_lost_is_unknown)
{
    expect_unknown(FAULT_ANSWER_LOST, 1);
}

Test(batch_fault, a_commit_that_is_lost_is_unknown)
{
    expect_unknown(FAULT_NOT_PASSED, 0);
}

Test(batch_fault, a_step_that_is_refused_before_a_commit_makes_it_certain)
{
    struct bench bench = bench_new();
    struct db *db = open_by_proxy(&bench);
    struct error err;
    struct db_step steps[] = {
        {.sql = ADD, DB_ARGS(db_int(bench.job_id), db_int(1))},
        {.sql = "SELECT job_id FROM job_queue WHERE priority = 2", .needs_row = true},
    };
    cr_assert_eq(db_batch(db, DB_BEGIN, steps, 1, &err), 0);
    db_rollback(db);
    cr_assert_eq(db_begin(db, &err), 0);
    cr_expect_eq(db_batch(db, DB_COMMIT, steps, 2, &err), -1);
    cr_expect_eq(err.code, DB_REFUSED, "%s", err.message);
    cr_expect_not(db_is_broken(db));
    db_close(db);
    cr_expect_eq(queued(&bench), 0);
    bench_free(&bench);
}

Test(batch_fault, costs_one_round_trip_whatever_it_holds)
{
    struct bench bench = bench_new();
    struct db *db = open_by_proxy(&bench);
    struct error err;
    struct db_step steps[] = {
        {.sql = ADD, DB_ARGS(db_int(bench.job_id), db_int(1))},
        {.sql = "UPDATE job_queue SET priority = 2"},
        {.sql = "SELECT priority FROM job_queue", .needs_row = true},
    };
    for (int round = 0; round < 2; round++) { /* the first one prepares them */
        int before = fault_proxy_round_trips(bench.proxy);
        cr_assert_eq(db_batch(db, DB_BEGIN, steps, 3, &err), 0, "%s", err.message);
        cr_expect_eq(fault_proxy_round_trips(bench.proxy) - before, round == 0 ? 4 : 1);
        db_rollback(db);
    }
    db_close(db);
    bench_free(&bench);
}
