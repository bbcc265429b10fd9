/* Write transactions of many threads in one COMMIT: who is told what, and what is on disk. */
#include "../base/scratch.h"
#include "base/clock.h"
#include "lib/cleanup.h"
#include "verifier/db/db_group.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { THREADS = 8, PATIENCE_MS = 20 * 1000 };

struct bench {
    struct scratch scratch;
    char url[96];
    struct db *beside; /* by which the test itself asks */
    struct db_group *group;
};

static struct db *take(void *ctx, struct error *err)
{
    return db_open(((struct bench *)ctx)->url, NULL, err);
}

static void give(void *ctx, struct db *db)
{
    (void)ctx;
    db_close(db);
}

static struct bench *bench_new(void)
{
    struct error err;
    struct bench *bench = must_calloc(1, sizeof *bench);
    bench->scratch = scratch_make();
    snprintf(bench->url, sizeof bench->url, "sqlite:%s/a.db", bench->scratch.path);
    bench->beside = db_open(bench->url, NULL, &err);
    cr_assert(bench->beside, "%s", err.message);
    cr_assert_eq(db_script(bench->beside,
                           "CREATE TABLE t (id INTEGER PRIMARY KEY, fill BLOB,"
                           " other INTEGER REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)",
                           &err),
                 0, "%s", err.message);
    bench->group = db_group_new(&(struct db_group_source){bench, take, give});
    return bench;
}

static void bench_free(struct bench *bench)
{
    db_group_free(bench->group);
    db_close(bench->beside);
    scratch_remove(&bench->scratch);
    free(bench);
}

static int64_t number(struct db *db, const char *sql)
{
    int64_t value = -1;
    struct error err;
    cr_assert_eq(db_one_int(db, &value, &err, sql, DB_NO_ARGS), 1, "%s", err.message);
    return value;
}

static int64_t on_disk(struct bench *bench, int64_t id)
{
    int64_t value = -1;
    struct error err;
    cr_assert_eq(db_one_int(bench->beside, &value, &err, "SELECT COUNT(*) FROM t WHERE id = $1",
                            DB_ARGS(db_int(id))),
                 1, "%s", err.message);
    return value;
}

static void await_queue(struct bench *bench, int count)
{
    int64_t until_ms = mono_ms() + PATIENCE_MS;
    while (db_group_counts(bench->group).waiting != count) {
        cr_assert_lt(mono_ms(), until_ms, "%d do not wait", count);
        sched_yield();
    }
}

/* One transaction in a thread of its own. */
struct act;
typedef int acting(struct act *act, struct db *db);
struct act {
    struct bench *bench;
    acting *run; /* -1: it ends with a rollback */
    int64_t id;
    enum db_sharing sharing;
    bool ends; /* by db_group_end */
    pthread_t thread;
    /* What it was told. */
    int result;
    struct error err;
    int64_t seen;
};

static void *live(void *ctx)
{
    struct act *act = ctx;
    struct db_member member;
    act->result = db_group_begin(act->bench->group, &member, act->sharing, &act->err);
    if (act->result != 0)
        return NULL;
    act->result = act->run(act, member.db);
    if (act->result != 0)
        db_group_rollback(&member);
    else
        act->result = (act->ends ? db_group_end : db_group_commit)(&member, &act->err);
    return NULL;
}

/* It runs, and waits for its turn as the count'th. */
static void start(struct bench *bench, struct act *act, int count)
{
    act->bench = bench;
    cr_assert_eq(pthread_create(&act->thread, NULL, live, act), 0);
    await_queue(bench, count);
}

static void hold(struct bench *bench, struct db_member *holder)
{
    struct error err;
    cr_assert_eq(db_group_begin(bench->group, holder, DB_ALONE, &err), 0, "%s", err.message);
}

/* They have the turn one after the other, in this order. */
static void run_all(struct bench *bench, struct act *acts, int count)
{
    struct db_member holder;
    hold(bench, &holder);
    for (int i = 0; i < count; i++)
        start(bench, &acts[i], i + 1);
    db_group_rollback(&holder);
    for (int i = 0; i < count; i++)
        pthread_join(acts[i].thread, NULL);
}

