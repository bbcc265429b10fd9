/* A server that restarts, is down, hangs, or has become read-only. */
#include "base/clock.h"
#include "bench.h"
#include "lib/cleanup.h"
#include "verifier/db/db.h"
#include "verifier/store/store_complete.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* On a busy machine, with sanitizers; what is told apart here differs by more. */
enum { MARGIN_MS = 3000, CALLERS = 64 };

static int64_t ping_ms(struct bench *bench, int *result, struct error *err)
{
    int64_t start_ms = mono_ms();
    *result = store_ping(bench->rig->store, err);
    return mono_ms() - start_ms;
}

static void restart(struct bench *bench, int signal)
{
    postgres_down(bench->server, signal);
    postgres_up(bench->server);
}

Test(outage, a_server_that_restarted_or_crashed_costs_no_call)
{
    struct bench bench = bench_new_server(NULL);
    int64_t job = bench.job_id;
    rig_claim(bench.rig, &bench.rig->anna, 0);
    restart(&bench, SIGINT);
    cr_expect_eq(rig_progress(bench.rig, rig_caller(&bench.rig->anna, 1), job),
                 TAILSLATE_STANDING_HELD);
    restart(&bench, SIGQUIT);
    cr_expect_eq(rig_present(bench.rig, rig_caller(&bench.rig->anna, 1), job, 1),
                 TAILSLATE_VERDICT_COMMIT);
    bench_free(&bench);
}

struct caller {
    pthread_t thread;
    struct bench *bench;
    int64_t took_ms;
    int result;
    struct error err;
};

static void *call(void *ctx)
{
    struct caller *caller = ctx;
    caller->took_ms = ping_ms(caller->bench, &caller->result, &caller->err);
    return NULL;
}

static void call_all(struct bench *bench, struct caller callers[CALLERS])
{
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.bench = bench};
        cr_assert_eq(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++)
        pthread_join(callers[i].thread, NULL);
}

static void expect_down(const struct caller callers[CALLERS], int64_t limit_ms)
{
    for (int i = 0; i < CALLERS; i++) {
        cr_expect_eq(callers[i].result, -1);
        cr_expect_eq(callers[i].err.class, ERROR_TEMPORARY, "%s", callers[i].err.message);
        cr_expect(callers[i].took_ms < limit_ms, "%lld ms", (long long)callers[i].took_ms);
    }
}

Test(outage, a_server_that_is_down_is_not_stormed_and_everybody_is_told_at_once)
{
    struct bench bench = bench_new_server(NULL);
    struct caller callers[CALLERS];
    int result;
    struct error err;
    postgres_down(bench.server, SIGINT);
    int before = fault_proxy_connections(bench.proxy);
    ping_ms(&bench, &result, &err);
    call_all(&bench, callers);
    expect_down(callers, MARGIN_MS);
    int tries = fault_proxy_connections(bench.proxy) - before;
    cr_expect(tries <= 3 + MARGIN_MS / 250, "%d tries", tries);
    postgres_up(bench.server);
    int64_t start_ms = mono_ms();
    while (store_ping(bench.rig->store, &err) != 0)
        cr_assert(mono_ms() - start_ms < MARGIN_MS, "%s", err.message);
    bench_free(&bench);
}

Test(outage, a_server_that_hangs_costs_a_call_its_limit_once)
{
    struct bench bench = bench_new_server(NULL);
    struct caller callers[CALLERS];
    int result;
    struct error err;
    postgres_hang(bench.server);
    int64_t first_ms = ping_ms(&bench, &result, &err);
    cr_expect_eq(result, -1);
    cr_expect_eq(err.code, DB_BROKEN, "%s", err.message);
    cr_expect(first_ms < DB_WAIT_MS + MARGIN_MS, "%lld ms", (long long)first_ms);
    call_all(&bench, callers);
    expect_down(callers, DB_WAIT_MS + MARGIN_MS);
    postgres_wake(bench.server);
    int64_t start_ms = mono_ms();
    while (store_ping(bench.rig->store, &err) != 0)
        cr_assert(mono_ms() - start_ms < DB_WAIT_MS + MARGIN_MS, "%s", err.message);
    bench_free(&bench);
}

