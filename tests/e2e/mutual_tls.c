/* TLS, and clients that must show a certificate: the real agent, and who has none or another's. */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <string.h>

enum { SHELL_MS = 30 * 1000, SAID_MS = 30 * 1000 };

static void shell(const struct rig *rig, const char *script)
{
    TEXT(whole) = must_printf("set -e; cd '%s'; %s", rig->dir, script);
    RUN(run) = run_program((const char *[]){"sh", "-c", whole, NULL}, NULL, SHELL_MS);
    cr_assert_eq(run.status, 0, "%s: %s", script, run.err);
}

/* An authority, a server, a client; another authority with its client; a client whose time is over;
 * a certificate that was made for servers only; a server of another name; one whose time is over;
 * one that signed its own. */
static const char make_certificates[] =
    "key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $1.pem; "
    "chmod 600 $1.pem; }\n"
    "authority() { key $1-key; openssl req -x509 -new -key $1-key.pem -subj /CN=$1 -days 2 "
    "-out $1.pem; }\n"
    "leaf() { key $1-key; openssl req -new -key $1-key.pem -subj /CN=$1 -out $1.csr; "
    "printf \"$3\" >$1.ext; openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2-key.pem "
    "-CAcreateserial -days 2 -extfile $1.ext -out $1.pem; }\n"
    "authority ca; authority other-ca\n"
    "leaf server ca 'subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=serverAuth\\n'\n"
    "leaf elsewhere ca 'subjectAltName=DNS:elsewhere.example\\nextendedKeyUsage=serverAuth\\n'\n"
    "leaf overdue ca 'subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=serverAuth\\n'\n"
    "key self-key; openssl req -x509 -new -key self-key.pem -subj /CN=self -days 2 "
    "-addext subjectAltName=IP:127.0.0.1 -out self.pem\n"
    "leaf client ca 'extendedKeyUsage=clientAuth\\n'\n"
    "leaf stranger other-ca 'extendedKeyUsage=clientAuth\\n'\n"
    "leaf expired ca 'extendedKeyUsage=clientAuth\\n'\n"
    "mkdir -p old; : >old/index; echo 01 >old/serial\n"
    "printf "
    "'[ca]\\ndefault_ca=o\\n[o]\\nnew_certs_dir=old\\ndatabase=old/index\\nserial=old/serial\\n"
    "default_md=sha256\\npolicy=p\\n[p]\\ncommonName=supplied\\n' >old/ca.cnf\n"
    "for name in expired overdue; do openssl ca -batch -config old/ca.cnf -cert ca.pem -keyfile "
    "ca-key.pem -in $name.csr -extfile $name.ext -startdate 200101000000Z -enddate 200102000000Z "
    "-out $name.pem; done\n";

static void set_file(struct rig *rig, void (*set)(struct rig *, const char *, const char *),
                     const char *key, const char *name)
{
    TEXT(value) = must_printf("\"%s/%s\"", rig->dir, name);
    set(rig, key, *name ? value : "\"\"");
}

static struct rig *rig_with_tls(const char *server, bool asks_clients)
{
    struct rig *rig = rig_new();
    shell(rig, make_certificates);
    TEXT(certificate) = must_printf("%s.pem", server);
    TEXT(key) = must_printf("%s-key.pem", server);
    set_file(rig, rig_verifier_set, "listen.tls_cert_file", certificate);
    set_file(rig, rig_verifier_set, "listen.tls_key_file", key);
    set_file(rig, rig_verifier_set, "listen.client_ca_file", asks_clients ? "ca.pem" : "");
    rig_start_verifier(rig);
    TEXT(url) = must_printf("\"https://127.0.0.1:%d\"", rig->port);
    rig_agent_set(rig, "server.url", url);
    set_file(rig, rig_agent_set, "server.ca_file", "ca.pem");
    return rig;
}

static void present(struct rig *rig, const char *client)
{
    TEXT(certificate) = must_printf("%s.pem", client);
    TEXT(key) = must_printf("%s-key.pem", client);
    set_file(rig, rig_agent_set, "server.cert_file", *client ? certificate : "");
    set_file(rig, rig_agent_set, "server.key_file", *client ? key : "");
}

