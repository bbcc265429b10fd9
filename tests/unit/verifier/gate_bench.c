#include "gate_bench.h"

#include "tailslate/cleanup.h"
#include "tailslate/log.h"

#include <criterion/criterion.h>
#include <time.h>

struct gate *bench_gate(const struct redis *redis, const char *password_file)
{
    struct gate *gate;
    struct error err;
    log_configure("error", "text");
    TEXT(url) = redis_url(redis);
    cr_assert_eq(gate_open(url, password_file, "vlog:", &gate, &err), 0, "%s", err.message);
    return gate;
}

struct gate_bench bench_new(void)
{
    struct gate_bench bench = {.redis = redis_start(NULL)};
    bench.gate = bench_gate(bench.redis, NULL);
    bench_wait(bench.gate, GATE_CLOSED, BENCH_BACK_MS);
    return bench;
}

void bench_free(struct gate_bench *bench)
{
    gate_close(bench->gate);
    redis_stop(bench->redis);
}

void bench_wait(struct gate *gate, enum gate_state state, int64_t timeout_ms)
{
    const struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};
    int64_t deadline_ms = mono_ms() + timeout_ms;
    while (bench_counts(gate).state != state) {
        cr_assert(mono_ms() < deadline_ms, "state %d after %d ms: %s", bench_counts(gate).state,
                  (int)timeout_ms, bench_counts(gate).reason);
        nanosleep(&pause, NULL);
    }
}

struct gate_counts bench_counts(struct gate *gate)
{
    struct gate_counts counts;
    gate_counts(gate, &counts);
    return counts;
}

int64_t bench_enter(struct gate *gate, struct gate_pass *pass)
{
    int64_t started_ms = mono_ms();
    gate_enter(gate, BENCH_JOB, BENCH_TOKEN, pass);
    return mono_ms() - started_ms;
}
