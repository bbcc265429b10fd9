#include "verifier/base/config.h"

#include "base/message.h"
#include "verifier/base/address.h"
#include "verifier/base/grace.h"

#include <float.h>
#include <stdbool.h>
#include <string.h>

#define AT(field) offsetof(struct verifier_config, field)

const struct config_key verifier_config_keys[] = {
    {"listen", "address", CONFIG_TEXT, AT(listen_address), "\"127.0.0.1\"", 0, 0, NULL,
     "IP address to listen on; 0.0.0.0 or :: for all addresses"},
    {"listen", "port", CONFIG_INTEGER, AT(listen_port), "9002", 0, 65535, NULL,
     "TCP port; 0: any free port, which the log then names"},
    {"listen", "tls_cert_file", CONFIG_TEXT, AT(tls_cert_file), "\"\"", 0, 0, NULL,
     "PEM certificate chain; set with tls_key_file to serve HTTPS instead of HTTP"},
    {"listen", "tls_key_file", CONFIG_TEXT, AT(tls_key_file), "\"\"", 0, 0, NULL,
     "PEM private key of the certificate, mode 0600"},
    {"listen", "client_ca_file", CONFIG_TEXT, AT(client_ca_file), "\"\"", 0, 0, NULL,
     "PEM certificates of authorities; if set, clients need a certificate from one of them"},
    {"listen", "connections_per_address", CONFIG_INTEGER, AT(address_connections), "128", 1, 512,
     NULL,
     "connections that one client address (IPv6: /64) may have, of 512 in all; a node needs about "
     "three; listen.trusted_proxy has no limit of its own"},
    {"listen", "trusted_proxy", CONFIG_TEXT, AT(trusted_proxy), "\"\"", 0, 0, NULL,
     "IP address of a reverse proxy whose X-Real-IP is trusted; empty: none"},
    {"store", "url", CONFIG_TEXT, AT(store_url), "\"sqlite:/var/lib/tailslate/verifier.db\"", 0, 0,
     NULL,
     "the database: sqlite:/path/to/file.db, or postgresql://user@host:5432/name; its tables are "
     "created at the first start"},
    {"store", "password_file", CONFIG_TEXT, AT(store_password_file), "\"\"", 0, 0, NULL,
     "file (mode 0600) with PostgreSQL's password; empty: no password"},
    {"store", "schema", CONFIG_TEXT, AT(store_schema), "\"own\"", 0, 0, "own|vlog",
     "own: Tailslate's own tables; vlog: those of a stock vlog server (PostgreSQL), to work beside "
     "it"},
    {"redis", "url", CONFIG_TEXT, AT(redis_url), "\"\"", 0, 0, NULL,
     "optional gate for a fleet: redis://user@host:6379/0 (rediss:// for TLS); empty: none"},
    {"redis", "password_file", CONFIG_TEXT, AT(redis_password_file), "\"\"", 0, 0, NULL,
     "file (mode 0600) with Redis's password; empty: no password"},
    {"redis", "prefix", CONFIG_TEXT, AT(redis_prefix), "\"vlog:\"", 0, 0, NULL,
     "prefix of all keys; the default shares them with stock servers"},
    {"files", "uploads_dir", CONFIG_TEXT, AT(uploads_dir), "\"/var/lib/tailslate/uploads\"", 0, 0,
     NULL, "directory of the sources, <video_id>.<ext>"},
    {"files", "videos_dir", CONFIG_TEXT, AT(videos_dir), "\"/var/lib/tailslate/videos\"", 0, 0,
     NULL, "directory of the renditions, <slug>/; a web server serves it"},
    {"auth", "admin_secret_file", CONFIG_TEXT, AT(admin_secret_file), "\"\"", 0, 0, NULL,
     "file (mode 0600) with the secret for the admin routes; empty: they are off"},
    {"claims", "duration_minutes", CONFIG_NUMBER, AT(claim_minutes), "30", 0.02, 1440, NULL,
     "minutes that a claim lasts after its last progress report or upload"},
    {"workers", "offline_minutes", CONFIG_NUMBER, AT(offline_minutes), "5", 0.02, 1440, NULL,
     "minutes without a heartbeat after which a worker counts as offline"},
    {"workers", "required_version", CONFIG_TEXT, AT(required_version), "\"\"", 0, 0, NULL,
     "the code_version that workers must report; a worker with another one gets no job and is told "
     "so (version_ok); empty: any"},
    {"sweeper", "mode", CONFIG_TEXT, AT(sweeper_mode), "\"auto\"", 0, 0, "auto|on|off",
     "whether to release dead workers' claims, credit outages and clean up orphaned output; auto: "
     "on, but off beside a stock server"},
    {"sweeper", "interval_seconds", CONFIG_NUMBER, AT(sweep_interval_s), "60", 0.2, 3600, NULL,
     "seconds between two sweeps of the fleet"},
    {"sweeper", "grace_seconds", CONFIG_NUMBER, AT(sweep_grace_s), "120", 0, 3600, NULL,
     "seconds after an outage of the server before any claim is released"},
    {"sweeper", "cleanup_minutes", CONFIG_NUMBER, AT(cleanup_interval_minutes), "60", 0.02, 1440,
     NULL, "minutes between two cleanups of orphaned output"},
    {"sweeper", "trash_hours", CONFIG_NUMBER, AT(trash_hours), "24", 0.0005, 8760, NULL,
     "hours that removed files stay in the trash; also the least age of an orphan"},
    {"log", "level", CONFIG_TEXT, AT(log_level), "\"info\"", 0, 0, "debug|info|warning|error",
     "least severe level that is logged, to stderr"},
    {"log", "format", CONFIG_TEXT, AT(log_format), "\"text\"", 0, 0, "text|json",
     "logfmt or JSON, one line per event"},
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

static int refuse_password(const char *url, const char *group, struct error *err)
{
    if (!has_password(url))
        return 0;
    return error_set(err, ERROR_PERMANENT, 0,
                     "%s.url: the URL may not contain a password; put it in a file (mode 0600) and "
                     "set %s.password_file to its path",
                     group, group);
}

static int refuse_unsupported(const struct verifier_config *config, struct error *err)
{
    if (refuse_password(config->store_url, "store", err) != 0 ||
        refuse_password(config->redis_url, "redis", err) != 0)
        return -1;
    if (strcmp(config->store_url, "sqlite:") == 0)
        return error_set(err, ERROR_PERMANENT, 0, "store.url: the path is missing");
    if (!starts_with(config->store_url, "sqlite:") &&
        !starts_with(config->store_url, "postgresql://") &&
        !starts_with(config->store_url, "postgres://"))
        return error_set(err, ERROR_PERMANENT, 0,
                         "store.url \"%.*s\": unsupported kind of database; expected a URL like "
                         "sqlite:/path/to/file.db or postgresql://user@host:5432/name",
                         (int)strcspn(config->store_url, ":"), config->store_url);
    if (strcmp(config->store_schema, "vlog") == 0 && starts_with(config->store_url, "sqlite:"))
        return error_set(err, ERROR_PERMANENT, 0,
                         "store.schema \"vlog\" works beside a stock server, on its database: "
                         "store.url must be like postgresql://user@host:5432/vlog");
    if (config->trusted_proxy[0] && !address_is_text(config->trusted_proxy))
        return error_set(
            err, ERROR_PERMANENT, 0,
            "listen.trusted_proxy: %s is not an IP address; expected an address like 127.0.0.1",
            config->trusted_proxy);
    if (strlen(config->required_version) >= CODE_VERSION_BYTES)
        return error_set(err, ERROR_PERMANENT, 0,
                         "workers.required_version: must be at most %d bytes",
                         CODE_VERSION_BYTES - 1);
    if (config->client_ca_file[0] && !config->tls_cert_file[0])
        return error_set(err, ERROR_PERMANENT, 0,
                         "listen.client_ca_file needs listen.tls_cert_file: client certificates "
                         "need TLS");
    if (!config->tls_cert_file[0] != !config->tls_key_file[0])
        return error_set(err, ERROR_PERMANENT, 0,
                         "listen.tls_cert_file and listen.tls_key_file must be set together");
    return 0;
}

bool verifier_config_sweeps(const struct verifier_config *config)
{
    if (strcmp(config->sweeper_mode, "auto") == 0)
        return strcmp(config->store_schema, "own") == 0;
    return strcmp(config->sweeper_mode, "on") == 0;
}

/* A claim is released when it has expired *and* its worker is silent. So one of the two times has
 * to be as long as a live worker may be silent: decisions/0014. */
static double longest_s(const struct verifier_config *config)
{
    enum { MINUTE_S = 60 };
    double minutes = config->claim_minutes > config->offline_minutes ? config->claim_minutes
                                                                     : config->offline_minutes;
    return minutes * MINUTE_S;
}

static int refuse_short_times(const struct verifier_config *config, const char *path,
                              struct error *err)
{
    if (!verifier_config_sweeps(config) || longest_s(config) >= config->sweep_grace_s)
        return 0;
    error_set(
        err, ERROR_PERMANENT, 0,
        "workers.offline_minutes (%g s) and claims.duration_minutes (%g s) are both shorter "
        "than sweeper.grace_seconds (%g s), the time that a live worker may need to send a "
        "heartbeat after an outage: its job would go to another worker; set one of them to at "
        "least %g minutes",
        config->offline_minutes * 60, config->claim_minutes * 60, config->sweep_grace_s,
        config->sweep_grace_s / 60);
    return config_blame(path, "workers", "offline_minutes", err);
}

const char *verifier_config_warning(const struct verifier_config *config)
{
    if (!verifier_config_sweeps(config) || longest_s(config) * 1000 >= GRACE_RESTART_MS)
        return NULL;
    return "workers.offline_minutes and claims.duration_minutes are both under a minute: a worker "
           "whose heartbeat fails for that long loses its job";
}

int verifier_config_load(const char *path, struct verifier_config *config, struct error *err)
{
    if (config_load(verifier_config_keys, verifier_config_key_count, path, config, err) != 0)
        return -1;
    if (refuse_unsupported(config, err) != 0)
        return path ? error_wrap(err, "%s", path) : -1;
    return refuse_short_times(config, path, err);
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
