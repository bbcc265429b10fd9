/* A receiver is told that a video is ready or has failed, whatever it does, until it accepts it. */
#include "gated.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "port.h"
#include "postgres.h"
#include "receiver.h"
#include "settings.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { JOBS = 6, SOON_MS = 30 * 1000 };
#define WAITING   "SELECT count(*) FROM webhook_events WHERE ended_at IS NULL"
#define DELIVERED "SELECT count(*) FROM webhook_events WHERE outcome = 'delivered'"

static void complete(const struct scene *scene)
{
    REPLY(reply) = worker_complete(&scene->worker, scene->token);
    reply_is(&reply, 200, NULL);
}

static int64_t add_cancelled(struct rig *rig, const char *slug)
{
    int64_t job = rig_add_job(rig, media_clip(MEDIA_TINY), slug);
    TEXT(number) = must_printf("%lld", (long long)job);
    RUN(run) = rig_verifier(rig, (const char *[]){"job", "cancel", number, NULL});
    cr_assert_eq(run.status, 0, "%s", run.err);
    return job;
}

Test(webhook, an_event_is_sent_with_one_id_until_it_is_accepted, .timeout = 120)
{
    static const char script[] =
        "hangup; 500; 503 retry-after=1; 404; redirect; html 502; truncate;"
        " stall 30s; 200 {}";
    enum { ATTEMPTS = 9 };
    struct rig *rig = rig_new();
    struct peer *peer = receiver_start(rig, script);
    struct scene scene = gated_scene(rig);
    char first[RECEIVER_ID_BYTES], other[RECEIVER_ID_BYTES];
    complete(&scene);
    inspect_wait_int(rig, 1, RECEIVER_MS, DELIVERED);
    cr_expect_eq(peer_count(peer, "*"), ATTEMPTS, "it was sent again");
    receiver_check(peer, 0, RECEIVER_SECRET, first);
    for (int i = 1; i < ATTEMPTS; i++) {
        receiver_check(peer, i, RECEIVER_SECRET, other);
        cr_expect_str_eq(other, first);
    }
    const char *body = peer_request(peer, RECEIVER_POST, 0)->body;
    cr_expect(strstr(body, "\"event\":\"video.ready\"") && strstr(body, "\"slug\":\"film\"") &&
                  strstr(body, "\"name\":\"360p\""),
              "%s", body);
    cr_expect_eq(inspect_int(rig, "SELECT attempts FROM webhook_events"), ATTEMPTS);
    rig_end(rig);
    peer_stop(peer);
}

Test(webhook, an_answer_without_end_is_accepted_by_its_status, .timeout = 120)
{
    struct rig *rig = rig_new();
    TEXT(large) = rig_path(rig, "large");
    TEXT(command) = must_printf("head -c 4000000 /dev/zero >'%s'", large);
    RUN(made) = run_program((const char *[]){"sh", "-c", command, NULL}, NULL, SOON_MS);
    TEXT(script) = must_printf("file %s", large);
    struct peer *peer = receiver_start(rig, script);
    rig_start_verifier(rig);
    add_cancelled(rig, "film");
    inspect_wait_int(rig, 1, RECEIVER_MS, DELIVERED);
    cr_expect_eq(peer_count(peer, RECEIVER_POST), 1);
    rig_end(rig);
    peer_stop(peer);
}

Test(webhook, a_receiver_that_hangs_delays_no_completion, .timeout = 120)
{
    struct rig *rig = rig_new();
    struct peer *peer = receiver_start(rig, "held; 200 {}");
    struct worker workers[JOBS];
    rig_verifier_set(rig, "webhook.timeout_seconds", "60");
    struct scene scene = gated_scene(rig);
    gated_more(&scene, workers, JOBS);
    complete(&scene);
    peer_wait(peer, RECEIVER_POST, 1, RECEIVER_MS);
    for (int i = 0; i < JOBS; i++) {
        char token[128];
        worker_token(&workers[i], token);
        REPLY(reply) = worker_complete(&workers[i], token);
        reply_is(&reply, 200, NULL);
    }
    cr_expect_eq(inspect_int(rig, WAITING), JOBS + 1);
    cr_expect_eq(peer_count(peer, RECEIVER_POST), 1, "one at a time");
    peer_release(peer);
    inspect_wait_int(rig, JOBS + 1, RECEIVER_MS, DELIVERED);
    rig_end(rig);
    peer_stop(peer);
}