/* `status body`, as curl with these options sees it. */
static struct run ask(const struct rig *rig, const char *options)
{
    TEXT(script) = must_printf("cd '%s'; curl -s --noproxy '*' -w ' %%{http_code}' --cacert ca.pem "
                               "%s https://127.0.0.1:%d/healthz",
                               rig->dir, options, rig->port);
    return run_program((const char *[]){"sh", "-c", script, NULL}, NULL, SHELL_MS);
}

Test(mutual_tls, a_whole_job_goes_through_it, .timeout = 180)
{
    struct rig *rig = rig_with_tls("server", true);
    present(rig, "client");
    int64_t job = rig_add_job(rig, media_clip(MEDIA_NORMAL), "film");
    rig_start_agent(rig);
    rig_wait_completed(rig, job);
    rig_end(rig);
}

static const struct {
    const char *options, *reason;
} refused[] = {
    {"", "no certificate"},
    {"--cert stranger.pem --key stranger-key.pem", NULL},
    {"--cert expired.pem --key expired-key.pem", "expired"},
    {"--cert server.pem --key server-key.pem", NULL},
};

Test(mutual_tls, who_has_no_certificate_of_ours_is_told_so_and_logged, .timeout = 120)
{
    struct rig *rig = rig_with_tls("server", true);
    RUN(good) = ask(rig, "--cert client.pem --key client-key.pem");
    cr_assert(strstr(good.out, "ok") && strstr(good.out, " 200"), "%s", good.out);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        RUN(run) = ask(rig, refused[i].options);
        /* curl itself sends no certificate that the server's list of authorities does not name. */
        cr_assert(strstr(run.out, " 403") && strstr(run.out, "\"forbidden\"") &&
                      strstr(run.out, "client certificate"),
                  "%s: %s", refused[i].options, run.out);
        if (refused[i].reason)
            cr_assert(log_find(rig->verifier->log, "event=tls.client_refused", NULL));
    }
    cr_assert_geq(
        log_count(rig->verifier->log, "event=tls.client_refused client=127.0.0.1 reason="), 4);
    TEXT(log) = file_read(rig->verifier->log);
    cr_assert(strstr(log, "no certificate") && strstr(log, "expired"), "%s", log);
    rig_end(rig);
}

static void claims_nothing(struct rig *rig, const char *client, const char *word)
{
    present(rig, client);
    rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    rig_start_agent(rig);
    char line[LINE_BYTES];
    rig_expect(rig, word, SAID_MS, line);
    cr_assert_eq(
        inspect_int(rig, "SELECT count(*) FROM transcoding_jobs WHERE claimed_at NOT NULL"), 0);
    cr_assert_not(process_ends_within(rig->agent, 0), "it gave up");
    /* With the right one it goes on. */
    rig_stop_agent(rig);
    present(rig, "client");
    rig_start_agent(rig);
    rig_wait_completed(rig, 1);
    rig_end(rig);
}

Test(mutual_tls, an_agent_without_a_certificate_claims_nothing_and_says_why, .timeout = 180)
{
    claims_nothing(rig_with_tls("server", true), "", "certificate");
}

Test(mutual_tls, an_agent_of_another_authority_claims_nothing, .timeout = 180)
{
    claims_nothing(rig_with_tls("server", true), "stranger", "certificate");
}

Test(mutual_tls, an_agent_whose_certificate_has_expired_claims_nothing, .timeout = 180)
{
    claims_nothing(rig_with_tls("server", true), "expired", "certificate");
}

/* `check`, the log and `status` say why, and what to do. */
static void is_not_trusted(const char *server, const char *why, const char *hint)
{
    struct rig *rig = rig_with_tls(server, false);
    char line[LINE_BYTES];
    rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    RUN(check) = rig_agent(rig, (const char *[]){"check", NULL});
    cr_assert_eq(check.status, 78, "%d %s", check.status, check.out);
    TEXT(words) = must_printf("; %s", hint);
    cr_assert(strstr(check.out, why) && strstr(check.out, words), "%s", check.out);
    rig_start_agent(rig);
    rig_expect(rig, "event=server.trouble state=not_trusted", SAID_MS, line);
    cr_assert(strstr(line, why) && strstr(line, hint), "%s", line);
    inspect_wait_status(rig, NULL, "the server's certificate is not trusted", SAID_MS);
    TEXT(to_do) = must_printf("; to do: %s", hint);
    inspect_wait_status(rig, NULL, to_do, SAID_MS);
    cr_assert_eq(
        inspect_int(rig, "SELECT count(*) FROM transcoding_jobs WHERE claimed_at NOT NULL"), 0);
    rig_end(rig);
}