Test(outage, a_network_that_swallows_everything_costs_a_call_its_limit)
{
    struct bench bench = bench_new();
    int result;
    struct error err;
    fault_proxy_swallow(bench.proxy, true);
    int64_t idle_ms = ping_ms(&bench, &result, &err);
    cr_expect_eq(err.code, DB_BROKEN, "%s", err.message);
    cr_expect(idle_ms < DB_WAIT_MS + MARGIN_MS, "%lld ms", (long long)idle_ms);
    int64_t connecting_ms = ping_ms(&bench, &result, &err);
    cr_expect_eq(result, -1);
    cr_expect_eq(err.code, DB_BROKEN, "%s", err.message);
    cr_expect(connecting_ms < DB_WAIT_MS + MARGIN_MS, "%lld ms", (long long)connecting_ms);
    fault_proxy_swallow(bench.proxy, false);
    int64_t start_ms = mono_ms();
    while (store_ping(bench.rig->store, &err) != 0)
        cr_assert(mono_ms() - start_ms < DB_WAIT_MS + MARGIN_MS, "%s", err.message);
    bench_free(&bench);
}

Test(outage, a_store_may_be_opened_before_its_database_is_there)
{
    struct rig *rig = rig_new_bare();
    const char *place = getenv("TAILSLATE_TEST_POSTGRES");
    struct fault_proxy *proxy = fault_proxy_start((int)strtol(strrchr(place, ':') + 1, NULL, 10));
    TEXT(url) = postgres_url_at(rig->url, fault_proxy_port(proxy));
    struct store_settings settings = {.url = url, .claim_ms = 1000, .offline_ms = 1000};
    struct error err;
    fault_proxy_refuse(proxy, true);
    cr_expect_null(store_open(&settings, &err));
    cr_expect_eq(err.class, ERROR_TEMPORARY);
    settings.may_come_later = true;
    rig->store = store_open(&settings, &err);
    cr_assert(rig->store, "%s", err.message);
    cr_expect_eq(store_ping(rig->store, &err), -1);
    fault_proxy_refuse(proxy, false);
    int64_t start_ms = mono_ms();
    while (store_ping(rig->store, &err) != 0)
        cr_assert(mono_ms() - start_ms < MARGIN_MS, "%s", err.message);
    cr_expect_gt(rig_number(rig, "SELECT version FROM schema_version"), 0);
    rig_free(rig);
    fault_proxy_stop(proxy);
}

Test(outage, what_is_wrong_for_good_is_not_waited_for)
{
    struct store_settings settings = {.url = "postgresql://a%zz@127.0.0.1/x",
                                      .may_come_later = true};
    struct error err;
    cr_expect_null(store_open(&settings, &err));
    cr_expect_eq(err.class, ERROR_PERMANENT);
}

static char *database_of(const struct rig *rig)
{
    const char *name = strstr(rig->url, "@/") + 2;
    return must_printf("%.*s", (int)strcspn(name, "?"), name);
}

/* As after a failover that made a standby of it. */
Test(outage, a_server_that_only_reads_is_of_no_use)
{
    struct bench bench = bench_new();
    struct error err;
    TEXT(name) = database_of(bench.rig);
    TEXT(sql) = must_printf("ALTER DATABASE %s SET default_transaction_read_only = on", name);
    struct db *before = db_open(bench.rig->url, NULL, &err);
    cr_assert_eq(db_script(before, "SET default_transaction_read_only = on", &err), 0);
    cr_expect_eq(db_run(before, NULL, &err, "DELETE FROM failures", DB_NO_ARGS), -1);
    cr_expect_eq(err.code, DB_BROKEN, "%s", err.message);
    cr_expect(db_is_broken(before));
    db_close(before);

    rig_sql(bench.rig, sql);
    cr_expect_null(db_open(bench.rig->url, NULL, &err));
    cr_expect_eq(err.code, DB_BROKEN, "%s", err.message);
    TEXT(any) = must_printf("%s&target_session_attrs=any", bench.rig->url);
    struct db *chosen = db_open(any, NULL, &err);
    cr_expect(chosen, "an operator may say otherwise: %s", err.message);
    db_close(chosen);
    bench_free(&bench);
}