Test(webhook, a_stop_does_not_wait_for_a_receiver_that_hangs, .timeout = 120)
{
    struct rig *rig = rig_new();
    struct peer *peer = receiver_start(rig, "held; 200 {}");
    rig_verifier_set(rig, "webhook.timeout_seconds", "60");
    rig_start_verifier(rig);
    add_cancelled(rig, "film");
    peer_wait(peer, RECEIVER_POST, 1, RECEIVER_MS);
    TEXT(log) = must_strdup(rig->verifier->log);
    cr_expect_eq(rig_stop_verifier(rig), 0);
    cr_expect(log_find(log, "event=verifier.stopped quiet=1", NULL), "a thread was left behind");
    rig_start_verifier(rig);
    inspect_wait_int(rig, 1, SOON_MS, DELIVERED);
    cr_expect_eq(peer_count(peer, RECEIVER_POST), 2);
    peer_release(peer);
    rig_end(rig);
    peer_stop(peer);
}

Test(webhook, a_reload_turns_it_on_and_off_and_changes_the_secret, .timeout = 120)
{
    struct rig *rig = rig_new();
    char delivery[RECEIVER_ID_BYTES];
    rig_start_verifier(rig);
    add_cancelled(rig, "before");
    struct peer *peer = receiver_start(rig, "200 {}");
    TEXT(config) = rig_path(rig, "verifier.cfg");
    TEXT(secret) = rig_path(rig, "webhook.secret");
    settings_write(&rig->verifier_settings, config);
    process_signal(rig->verifier, SIGHUP);
    process_expect(rig->verifier, "event=verifier.reloaded changed=", RIG_START_MS, NULL);
    add_cancelled(rig, "on");
    peer_wait(peer, RECEIVER_POST, 1, RECEIVER_MS);
    cr_expect(strstr(peer_request(peer, RECEIVER_POST, 0)->body, "\"slug\":\"on\""));
    receiver_check(peer, 0, RECEIVER_SECRET, delivery);
    inspect_wait_int(rig, 1, RECEIVER_MS, DELIVERED);

    file_write(secret, "another\n", 0600);
    rig_verifier_set(rig, "webhook.events", "\"failed\"");
    settings_write(&rig->verifier_settings, config);
    process_signal(rig->verifier, SIGHUP);
    process_expect(rig->verifier, "event=verifier.reloaded changed=webhook.events", RIG_START_MS,
                   NULL);
    add_cancelled(rig, "renewed");
    peer_wait(peer, RECEIVER_POST, 2, RECEIVER_MS);
    receiver_check(peer, 1, "another", delivery);
    inspect_wait_int(rig, 2, RECEIVER_MS, DELIVERED);

    rig_verifier_set(rig, "webhook.url", "\"\"");
    add_cancelled(rig, "off");
    cr_expect_eq(inspect_int(rig, "SELECT count(*) FROM webhook_events"), 2);
    rig_end(rig);
    peer_stop(peer);
}

Test(webhook, what_an_older_event_was_refused_comes_before_what_follows_of_its_job, .timeout = 120)
{
    struct rig *rig = rig_new();
    struct peer *peer = receiver_start(rig, "500; 500; 200 {}");
    rig_start_verifier(rig);
    int64_t job = add_cancelled(rig, "film");
    TEXT(number) = must_printf("%lld", (long long)job);
    RUN(retried) = rig_verifier(rig, (const char *[]){"job", "retry", number, NULL});
    RUN(cancelled) = rig_verifier(rig, (const char *[]){"job", "cancel", number, NULL});
    cr_assert(retried.status == 0 && cancelled.status == 0, "%s", cancelled.err);
    inspect_wait_int(rig, 2, RECEIVER_MS, DELIVERED);
    char ids[4][RECEIVER_ID_BYTES];
    for (int i = 0; i < 4; i++)
        receiver_check(peer, i, RECEIVER_SECRET, ids[i]);
    cr_expect(strcmp(ids[0], ids[1]) == 0 && strcmp(ids[1], ids[2]) == 0);
    cr_expect_str_neq(ids[2], ids[3]);
    rig_end(rig);
    peer_stop(peer);
}