Test(mutual_tls, an_agent_does_not_trust_a_server_of_another_name, .timeout = 120)
{
    is_not_trusted("elsewhere", "no alternative certificate subject name matches",
                   "use a host in server.url");
}

Test(mutual_tls, an_agent_does_not_trust_a_server_whose_certificate_has_expired, .timeout = 120)
{
    is_not_trusted("overdue", "certificate has expired", "renew the server's certificate");
}

Test(mutual_tls, an_agent_does_not_trust_a_server_that_signed_its_own_certificate, .timeout = 120)
{
    is_not_trusted("self", "self-signed certificate", "set server.ca_file to the certificate");
}

static void check_says(struct rig *rig, const char *scheme, const char *words)
{
    TEXT(url) = must_printf("\"%s://127.0.0.1:%d\"", scheme, rig->port);
    rig_agent_set(rig, "server.url", url);
    RUN(check) = rig_agent(rig, (const char *[]){"check", NULL});
    cr_expect_eq(check.status, 75, "%d %s", check.status, check.out);
    cr_expect(strstr(check.out, words), "%s: %s", words, check.out);
}

Test(mutual_tls, http_where_https_is_spoken_and_the_other_way_round_is_said, .timeout = 60)
{
    struct rig *tls = rig_with_tls("server", false), *plain = rig_new();
    check_says(tls, "http", "use https:// in server.url");
    rig_start_verifier(plain);
    check_says(plain, "https", "use http:// in server.url");
    rig_end(plain);
    rig_end(tls);
}

Test(mutual_tls, old_versions_and_weak_ciphers_are_not_spoken, .timeout = 120)
{
    static const char *const weak[] = {"--tls-max 1.1", "--tls-max 1.2 --ciphers AES128-SHA",
                                       "--tls-max 1.2 --ciphers ECDHE-ECDSA-AES128-SHA"};
    struct rig *rig = rig_with_tls("server", false);
    RUN(plain) = ask(rig, "");
    cr_assert(strstr(plain.out, " 200"), "%s", plain.out);
    RUN(older) = ask(rig, "--tls-max 1.2");
    cr_assert(strstr(older.out, " 200"), "%s", older.out);
    for (size_t i = 0; i < sizeof weak / sizeof *weak; i++) {
        RUN(run) = ask(rig, weak[i]);
        cr_assert(strstr(run.out, " 000"), "%s: %s", weak[i], run.out);
    }
    rig_end(rig);
}

Test(mutual_tls, files_that_do_not_fit_stop_the_start_with_a_sentence, .timeout = 60)
{
    static const struct {
        const char *certificate, *key, *authority, *word;
    } wrong[] = {
        {"server.pem", "client-key.pem", "", "is not the private key of"},
        {"server-key.pem", "server-key.pem", "", "server-key.pem"},
        {"nowhere.pem", "server-key.pem", "", "nowhere.pem"},
        {"server.pem", "server-key.pem", "client-key.pem", "contains no certificate"},
        {"server.pem", "server-key.pem", "nowhere.pem", "nowhere.pem"},
    };
    struct rig *rig = rig_new();
    shell(rig, make_certificates);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        set_file(rig, rig_verifier_set, "listen.tls_cert_file", wrong[i].certificate);
        set_file(rig, rig_verifier_set, "listen.tls_key_file", wrong[i].key);
        set_file(rig, rig_verifier_set, "listen.client_ca_file", wrong[i].authority);
        RUN(run) = rig_verifier(rig, (const char *[]){"serve", NULL});
        cr_expect(run.status != 0 && strstr(run.err, wrong[i].word), "%zu: %d %s", i, run.status,
                  run.err);
        RUN(check) = rig_verifier(rig, (const char *[]){"check", NULL});
        cr_expect(check.status == run.status && strstr(check.out, wrong[i].word),
                  "check %zu: %d %s", i, check.status, check.out);
    }
    rig_end(rig);
}
