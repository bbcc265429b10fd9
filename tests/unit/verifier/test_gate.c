/* The gate's protocol, against a real Redis that is well. */
#include "gate_bench.h"
#include "lib/cleanup.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

static long ttl(const struct redis *redis)
{
    TEXT(text) = redis_ask(redis, "TTL", BENCH_KEY, NULL);
    return strtol(text, NULL, 10);
}

Test(gate, what_was_taken_is_completed_after_a_commit)
{
    struct gate_bench bench = bench_new();
    struct gate_pass pass;
    bench_enter(bench.gate, &pass);
    cr_assert_str_eq(pass.key, BENCH_KEY);
    cr_assert(strncmp(pass.held, "processing:", 11) == 0 &&
              tailslate_token_uuid_is_v4(pass.held + 11));
    redis_expect(bench.redis, pass.held, "GET", BENCH_KEY, NULL);
    cr_expect(ttl(bench.redis) > 0 && ttl(bench.redis) <= GATE_HOLD_S);
    gate_leave(bench.gate, &pass, true);
    redis_expect(bench.redis, "completed", "GET", BENCH_KEY, NULL);
    cr_expect(ttl(bench.redis) > GATE_COMPLETED_S - 60 && ttl(bench.redis) <= GATE_COMPLETED_S);
    cr_expect_eq(bench_counts(bench.gate).entered, 1);
    bench_free(&bench);
}

Test(gate, what_was_taken_is_gone_after_everything_else)
{
    struct gate_bench bench = bench_new();
    struct gate_pass pass;
    bench_enter(bench.gate, &pass);
    gate_leave(bench.gate, &pass, false);
    redis_expect(bench.redis, "0", "DBSIZE", NULL);
    gate_leave(bench.gate, &pass, true); /* a second time is nothing */
    redis_expect(bench.redis, "0", "DBSIZE", NULL);
    bench_free(&bench);
}

Test(gate, a_nonce_serves_one_attempt)
{
    struct gate_bench bench = bench_new();
    struct gate_pass first, second;
    bench_enter(bench.gate, &first);
    gate_leave(bench.gate, &first, false);
    bench_enter(bench.gate, &second);
    cr_assert_str_neq(first.held, second.held);
    bench_free(&bench);
}

Test(gate, without_a_token_there_is_none)
{
    struct gate_bench bench = bench_new();
    struct gate_pass pass;
    gate_enter(bench.gate, BENCH_JOB, "", &pass);
    cr_assert_str_empty(pass.key);
    gate_leave(bench.gate, &pass, true);
    redis_expect(bench.redis, "0", "DBSIZE", NULL);
    bench_free(&bench);
}

Test(gate, who_does_not_end_is_waited_for_a_second_and_left_alone)
{
    struct gate_bench bench = bench_new();
    struct gate_pass pass;
    redis_expect(bench.redis, "OK", "SET", BENCH_KEY, BENCH_OTHER, NULL);
    int64_t took_ms = bench_enter(bench.gate, &pass);
    cr_assert(took_ms >= GATE_WAIT_MS && took_ms < GATE_WAIT_MS + 2000, "%lld ms",
              (long long)took_ms);
    gate_leave(bench.gate, &pass, true);
    redis_expect(bench.redis, BENCH_OTHER, "GET", BENCH_KEY, NULL);
    cr_expect_eq(bench_counts(bench.gate).waited, 1);
    cr_expect_eq(bench_counts(bench.gate).entered, 0);
    bench_free(&bench);
}

struct second {
    struct gate *gate;
    struct gate_pass pass;
    int64_t took_ms;
};

static void *enter_second(void *ctx)
{
    struct second *second = ctx;
    second->took_ms = bench_enter(second->gate, &second->pass);
    return NULL;
}

/* Another one comes while the first is at it, and the first ends. */
static struct second come_second(struct gate_bench *bench, bool committed)
{
    struct gate_pass first;
    struct second second = {.gate = bench->gate};
    pthread_t thread;
    bench_enter(bench->gate, &first);
    cr_assert_eq(pthread_create(&thread, NULL, enter_second, &second), 0);
    int64_t deadline_ms = mono_ms() + BENCH_SOON_MS;
    while (bench_counts(bench->gate).waited == 0 && mono_ms() < deadline_ms)
        sched_yield();
    cr_assert_eq(bench_counts(bench->gate).waited, 1);
    gate_leave(bench->gate, &first, committed);
    pthread_join(thread, NULL);
    return second;
}

