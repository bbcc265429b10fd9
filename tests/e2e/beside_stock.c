/* A verifier on a stock vlog server's database, behind nginx as it is shipped, with a scripted peer
 * in the stock server's place. */
#include "look.h"
#include "media.h"
#include "nginx.h"
#include "port.h"
#include "postgres.h"
#include "settings.h"
#include "worker.h"

#include "tailslate/cleanup.h"
#include "tailslate/error.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TABLES TAILSLATE_SOURCE_DIR "/tests/support/vlog_tables.sql"

/* As a stock server makes and keeps it. */
#define KEY "anna-the-keys-0123456789abcdefghijklmnopqrs"
#define KEY_HASH                                                                                   \
    "$argon2id$v=19$m=65536,t=3,p=4$c2l4dGVlbi1ieXRlcy1vZg$"                                       \
    "N6u/dyOhohsZLs2fXqsgBtN0a+4ddFx6JuuEUZEc4bw"

/* One for all tests, each of which has a database of its own in it. */
static struct postgres *server;

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
    (void)tests;
    server = postgres_start(NULL);
    setenv("TAILSLATE_TEST_POSTGRES", server->place, 1);
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    (void)stats;
    postgres_stop(server);
}

struct beside {
    struct rig *rig;
    char *url;
    struct worker worker; /* anna */
    char worker_id[64];
    struct peer *stock;
    struct nginx nginx;
};