/* ---- a fleet --------------------------------------------------------------------------------- */

/* One more verifier with the rig's settings, on a port of its own. */
static struct process *start_second(struct rig *rig)
{
    struct settings settings = rig->verifier_settings;
    TEXT(config) = rig_path(rig, "second.cfg");
    TEXT(log) = rig_path(rig, "second.log");
    TEXT(port) = must_printf("%d", port_free());
    settings_set(&settings, "listen.port", port);
    settings_write(&settings, config);
    struct process *second = process_start(
        (const char *[]){TAILSLATE_VERIFIER, "-c", config, "serve", NULL},
        (const char *const *)rig->env, log, NULL);
    process_expect(second, "event=verifier.ready", RIG_START_MS, NULL);
    return second;
}

/* Without duplicates while all goes well; what one of them has begun, the other takes over. */
Test(webhook, two_verifiers_share_the_events_and_one_takes_over_what_the_other_has_begun,
     .timeout = 180)
{
    struct postgres *postgres = postgres_start(NULL);
    struct rig *rig = rig_new();
    TEXT(database) = postgres_new_database(postgres->place);
    settings_set_text(&rig->verifier_settings, "store.url", database);
    struct peer *peer = receiver_start(rig, "200 {}");
    rig_start_verifier(rig);
    struct process *second = start_second(rig);
    char slug[24];
    for (int i = 0; i < JOBS; i++) {
        snprintf(slug, sizeof slug, "film-%d", i);
        add_cancelled(rig, slug);
    }
    peer_wait(peer, RECEIVER_POST, JOBS, RECEIVER_MS);
    process_kill(second);
    process_free(second);

    rig_stop_verifier(rig);
    peer_script(peer, RECEIVER_POST, "held; 200 {}");
    add_cancelled(rig, "begun");
    second = start_second(rig);
    peer_wait(peer, RECEIVER_POST, JOBS + 1, RECEIVER_MS);
    process_kill(second);
    process_free(second);
    rig_start_verifier(rig);
    peer_wait(peer, RECEIVER_POST, JOBS + 2, RECEIVER_MS);
    char ids[JOBS + 2][RECEIVER_ID_BYTES];
    for (int i = 0; i < JOBS + 2; i++)
        receiver_check(peer, i, RECEIVER_SECRET, ids[i]);
    for (int i = 0; i <= JOBS; i++)
        for (int j = 0; j < i; j++)
            cr_expect_str_neq(ids[i], ids[j], "%d and %d", i, j);
    cr_expect_str_eq(ids[JOBS], ids[JOBS + 1]);
    rig_end(rig);
    peer_stop(peer);
    postgres_stop(postgres);
}

/* ---- the operator ---------------------------------------------------------------------------- */

static bool is_on_page(const struct rig *rig)
{
    TEXT(url) = must_printf("http://127.0.0.1:%d/api/overview", rig->port);
    REPLY(reply) = call_make(&(struct call){.url = url});
    reply_is(&reply, 200, NULL);
    return strstr(reply.body, "\"events wait for the webhook's receiver: 1\"") != NULL;
}

Test(webhook, a_receiver_that_refuses_for_minutes_is_a_problem_on_the_page, .timeout = 120)
{
    struct rig *rig = rig_new();
    struct peer *peer = receiver_start(rig, "500");
    rig_start_verifier(rig);
    add_cancelled(rig, "film");
    peer_wait(peer, RECEIVER_POST, 2, RECEIVER_MS);
    cr_expect_not(is_on_page(rig), "it has only just begun");
    inspect_change(rig,
                   "UPDATE webhook_events SET occurred_at = strftime('%%Y-%%m-%%dT%%H:%%M:%%f',"
                   " 'now', '-10 minutes') || '000+00:00'");
    rig_stop_verifier(rig); /* what the page shows is kept for a moment */
    rig_start_verifier(rig);
    cr_expect(is_on_page(rig));
    rig_end(rig);
    peer_stop(peer);
}

static void expect_test(struct rig *rig, int status, const char *words)
{
    RUN(run) = rig_verifier(rig, (const char *[]){"webhook", "test", NULL});
    cr_expect_eq(run.status, status, "%s: %d %s%s", words, run.status, run.out, run.err);
    cr_expect(strstr(run.out, words) || strstr(run.err, words), "%s: %s%s", words, run.out,
              run.err);
    cr_expect_not(strstr(run.out, RECEIVER_SECRET) || strstr(run.err, RECEIVER_SECRET));
}

