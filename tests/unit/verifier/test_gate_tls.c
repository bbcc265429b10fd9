/* TLS to Redis, in builds whose hiredis has it. */
#ifdef TAILSLATE_REDIS_TLS

#include "gate_bench.h"
#include "lib/cleanup.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { OPENSSL_MS = 60 * 1000, GIVEN_UP_MS = 20 * 1000 };

static void make_certificate(const char *dir, const char *name, const char *names)
{
    TEXT(key) = must_printf("%s/%s.key", dir, name);
    TEXT(cert) = must_printf("%s/%s.crt", dir, name);
    TEXT(san) = must_printf("subjectAltName=%s", names);
    RUN(run) = run_program((const char *[]){"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                                            "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                                            "-subj", "/CN=a test's Redis", "-addext", san,
                                            "-keyout", key, "-out", cert, NULL},
                           NULL, OPENSSL_MS);
    cr_assert_eq(run.status, 0, "%s", run.err);
}

/* A Redis that speaks TLS only, with a certificate for these names. */
static struct redis *start(const char *names)
{
    static char port[8], key[128], cert[128];
    static const char *const options[] = {"--port",
                                          "0",
                                          "--tls-port",
                                          port,
                                          "--tls-cert-file",
                                          cert,
                                          "--tls-key-file",
                                          key,
                                          "--tls-ca-cert-file",
                                          cert,
                                          "--tls-auth-clients",
                                          "no",
                                          NULL};
    struct redis *redis = redis_new(options);
    make_certificate(redis->dir, "server", names);
    snprintf(port, sizeof port, "%d", redis->port);
    snprintf(key, sizeof key, "%s/server.key", redis->dir);
    snprintf(cert, sizeof cert, "%s/server.crt", redis->dir);
    redis_up(redis);
    /* What the system trusts. */
    setenv("SSL_CERT_FILE", cert, 1);
    return redis;
}

static struct gate *open_at(const struct redis *redis, const char *host)
{
    TEXT(url) = must_printf("rediss://%s:%d", host, redis->port);
    return bench_open(redis, url, NULL);
}

Test(gate_tls, a_certificate_for_the_name_is_accepted)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    struct redis *redis = start("IP:127.0.0.1,DNS:localhost");
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        struct gate *gate = open_at(redis, hosts[i]);
        struct gate_pass pass;
        bench_wait(gate, GATE_CLOSED, BENCH_BACK_MS);
        bench_enter(gate, &pass);
        cr_assert_str_eq(pass.key, BENCH_KEY);
        gate_leave(gate, &pass, false);
        cr_assert_eq(bench_counts(gate).entered, 1);
        cr_assert_eq(bench_counts(gate).failed, 0, "%s", bench_counts(gate).reason);
        gate_close(gate);
    }
    redis_stop(redis);
}

static void expect_refused(const struct redis *redis, const char *host)
{
    struct gate *gate = open_at(redis, host);
    bench_wait(gate, GATE_OPEN, GIVEN_UP_MS);
    cr_assert(strstr(bench_counts(gate).reason, "certificate verify failed"), "%s",
              bench_counts(gate).reason);
    gate_close(gate);
}

Test(gate_tls, a_certificate_for_another_name_is_not)
{
    struct redis *redis = start("IP:127.0.0.2,DNS:redis.example.org");
    expect_refused(redis, "127.0.0.1");
    expect_refused(redis, "localhost");
    redis_stop(redis);
}

Test(gate_tls, a_certificate_that_the_system_does_not_trust_is_not)
{
    struct redis *redis = start("IP:127.0.0.1");
    make_certificate(redis->dir, "other", "IP:127.0.0.1");
    TEXT(other) = must_printf("%s/other.crt", redis->dir);
    setenv("SSL_CERT_FILE", other, 1);
    expect_refused(redis, "127.0.0.1");
    redis_stop(redis);
}

Test(gate_tls, one_that_hangs_in_the_handshake_is_given_up_and_used_when_it_returns)
{
    struct redis *redis = start("IP:127.0.0.1");
    redis_hang(redis);
    struct gate *gate = open_at(redis, "127.0.0.1");
    bench_wait(gate, GATE_OPEN, GIVEN_UP_MS);
    redis_wake(redis);
    bench_wait(gate, GATE_CLOSED, BENCH_BACK_MS);
    redis_hang(redis);
    struct gate_pass pass;
    cr_assert_lt(bench_enter(gate, &pass), GATE_CALL_MS + 300);
    cr_assert_eq(bench_counts(gate).state == GATE_CLOSED, false);
    gate_close(gate);
    redis_stop(redis);
}

#endif
