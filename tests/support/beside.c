#include "beside.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/hash.h"
#include "media.h"
#include "postgres.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWERS TAILSLATE_SOURCE_DIR "/tests/support/vlog_answers.sql"

enum { KEY_BYTES = 128 };

static struct postgres *server;

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
    (void)tests;
    server = postgres_start(NULL);
    setenv("TAILSLATE_TEST_POSTGRES", server->place, 1);
    postgres_make_stock_template(server->place);
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    (void)stats;
    postgres_stop(server);
}

char *beside_ask(const struct beside *beside, const char *format, ...)
{
    char sql[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    return postgres_ask(beside->url, sql);
}

int64_t beside_ask_int(const struct beside *beside, const char *sql)
{
    TEXT(text) = beside_ask(beside, "%s", sql);
    return strtoll(text, NULL, 10);
}

struct beside beside_new(void)
{
    struct beside beside = {.rig = rig_new()};
    beside.url = postgres_new_stock_database(getenv("TAILSLATE_TEST_POSTGRES"));
    TEXT(url) = must_printf("\"%s\"", beside.url);
    rig_verifier_set(beside.rig, "store.url", url);
    rig_verifier_set(beside.rig, "store.schema", "\"vlog\"");
    beside.worker = (struct worker){.rig = beside.rig, .key = BESIDE_KEY};
    TEXT(id) = beside_ask(&beside, "SELECT stock_add_worker('anna', '" BESIDE_KEY
                                   "', '" BESIDE_KEY_HASH "', 2)");
    snprintf(beside.worker_id, sizeof beside.worker_id, "%s", id);
    return beside;
}

void beside_put_nginx(struct beside *beside)
{
    beside->stock = peer_start();
    peer_script(beside->stock, "* /*", "200 {\"from\":\"stock\"}");
    beside->nginx = nginx_start(beside->rig, peer_port(beside->stock), beside->rig->port);
}

struct beside beside_behind_nginx(void)
{
    struct beside beside = beside_new();
    rig_verifier_set(beside.rig, "listen.trusted_proxy", "\"127.0.0.1\"");
    rig_start_verifier(beside.rig);
    beside_put_nginx(&beside);
    return beside;
}

static void key_of(const struct peer_request *request, char key[KEY_BYTES])
{
    const char *header = strcasestr(request->headers, "\r\nX-Worker-API-Key: ");
    header = header ? strchr(header + 2, ' ') + 1 : "";
    snprintf(key, KEY_BYTES, "%.*s", (int)strcspn(header, "\r"), header);
}

static char *answer_as_stock(void *ctx, const struct peer_request *request)
{
    char key[KEY_BYTES];
    key_of(request, key);
    TEXT(sql) = must_printf("SELECT stock_answer($q$%s$q$, $q$%s$q$, $q$%s$q$, $q$%s$q$)",
                            request->method, request->path, key,
                            request->body_size ? request->body : "{}");
    return postgres_ask(ctx, sql);
}

struct beside beside_new_stock(void)
{
    struct beside beside = beside_new();
    rig_verifier_set(beside.rig, "listen.trusted_proxy", "\"127.0.0.1\"");
    TEXT(answers) = file_read(ANSWERS);
    free(postgres_ask(beside.url, answers));
    return beside;
}

void beside_start_stock(struct beside *beside)
{
    rig_start_verifier(beside->rig);
    beside_put_nginx(beside);
    peer_ask(beside->stock, answer_as_stock, beside->url);
    peer_script(beside->stock, "* /api/*", "ask");
    beside->rig->front = beside->nginx.port;
}

struct beside beside_with_stock(void)
{
    struct beside beside = beside_new_stock();
    beside_start_stock(&beside);
    return beside;
}

void beside_end(struct beside *beside)
{
    if (beside->nginx.process)
        nginx_stop(&beside->nginx);
    peer_stop(beside->stock);
    rig_end(beside->rig);
    free(beside->url);
}

static void put_output(const struct beside *beside, const char *slug)
{
    TEXT(video) = rig_path(beside->rig, "videos/%s", slug);
    RUN(run) = run_program((const char *[]){"cp", "-r", media_tree(), video, NULL}, NULL,
                           RIG_START_MS);
    cr_assert_eq(run.status, 0, "%s", run.err);
}

int64_t beside_add_job(struct beside *beside, const char *slug)
{
    TEXT(job) = beside_ask(beside, "SELECT stock_add_job('%s')", slug);
    put_output(beside, slug);
    return strtoll(job, NULL, 10);
}

void beside_give_job(struct beside *beside)
{
    beside->worker.job = beside_add_job(beside, "film");
    free(beside_ask(beside, "SELECT stock_claim(%lld, '%s')", (long long)beside->worker.job,
                    beside->worker_id));
}

struct worker beside_add_worker(struct beside *beside, const char *name)
{
    struct worker worker = {.rig = beside->rig};
    char sha256[HASH_HEX_BYTES];
    snprintf(worker.key, sizeof worker.key, "%s-the-keys-0123456789abcdefghijklmnopqrs", name);
    hash_bytes(worker.key, strlen(worker.key), sha256);
    free(beside_ask(beside, "SELECT stock_add_worker('%s', '%s', '%s', 1)", name, worker.key,
                    sha256));
    return worker;
}

struct reply beside_call(const struct beside *beside, const char *method, const char *path,
                         const char *body, const char *extra)
{
    TEXT(url) = must_printf("http://127.0.0.1:%d%s", beside->nginx.port, path);
    return call_make(&(struct call){
        .method = method,
        .url = url,
        .body = body,
        .keeps_path = true,
        .headers = {"X-Worker-API-Key: " BESIDE_KEY, "X-Request-ID: from-the-worker", extra}});
}

struct reply beside_knock(const struct beside *beside, const char *key, const char *header)
{
    struct worker worker = beside->worker;
    snprintf(worker.key, sizeof worker.key, "%s", key);
    worker.job = 0;
    return worker_call(&worker, "/api/worker/7/complete", "{}", header);
}
