/* What the gate does when Redis does not: it costs latency only, and little of it. */
#include "gate_bench.h"
#include "lib/cleanup.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    QUICK_MS = 190, /* without a wait for Redis; a busy machine with sanitizers */
    BUSY_MS = 2000, /* what such a machine may add to one call */
    REFUSED_MS = 10 * 1000,
};

static void come_back(const struct gate_bench *bench)
{
    struct gate_pass pass;
    redis_up(bench->redis);
    bench_wait(bench->gate, GATE_CLOSED, BENCH_BACK_MS);
    bench_enter(bench->gate, &pass);
    redis_expect(bench->redis, pass.held, "GET", BENCH_KEY, NULL);
}

Test(gate_failure, down_at_the_start_it_is_used_as_soon_as_it_comes)
{
    struct gate_bench bench = {.redis = redis_new(NULL)};
    struct gate_pass pass;
    bench.gate = bench_gate(bench.redis, NULL);
    bench_wait(bench.gate, GATE_OPEN, REFUSED_MS);
    cr_assert(strstr(bench_counts(bench.gate).reason, "refused"));
    cr_assert_lt(bench_enter(bench.gate, &pass), QUICK_MS);
    cr_assert_str_empty(pass.key);
    cr_assert_eq(bench_counts(bench.gate).skipped_open, 1);
    come_back(&bench);
    bench_free(&bench);
}

Test(gate_failure, killed_it_costs_nothing_and_an_empty_one_in_its_place_is_used)
{
    struct gate_bench bench = bench_new();
    struct gate_pass pass;
    bench_enter(bench.gate, &pass);
    redis_kill(bench.redis);
    gate_leave(bench.gate, &pass, true);
    for (int i = 0; i < 20; i++)
        cr_assert_lt(bench_enter(bench.gate, &pass), QUICK_MS);
    cr_assert_leq(bench_counts(bench.gate).failed, 1);
    come_back(&bench);
    bench_free(&bench);
}

Test(gate_failure, hung_it_costs_one_its_budget_and_the_rest_nothing)
{
    struct gate_bench bench = bench_new();
    struct gate_pass pass;
    int slow = 0;
    redis_hang(bench.redis);
    for (int i = 0; i < 50; i++) {
        int64_t took_ms = bench_enter(bench.gate, &pass);
        gate_leave(bench.gate, &pass, true);
        slow += took_ms > QUICK_MS;
        cr_assert_lt(took_ms, GATE_CALL_MS + BUSY_MS);
    }
    cr_assert_leq(slow, 3, "%d of 50 have waited", slow);
    cr_assert_eq(bench_counts(bench.gate).failed, 1);
    redis_wake(bench.redis);
    bench_wait(bench.gate, GATE_CLOSED, BENCH_BACK_MS);
    /* What was sent to it while it hung is carried out only now: it ends by itself. */
    bench_enter(bench.gate, &pass);
    gate_leave(bench.gate, &pass, true);
    bench_free(&bench);
}

enum { CROWD = 20 };
struct one {
    struct gate *gate;
    pthread_barrier_t *start;
    int64_t took_ms;
};

static void *come(void *ctx)
{
    struct one *one = ctx;
    struct gate_pass pass;
    pthread_barrier_wait(one->start);
    one->took_ms = bench_enter(one->gate, &pass);
    return NULL;
}

Test(gate_failure, hung_it_lets_nobody_queue_behind_the_one_who_found_out)
{
    struct gate_bench bench = bench_new();
    pthread_barrier_t start;
    pthread_t threads[CROWD];
    struct one crowd[CROWD];
    pthread_barrier_init(&start, NULL, CROWD);
    redis_hang(bench.redis);
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = (struct one){.gate = bench.gate, .start = &start};
        cr_assert_eq(pthread_create(&threads[i], NULL, come, &crowd[i]), 0);
    }
    int slow = 0;
    for (int i = 0; i < CROWD; i++) {
        pthread_join(threads[i], NULL);
        slow += crowd[i].took_ms > QUICK_MS;
        cr_expect_lt(crowd[i].took_ms, GATE_CALL_MS + BUSY_MS);
    }
    cr_assert_leq(slow, CROWD / 4, "%d of %d have waited", slow, CROWD);
    struct gate_counts counts = bench_counts(bench.gate);
    cr_assert_eq(counts.failed, 1);
    cr_assert_eq(counts.skipped_slow + counts.skipped_open, CROWD - 1);
    bench_free(&bench);
}

