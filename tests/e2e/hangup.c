/* SIGHUP to the verifier: certificates and configuration change under connections and claims. */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "worker.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

enum { CLI_MS = 30 * 1000, LOGGED_MS = 20 * 1000 };

static void hang_up(struct rig *rig, const char *words, char line[LINE_BYTES])
{
    RUN(written) = rig_verifier(rig, (const char *[]){"version", NULL});
    process_signal(rig->verifier, SIGHUP);
    process_expect(rig->verifier, words, LOGGED_MS, line);
}

/* ---- certificates ---------------------------------------------------------------------------- */

static void make_certificate(const struct rig *rig, const char *name)
{
    TEXT(script) = must_printf(
        "cd '%s' && umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
        "-nodes -keyout %s-key.pem -out %s.pem -days 2 -subj /CN=%s "
        "-addext subjectAltName=IP:127.0.0.1 && cp %s.pem cert.pem && cp %s-key.pem key.pem",
        rig->dir, name, name, name, name, name);
    RUN(run) = run_program((const char *[]){"sh", "-c", script, NULL}, NULL, CLI_MS);
    cr_assert_eq(run.status, 0, "%s", run.err);
}

static struct process *poll_for_a_job(const struct rig *rig, const struct worker *worker,
                                      const char *authority, const char *out)
{
    TEXT(log) = rig_path(rig, "poll.log");
    TEXT(ca) = rig_path(rig, "%s", authority);
    TEXT(url) = must_printf("https://127.0.0.1:%d/api/worker/claim?wait=50", rig->port);
    TEXT(key) = must_printf("X-Worker-API-Key: %s", worker->key);
    struct process *poll = process_start((const char *[]){"curl", "-sSv", "--noproxy", "*",
                                                          "--cacert", ca, "-X", "POST", "-H", key,
                                                          "-d", "", url, NULL},
                                         NULL, log, out);
    cr_assert(log_wait(log, "POST /api/worker/claim?wait=50", LOGGED_MS, NULL));
    cr_assert_not(process_ends_within(poll, 500), "it did not hold the call");
    return poll;
}

/* What curl says about it: "200", or "000" where the certificate is not trusted. */
static void expect_status(const struct rig *rig, const char *authority, const char *options,
                          const char *status)
{
    TEXT(script) = must_printf("cd '%s'; curl -s -o /dev/null --noproxy '*' -w '%%{http_code}' "
                               "--cacert %s %s https://127.0.0.1:%d/healthz",
                               rig->dir, authority, options, rig->port);
    RUN(run) = run_program((const char *[]){"sh", "-c", script, NULL}, NULL, CLI_MS);
    cr_expect_str_eq(run.out, status, "%s %s", authority, options);
}

static struct rig *rig_with_certificate(void)
{
    struct rig *rig = rig_new();
    TEXT(certificate) = must_printf("\"%s/cert.pem\"", rig->dir);
    TEXT(key) = must_printf("\"%s/key.pem\"", rig->dir);
    rig_verifier_set(rig, "listen.tls_cert_file", certificate);
    rig_verifier_set(rig, "listen.tls_key_file", key);
    make_certificate(rig, "first");
    rig_start_verifier(rig);
    return rig;
}

Test(hangup, new_connections_get_the_new_certificate_and_an_old_long_poll_goes_on, .timeout = 120)
{
    struct rig *rig = rig_with_certificate();
    struct worker worker = worker_new(rig, "ann");
    TEXT(out) = rig_path(rig, "poll.out");
    struct process *poll = poll_for_a_job(rig, &worker, "first.pem", out);
    make_certificate(rig, "second");
    expect_status(rig, "first.pem", "", "200");
    hang_up(rig, "event=verifier.reloaded", NULL);
    expect_status(rig, "second.pem", "", "200");
    expect_status(rig, "first.pem", "", "000");
    cr_assert_not(process_ends_within(poll, 0), "the reload ended the call");
    rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    cr_assert_eq(process_wait(poll, LOGGED_MS), 0);
    TEXT(answer) = file_read(out);
    cr_assert(strstr(answer, "\"job_id\":1"), "%s", answer);
    process_free(poll);
    rig_end(rig);
}

Test(hangup, a_key_that_does_not_fit_changes_nothing_and_is_logged, .timeout = 120)
{
    char line[LINE_BYTES];
    struct rig *rig = rig_with_certificate();
    make_certificate(rig, "second");
    TEXT(script) = must_printf("cp '%s/first-key.pem' '%s/key.pem'", rig->dir, rig->dir);
    RUN(mixed) = run_program((const char *[]){"sh", "-c", script, NULL}, NULL, CLI_MS);
    rig_verifier_set(rig, "claims.duration_minutes", "7");
    hang_up(rig, "event=verifier.not_reloaded", line);
    cr_assert(strstr(line, "key.pem is not the private key of"), "%s", line);
    expect_status(rig, "first.pem", "", "200");
    expect_status(rig, "second.pem", "", "000");
    rig_end(rig);
}

Test(hangup, client_certificates_are_wanted_from_then_on, .timeout = 120)
{
    struct rig *rig = rig_with_certificate();
    TEXT(authority) = must_printf("\"%s/first.pem\"", rig->dir);
    rig_verifier_set(rig, "listen.client_ca_file", authority);
    expect_status(rig, "first.pem", "", "200");
    hang_up(rig, "event=verifier.reloaded", NULL);
    expect_status(rig, "first.pem", "", "403");
    expect_status(rig, "first.pem", "--cert first.pem --key first-key.pem", "200");
    rig_verifier_set(rig, "listen.client_ca_file", "\"\"");
    hang_up(rig, "event=verifier.reloaded changed=listen.client_ca_file", NULL);
    expect_status(rig, "first.pem", "", "200");
    rig_end(rig);
}

