#include "gate_bench.h"

#include "lib/cleanup.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <unistd.h>

struct gate *bench_open(const struct redis *redis, const char *url, const char *password_file)
{
    struct gate *gate;
    struct error err;
    TEXT(log) = must_printf("%s/gate.log", redis->dir);
    FD(fd) = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    cr_assert(fd >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO, "cannot write %s", log);
    cr_assert_eq(gate_open(url, password_file, "vlog:", &gate, &err), 0, "%s", err.message);
    return gate;
}

struct gate *bench_gate(const struct redis *redis, const char *password_file)
{
    TEXT(url) = redis_url(redis);
    return bench_open(redis, url, password_file);
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

struct wanted_state {
    struct gate *gate;
    enum gate_state state;
};

static bool has_state(void *ctx)
{
    const struct wanted_state *wanted = ctx;
    return bench_counts(wanted->gate).state == wanted->state;
}

void bench_wait(struct gate *gate, enum gate_state state, int64_t timeout_ms)
{
    struct wanted_state wanted = {gate, state};
    cr_assert(log_wait_until("/proc/self/fd/2", has_state, &wanted, timeout_ms),
              "state %d after %d ms: %s", bench_counts(gate).state, (int)timeout_ms,
              bench_counts(gate).reason);
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