static int insert(struct act *act, struct db *db)
{
    return db_run(db, NULL, &act->err, "INSERT INTO t (id) VALUES ($1)", DB_ARGS(db_int(act->id)));
}

static int insert_twice(struct act *act, struct db *db)
{
    return insert(act, db) == 0 ? insert(act, db) : -1;
}

static int insert_much(struct act *act, struct db *db)
{
    return db_run(db, NULL, &act->err, "INSERT INTO t (id, fill) VALUES ($1, randomblob(60000))",
                  DB_ARGS(db_int(act->id)));
}

/* What the COMMIT refuses, and not the statement. */
static int insert_dangling(struct act *act, struct db *db)
{
    return db_run(db, NULL, &act->err, "INSERT INTO t (id, other) VALUES ($1, 4711)",
                  DB_ARGS(db_int(act->id)));
}

/* As a full disk does in the middle of a statement. */
static int lose_everything(struct act *act, struct db *db)
{
    cr_expect_eq(insert(act, db), 0);
    cr_expect_eq(db_run(db, NULL, &act->err, "INSERT OR ROLLBACK INTO t (id) VALUES ($1)",
                        DB_ARGS(db_int(act->id))),
                 -1);
    cr_expect_eq(insert(act, db), -1, "it would be committed by itself");
    cr_expect_eq(act->err.code, DB_LOST);
    return -1;
}

static int look(struct act *act, struct db *db)
{
    act->seen = number(db, "SELECT COUNT(*) FROM t");
    return 0;
}

static int look_beside(struct act *act, struct db *db)
{
    (void)db;
    act->seen = number(act->bench->beside, "SELECT COUNT(*) FROM t");
    return 0;
}

static void fill_in(struct act *acts, int count, acting *run)
{
    for (int i = 0; i < count; i++)
        acts[i] = (struct act){.run = run, .id = i + 1, .sharing = DB_TOGETHER};
}

/* Nobody was told what is not on disk, and who was told otherwise has nothing there. */
static void expect_told_true(struct bench *bench, const struct act *acts, int count)
{
    for (int i = 0; i < count; i++)
        cr_expect_eq(on_disk(bench, acts[i].id), acts[i].result == 0, "%d: %d %s", i,
                     acts[i].result, acts[i].err.message);
}

static void expect_it_works(struct bench *bench)
{
    struct act after = {.run = insert, .id = 1000, .sharing = DB_TOGETHER};
    run_all(bench, &after, 1);
    cr_expect_eq(after.result, 0, "%s", after.err.message);
    cr_expect_eq(on_disk(bench, 1000), 1);
}

Test(db_group, those_who_wait_are_committed_at_once)
{
    struct bench *bench = bench_new();
    struct act acts[THREADS];
    fill_in(acts, THREADS, insert);
    run_all(bench, acts, THREADS);
    for (int i = 0; i < THREADS; i++)
        cr_expect_eq(acts[i].result, 0, "%s", acts[i].err.message);
    expect_told_true(bench, acts, THREADS);
    cr_expect_eq(db_group_counts(bench->group).commits, 1);
    cr_expect_eq(db_group_counts(bench->group).transactions, THREADS);
    bench_free(bench);
}

Test(db_group, who_fails_fails_alone)
{
    for (int failing = 0; failing < THREADS; failing++) { /* the first, one between, the last */
        struct bench *bench = bench_new();
        struct act acts[THREADS];
        fill_in(acts, THREADS, insert);
        acts[failing].run = insert_twice;
        run_all(bench, acts, THREADS);
        for (int i = 0; i < THREADS; i++)
            cr_expect_eq(acts[i].result, i == failing ? -1 : 0, "%d of %d", i, failing);
        cr_expect_eq(acts[failing].err.code, DB_CONFLICT);
        expect_told_true(bench, acts, THREADS);
        cr_expect_eq(db_group_counts(bench->group).transactions, THREADS - 1);
        bench_free(bench);
    }
}