static int complete(struct bench *bench, struct tailslate_result *result, struct error *err)
{
    struct store_caller anna = rig_caller(&bench->rig->anna, 1);
    struct tailslate_completion completion = rig_completion(bench->job_id, 1);
    return store_complete(bench->rig->store, &anna, bench->job_id, &completion, result, err);
}

/* It is on one machine only, which the operator has said is not enough. */
Test(outage, a_commit_that_waits_for_a_standby_is_not_acknowledged)
{
    static const char *const options[] = {"synchronous_commit=local", NULL};
    struct bench bench = bench_new_server(options);
    struct tailslate_result result;
    struct error err;
    TEXT(name) = database_of(bench.rig);
    TEXT(sql) = must_printf("ALTER DATABASE %s SET synchronous_commit = on", name);
    rig_claim(bench.rig, &bench.rig->anna, 0);
    rig_sql(bench.rig, sql);
    rig_sql(bench.rig, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    restart(&bench, SIGINT);

    cr_expect_eq(complete(&bench, &result, &err), -1);
    cr_expect_eq(err.code, DB_UNKNOWN, "%s", err.message);
    cr_expect_eq(rig_number(bench.rig, "SELECT COUNT(*) FROM completions"), 0);
    rig_sql(bench.rig, "ALTER SYSTEM SET synchronous_standby_names = ''");
    rig_sql(bench.rig, "SELECT pg_reload_conf()");
    int64_t start_ms = mono_ms();
    while (complete(&bench, &result, &err) != 0)
        cr_assert(mono_ms() - start_ms < 2 * DB_WAIT_MS + MARGIN_MS, "%s", err.message);
    cr_expect_eq(result.verdict, TAILSLATE_VERDICT_REPLAY, "it was only slow: %d", result.verdict);
    cr_expect_eq(rig_number(bench.rig, "SELECT COUNT(*) FROM completions"), 1);
    bench_free(&bench);
}

static void write_password(const char *path, const char *password)
{
    FILE *file = fopen(path, "w");
    cr_assert(file);
    fprintf(file, "%s\n", password);
    fclose(file);
    cr_assert_eq(chmod(path, 0600), 0);
}

Test(password, is_read_at_every_connect_and_stands_in_no_message)
{
    struct rig *rig = rig_new();
    struct error err;
    TEXT(path) = must_printf("%s/password", rig->dir);
    TEXT(name) = database_of(rig);
    TEXT(url) = must_printf("postgresql://guarded@/%s%s", name, strchr(rig->url, '?'));
    rig_sql(rig, "CREATE USER guarded PASSWORD 'first-secret'");
    cr_expect_null(db_open(url, NULL, &err));
    cr_expect(strstr(err.message, "store.password_file"), "%s", err.message);

    write_password(path, "first-secret");
    db_close(db_open(url, path, &err));
    rig_sql(rig, "ALTER USER guarded PASSWORD 'second-secret'");
    cr_expect_null(db_open(url, path, &err));
    cr_expect_not(strstr(err.message, "secret"), "%s", err.message);
    write_password(path, "second-secret");
    struct db *db = db_open(url, path, &err);
    cr_expect(db, "%s", err.message);
    db_close(db);
    rig_free(rig);
}

Test(password, in_a_url_is_refused_and_not_repeated)
{
    static const char *const urls[] = {
        "postgresql://u:secret@127.0.0.1/x",
        "postgresql://127.0.0.1/x?password=secret",
        "postgresql://127.0.0.1/x?p%61ssword=secret",
        "postgresql://u:secret%zz@127.0.0.1/x",
        "postgresql://u:sec@secret:x/y@127.0.0.1:z/x?a=secret=",
    };
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct error err = {0};
        cr_expect_null(db_open(urls[i], NULL, &err));
        cr_expect_eq(err.class, ERROR_PERMANENT, "%s", err.message);
        cr_expect_not(strstr(err.message, "secret"), "%s", err.message);
    }
}
