#include "agent/cli/preflight.h"

#include "agent/base/tool.h"
#include "base/config_file.h"
#include "lib/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void check_key(const struct config *config, struct findings *findings)
{
    char secret[CONFIG_SECRET_BYTES];
    struct error err;
    const char *path = config->server.api_key_file;
    if (config_read_secret(path, secret, &err) == 0)
        finding_add(findings, FINDING_GOOD, "server.api_key_file", NULL, "%s", path);
    else
        finding_add_error(findings, "server.api_key_file",
                          "write the worker's API key to it (tailslate-verifier worker add NAME "
                          "--key-file FILE), mode 0600",
                          &err);
    explicit_bzero(secret, sizeof secret);
}

/* "": not configured. forbidden: mode bits that it may not have. */
static void check_file(const char *key, const char *path, mode_t forbidden,
                       struct findings *findings)
{
    struct stat status;
    struct error err;
    if (!path[0])
        return;
    FD(fd) = config_file_open(path, &status, &err);
    if (fd < 0)
        finding_add_error(findings, key, NULL, &err);
    else if (status.st_mode & forbidden)
        finding_add(findings, FINDING_BAD, key, "use 0600 (chmod 600)",
                    "%s: mode %04o gives everybody access to the private key", path,
                    (unsigned)(status.st_mode & 07777));
    else
        finding_add(findings, FINDING_GOOD, key, NULL, "%s", path);
}

/* If it does not exist yet, `run` creates it: then check its parent. */
static void check_state_dir(const struct config *config, struct findings *findings)
{
    const char *key = "node.state_dir";
    const char *hint = "create it on persistent storage, owned by the agent's user, mode 0700";
    struct error err;
    TEXT(path) = must_strdup(config->node.state_dir);
    if (path[0] != '/') /* the configuration's finding */
        return;
    FD(dir) = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_there = dir >= 0;
    if (!is_there && errno == ENOENT && strrchr(path, '/') != path) {
        *strrchr(path, '/') = '\0';
        dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (dir < 0) {
        error_errno(&err, "%s", path);
        finding_add_error(findings, key, hint, &err);
    } else if (faccessat(dir, ".", W_OK | X_OK, AT_EACCESS) != 0) {
        error_errno(&err, "cannot write to %s", path);
        finding_add_error(findings, key, hint, &err);
    } else {
        finding_add(findings, FINDING_GOOD, key, NULL, "%s%s", config->node.state_dir,
                    is_there ? "" : " (`run` creates it)");
    }
}

static void note_user(const struct config *config, struct findings *findings)
{
    struct stat status;
    if (geteuid() == 0 && stat(config->node.state_dir, &status) == 0 && status.st_uid != 0)
        finding_add(findings, FINDING_NOTE, "user", "runuser -u USER -- tailslate-agent check",
                    "checked as root, who can read everything; check as the service's user");
}

static void check_tool(const char *key, const char *program, struct findings *findings)
{
    struct error err;
    if (tool_find(program, &err) != 0)
        finding_add(findings, FINDING_BAD, key,
                    "install it (apt-get install ffmpeg) or configure its path", "%s", err.message);
}

static int bind_to(const struct config *config, struct error *err)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {.v6 = {.sin6_family = AF_INET6}};
    socklen_t size = sizeof address.v6;
    int yes = 1;
    if (inet_pton(AF_INET6, config->health.address, &address.v6.sin6_addr) == 1) {
        address.v6.sin6_port = htons((uint16_t)config->health.port);
    } else {
        address.v4 = (struct sockaddr_in){.sin_family = AF_INET,
                                          .sin_port = htons((uint16_t)config->health.port)};
        size = sizeof address.v4;
        if (inet_pton(AF_INET, config->health.address, &address.v4.sin_addr) != 1)
            return 0; /* the configuration's finding */
    }
    FD(fd) = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, &address.any, size) != 0)
        return error_errno(err, "cannot listen on %s port %lld", config->health.address,
                           (long long)config->health.port);
    return 0;
}

static void check_health_port(const struct config *config, struct findings *findings)
{
    struct error err;
    if (config->health.port == 0 || bind_to(config, &err) == 0)
        return;
    if (err.code == EADDRINUSE)
        finding_add(findings, FINDING_NOTE, "health.port", NULL,
                    "port %lld is in use: by a running agent?", (long long)config->health.port);
    else
        finding_add_error(findings, "health.port", NULL, &err);
}

void preflight(const struct config *config, struct findings *findings)
{
    agent_config_judge(config, findings);
    check_key(config, findings);
    check_file("server.ca_file", config->server.ca_file, 0, findings);
    check_file("server.cert_file", config->server.cert_file, 0, findings);
    check_file("server.key_file", config->server.key_file, S_IRWXO, findings);
    check_state_dir(config, findings);
    note_user(config, findings);
    if (strcmp(config->transcode.recipe, "ladder") == 0)
        check_tool("transcode.ffmpeg", config->transcode.ffmpeg, findings);
    check_tool("transcode.ffprobe", config->transcode.ffprobe, findings);
    check_health_port(config, findings);
}