Test(db_group, what_the_database_has_rolled_back_is_acknowledged_to_nobody)
{
    struct bench *bench = bench_new();
    struct act acts[THREADS];
    fill_in(acts, THREADS, insert);
    acts[3].run = lose_everything;
    run_all(bench, acts, THREADS);
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(acts[i].result, -1);
        cr_expect_eq(acts[i].err.code, DB_LOST, "%s", acts[i].err.message);
        cr_expect_eq(acts[i].err.class, ERROR_TEMPORARY);
    }
    for (int i = 4; i < THREADS; i++)
        cr_expect_eq(acts[i].result, 0, "%s", acts[i].err.message);
    expect_told_true(bench, acts, THREADS);
    bench_free(bench);
}

Test(db_group, what_was_read_of_a_neighbor_stands_only_once_that_one_is_committed)
{
    struct bench *bench = bench_new();
    struct act acts[3] = {{.run = insert, .id = 1, .sharing = DB_TOGETHER},
                          {.run = look, .ends = true, .sharing = DB_TOGETHER},
                          {.run = lose_everything, .id = 3, .sharing = DB_TOGETHER}};
    run_all(bench, acts, 3);
    cr_expect_eq(acts[1].seen, 1, "it sees its neighbor's");
    cr_expect_eq(acts[1].result, -1, "which is not there");
    cr_expect_eq(on_disk(bench, 1), 0);
    acts[2].run = insert;
    run_all(bench, acts, 3);
    cr_expect_eq(acts[1].seen, 1);
    cr_expect_eq(acts[1].result, 0, "%s", acts[1].err.message);
    bench_free(bench);
}

Test(db_group, a_commit_that_fails_fails_all_of_it_for_certain)
{
    struct bench *bench = bench_new();
    struct act acts[THREADS];
    fill_in(acts, THREADS, insert);
    acts[2].run = insert_dangling;
    run_all(bench, acts, THREADS);
    for (int i = 0; i < THREADS; i++) {
        cr_expect_eq(acts[i].result, -1);
        cr_expect_neq(acts[i].err.code, DB_UNKNOWN);
    }
    expect_told_true(bench, acts, THREADS);
    expect_it_works(bench);
    bench_free(bench);
}

static void limit_pages(struct bench *bench, const char *pragma)
{
    struct db_member holder;
    struct error err;
    hold(bench, &holder);
    cr_assert_eq(db_script(holder.db, pragma, &err), 0, "%s", err.message);
    db_group_rollback(&holder);
}

Test(db_group, on_a_full_disk_nobody_is_told_what_is_not_there)
{
    struct bench *bench = bench_new();
    struct act acts[THREADS];
    int told = 0;
    limit_pages(bench, "PRAGMA max_page_count = 64"); /* four of them */
    fill_in(acts, THREADS, insert_much);
    run_all(bench, acts, THREADS);
    for (int i = 0; i < THREADS; i++) {
        told += acts[i].result == 0;
        cr_expect(acts[i].result == 0 || acts[i].err.class == ERROR_TEMPORARY);
    }
    cr_expect_lt(told, THREADS);
    expect_told_true(bench, acts, THREADS);
    limit_pages(bench, "PRAGMA max_page_count = 1000000");
    expect_it_works(bench);
    bench_free(bench);
}

Test(db_group, who_is_alone_sees_only_what_is_committed)
{
    struct bench *bench = bench_new();
    struct act acts[4];
    fill_in(acts, 4, insert);
    acts[1] = (struct act){.run = look_beside, .ends = true, .sharing = DB_ALONE};
    run_all(bench, acts, 4);
    cr_expect_eq(acts[1].seen, 1, "who was before it is committed, and nobody else");
    cr_expect_eq(db_group_counts(bench->group).commits, 2);
    bench_free(bench);
}

/* It waits until somebody is behind it. */
static int insert_before_another(struct act *act, struct db *db)
{
    await_queue(act->bench, 1);
    return insert(act, db);
}