static char *ask(const struct beside *beside, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static char *ask(const struct beside *beside, const char *format, ...)
{
    char sql[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    return postgres_ask(beside->url, sql);
}

static int64_t ask_int(const struct beside *beside, const char *sql)
{
    TEXT(text) = ask(beside, "%s", sql);
    return strtoll(text, NULL, 10);
}

static struct beside set_up(void)
{
    struct beside beside = {.rig = rig_new()};
    beside.url = postgres_new_database(getenv("TAILSLATE_TEST_POSTGRES"));
    TEXT(tables) = file_read(TABLES);
    free(postgres_ask(beside.url, tables));
    TEXT(url) = must_printf("\"%s\"", beside.url);
    rig_verifier_set(beside.rig, "store.url", url);
    rig_verifier_set(beside.rig, "store.schema", "\"vlog\"");
    beside.worker = (struct worker){.rig = beside.rig, .key = KEY};
    TEXT(id) = ask(&beside, "SELECT stock_add_worker('anna', '" KEY "', '" KEY_HASH "', 2)");
    snprintf(beside.worker_id, sizeof beside.worker_id, "%s", id);
    return beside;
}

static struct beside set_up_behind_nginx(void)
{
    struct beside beside = set_up();
    rig_verifier_set(beside.rig, "listen.trusted_proxy", "\"127.0.0.1\"");
    rig_start_verifier(beside.rig);
    beside.stock = peer_start();
    peer_script(beside.stock, "* /*", "200 {\"from\":\"stock\"}");
    beside.nginx = nginx_start(beside.rig, peer_port(beside.stock), beside.rig->port);
    return beside;
}

static void tear_down(struct beside *beside)
{
    if (beside->nginx.process)
        nginx_stop(&beside->nginx);
    peer_stop(beside->stock);
    rig_end(beside->rig);
    free(beside->url);
}

/* A job that the stock server has given to anna, with its output where it belongs. */
static void give_job(struct beside *beside)
{
    struct worker *worker = &beside->worker;
    TEXT(job) = ask(beside, "SELECT stock_add_job('film')");
    worker->job = strtoll(job, NULL, 10);
    free(ask(beside, "SELECT stock_claim(%s, '%s')", job, beside->worker_id));
    TEXT(copy) = must_printf("cp -r '%s' '%s/videos/film'", media_tree(), beside->rig->dir);
    RUN(run) = run_program((const char *[]){"sh", "-c", copy, NULL}, NULL, RIG_START_MS);
    cr_assert_eq(run.status, 0, "%s", run.err);
}

static struct reply through_nginx(const struct beside *beside, const char *method, const char *path,
                                  const char *body, const char *extra)
{
    TEXT(url) = must_printf("http://127.0.0.1:%d%s", beside->nginx.port, path);
    return call_make(&(struct call){
        .method = method,
        .url = url,
        .body = body,
        .keeps_path = true,
        .headers = {"X-Worker-API-Key: " KEY, "X-Request-ID: from-the-worker", extra}});
}

static struct reply complete(const struct beside *beside, const char *token, const char *extra)
{
    TEXT(path) = must_printf("/api/worker/%lld/complete", (long long)beside->worker.job);
    TEXT(body) = worker_completion(token, WORKER_360P);
    return through_nginx(beside, "POST", path, body, extra);
}

Test(beside_stock, the_shipped_configuration_is_clean)
{
    struct rig *rig = rig_new();
    TEXT(said) = nginx_check(rig);
    cr_expect(strstr(said, "test is successful"), "%s", said);
    cr_expect_null(strstr(said, "[warn]"), "%s", said);
    rig_end(rig);
}

static bool is_from_stock(const struct reply *reply)
{
    return strcmp(reply_text(reply, "from"), "stock") == 0;
}

Test(beside_stock, only_completions_reach_the_verifier, .timeout = 120)
{
    static const struct {
        const char *method, *path;
        bool is_ours;
    } calls[] = {
        {"POST", "/api/worker/7/complete", true},
        {"POST", "/api/worker/7/complete?from=7", true},
        {"POST", "/api/worker/99999999999/complete", true},
        /* One path in the eyes of who decodes it. */
        {"POST", "/api//worker/7/complete", true},
        {"POST", "/api/worker/7/%63omplete", true},
        {"POST", "/api/worker/./7/complete", true},
        {"POST", "/api/worker/upload/../7/complete", true},
        {"GET", "/api/worker/7/complete", false},
        {"PUT", "/api/worker/7/complete", false},
        {"POST", "/api/worker/7/complete/", false},
        {"POST", "/api/worker/7/completed", false},
        {"POST", "/api/worker/seven/complete", false},
        {"POST", "/api/worker/-7/complete", false},
        {"POST", "/other/api/worker/7/complete", false},
        {"POST", "/api/worker/7/fail", false},
        {"POST", "/api/worker/7/progress", false},
        {"GET", "/api/worker/7/verify-complete", false},
        {"POST", "/api/worker/claim", false},
        {"POST", "/api/worker/heartbeat", false},
        {"POST", "/api/worker/upload/7/finalize", false},
        {"GET", "/api/worker/source/7", false},
        {"GET", "/api/health", false},
        {"GET", "/", false},
    };
    struct beside beside = set_up_behind_nginx();
    int stocks = 0;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        bool has_body = strcmp(calls[i].method, "GET") != 0;
        REPLY(reply) = through_nginx(&beside, calls[i].method, calls[i].path,
                                     has_body ? "{}" : NULL, NULL);
        stocks += !calls[i].is_ours;
        cr_expect_eq(is_from_stock(&reply), !calls[i].is_ours, "%s %s: %ld %s", calls[i].method,
                     calls[i].path, reply.status, reply.body);
        if (calls[i].is_ours)
            cr_expect(reply_has(&reply, "code"), "%s: %s", calls[i].path, reply.body);
        cr_expect_eq(peer_count(beside.stock, "*"), stocks);
    }
    tear_down(&beside);
}

Test(beside_stock, what_a_worker_says_arrives_as_it_said_it, .timeout = 120)
{
    struct beside beside = set_up_behind_nginx();
    char token[128], header[160], id[64], replayed[16];
    give_job(&beside);
    worker_token(&beside.worker, token);

    REPLY(other_claim) = complete(&beside, token, "X-Claim-Epoch: 5");
    reply_is(&other_claim, 403, "not_your_job");
    REPLY(other_key) = complete(&beside, token, "Idempotency-Key: 1-not-the-token");
    reply_is(&other_key, 422, NULL);
    cr_expect_eq(ask_int(&beside, "SELECT COUNT(*) FROM completions"), 0);

    snprintf(header, sizeof header, "Idempotency-Key: %s", token);
    REPLY(first) = complete(&beside, NULL, header);
    reply_is(&first, 200, NULL);
    cr_expect_str_eq(reply_text(&first, "token"), token);
    cr_expect_not(reply_bool(&first, "replayed"));
    reply_header(&first, "X-Request-ID", id, sizeof id);
    cr_expect_str_eq(id, "from-the-worker");
    REPLY(second) = complete(&beside, token, NULL);
    reply_is(&second, 200, NULL);
    cr_expect(reply_bool(&second, "replayed"));
    reply_header(&second, "Idempotent-Replayed", replayed, sizeof replayed);
    cr_expect_str_eq(replayed, "true");

    TEXT(row) = ask(&beside, "SELECT v.status || ':' || (j.completed_at IS NOT NULL) || ':' ||"
                             " (w.current_job_id IS NULL) FROM videos v JOIN transcoding_jobs j ON"
                             " j.video_id = v.id JOIN workers w ON w.worker_id = j.worker_id");
    cr_expect_str_eq(row, "ready:true:true");
    cr_expect_eq(peer_count(beside.stock, "*"), 0);
    tear_down(&beside);
}

Test(beside_stock, uploads_of_any_size_pass_and_completions_are_small, .timeout = 120)
{
    struct beside beside = set_up_behind_nginx();
    enum { LARGE = 8 << 20, SMALL = 300 << 10 };
    TEXT(data) = must_malloc(LARGE + 1);
    memset(data, 'x', LARGE);
    data[LARGE] = '\0';
    REPLY(upload) = through_nginx(&beside, "POST", "/api/worker/upload/7/segment/360p/a.m4s", data,
                                  NULL);
    cr_expect(is_from_stock(&upload), "%ld", upload.status);
    const struct peer_request *request = peer_request(beside.stock, "POST *a.m4s", 0);
    cr_assert(request);
    cr_expect_eq(request->body_size, LARGE);
    cr_expect(strstr(request->headers, "X-Real-IP: 127.0.0.1"), "%s", request->headers);
    data[SMALL] = '\0';
    REPLY(completion) = through_nginx(&beside, "POST", "/api/worker/7/complete", data, NULL);
    cr_expect_eq(completion.status, 413);
    tear_down(&beside);
}

Test(beside_stock, nobody_else_is_asked_while_the_verifier_is_away, .timeout = 120)
{
    struct beside beside = set_up_behind_nginx();
    char token[128];
    give_job(&beside);
    worker_token(&beside.worker, token);
    cr_assert_eq(rig_stop_verifier(beside.rig), 0);
    REPLY(away) = complete(&beside, token, NULL);
    cr_expect_eq(away.status, 502);
    cr_expect_eq(peer_count(beside.stock, "*"), 0);
    rig_start_verifier(beside.rig);
    REPLY(back) = complete(&beside, token, NULL);
    reply_is(&back, 200, NULL);
    tear_down(&beside);
}

static struct reply knock(const struct beside *beside, const char *key, const char *header)
{
    struct worker worker = beside->worker;
    snprintf(worker.key, sizeof worker.key, "%s", key);
    worker.job = 0;
    return worker_call(&worker, "/api/worker/7/complete", "{}", header);
}

enum { GUESSES_MAX = 400 };

/* How many guesses it takes until they are limited. */
static int guess(const struct beside *beside, const char *header)
{
    for (int i = 0; i < GUESSES_MAX; i++) {
        REPLY(reply) = knock(beside, "nobody-has-this-key", header);
        if (reply.status == 429)
            return i;
        cr_assert_eq(reply.status, 401, "%ld", reply.status);
    }
    return GUESSES_MAX;
}

Test(beside_stock, who_guesses_behind_the_proxy_is_limited_alone, .timeout = 120)
{
    struct beside beside = set_up();
    rig_verifier_set(beside.rig, "listen.trusted_proxy", "\"127.0.0.1\"");
    rig_start_verifier(beside.rig);
    cr_assert_lt(guess(&beside, "X-Real-IP: 192.0.2.1"), GUESSES_MAX);
    REPLY(neighbour) = knock(&beside, "nobody-has-this-key", "X-Real-IP: 192.0.2.2");
    reply_is(&neighbour, 401, "unauthorized");
    REPLY(proxy) = knock(&beside, "nobody-has-this-key", NULL);
    reply_is(&proxy, 401, "unauthorized");
    cr_expect(log_find(beside.rig->verifier->log, "event=auth.limited peer=192.0.2.1", NULL));
    tear_down(&beside);
}

Test(beside_stock, without_a_trusted_proxy_a_made_up_address_helps_nobody, .timeout = 120)
{
    struct beside beside = set_up();
    rig_start_verifier(beside.rig);
    cr_assert_lt(guess(&beside, "X-Real-IP: 192.0.2.1"), GUESSES_MAX);
    REPLY(same) = knock(&beside, "nobody-has-this-key", "X-Real-IP: 192.0.2.2");
    reply_is(&same, 429, "rate_limited");
    cr_expect(log_find(beside.rig->verifier->log, "event=auth.limited peer=127.0.0.1", NULL));
    tear_down(&beside);
}

static int64_t slow_looks(const struct beside *beside)
{
    REPLY(metrics) = worker_call(&beside->worker, "/metrics", NULL, NULL);
    const char *line = strstr(metrics.body, "\ntailslate_key_verifications_total ");
    long long number = -1;
    cr_assert(line && sscanf(line, "\ntailslate_key_verifications_total %lld", &number) == 1);
    return number;
}

Test(beside_stock, a_guessers_address_gets_no_slow_look_and_a_good_key_still_passes, .timeout = 120)
{
    struct beside beside = set_up();
    TEXT(dora) = ask(&beside, "SELECT stock_add_worker('dora', 'dora-the-key', '" KEY_HASH "', 2)");
    rig_start_verifier(beside.rig);
    REPLY(good) = knock(&beside, KEY, NULL);
    reply_is(&good, 422, NULL); /* the body is no completion; the key is one */
    cr_expect_eq(slow_looks(&beside), 1);
    cr_assert_lt(guess(&beside, NULL), GUESSES_MAX);
    REPLY(unseen) = knock(&beside, "dora-the-key", NULL);
    reply_is(&unseen, 429, "rate_limited");
    cr_expect_eq(slow_looks(&beside), 1);
    REPLY(known) = knock(&beside, KEY, NULL);
    reply_is(&known, 422, NULL);
    cr_expect_eq(slow_looks(&beside), 1);
    tear_down(&beside);
}

Test(beside_stock, a_revocation_holds_from_one_call_to_the_next, .timeout = 120)
{
    struct beside beside = set_up();
    rig_start_verifier(beside.rig);
    for (int i = 0; i < 200; i++) {
        REPLY(reply) = knock(&beside, KEY, NULL);
        reply_is(&reply, 422, NULL);
    }
    cr_expect_eq(slow_looks(&beside), 1);
    free(ask(&beside, "UPDATE worker_api_keys SET revoked_at = clock_timestamp()"));
    REPLY(revoked) = knock(&beside, KEY, NULL);
    reply_is(&revoked, 401, "unauthorized");
    tear_down(&beside);
}

enum { CALLERS = 32 };
struct caller {
    pthread_t thread;
    const struct beside *beside;
    char key[64];
    long status;
};

static void *call(void *ctx)
{
    struct caller *caller = ctx;
    REPLY(reply) = knock(caller->beside, caller->key, NULL);
    caller->status = reply.status;
    if (reply.status == 503) {
        char after[16];
        reply_header(&reply, "Retry-After", after, sizeof after);
        cr_expect_gt(strtol(after, NULL, 10), 0);
    }
    return NULL;
}

/* VmHWM: the most that was resident at once. */
static int64_t peak_kib(pid_t pid)
{
    TEXT(path) = must_printf("/proc/%d/status", (int)pid);
    STREAM(status) = fopen(path, "re");
    cr_assert(status, "%s", path);
    char line[256];
    long long kib = -1;
    while (kib < 0 && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %lld", &kib) != 1)
            kib = -1;
    cr_assert_gt(kib, 0);
    return kib;
}

Test(beside_stock, thirty_two_wrong_keys_at_once_take_the_memory_of_two, .timeout = 120)
{
    enum { LOOK_KIB = 64 * 1024, REST_KIB = 96 * 1024 };
    struct beside beside = set_up();
    struct caller callers[CALLERS];
    /* What is freed is to be free, also under the sanitizer. */
    rig_set_env(beside.rig, "ASAN_OPTIONS", "quarantine_size_mb=1:abort_on_error=1");
    rig_start_verifier(beside.rig);
    int64_t before_kib = peak_kib(beside.rig->verifier->pid);
    for (int i = 0; i < CALLERS; i++) {
        callers[i].beside = &beside;
        snprintf(callers[i].key, sizeof callers[i].key, "anna-the-wrong-%d", i);
        cr_assert_eq(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        cr_expect(callers[i].status == 401 || callers[i].status == 503, "%ld", callers[i].status);
    }
    int64_t grown_kib = peak_kib(beside.rig->verifier->pid) - before_kib;
    cr_expect_gt(slow_looks(&beside), 2);
    cr_expect_gt(grown_kib, LOOK_KIB / 2, "%lld KiB", (long long)grown_kib);
    cr_expect_lt(grown_kib, 2 * LOOK_KIB + REST_KIB, "%lld KiB", (long long)grown_kib);
    tear_down(&beside);
}

Test(beside_stock, the_commands_say_what_is_theirs_there, .timeout = 120)
{
    struct beside beside = set_up();
    struct rig *rig = beside.rig;
    RUN(check) = rig_verifier(rig, (const char *[]){"check", NULL});
    cr_expect_eq(check.status, 0, "%s", check.err);
    RUN(add) = rig_verifier(rig, (const char *[]){"job", "add", media_clip(MEDIA_TINY), NULL});
    cr_expect_eq(add.status, 78, "%d %s", add.status, add.err);
    cr_expect(strstr(add.err, "stock vlog server's"), "%s", add.err);
    TEXT(uploads) = rig_path(rig, "uploads");
    RUN(left) = run_program((const char *[]){"ls", "-A", uploads, NULL}, NULL, RIG_START_MS);
    cr_expect_str_eq(left.out, "", "the film was not even copied");

    char key[128];
    rig_add_worker(rig, "dora", key);
    rig_start_verifier(rig);
    REPLY(known) = knock(&beside, key, NULL);
    reply_is(&known, 422, NULL);
    RUN(list) = rig_verifier(rig, (const char *[]){"worker", "list", NULL});
    cr_expect(strstr(list.out, "dora") && strstr(list.out, "anna"), "%s", list.out);
    RUN(revoke) = rig_verifier(rig, (const char *[]){"worker", "revoke", beside.worker_id, NULL});
    cr_expect_eq(revoke.status, 0, "%s", revoke.err);
    REPLY(revoked) = knock(&beside, KEY, NULL);
    reply_is(&revoked, 403, "forbidden");

    free(ask(&beside, "ALTER TABLE workers DROP COLUMN capabilities"));
    RUN(broken) = rig_verifier(rig, (const char *[]){"check", NULL});
    cr_expect_eq(broken.status, 78, "%d %s", broken.status, broken.err);
    cr_expect(strstr(broken.err, "table workers has no column capabilities"), "%s", broken.err);
    tear_down(&beside);
}

/* The claims, the source and the uploads are one verifier's, in the stock server's place; the
 * completion is the other's. */
Test(beside_stock, our_agent_works_through_nginx_on_a_stock_database, .timeout = 180)
{
    struct beside beside = set_up();
    struct rig *rig = beside.rig;
    rig_start_verifier(rig);
    TEXT(config) = rig_path(rig, "second.cfg");
    TEXT(log) = rig_path(rig, "second.log");
    int port = port_free();
    TEXT(text) = must_printf("%d", port);
    rig_verifier_set(rig, "listen.port", text);
    settings_write(&rig->verifier_settings, config);
    struct process *second = process_start(
        (const char *[]){TAILSLATE_VERIFIER, "-c", config, "serve", NULL},
        (const char *const *)rig->env, log, NULL);
    process_expect(second, "event=verifier.ready", RIG_START_MS, NULL);
    beside.nginx = nginx_start(rig, rig->port, port);

    TEXT(job) = ask(&beside, "SELECT stock_add_job('film')");
    TEXT(source) = rig_path(rig, "uploads/1.mp4");
    TEXT(copy) = must_printf("cp '%s' '%s'", media_clip(MEDIA_TINY), source);
    RUN(copied) = run_program((const char *[]){"sh", "-c", copy, NULL}, NULL, RIG_START_MS);
    cr_assert_eq(copied.status, 0, "%s", copied.err);
    TEXT(key_file) = rig_path(rig, "node.key");
    file_write(key_file, KEY "\n", 0600);
    TEXT(front) = must_printf("\"http://127.0.0.1:%d\"", beside.nginx.port);
    rig_agent_set(rig, "server.url", front);
    rig_start_agent(rig);
    rig_wait_final(rig, strtoll(job, NULL, 10));

    TEXT(row) = ask(&beside, "SELECT v.status || ':' || v.streaming_format || ':' || COUNT(c.*)"
                             " FROM videos v JOIN transcoding_jobs j ON j.video_id = v.id"
                             " JOIN completions c ON c.job_id = j.id GROUP BY v.id");
    cr_expect_str_eq(row, "ready:cmaf:1");
    cr_expect(log_find(log, "event=completion.committed", NULL), "the second one has it");
    cr_expect_not(log_find(rig->verifier->log, "event=completion.committed", NULL));
    cr_expect_eq(ask_int(&beside, "SELECT COUNT(*) FROM job_epochs"), 1,
                 "which the first one gave");
    cr_assert_eq(rig_stop_agent(rig), 0);
    process_signal(second, SIGTERM);
    cr_assert_eq(process_wait(second, STOP_MS), 0);
    process_free(second);
    tear_down(&beside);
}

/* The text of the document's fenced block of that name; owned. */
static char *block_of(const char *document, const char *fence)
{
    TEXT(text) = file_read(document);
    const char *begin = strstr(text, fence);
    cr_assert(begin, "%s has no block %s", document, fence);
    begin += strlen(fence);
    return must_printf("%.*s", (int)(strstr(begin, "\n```") - begin), begin);
}

Test(beside_stock, the_documents_words_are_true, .timeout = 120)
{
    const char *document = TAILSLATE_SOURCE_DIR "/docs/BESIDE_VLOG.md";
    struct beside beside = set_up();
    struct rig *rig = beside.rig;
    TEXT(sql) = block_of(document, "```sql\n");
    free(ask(&beside, "%s", sql));
    give_job(&beside);
    beside.stock = peer_start();
    peer_script(beside.stock, "* /*", "200 {\"from\":\"stock\"}");
    beside.nginx = nginx_start(rig, peer_port(beside.stock), rig->port);

    TEXT(programs) = rig_path(rig, "programs");
    TEXT(link) = rig_path(rig, "programs/tailslate-verifier");
    cr_assert(mkdir(programs, 0700) == 0 && symlink(TAILSLATE_VERIFIER, link) == 0);
    TEXT(path) = must_printf("PATH=%s:%s", programs, getenv("PATH"));
    TEXT(verifier) = must_printf("%d", rig->port);
    TEXT(nginx) = must_printf("%d", beside.nginx.port);
    const char *port = strrchr(getenv("TAILSLATE_TEST_POSTGRES"), ':') + 1;
    TEXT(by_tcp) = postgres_url_at(beside.url, (int)strtol(port, NULL, 10));
    TEXT(database) = must_printf("postgresql://tailslate_verifier%s", strchr(by_tcp, '@'));
    TEXT(completion) = worker_completion(NULL, WORKER_360P);
    TEXT(body) = must_printf("BODY=%s", completion);
    TEXT(job) = must_printf("JOB=%lld", (long long)beside.worker.job);
    TEXT(scratch) = must_printf("TAILSLATE_TEST_SCRATCH=%s", rig->dir);
    RUN(run) = run_program((const char *[]){TAILSLATE_SOURCE_DIR "/tests/e2e/beside_vlog.sh",
                                            rig->dir, verifier, nginx, database, document, NULL},
                           (const char *[]){path, scratch, body, job, "KEY=" KEY, NULL},
                           2 * RIG_START_MS);
    cr_assert_eq(run.status, 0, "%d\n%s\n%s", run.status, run.out, run.err);
    cr_expect_eq(ask_int(&beside, "SELECT COUNT(*) FROM completions"), 1);
    tear_down(&beside);
}
