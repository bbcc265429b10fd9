/* Completions beside a stock vlog server, through nginx as it is shipped. */
#include "beside.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "port.h"
#include "postgres.h"
#include "settings.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct reply complete(const struct beside *beside, const char *token, const char *extra)
{
    TEXT(path) = must_printf("/api/worker/%lld/complete", (long long)beside->worker.job);
    TEXT(body) = worker_completion(token, WORKER_360P);
    return beside_call(beside, "POST", path, body, extra);
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

enum whose { STOCK, OURS, NOBODYS };

static void expect_routed(const struct beside *beside, const char *method, const char *path,
                          enum whose whose)
{
    bool has_body = strcmp(method, "GET") != 0;
    int before = peer_count(beside->stock, "*");
    REPLY(reply) = beside_call(beside, method, path, has_body ? "{}" : NULL, NULL);
    cr_expect_eq(is_from_stock(&reply), whose == STOCK, "%s %s: %ld %s", method, path, reply.status,
                 reply.body);
    cr_expect_eq(reply_has(&reply, "code"), whose == OURS, "%s %s: %ld %s", method, path,
                 reply.status, reply.body);
    cr_expect_eq(peer_count(beside->stock, "*"), before + (whose == STOCK), "%s %s", method, path);
}

/* @: the call's name; &: its name with the first letter encoded. Owned. */
static char *named(const char *pattern, const char *call)
{
    char *path = NULL;
    size_t size;
    FILE *out = open_memstream(&path, &size);
    for (; *pattern; pattern++) {
        if (*pattern == '@')
            fputs(call, out);
        else if (*pattern == '&')
            fprintf(out, "%%%02x%s", call[0], call + 1);
        else
            fputc(*pattern, out);
    }
    fclose(out);
    return path;
}

Test(beside_stock, the_calls_that_end_a_claim_reach_the_verifier_however_they_are_written,
     .timeout = 120)
{
    static const struct {
        const char *method, *call;
    } calls[] = {{"POST", "complete"}, {"POST", "fail"}, {"GET", "verify-complete"}};
    static const struct {
        const char *path;
        enum whose whose;
    } forms[] = {
        {"/api/worker/7/@", OURS},
        {"/api/worker/7/@?from=7", OURS},
        {"/api/worker/99999999999/@", OURS},
        /* One path in the eyes of who decodes it. */
        {"/api//worker/7/@", OURS},
        {"/api/worker/7/&", OURS},
        {"/api/worker/%37/@", OURS},
        {"/api/worker/./7/@", OURS},
        {"/api/worker/upload/../7/@", OURS},
        {"/api/worker/upload/%2e%2e/7/@", OURS},
        {"/api/worker/7%2f@", OURS},
        {"/api/worker/7/@%0a", OURS},
        {"/api/worker/7/@/", STOCK},
        {"/api/worker/7/@d", STOCK},
        {"/other/api/worker/7/@", STOCK},
        /* A stock server takes some of these for 7, and does it. */
        {"/api/worker/+7/@", NOBODYS},
        {"/api/worker/7.0/@", NOBODYS},
        {"/api/worker/%207/@", NOBODYS},
        {"/api/worker/7%0a/@", NOBODYS},
        {"/api/worker/0_7/@", NOBODYS},
        {"/api/worker/seven/@", NOBODYS},
    };
    struct beside beside = beside_behind_nginx();
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        for (size_t j = 0; j < sizeof forms / sizeof forms[0]; j++) {
            TEXT(path) = named(forms[j].path, calls[i].call);
            expect_routed(&beside, calls[i].method, path, forms[j].whose);
        }
    beside_end(&beside);
}

Test(beside_stock, every_other_call_is_the_stock_servers, .timeout = 120)
{
    static const struct {
        const char *method, *path;
    } calls[] = {
        {"GET", "/api/worker/7/complete"},
        {"PUT", "/api/worker/7/complete"},
        {"GET", "/api/worker/7/fail"},
        {"PUT", "/api/worker/7/fail"},
        {"POST", "/api/worker/7/verify-complete"},
        {"POST", "/api/worker/7/progress"},
        {"POST", "/api/worker/claim"},
        {"POST", "/api/worker/heartbeat"},
        {"POST", "/api/worker/upload/7/finalize"},
        {"GET", "/api/worker/source/7"},
        {"GET", "/api/health"},
        {"GET", "/"},
    };
    struct beside beside = beside_behind_nginx();
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        expect_routed(&beside, calls[i].method, calls[i].path, STOCK);
    beside_end(&beside);
}

Test(beside_stock, what_a_worker_says_arrives_as_it_said_it, .timeout = 120)
{
    struct beside beside = beside_behind_nginx();
    char token[128], header[160], id[64], replayed[16];
    beside_give_job(&beside);
    worker_token(&beside.worker, token);

    REPLY(other_claim) = complete(&beside, token, "X-Claim-Epoch: 5");
    reply_is(&other_claim, 403, "not_your_job");
    REPLY(other_key) = complete(&beside, token, "Idempotency-Key: 1-not-the-token");
    reply_is(&other_key, 422, NULL);
    cr_expect_eq(beside_ask_int(&beside, "SELECT COUNT(*) FROM completions"), 0);

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

    TEXT(row) = beside_ask(&beside,
                           "SELECT v.status || ':' || (j.completed_at IS NOT NULL) || ':' ||"
                           " (w.current_job_id IS NULL) FROM videos v JOIN transcoding_jobs j ON"
                           " j.video_id = v.id JOIN workers w ON w.worker_id = j.worker_id");
    cr_expect_str_eq(row, "ready:true:true");
    cr_expect_eq(peer_count(beside.stock, "*"), 0);
    beside_end(&beside);
}

Test(beside_stock, uploads_of_any_size_pass_and_completions_are_small, .timeout = 120)
{
    struct beside beside = beside_behind_nginx();
    enum { LARGE = 8 << 20, SMALL = 300 << 10 };
    TEXT(data) = must_malloc(LARGE + 1);
    memset(data, 'x', LARGE);
    data[LARGE] = '\0';
    REPLY(upload) = beside_call(&beside, "POST", "/api/worker/upload/7/segment/360p/a.m4s", data,
                                NULL);
    cr_expect(is_from_stock(&upload), "%ld", upload.status);
    const struct peer_request *request = peer_request(beside.stock, "POST *a.m4s", 0);
    cr_assert(request);
    cr_expect_eq(request->body_size, LARGE);
    cr_expect(strstr(request->headers, "X-Real-IP: 127.0.0.1"), "%s", request->headers);
    data[SMALL] = '\0';
    REPLY(completion) = beside_call(&beside, "POST", "/api/worker/7/complete", data, NULL);
    cr_expect_eq(completion.status, 413);
    beside_end(&beside);
}

Test(beside_stock, nobody_else_is_asked_while_the_verifier_is_away, .timeout = 120)
{
    struct beside beside = beside_behind_nginx();
    char token[128];
    beside_give_job(&beside);
    worker_token(&beside.worker, token);
    cr_assert_eq(rig_stop_verifier(beside.rig), 0);
    REPLY(away) = complete(&beside, token, NULL);
    cr_expect_eq(away.status, 502);
    cr_expect_eq(peer_count(beside.stock, "*"), 0);
    rig_start_verifier(beside.rig);
    REPLY(back) = complete(&beside, token, NULL);
    reply_is(&back, 200, NULL);
    beside_end(&beside);
}

Test(beside_stock, the_commands_say_what_is_theirs_there, .timeout = 120)
{
    struct beside beside = beside_new();
    struct rig *rig = beside.rig;
    RUN(check) = rig_verifier(rig, (const char *[]){"check", NULL});
    cr_expect_eq(check.status, 0, "%s", check.err);
    RUN(add) = rig_verifier(rig, (const char *[]){"job", "add", media_clip(MEDIA_TINY), NULL});
    cr_expect_eq(add.status, 78, "%d %s", add.status, add.err);
    cr_expect(strstr(add.err, "the stock vlog server manages videos and their jobs"), "%s",
              add.err);
    TEXT(uploads) = rig_path(rig, "uploads");
    RUN(left) = run_program((const char *[]){"ls", "-A", uploads, NULL}, NULL, RIG_START_MS);
    cr_expect_str_eq(left.out, ".tailslate-directory\n", "something was copied");

    char key[128];
    rig_add_worker(rig, "dora", key);
    rig_start_verifier(rig);
    REPLY(known) = beside_knock(&beside, key, NULL);
    reply_is(&known, 422, NULL);
    RUN(list) = rig_verifier(rig, (const char *[]){"worker", "list", NULL});
    cr_expect(strstr(list.out, "dora") && strstr(list.out, "anna"), "%s", list.out);
    RUN(revoke) = rig_verifier(rig, (const char *[]){"worker", "revoke", beside.worker_id, NULL});
    cr_expect_eq(revoke.status, 0, "%s", revoke.err);
    worker_wait_out(&beside.worker);
    REPLY(revoked) = beside_knock(&beside, BESIDE_KEY, NULL);
    reply_is(&revoked, 401, "unauthorized");

    free(beside_ask(&beside, "ALTER TABLE workers DROP COLUMN capabilities"));
    RUN(broken) = rig_verifier(rig, (const char *[]){"check", NULL});
    cr_expect_eq(broken.status, 78, "%d %s", broken.status, broken.err);
    cr_expect(strstr(broken.out, "table workers has no column capabilities"), "%s", broken.out);
    beside_end(&beside);
}

/* The claims, the source and the uploads are one verifier's, in the stock server's place; the
 * completion is the other's. */
Test(beside_stock, our_agent_works_through_nginx_on_a_stock_database, .timeout = 180)
{
    struct beside beside = beside_new();
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

    TEXT(job) = beside_ask(&beside, "SELECT stock_add_job('film')");
    TEXT(source) = rig_path(rig, "uploads/1.mp4");
    TEXT(copy) = must_printf("cp '%s' '%s'", media_clip(MEDIA_TINY), source);
    RUN(copied) = run_program((const char *[]){"sh", "-c", copy, NULL}, NULL, RIG_START_MS);
    cr_assert_eq(copied.status, 0, "%s", copied.err);
    TEXT(key_file) = rig_path(rig, "node.key");
    file_write(key_file, BESIDE_KEY "\n", 0600);
    TEXT(front) = must_printf("\"http://127.0.0.1:%d\"", beside.nginx.port);
    rig_agent_set(rig, "server.url", front);
    rig_start_agent(rig);
    rig_wait_final(rig, strtoll(job, NULL, 10));

    TEXT(row) = beside_ask(&beside,
                           "SELECT v.status || ':' || v.streaming_format || ':' || COUNT(c.*)"
                           " FROM videos v JOIN transcoding_jobs j ON j.video_id = v.id"
                           " JOIN completions c ON c.job_id = j.id GROUP BY v.id");
    cr_expect_str_eq(row, "ready:cmaf:1");
    cr_expect(log_find(log, "event=completion.committed", NULL), "the second one has it");
    cr_expect_not(log_find(rig->verifier->log, "event=completion.committed", NULL));
    cr_expect_eq(beside_ask_int(&beside, "SELECT COUNT(*) FROM job_epochs"), 1,
                 "which the first one gave");
    cr_assert_eq(rig_stop_agent(rig), 0);
    process_signal(second, SIGTERM);
    cr_assert_eq(process_wait(second, STOP_MS), 0);
    process_free(second);
    beside_end(&beside);
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
    struct beside beside = beside_new();
    struct rig *rig = beside.rig;
    TEXT(sql) = block_of(document, "```sql\n");
    free(beside_ask(&beside, "%s", sql));
    beside_give_job(&beside);
    beside_put_nginx(&beside);

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
                           (const char *[]){path, scratch, body, job, "KEY=" BESIDE_KEY, NULL},
                           2 * RIG_START_MS);
    cr_assert_eq(run.status, 0, "%d\n%s\n%s", run.status, run.out, run.err);
    cr_expect_eq(beside_ask_int(&beside, "SELECT COUNT(*) FROM completions"), 1);
    beside_end(&beside);
}