Test(gate_failure, hung_while_nobody_asks_it_is_found_out_by_the_keeper)
{
    struct gate_bench bench = bench_new();
    struct gate_pass pass;
    redis_hang(bench.redis);
    bench_wait(bench.gate, GATE_OPEN, 30 * 1000);
    cr_assert_lt(bench_enter(bench.gate, &pass), QUICK_MS);
    bench_free(&bench);
}

/* How often a gate has probed it. */
static long probes(const struct redis *redis)
{
    TEXT(calls) = redis_ask(redis, "EVAL",
                            "return string.match(redis.call('INFO', 'commandstats'),"
                            " 'cmdstat_ping:calls=(%d+)')",
                            "0", NULL);
    return strtol(calls, NULL, 10);
}

Test(gate_failure, a_replica_that_only_reads_is_not_used)
{
    struct gate_bench bench = bench_new();
    struct gate_pass pass;
    redis_expect(bench.redis, "OK", "REPLICAOF", "127.0.0.1", "1", NULL);
    cr_assert_lt(bench_enter(bench.gate, &pass), BENCH_SOON_MS);
    bench_wait(bench.gate, GATE_OPEN, REFUSED_MS);
    cr_assert(strstr(bench_counts(bench.gate).reason, "READONLY"), "%s",
              bench_counts(bench.gate).reason);
    /* It accepts connections and scripts: only a real probe finds out. */
    int64_t deadline_ms = mono_ms() + BENCH_BACK_MS;
    for (long before = probes(bench.redis); probes(bench.redis) == before;)
        cr_assert_lt(mono_ms(), deadline_ms, "it is not tried again");
    bench_wait(bench.gate, GATE_OPEN, REFUSED_MS);
    redis_expect(bench.redis, "OK", "REPLICAOF", "NO", "ONE", NULL);
    bench_wait(bench.gate, GATE_CLOSED, BENCH_BACK_MS);
    bench_free(&bench);
}

/* No more rights than the documentation names. */
static const char *const with_user[] = {
    "--requirepass", "of-the-default", "--user",    "gate", "on",    ">s3cret-of-a-test", "~vlog:*",
    "+eval",         "+set",           "+getrange", "+del", "+ping", "+select",           NULL};

static char *secret_file(const struct redis *redis, const char *secret)
{
    char *path = must_printf("%s/secret", redis->dir);
    file_write(path, secret, 0600);
    return path;
}

static struct redis *redis_with_user(void)
{
    struct redis *redis = redis_start(with_user);
    redis->password = "of-the-default";
    return redis;
}

Test(gate_failure, a_user_with_few_rights_is_enough)
{
    struct gate_bench bench = {.redis = redis_with_user()};
    struct gate_pass pass;
    struct error err;
    TEXT(file) = secret_file(bench.redis, "s3cret-of-a-test\n");
    TEXT(url) = must_printf("redis://gate@localhost:%d/1", bench.redis->port);
    bench.gate = bench_open(bench.redis, url, file);
    cr_assert_eq(gate_ping(bench.gate, &err), 0, "%s", err.message);
    bench_enter(bench.gate, &pass);
    redis_expect(bench.redis, pass.held, "-n", "1", "GET", BENCH_KEY, NULL);
    gate_leave(bench.gate, &pass, true);
    redis_expect(bench.redis, "completed", "-n", "1", "GET", BENCH_KEY, NULL);
    gate_note_sweep(bench.gate, GATE_SWEEP_ORPHANS, "2026-01-03T16:28:00+00:00");
    cr_assert_eq(gate_last_sweep_ms(bench.gate, GATE_SWEEP_ORPHANS), 1767457680000);
    bench_free(&bench);
}

Test(gate_failure, a_wrong_password_is_told_without_it_and_a_new_one_is_read)
{
    struct gate_bench bench = {.redis = redis_with_user()};
    TEXT(file) = secret_file(bench.redis, "an-0ld-one\n");
    bench.redis->user = "gate";
    bench.gate = bench_gate(bench.redis, file);
    bench.redis->user = NULL;
    bench_wait(bench.gate, GATE_OPEN, REFUSED_MS);
    struct gate_counts counts = bench_counts(bench.gate);
    cr_assert(strstr(counts.reason, "WRONGPASS"), "%s", counts.reason);
    cr_assert_not(strstr(counts.reason, "0ld"), "%s", counts.reason);
    free(secret_file(bench.redis, "s3cret-of-a-test\n"));
    bench_wait(bench.gate, GATE_CLOSED, BENCH_BACK_MS);
    bench_free(&bench);
}

Test(gate_failure, no_password_where_one_is_needed_is_told)
{
    struct gate_bench bench = {.redis = redis_with_user()};
    bench.gate = bench_gate(bench.redis, NULL);
    bench_wait(bench.gate, GATE_OPEN, REFUSED_MS);
    cr_assert(strstr(bench_counts(bench.gate).reason, "NOAUTH"), "%s",
              bench_counts(bench.gate).reason);
    bench_free(&bench);
}

