#include "verifier/cli/preflight.h"

#include "base/config_file.h"
#include "base/url.h"
#include "lib/cleanup.h"
#include "verifier/base/address.h"
#include "verifier/http/connections.h"
#include "verifier/http/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- listen ---------------------------------------------------------------------------------- */

static void check_port(const struct verifier_config *config, struct findings *findings)
{
    struct error err;
    const char *address = config->listen.address;
    int port = (int)config->listen.port;
    if (!address_is_text(address)) /* the configuration's finding */
        return;
    int result = connections_probe(address, port, &err);
    if (result == 0)
        finding_add(findings, FINDING_GOOD, "listen", NULL, "%s port %d%s", address, port,
                    config->listen.tls_cert_file[0] ? ", HTTPS" : ", HTTP");
    else if (err.code == EADDRINUSE)
        finding_add(findings, FINDING_NOTE, "listen.port", NULL,
                    "port %d is in use: by a running verifier?", port);
    else if (err.code == EADDRNOTAVAIL)
        finding_add(findings, FINDING_PASSING, "listen.address",
                    "correct it, or bring up its network interface",
                    "this machine does not have the address %s", address);
    else
        finding_add_error(findings, "listen.port",
                          err.code == EACCES
                              ? "ports below 1024 need CAP_NET_BIND_SERVICE (docs/OPERATING.md)"
                              : NULL,
                          &err);
}

static void check_open_files(const struct verifier_config *config, struct findings *findings)
{
    int64_t allowed = connections_raise_limit(config->listen.connections);
    if (allowed < config->listen.connections)
        finding_add(findings, FINDING_NOTE, "listen.connections",
                    "raise the limit of open files (LimitNOFILE, ulimit -Hn), or lower the key",
                    "there are open files for %lld connections only", (long long)allowed);
}

static void check_tls(const struct verifier_config *config, struct findings *findings)
{
    struct tls tls;
    struct error err;
    struct tls_files files = {config->listen.tls_cert_file, config->listen.tls_key_file,
                              config->listen.client_ca_file};
    if (!files.certificate[0] || !files.key[0])
        return;
    if (tls_read(&files, &tls, &err) != 0) {
        finding_add_error(findings, "listen.tls_cert_file", NULL, &err);
        return;
    }
    finding_add(findings, FINDING_GOOD, "listen.tls_cert_file", NULL, "%s", files.certificate);
    tls_fini(&tls);
}

/* ---- secrets --------------------------------------------------------------------------------- */

static void check_secret(const char *key, const char *path, struct findings *findings)
{
    char secret[CONFIG_SECRET_BYTES];
    struct error err;
    if (!path[0])
        return;
    if (config_read_secret(path, secret, &err) == 0)
        finding_add(findings, FINDING_GOOD, key, NULL, "%s", path);
    else
        finding_add_error(findings, key, NULL, &err);
    explicit_bzero(secret, sizeof secret);
}

static void check_secrets(const struct verifier_config *config, struct findings *findings)
{
    if (!config->auth.admin_secret_file[0])
        finding_add(findings, FINDING_GOOD, "auth.admin_secret_file", NULL,
                    "not set: admin routes are off");
    check_secret("auth.admin_secret_file", config->auth.admin_secret_file, findings);
    check_secret("store.password_file", config->store.password_file, findings);
    check_secret("redis.password_file", config->redis.password_file, findings);
    check_secret("webhook.secret_file", config->webhook.secret_file, findings);
}

/* Whether it answers is asked by `webhook test`. */
static void check_webhook(const struct verifier_config *config, struct findings *findings)
{
    const char *url = config->webhook.url;
    if (url_is_http(url) && !url_has_user(url))
        finding_add(findings, FINDING_GOOD, "webhook.url", NULL, "%.*s", url_origin_bytes(url),
                    url);
}

/* ---- directories ----------------------------------------------------------------------------- */

/* True: it exists; *status is filled. */
static bool check_directory(const char *key, const char *path, struct stat *status,
                            struct findings *findings)
{
    struct error err;
    FD(dir) = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || fstat(dir, status) != 0) {
        error_errno(&err, "%s", path);
        finding_add_error(findings, key,
                          err.code == ENOENT ? "create it, or mount the share that has it" : NULL,
                          &err);
        return false;
    }
    if (faccessat(dir, ".", W_OK | X_OK, AT_EACCESS) == 0) {
        finding_add(findings, FINDING_GOOD, key, NULL, "%s", path);
        return true;
    }
    error_errno(&err, "cannot write to %s", path);
    if (err.class == ERROR_TEMPORARY) /* read-only for a while: the server waits (files_watch.h) */
        return true;
    finding_add_error(findings, key,
                      "the service's user needs to own it, and its unit ReadWritePaths= for it",
                      &err);
    return true;
}

static bool is_inside(const char *inner, const char *outer)
{
    size_t size = strlen(outer);
    return strncmp(inner, outer, size) == 0 && inner[size] == '/';
}

static void check_apart(const struct verifier_config *config, const struct stat *uploads,
                        const struct stat *videos, struct findings *findings)
{
    TEXT(sources) = realpath(config->files.uploads_dir, NULL);
    TEXT(renditions) = realpath(config->files.videos_dir, NULL);
    const char *hint = "sources and renditions need two directories";
    if (uploads->st_dev == videos->st_dev && uploads->st_ino == videos->st_ino)
        finding_add(findings, FINDING_BAD, "files.videos_dir", hint,
                    "%s is the directory of files.uploads_dir", config->files.videos_dir);
    else if (sources && renditions && is_inside(renditions, sources))
        finding_add(findings, FINDING_BAD, "files.videos_dir", hint,
                    "%s is inside files.uploads_dir", config->files.videos_dir);
    else if (sources && renditions && is_inside(sources, renditions))
        finding_add(findings, FINDING_BAD, "files.uploads_dir", hint,
                    "%s is inside files.videos_dir, which a web server publishes",
                    config->files.uploads_dir);
}

static void check_directories(const struct verifier_config *config, struct findings *findings)
{
    struct stat uploads, videos;
    bool has_uploads = check_directory("files.uploads_dir", config->files.uploads_dir, &uploads,
                                       findings);
    bool has_videos = check_directory("files.videos_dir", config->files.videos_dir, &videos,
                                      findings);
    if (has_uploads && has_videos)
        check_apart(config, &uploads, &videos, findings);
    if (has_uploads && geteuid() == 0 && uploads.st_uid != 0)
        finding_add(findings, FINDING_NOTE, "user", "runuser -u USER -- tailslate-verifier check",
                    "checked as root, who can read everything; check as the service's user");
}

/* SQLite makes the file, but not its directory. */
static void check_database_directory(const struct verifier_config *config,
                                     struct findings *findings)
{
    static const char sqlite[] = "sqlite:";
    struct error err;
    if (strncmp(config->store.url, sqlite, sizeof sqlite - 1) != 0)
        return;
    TEXT(path) = must_strdup(config->store.url + sizeof sqlite - 1);
    char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return;
    *slash = '\0';
    if (access(path, F_OK) == 0)
        return;
    error_errno(&err, "the database's directory %s", path);
    finding_add_error(findings, "store.url", "create it, or mount what has it", &err);
}

void preflight(const struct verifier_config *config, struct findings *findings)
{
    verifier_config_judge(config, findings);
    check_port(config, findings);
    check_open_files(config, findings);
    check_tls(config, findings);
    check_secrets(config, findings);
    check_webhook(config, findings);
    check_directories(config, findings);
    check_database_directory(config, findings);
}
