#include "config.h"

#include <float.h>
#include <string.h>

#define AT(field) offsetof(struct verifier_config, field)

const struct config_key verifier_config_keys[] = {
    {"listen", "address", CONFIG_TEXT, AT(listen_address), "\"127.0.0.1\"", 0, 0, NULL,
     "IP address to listen on; 0.0.0.0 or :: for all"},
    {"listen", "port", CONFIG_INTEGER, AT(listen_port), "9002", 0, 65535, NULL,
     "TCP port; 0: any free one, the log says which"},
    {"listen", "tls_cert_file", CONFIG_TEXT, AT(tls_cert_file), "\"\"", 0, 0, NULL,
     "PEM certificate chain; with tls_key_file: HTTPS instead of HTTP"},
    {"listen", "tls_key_file", CONFIG_TEXT, AT(tls_key_file), "\"\"", 0, 0, NULL,
     "PEM private key of the certificate, mode 0600"},
    {"store", "url", CONFIG_TEXT, AT(store_url), "\"sqlite:/var/lib/tailslate/verifier.db\"", 0, 0,
     NULL, "the database; its tables are made at the first start"},
    {"store", "schema", CONFIG_TEXT, AT(store_schema), "\"own\"", 0, 0, "own|vlog",
     "whose tables; vlog (a stock server's) is not in this build"},
    {"redis", "url", CONFIG_TEXT, AT(redis_url), "\"\"", 0, 0, NULL,
     "optional gate; not in this build: leave it empty"},
    {"redis", "prefix", CONFIG_TEXT, AT(redis_prefix), "\"vlog:\"", 0, 0, NULL,
     "prefix of all keys; not in this build: leave it as it is"},
    {"files", "uploads_dir", CONFIG_TEXT, AT(uploads_dir), "\"/var/lib/tailslate/uploads\"", 0, 0,
     NULL, "folder of the sources, <video_id>.<ext>"},
    {"files", "videos_dir", CONFIG_TEXT, AT(videos_dir), "\"/var/lib/tailslate/videos\"", 0, 0,
     NULL, "folder of the renditions, <slug>/; what a web server serves"},
    {"auth", "admin_secret_file", CONFIG_TEXT, AT(admin_secret_file), "\"\"", 0, 0, NULL,
     "file (0600) with the secret of the admin calls; empty: no admin calls over HTTP"},
    {"claims", "duration_minutes", CONFIG_NUMBER, AT(claim_minutes), "30", 0.02, 1440, NULL,
     "minutes a claim lasts after the last call about its job"},
    {"workers", "offline_minutes", CONFIG_NUMBER, AT(offline_minutes), "5", 0.02, 1440, NULL,
     "minutes of silence after which a worker counts as offline"},
    {"log", "level", CONFIG_TEXT, AT(log_level), "\"info\"", 0, 0, "debug|info|warning|error",
     "the least that is logged, to stderr"},
    {"log", "format", CONFIG_TEXT, AT(log_format), "\"text\"", 0, 0, "text|json",
     "logfmt or JSON, one line an event"},
};
const size_t verifier_config_key_count = sizeof verifier_config_keys /
                                         sizeof verifier_config_keys[0];

static int refuse_unsupported(const struct verifier_config *config, struct error *err)
{
    if (strcmp(config->store_schema, "own") != 0)
        return error_set(err, ERROR_PERMANENT, 0, "store.schema \"%s\" is not in this build",
                         config->store_schema);
    if (config->redis_url[0])
        return error_set(err, ERROR_PERMANENT, 0,
                         "redis.url: Redis is not in this build; leave it empty");
    if (strcmp(config->redis_prefix, "vlog:") != 0)
        return error_set(err, ERROR_PERMANENT, 0,
                         "redis.prefix: Redis is not in this build; leave it at \"vlog:\"");
    if (strncmp(config->store_url, "sqlite:", strlen("sqlite:")) != 0)
        return error_set(err, ERROR_PERMANENT, 0,
                         "store.url \"%.*s\": %s; it should be like sqlite:/path/to/file.db",
                         (int)strcspn(config->store_url, ":"), config->store_url,
                         strncmp(config->store_url, "postgres", strlen("postgres")) == 0
                             ? "PostgreSQL is not in this build"
                             : "no such kind of database");
    if (config->store_url[strlen("sqlite:")] == '\0')
        return error_set(err, ERROR_PERMANENT, 0, "store.url: the path is missing");
    if (!config->tls_cert_file[0] != !config->tls_key_file[0])
        return error_set(err, ERROR_PERMANENT, 0,
                         "listen.tls_cert_file and listen.tls_key_file go together");
    return 0;
}

int verifier_config_load(const char *path, struct verifier_config *config, struct error *err)
{
    if (config_load(verifier_config_keys, verifier_config_key_count, path, config, err) != 0)
        return -1;
    if (refuse_unsupported(config, err) != 0)
        return path ? error_wrap(err, "%s", path) : -1;
    return 0;
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