/* ---- configuration --------------------------------------------------------------------------- */

static int64_t claim_minutes(const struct rig *rig, int64_t job)
{
    return inspect_int(rig,
                       "SELECT CAST(ROUND((julianday(claim_expires_at) - julianday(claimed_at))"
                       " * 1440) AS INTEGER) FROM transcoding_jobs WHERE id = %lld",
                       (long long)job);
}

Test(hangup, times_log_secret_and_version_change_and_a_claim_stands, .timeout = 120)
{
    char line[LINE_BYTES];
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    struct worker ann = worker_new(rig, "ann"), bob = worker_new(rig, "bob");
    rig_add_job(rig, media_clip(MEDIA_TINY), "one");
    rig_add_job(rig, media_clip(MEDIA_TINY), "two");
    cr_assert(worker_claim(&ann));
    TEXT(secret) = rig_path(rig, "admin.secret");
    file_write(secret, "another-secret\n", 0600);
    rig_verifier_set(rig, "claims.duration_minutes", "7");
    rig_verifier_set(rig, "workers.required_version", "\"v2\"");
    rig_verifier_set(rig, "log.level", "\"debug\"");
    rig_verifier_set(rig, "page.access", "\"off\"");
    hang_up(rig, "event=verifier.reloaded", line);
    cr_assert(
        strstr(line, "page.access, claims.duration_minutes, workers.required_version, log.level"),
        "%s", line);
    cr_assert(worker_claim(&bob));
    cr_expect_eq(claim_minutes(rig, ann.job), 30);
    cr_expect_eq(claim_minutes(rig, bob.job), 7);
    REPLY(beat) = worker_call(&ann, "/api/worker/heartbeat",
                              "{\"status\":\"idle\",\"metadata\":{\"code_version\":\"v1\"}}", NULL);
    cr_expect_str_eq(reply_text(&beat, "required_version"), "v2");
    TEXT(page) = must_printf("http://127.0.0.1:%d/", rig->port);
    REPLY(hidden) = call_make(&(struct call){.url = page});
    cr_expect_eq(hidden.status, 404);
    REPLY(old) = admin_call(rig, "/api/workers", NULL);
    cr_expect_eq(old.status, 403);
    worker_put_tree(&ann);
    char token[128];
    worker_token(&ann, token);
    REPLY(completed) = worker_complete(&ann, token);
    reply_is(&completed, 200, NULL);
    rig_end(rig);
}

Test(hangup, the_sweeper_goes_by_the_new_interval, .timeout = 120)
{
    char first[64];
    struct rig *rig = rig_new();
    rig_verifier_set(rig, "sweeper.interval_seconds", "3600");
    rig_verifier_set(rig, "sweeper.grace_seconds", "0");
    rig_start_verifier(rig);
    inspect_wait_int(rig, 1, LOGGED_MS,
                     "SELECT COUNT(*) FROM fleet WHERE last_sweep_at IS NOT NULL");
    inspect_text(rig, first, sizeof first, "SELECT last_sweep_at FROM fleet");
    rig_verifier_set(rig, "sweeper.interval_seconds", "0.2");
    hang_up(rig, "event=verifier.reloaded changed=sweeper.interval_seconds", NULL);
    inspect_wait_int(rig, 1, LOGGED_MS, "SELECT COUNT(*) FROM fleet WHERE last_sweep_at > '%s'",
                     first);
    rig_end(rig);
}

Test(hangup, what_needs_a_restart_is_named_and_keeps_its_value, .timeout = 60)
{
    char line[LINE_BYTES];
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    TEXT(port) = must_printf("%d", rig->port);
    rig_verifier_set(rig, "listen.port", "1");
    rig_verifier_set(rig, "store.url", "\"sqlite:/nowhere/at.db\"");
    rig_verifier_set(rig, "claims.duration_minutes", "7");
    hang_up(rig, "event=verifier.needs_restart", line);
    cr_assert(strstr(line, "listen.port, store.url"), "%s", line);
    cr_assert(log_find(rig->verifier->log,
                       "event=verifier.reloaded changed=claims.duration_minutes", NULL));
    REPLY(health) = admin_call(rig, "/api/workers", NULL);
    reply_is(&health, 200, NULL);
    rig_verifier_set(rig, "listen.port", port);
    rig_end(rig);
}

static const struct {
    const char *key, *value, *reason;
} bad[] = {
    {"claims.duration_minutes", "\"long\"", "claims.duration_minutes"},
    {"listen.trusted_proxy", "\"proxy.example\"", "not an IP address"},
    {"auth.admin_secret_file", "\"/nowhere/secret\"", "/nowhere/secret"},
    {"listen.prot", "1", "did you mean listen.port"},
};

Test(hangup, a_bad_file_changes_nothing_and_the_log_says_what_is_wrong, .timeout = 60)
{
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char line[LINE_BYTES];
        struct rig *rig = rig_new();
        rig_start_verifier(rig);
        rig_verifier_set(rig, "log.level", "\"error\"");
        rig_verifier_set(rig, bad[i].key, bad[i].value);
        hang_up(rig, "event=verifier.not_reloaded", line);
        cr_expect(strstr(line, bad[i].reason), "%s", line);
        REPLY(health) = admin_call(rig, "/api/workers", NULL);
        reply_is(&health, 200, NULL);
        rig_stop_verifier(rig);
        TEXT(log) = rig_path(rig, "verifier.1.log");
        cr_expect(log_find(log, "event=verifier.stopping", NULL), "the level was taken over");
        rig_end(rig);
    }
}