Test(gate, who_waits_goes_on_when_the_first_has_committed)
{
    struct gate_bench bench = bench_new();
    struct second second = come_second(&bench, true);
    cr_assert_lt(second.took_ms, GATE_WAIT_MS);
    cr_assert_str_empty(second.pass.key);
    redis_expect(bench.redis, "completed", "GET", BENCH_KEY, NULL);
    bench_free(&bench);
}

Test(gate, who_waits_takes_it_when_the_first_has_failed)
{
    struct gate_bench bench = bench_new();
    struct second second = come_second(&bench, false);
    cr_assert_lt(second.took_ms, GATE_WAIT_MS);
    redis_expect(bench.redis, second.pass.held, "GET", BENCH_KEY, NULL);
    bench_free(&bench);
}

static const char *const not_ours[] = {
    "processing",
    "completed",
    "",
    "processing:",
    "processing:not-a-uuid",
    "processing:6ba7b810-9dad-11d1-80b4-00c04fd430c8", /* another version */
    BENCH_OTHER "0",
    "Processing:3f1d2c4b-5a69-4788-8796-a5b4c3d2e1f0",
    "\x01\xff\r\n+OK",
};

Test(gate, what_is_no_verifier_at_work_is_not_waited_for)
{
    struct gate_bench bench = bench_new();
    for (size_t i = 0; i < sizeof not_ours / sizeof not_ours[0]; i++) {
        struct gate_pass pass;
        redis_expect(bench.redis, "OK", "SET", BENCH_KEY, not_ours[i], NULL);
        int64_t took_ms = bench_enter(bench.gate, &pass);
        cr_expect_lt(took_ms, BENCH_SOON_MS, "\"%s\": %lld ms", not_ours[i], (long long)took_ms);
        cr_expect_str_empty(pass.key);
        gate_leave(bench.gate, &pass, true);
        TEXT(length) = must_printf("%zu", strlen(not_ours[i]));
        redis_expect(bench.redis, length, "STRLEN", BENCH_KEY, NULL);
        cr_expect_eq(bench_counts(bench.gate).not_ours, (int64_t)i + 1);
    }
    cr_expect_eq(bench_counts(bench.gate).failed, 0);
    bench_free(&bench);
}

Test(gate, megabytes_and_other_types_are_not_waited_for_either)
{
    struct gate_bench bench = bench_new();
    struct gate_pass pass;
    redis_expect(bench.redis, "10485760", "SETRANGE", BENCH_KEY, "10485759", "x", NULL);
    cr_expect_lt(bench_enter(bench.gate, &pass), BENCH_SOON_MS);
    redis_expect(bench.redis, "1", "DEL", BENCH_KEY, NULL);
    redis_expect(bench.redis, "1", "RPUSH", BENCH_KEY, "x", NULL);
    cr_expect_lt(bench_enter(bench.gate, &pass), BENCH_SOON_MS);
    cr_expect_str_empty(pass.key);
    cr_expect_eq(bench_counts(bench.gate).not_ours, 2);
    cr_expect_eq(bench_counts(bench.gate).failed, 0);
    cr_expect_eq(bench_counts(bench.gate).state, GATE_CLOSED);
    bench_free(&bench);
}

Test(gate, what_is_not_ours_any_more_is_left_alone)
{
    struct gate_bench bench = bench_new();
    struct gate_pass pass;
    bench_enter(bench.gate, &pass);
    redis_expect(bench.redis, "OK", "FLUSHALL", NULL);
    gate_leave(bench.gate, &pass, true);
    redis_expect(bench.redis, "0", "DBSIZE", NULL);

    bench_enter(bench.gate, &pass);
    redis_expect(bench.redis, "OK", "SET", BENCH_KEY, BENCH_OTHER, NULL);
    gate_leave(bench.gate, &pass, false);
    redis_expect(bench.redis, BENCH_OTHER, "GET", BENCH_KEY, NULL);

    redis_expect(bench.redis, "OK", "FLUSHALL", NULL);
    bench_enter(bench.gate, &pass);
    redis_expect(bench.redis, "1", "DEL", BENCH_KEY, NULL);
    redis_expect(bench.redis, "1", "RPUSH", BENCH_KEY, "x", NULL);
    gate_leave(bench.gate, &pass, true);
    redis_expect(bench.redis, "list", "TYPE", BENCH_KEY, NULL);
    cr_expect_eq(bench_counts(bench.gate).failed, 0);
    bench_free(&bench);
}

