#include "verifier/base/config.h"

#include "base/message.h"
#include "base/url.h"
#include "verifier/base/address.h"
#include "verifier/base/grace.h"

#include <float.h>
#include <stdbool.h>
#include <string.h>

#define CONFIG_TARGET struct verifier_config

const struct config_key verifier_config_keys[] = {
    CONFIG_TEXT_KEY(listen, address, "127.0.0.1", NULL,
                    "IP address to listen on; 0.0.0.0 or :: for all addresses"),
    CONFIG_INTEGER_KEY(listen, port, 9002, 0, 65535,
                       "TCP port; 0: any free port, which the log then names"),
    CONFIG_TEXT_KEY(listen, tls_cert_file, "", NULL,
                    "PEM certificate chain; set with tls_key_file to serve HTTPS instead of HTTP"),
    CONFIG_TEXT_KEY(listen, tls_key_file, "", NULL,
                    "PEM private key of the certificate, mode 0600"),
    CONFIG_TEXT_KEY(
        listen, client_ca_file, "", NULL,
        "PEM certificates of authorities; if set, clients need a certificate from one of them"),
    CONFIG_INTEGER_KEY(
        listen, connections, 16384, 64, 65536,
        "connections at once; a waiting node has one or two; needs a third more open "
        "files (LimitNOFILE)"),
    CONFIG_INTEGER_KEY(listen, connections_per_address, 128, 1, 65536,
                       "connections that one client address (IPv6: /64) may have; a node needs "
                       "about three; listen.trusted_proxy has no limit of its own"),
    CONFIG_TEXT_KEY(listen, trusted_proxy, "", NULL,
                    "IP address of a reverse proxy whose X-Real-IP is trusted; empty: none"),
    CONFIG_TEXT_KEY(store, url, "sqlite:/var/lib/tailslate/verifier.db", NULL,
                    "the database: sqlite:/path/to/file.db, or postgresql://user@host:5432/name; "
                    "its tables are created at the first start"),
    CONFIG_TEXT_KEY(store, password_file, "", NULL,
                    "file (mode 0600) with PostgreSQL's password; empty: no password"),
    CONFIG_TEXT_KEY(store, schema, "own", "own|vlog",
                    "own: Tailslate's own tables; vlog: those of a stock vlog server (PostgreSQL), "
                    "to work beside it"),
    CONFIG_TEXT_KEY(
        redis, url, "", NULL,
        "optional gate for a fleet: redis://user@host:6379/0 (rediss:// for TLS); empty: none"),
    CONFIG_TEXT_KEY(redis, password_file, "", NULL,
                    "file (mode 0600) with Redis's password; empty: no password"),
    CONFIG_TEXT_KEY(redis, prefix, "vlog:", NULL,
                    "prefix of all keys; the default shares them with stock servers"),
    CONFIG_TEXT_KEY(files, uploads_dir, "/var/lib/tailslate/uploads", NULL,
                    "directory of the sources, <video_id>.<ext>"),
    CONFIG_TEXT_KEY(files, videos_dir, "/var/lib/tailslate/videos", NULL,
                    "directory of the renditions, <slug>/; a web server serves it"),
    CONFIG_TEXT_KEY(auth, admin_secret_file, "", NULL,
                    "file (mode 0600) with the secret for the admin routes; empty: they are off"),
    CONFIG_TEXT_KEY(page, access, "read", "read|login|off",
                    "the page for operators, GET /: read: everybody who reaches the port can read "
                    "it, the admin secret is needed for actions; login: for reading, too; off"),
    CONFIG_NUMBER_KEY(claims, duration_minutes, 30, 0.02, 1440,
                      "minutes that a claim lasts after its last progress report or upload"),
    CONFIG_NUMBER_KEY(claims, retry_delay_seconds, 30, 0, 3600,
                      "seconds before a worker gets a job again that it has failed, four times as "
                      "many after each attempt; other workers get it at once; 0: no delay"),
    CONFIG_NUMBER_KEY(workers, offline_minutes, 5, 0.02, 1440,
                      "minutes without a heartbeat after which a worker counts as offline"),
    CONFIG_TEXT_KEY(workers, required_version, "", NULL,
                    "the code_version that workers must report; a worker with another one gets no "
                    "job and is told so (version_ok); empty: any"),
    CONFIG_TEXT_KEY(sweeper, mode, "auto", "auto|on|off",
                    "whether to release dead workers' claims, credit outages and clean up orphaned "
                    "output; auto: on, but off beside a stock server"),
    CONFIG_NUMBER_KEY(sweeper, interval_seconds, 60, 0.2, 3600,
                      "seconds between two sweeps of the fleet"),
    CONFIG_NUMBER_KEY(sweeper, grace_seconds, 120, 0, 3600,
                      "seconds after an outage of the server before any claim is released"),
    CONFIG_NUMBER_KEY(sweeper, cleanup_minutes, 60, 0.02, 1440,
                      "minutes between two cleanups of orphaned output"),
    CONFIG_NUMBER_KEY(
        sweeper, trash_hours, 24, 0.0005, 8760,
        "hours that removed files stay in the trash; also the least age of an orphan"),
    CONFIG_TEXT_KEY(webhook, url, "", NULL,
                    "http:// or https:// URL that is told by POST that a video is ready or has "
                    "failed; empty: none"),
    CONFIG_TEXT_KEY(webhook, secret_file, "", NULL,
                    "file (mode 0600) with the secret that signs what is sent; required with url"),
    CONFIG_TEXT_KEY(webhook, events, "all", "all|ready|failed", "which events are sent"),
    CONFIG_TEXT_KEY(webhook, ca_file, "", NULL,
                    "PEM certificates of authorities for url; empty: the system's"),
    CONFIG_NUMBER_KEY(webhook, timeout_seconds, 10, 0.1, 60, "seconds that one attempt may take"),
    CONFIG_NUMBER_KEY(webhook, retry_base_seconds, 5, 0.05, 3600,
                      "longest pause after the first failed attempt; it doubles after each"),
    CONFIG_NUMBER_KEY(webhook, retry_cap_seconds, 600, 0.05, 3600,
                      "longest pause between two attempts; each pause is random up to it"),
    CONFIG_NUMBER_KEY(webhook, keep_days, 7, 0.0001, 365,
                      "days after which an event that is not accepted is given up; ended events "
                      "are deleted after as long again"),
    CONFIG_TEXT_KEY(log, level, "info", "debug|info|warning|error",
                    "least severe level that is logged, to stderr"),
    CONFIG_TEXT_KEY(log, format, "text", "text|json", "logfmt or JSON, one line per event"),
};
const size_t verifier_config_key_count = sizeof verifier_config_keys /
                                         sizeof verifier_config_keys[0];