Test(db_group, every_wait_is_bounded_and_a_commit_that_takes_too_long_is_unknown)
{
    struct bench *bench = bench_new();
    struct error err;
    struct db_member holder;
    struct act before = {.run = insert_before_another, .id = 1, .sharing = DB_TOGETHER},
               behind = {.run = insert, .id = 2, .sharing = DB_TOGETHER};
    hold(bench, &holder);
    start(bench, &before, 1);
    db_group_rollback(&holder);
    cr_assert_eq(db_group_begin(bench->group, &holder, DB_TOGETHER, &err), 0, "%s", err.message);
    start(bench, &behind, 1);
    int64_t started_ms = mono_ms();
    pthread_join(before.thread, NULL);
    pthread_join(behind.thread, NULL);
    cr_expect_leq(mono_ms() - started_ms, DB_WAIT_MS + 3000);
    cr_expect_eq(before.result, -1);
    cr_expect_eq(before.err.code, DB_UNKNOWN, "%s", before.err.message);
    cr_expect_eq(behind.result, -1);
    cr_expect_eq(behind.err.code, DB_BUSY, "%s", behind.err.message);
    cr_expect_eq(db_group_commit(&holder, &err), 0, "%s", err.message);
    cr_expect_eq(on_disk(bench, 1), 1);
    cr_expect_eq(on_disk(bench, 2), 0);
    expect_it_works(bench);
    bench_free(bench);
}

Test(db_group, a_lock_that_another_process_holds_is_waited_for_once_by_all)
{
    struct bench *bench = bench_new();
    struct error err;
    struct act acts[THREADS];
    cr_assert_eq(db_begin(bench->beside, &err), 0);
    fill_in(acts, THREADS, insert);
    int64_t started_ms = mono_ms();
    for (int i = 0; i < THREADS; i++)
        start(bench, &acts[i], i);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(acts[i].thread, NULL);
        cr_expect_eq(acts[i].result, -1);
        cr_expect_eq(acts[i].err.code, DB_BUSY, "%s", acts[i].err.message);
    }
    cr_expect_leq(mono_ms() - started_ms, DB_WAIT_MS + 3000);
    db_rollback(bench->beside);
    expect_it_works(bench);
    bench_free(bench);
}

struct crowd {
    struct bench *bench;
    atomic_bool is_over;
    pthread_t threads[THREADS];
};

static void *write_on(void *ctx)
{
    struct crowd *crowd = ctx;
    struct error err;
    struct db_member member;
    while (!atomic_load(&crowd->is_over)) {
        cr_assert_eq(db_group_begin(crowd->bench->group, &member, DB_TOGETHER, &err), 0, "%s",
                     err.message);
        cr_assert_eq(db_run(member.db, NULL, &err, "INSERT INTO t (fill) VALUES (zeroblob(500))",
                            DB_NO_ARGS),
                     0, "%s", err.message);
        cr_assert_eq(db_group_commit(&member, &err), 0, "%s", err.message);
    }
    return NULL;
}

Test(db_group, leaves_the_lock_free_after_many_groups_in_a_row)
{
    struct bench *bench = bench_new();
    struct error err;
    struct db_member member;
    int64_t until_ms = mono_ms() + PATIENCE_MS;
    while (db_group_counts(bench->group).gaps == 0) {
        cr_assert_lt(mono_ms(), until_ms);
        cr_assert_eq(db_group_begin(bench->group, &member, DB_TOGETHER, &err), 0);
        cr_assert_eq(db_group_commit(&member, &err), 0);
    }
    bench_free(bench);
}

/* It can only look every few milliseconds whether the lock is free. */
Test(db_group, another_process_gets_in_between_groups_without_end)
{
    enum { TIMES = 10, GETS_IN_MS = 1500 };
    struct error err;
    struct crowd crowd = {.bench = bench_new()};
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&crowd.threads[i], NULL, write_on, &crowd), 0);
    for (int i = 0; i < TIMES; i++) {
        int64_t started_ms = mono_ms();
        cr_assert_eq(db_begin(crowd.bench->beside, &err), 0, "%s", err.message);
        cr_expect_lt(mono_ms() - started_ms, GETS_IN_MS);
        db_rollback(crowd.bench->beside);
    }
    atomic_store(&crowd.is_over, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(crowd.threads[i], NULL);
    bench_free(crowd.bench);
}