/* What is no Redis: it says these bytes over and over to whoever connects. */
struct stranger {
    int listener, port;
    const char *says; /* NULL: nothing */
    int times;
};

static void listen_as(struct stranger *stranger)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    stranger->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(stranger->listener, (struct sockaddr *)&address, size), 0);
    cr_assert_eq(listen(stranger->listener, 8), 0);
    getsockname(stranger->listener, (struct sockaddr *)&address, &size);
    stranger->port = ntohs(address.sin_port);
}

static void *speak(void *ctx)
{
    struct stranger *stranger = ctx;
    FD(fd) = accept(stranger->listener, NULL, NULL);
    char command[4096];
    if (fd < 0 || recv(fd, command, sizeof command, 0) <= 0)
        return NULL;
    for (int i = 0; i < stranger->times; i++)
        if (send(fd, stranger->says, strlen(stranger->says), MSG_NOSIGNAL) < 0)
            return NULL;
    while (recv(fd, command, sizeof command, 0) > 0)
        ;
    return NULL;
}

#define NO_REDIS "the server does not speak Redis"
#define X64      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
    struct stranger stranger;
    const char *told;
} strangers[] = {
    {{.says = "HTTP/1.1 400 Bad Request\r\n\r\n", .times = 1}, NO_REDIS},
    {{.says = "*1000000000\r\n", .times = 1}, NO_REDIS},
    {{.says = "*2\r\n$1\r\na\r\n$1\r\nb\r\n", .times = 1}, NO_REDIS},
    {{.says = "$104857600\r\n" X64, .times = 1}, "no answer in time"},
    {{.says = "$104857600\r\n" X64, .times = 4000}, "longer than"},
    {{.says = "+" X64, .times = 4000}, "longer than"},
    {{.says = X64, .times = 4000}, ""}, /* by its first bytes or by how many there are */
    {{.says = "$-7\r\n", .times = 1}, NO_REDIS},
    {{.says = "$-1\r\n", .times = 1}, NO_REDIS},
    {{.says = ":1\r\n", .times = 1}, NO_REDIS},
    {{.says = "+OK\r\n+OK\r\n", .times = 1}, "two replies"},
    {{.says = "-LOADING Redis is loading the dataset in memory\r\n", .times = 1}, "LOADING"},
    {{.says = "-MOVED 3999 127.0.0.1:6381\r\n", .times = 1}, "MOVED"},
    {{.says = "\r\n\r\n", .times = 1}, NO_REDIS},
};

Test(gate_failure, what_is_no_redis_is_left_alone)
{
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        struct stranger stranger = strangers[i].stranger;
        struct gate *gate;
        struct error err = {0};
        pthread_t thread;
        listen_as(&stranger);
        cr_assert_eq(pthread_create(&thread, NULL, speak, &stranger), 0);
        TEXT(url) = must_printf("redis://127.0.0.1:%d", stranger.port);
        cr_assert_eq(gate_open(url, NULL, "vlog:", &gate, &err), 0);
        cr_expect_eq(gate_ping(gate, &err), -1, "%.30s", stranger.says);
        cr_expect(strstr(err.message, strangers[i].told), "%.30s: %s", stranger.says, err.message);
        gate_close(gate);
        shutdown(stranger.listener, SHUT_RDWR);
        pthread_join(thread, NULL);
        close(stranger.listener);
    }
}

Test(gate_failure, who_accepts_and_never_answers_is_given_up)
{
    struct stranger stranger = {0};
    struct gate *gate;
    struct gate_pass pass;
    struct error err;
    listen_as(&stranger);
    TEXT(url) = must_printf("redis://127.0.0.1:%d", stranger.port);
    cr_assert_eq(gate_open(url, NULL, "vlog:", &gate, &err), 0);
    cr_assert_lt(bench_enter(gate, &pass), QUICK_MS);
    cr_assert_eq(gate_ping(gate, &err), -1);
    cr_assert_lt(bench_enter(gate, &pass), QUICK_MS);
    gate_close(gate);
    close(stranger.listener);
}

Test(gate_failure, a_name_that_is_none_is_told)
{
    struct gate *gate;
    struct gate_pass pass;
    struct error err;
    cr_assert_eq(gate_open("redis://redis.invalid", NULL, "vlog:", &gate, &err), 0);
    cr_assert_lt(bench_enter(gate, &pass), QUICK_MS);
    cr_assert_eq(gate_ping(gate, &err), -1);
    gate_close(gate);
}