Test(gate, redis_may_forget_its_scripts_at_any_time)
{
    struct gate_bench bench = bench_new();
    struct gate_pass pass;
    redis_expect(bench.redis, "OK", "SCRIPT", "FLUSH", NULL);
    bench_enter(bench.gate, &pass);
    redis_expect(bench.redis, pass.held, "GET", BENCH_KEY, NULL);
    redis_expect(bench.redis, "OK", "SCRIPT", "FLUSH", NULL);
    gate_leave(bench.gate, &pass, true);
    redis_expect(bench.redis, "completed", "GET", BENCH_KEY, NULL);
    cr_expect_eq(bench_counts(bench.gate).failed, 0);
    bench_free(&bench);
}

enum { CROWD = 16, ROUNDS = 50 };

static void *come_and_go(void *ctx)
{
    struct gate *gate = ctx;
    for (int64_t round = 0; round < ROUNDS; round++) {
        struct gate_pass pass;
        char token[TAILSLATE_TOKEN_BYTES];
        snprintf(token, sizeof token, "%p-%d", (void *)&pass, (int)round);
        gate_enter(gate, round, token, &pass);
        gate_leave(gate, &pass, false);
    }
    return NULL;
}

Test(gate, many_threads_share_one_connection)
{
    struct gate_bench bench = bench_new();
    pthread_t threads[CROWD];
    for (int i = 0; i < CROWD; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, come_and_go, bench.gate), 0);
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    struct gate_counts counts = bench_counts(bench.gate);
    cr_expect_eq(counts.failed, 0, "%s", counts.reason);
    cr_expect_eq(counts.waited + counts.not_ours + counts.skipped_open, 0);
    /* Who finds the connection taken for too long goes on without: that is no failure. */
    cr_expect_geq(counts.entered + counts.skipped_slow, CROWD * ROUNDS);
    cr_expect_geq(counts.entered, CROWD * ROUNDS / 2);
    bench_free(&bench);
}

#define LAST_RUN "vlog:stale_job_checker:last_run"
#define NOW      "2026-01-03T16:28:00.123456+00:00"
#define NOW_MS   1767457680123

Test(gate, the_sweeps_share_their_last_run)
{
    struct gate_bench bench = bench_new();
    cr_expect_eq(gate_last_sweep_ms(bench.gate, GATE_SWEEP_STALE_JOBS), 0);
    gate_note_sweep(bench.gate, GATE_SWEEP_STALE_JOBS, NOW);
    redis_expect(bench.redis, NOW, "GET", LAST_RUN, NULL);
    redis_expect(bench.redis, "300", "TTL", LAST_RUN, NULL);
    cr_expect_eq(gate_last_sweep_ms(bench.gate, GATE_SWEEP_STALE_JOBS), NOW_MS);
    cr_expect_eq(gate_last_sweep_ms(bench.gate, GATE_SWEEP_ORPHANS), 0);
    gate_note_sweep(bench.gate, GATE_SWEEP_ORPHANS, NOW);
    redis_expect(bench.redis, NOW, "GET", "vlog:orphan_cleanup:last_run", NULL);
    bench_free(&bench);
}

Test(gate, a_last_run_that_is_no_time_is_none)
{
    struct gate_bench bench = bench_new();
    static const char *const values[] = {"", "yesterday", NOW NOW NOW, "2026-13-01T00:00:00Z"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        redis_expect(bench.redis, "OK", "SET", LAST_RUN, values[i], NULL);
        cr_expect_eq(gate_last_sweep_ms(bench.gate, GATE_SWEEP_STALE_JOBS), 0, "%s", values[i]);
    }
    redis_expect(bench.redis, "OK", "SET", LAST_RUN, "2026-01-03 16:28:00+00:00", NULL);
    cr_expect_eq(gate_last_sweep_ms(bench.gate, GATE_SWEEP_STALE_JOBS), NOW_MS - 123);
    redis_expect(bench.redis, "1", "DEL", LAST_RUN, NULL);
    redis_expect(bench.redis, "1", "RPUSH", LAST_RUN, "x", NULL);
    cr_expect_eq(gate_last_sweep_ms(bench.gate, GATE_SWEEP_STALE_JOBS), 0);
    cr_expect_eq(bench_counts(bench.gate).state, GATE_CLOSED);
    bench_free(&bench);
}