/* scheme://user:password@host, or ?password=… */
static bool has_password(const char *url)
{
    const char *authority = strstr(url, "://");
    if (!authority)
        return false;
    authority += 3;
    if (strstr(authority, "password="))
        return true;
    size_t length = strcspn(authority, "/?#");
    const char *at = memchr(authority, '@', length), *colon = memchr(authority, ':', length);
    return at && colon && colon < at;
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static void judge_password(const char *url, const char *group, struct findings *findings)
{
    char key[FINDING_KEY_BYTES];
    if (!has_password(url))
        return;
    snprintf(key, sizeof key, "%s.url", group);
    finding_add(findings, FINDING_BAD, key, NULL,
                "the URL may not contain a password; put it in a file (mode 0600) and set "
                "%s.password_file to its path",
                group);
}

static void judge_store(const struct verifier_config *config, struct findings *findings)
{
    const char *url = config->store.url;
    bool is_sqlite = starts_with(url, "sqlite:");
    bool is_postgresql = starts_with(url, "postgresql://") || starts_with(url, "postgres://");
    judge_password(url, "store", findings);
    if (strcmp(url, "sqlite:") == 0)
        finding_add(findings, FINDING_BAD, "store.url", NULL, "the path is missing");
    if (!is_sqlite && !is_postgresql)
        finding_add(findings, FINDING_BAD, "store.url", NULL,
                    "\"%.*s\": unsupported kind of database; expected a URL like "
                    "sqlite:/path/to/file.db or postgresql://user@host:5432/name",
                    (int)strcspn(url, ":"), url);
    if (strcmp(config->store.schema, "vlog") == 0 && is_sqlite)
        finding_add(findings, FINDING_BAD, "store.schema", NULL,
                    "\"vlog\" works beside a stock server, on its database: store.url must be "
                    "like postgresql://user@host:5432/vlog");
}

static void judge_listen(const struct verifier_config *config, struct findings *findings)
{
    if (!address_is_text(config->listen.address))
        finding_add(findings, FINDING_BAD, "listen.address",
                    "use an address like 127.0.0.1, 0.0.0.0 or ::", "%s is not an IP address",
                    config->listen.address);
    if (config->listen.trusted_proxy[0] && !address_is_text(config->listen.trusted_proxy))
        finding_add(findings, FINDING_BAD, "listen.trusted_proxy", "use an address like 127.0.0.1",
                    "%s is not an IP address", config->listen.trusted_proxy);
    if (config->listen.client_ca_file[0] && !config->listen.tls_cert_file[0])
        finding_add(findings, FINDING_BAD, "listen.client_ca_file", NULL,
                    "needs listen.tls_cert_file: client certificates need TLS");
    if (!config->listen.tls_cert_file[0] != !config->listen.tls_key_file[0])
        finding_add(findings, FINDING_BAD, "listen.tls_key_file", NULL,
                    "listen.tls_cert_file and listen.tls_key_file must be set together");
}

/* The URL is never repeated: its path may be a secret. */
static void judge_webhook(const struct verifier_config *config, struct findings *findings)
{
    const char *url = config->webhook.url;
    if (url[0] && !url_is_http(url))
        finding_add(findings, FINDING_BAD, "webhook.url", NULL,
                    "expected an http:// or https:// URL");
    else if (url_has_user(url))
        finding_add(findings, FINDING_BAD, "webhook.url", NULL,
                    "the URL contains a user name or password; remove it: what is sent is signed");
    if (url[0] && !config->webhook.secret_file[0])
        finding_add(findings, FINDING_BAD, "webhook.secret_file", NULL,
                    "webhook.url needs a file (mode 0600) with a secret that signs what is sent");
    if (config->webhook.retry_cap_seconds < config->webhook.retry_base_seconds)
        finding_add(findings, FINDING_BAD, "webhook.retry_cap_seconds", NULL,
                    "is less than webhook.retry_base_seconds");
}

bool verifier_config_sweeps(const struct verifier_config *config)
{
    if (strcmp(config->sweeper.mode, "auto") == 0)
        return strcmp(config->store.schema, "own") == 0;
    return strcmp(config->sweeper.mode, "on") == 0;
}

/* A claim is released when it has expired *and* its worker is silent. So one of the two times has
 * to be as long as a live worker may be silent: decisions/0014. */
static double longest_s(const struct verifier_config *config)
{
    enum { MINUTE_S = 60 };
    double minutes = config->claims.duration_minutes > config->workers.offline_minutes
                         ? config->claims.duration_minutes
                         : config->workers.offline_minutes;
    return minutes * MINUTE_S;
}

static void judge_times(const struct verifier_config *config, struct findings *findings)
{
    if (!verifier_config_sweeps(config) || longest_s(config) >= config->sweeper.grace_seconds)
        return;
    finding_add(
        findings, FINDING_BAD, "workers.offline_minutes", NULL,
        "is %g s, and claims.duration_minutes is %g s: both are shorter than "
        "sweeper.grace_seconds (%g s), the time that a live worker may need to send a heartbeat "
        "after an outage: its job would go to another worker; set one of them to at least %g "
        "minutes",
        config->workers.offline_minutes * 60, config->claims.duration_minutes * 60,
        config->sweeper.grace_seconds, config->sweeper.grace_seconds / 60);
}

const char *verifier_config_warning(const struct verifier_config *config)
{
    if (!verifier_config_sweeps(config) || longest_s(config) * 1000 >= GRACE_RESTART_MS)
        return NULL;
    return "workers.offline_minutes and claims.duration_minutes are both under a minute: a worker "
           "whose heartbeat fails for that long loses its job";
}

void verifier_config_judge(const struct verifier_config *config, struct findings *findings)
{
    judge_listen(config, findings);
    judge_store(config, findings);
    judge_password(config->redis.url, "redis", findings);
    if (strlen(config->workers.required_version) >= CODE_VERSION_BYTES)
        finding_add(findings, FINDING_BAD, "workers.required_version", NULL,
                    "must be at most %d bytes", CODE_VERSION_BYTES - 1);
    if (strcmp(config->page.access, "login") == 0 && !config->auth.admin_secret_file[0])
        finding_add(findings, FINDING_BAD, "page.access", NULL,
                    "\"login\" needs auth.admin_secret_file");
    judge_webhook(config, findings);
    judge_times(config, findings);
    if (verifier_config_warning(config))
        finding_add(findings, FINDING_NOTE, "workers.offline_minutes", NULL, "%s",
                    verifier_config_warning(config));
}

int verifier_config_check(const struct verifier_config *config, const char *path, struct error *err)
{
    struct findings findings = {.out = NULL};
    char group[FINDING_KEY_BYTES];
    verifier_config_judge(config, &findings);
    if (findings_refuse(&findings, err) == 0)
        return 0;
    const char *key = findings_worst(&findings)->key;
    size_t size = strcspn(key, ".");
    snprintf(group, sizeof group, "%.*s", (int)size, key);
    return config_blame(path, group, key + size + 1, err);
}

int verifier_config_read(const char *path, struct verifier_config *config, struct error *err)
{
    return config_load(verifier_config_keys, verifier_config_key_count, path, config, err);
}

int verifier_config_load(const char *path, struct verifier_config *config, struct error *err)
{
    return verifier_config_read(path, config, err) == 0 ? verifier_config_check(config, path, err)
                                                        : -1;
}

void verifier_config_print(const struct verifier_config *config, FILE *out)
{
    config_print(verifier_config_keys, verifier_config_key_count, config, out);
}

void verifier_config_print_sample(FILE *out)
{
    config_print_sample(verifier_config_keys, verifier_config_key_count,
                        "The verifier's configuration. Every key is optional; these are the "
                        "defaults.\nEach may be overridden by the environment: "
                        "TAILSLATE_<GROUP>_<KEY>.\nThis file is made by: tailslate-verifier "
                        "check --sample > verifier.cfg.sample",
                        out);
}