Test(webhook, a_test_says_what_the_receiver_answers, .timeout = 120)
{
    struct rig *rig = rig_new();
    char delivery[RECEIVER_ID_BYTES];
    expect_test(rig, 78, "webhook.url is not set");
    struct peer *peer = receiver_start(rig, "200 {}; 500; redirect; hangup");
    expect_test(rig, 0, "the receiver answered 200 after ");
    receiver_check(peer, 0, RECEIVER_SECRET, delivery);
    cr_expect(strstr(peer_request(peer, RECEIVER_POST, 0)->body, "\"event\":\"ping\""));
    expect_test(rig, 69, "the receiver answered 500");
    expect_test(rig, 69, "the receiver answered 302");
    expect_test(rig, 75, "tailslate-verifier: ");
    peer_stop(peer);
    expect_test(rig, 75, "Failed to connect");
    TEXT(secret) = rig_path(rig, "webhook.secret");
    file_write(secret, RECEIVER_SECRET "\n", 0644);
    expect_test(rig, 78, "webhook.secret_file");
    rig_end(rig);
}

/* The verifier itself serves as a server with a certificate that no authority has signed. */
Test(webhook, a_certificate_that_is_not_known_is_refused_and_one_that_is_named_is_not,
     .timeout = 120)
{
    struct rig *rig = rig_new();
    TEXT(certificate) = rig_path(rig, "tls.crt");
    TEXT(key) = rig_path(rig, "tls.key");
    TEXT(url) = must_printf("https://127.0.0.1:%d/hook", rig->port);
    RUN(made) = run_program((const char *[]){"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                                             "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                                             "-subj", "/CN=receiver", "-addext",
                                             "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out",
                                             certificate, NULL},
                            NULL, SOON_MS);
    cr_assert_eq(made.status, 0, "%s", made.err);
    settings_set_text(&rig->verifier_settings, "listen.tls_cert_file", certificate);
    settings_set_text(&rig->verifier_settings, "listen.tls_key_file", key);
    rig_start_verifier(rig);
    peer_stop(receiver_start(rig, "200 {}")); /* for its secret */
    settings_set_text(&rig->verifier_settings, "webhook.url", url);
    expect_test(rig, 75, "certificate");
    settings_set_text(&rig->verifier_settings, "webhook.ca_file", certificate);
    expect_test(rig, 69, "the receiver answered 404");
    rig_end(rig);
}

/* The receiver of docs/OPERATING.md, as it is printed there. */
static char *documented_receiver(struct rig *rig)
{
    TEXT(page) = file_read(TAILSLATE_SOURCE_DIR "/docs/OPERATING.md");
    static const char fence[] = "```python\n";
    char *start = strstr(page, fence);
    cr_assert(start);
    start += sizeof fence - 1;
    *strstr(start, "```") = '\0';
    char *path = rig_path(rig, "receiver.py");
    file_write(path, start, 0644);
    return path;
}

Test(webhook, the_documented_receiver_accepts_what_is_signed_and_nothing_else, .timeout = 120)
{
    struct rig *rig = rig_new();
    TEXT(script) = documented_receiver(rig);
    peer_stop(receiver_start(rig, "200 {}")); /* for its secret */
    TEXT(secret) = rig_path(rig, "webhook.secret");
    TEXT(port) = must_printf("%d", port_free());
    TEXT(url) = must_printf("\"http://127.0.0.1:%s/\"", port);
    TEXT(log) = rig_path(rig, "receiver.log");
    rig_verifier_set(rig, "webhook.url", url);
    struct process *receiver = process_start(
        (const char *[]){"python3", "-u", script, secret, port, NULL}, NULL, log, NULL);
    process_expect(receiver, "listening", RIG_START_MS, NULL);
    expect_test(rig, 0, "the receiver answered 204");
    TEXT(other) = rig_path(rig, "other.secret");
    file_write(other, "another\n", 0600);
    settings_set_text(&rig->verifier_settings, "webhook.secret_file", other);
    expect_test(rig, 69, "the receiver answered 403");
    process_kill(receiver);
    process_free(receiver);
    rig_end(rig);
}
