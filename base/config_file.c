#include "base/config_file.h"

#include "base/config_value.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

ssize_t config_file_read(int fd, char *data, size_t max)
{
    size_t used = 0;
    while (used < max) {
        ssize_t got = read(fd, data + used, max - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        used += (size_t)got;
    }
    return (ssize_t)used;
}

int config_file_open(const char *path, struct stat *status, struct error *err)
{
    FD(fd) = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, status) < 0)
        return error_errno(err, "cannot open %s", path);
    if (!S_ISREG(status->st_mode))
        return error_set(err, ERROR_PERMANENT, EINVAL, "%s: not a regular file", path);
    return steal_fd(&fd);
}

/* Mode bits that a secret's file may not have. systemd grants an unprivileged service access to a
 * credential by an ACL, whose mask appears as the group's read bit; the directory around it is
 * closed to everybody else. */
enum { OWNER_ALONE = 0077, GROUP_READS = 0037 };

static int open_credential(const char *name, struct stat *status, struct error *err)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    if (!directory || strchr(name, '/'))
        return error_set(err, ERROR_PERMANENT, ENOENT, "no systemd credential %s", name);
    TEXT(path) = must_printf("%s/%s", directory, name);
    return config_file_open(path, status, err);
}

static bool is_our_group(gid_t gid)
{
    if (gid == getegid())
        return true;
    int count = getgroups(0, NULL);
    TEXT(memory) = must_calloc(count > 0 ? (size_t)count : 1, sizeof gid);
    gid_t *groups = (gid_t *)(void *)memory;
    count = getgroups(count > 0 ? count : 0, groups);
    for (int i = 0; i < count; i++)
        if (groups[i] == gid)
            return true;
    return false;
}

/* A mounted Kubernetes secret belongs to root and is readable by the pod's fsGroup. A file that we
 * own and can write is ours to make 0600. */
static bool is_given_by_root(const struct stat *status)
{
    bool is_ours = status->st_uid == geteuid() && (status->st_mode & S_IWUSR);
    return status->st_uid == 0 && !is_ours && is_our_group(status->st_gid);
}

static int check_mode(const char *path, const struct stat *status, bool is_credential,
                      struct error *err)
{
    bool may_group_read = is_credential || is_given_by_root(status);
    if (!(status->st_mode & (may_group_read ? GROUP_READS : OWNER_ALONE)))
        return 0;
    return error_set(err, ERROR_PERMANENT, EACCES,
                     "%s: mode %04o gives others access; use 0600, or 0440 with root as its owner "
                     "and a group of this process",
                     path, (unsigned)(status->st_mode & 07777));
}

/* The content must not get into a message. */
static int take_secret(const char *path, char *content, size_t size, char *secret,
                       struct error *err)
{
    content[size] = '\0';
    size_t length = strcspn(content, "\n");
    if (length > 0 && content[length] == '\n' && content[length - 1] == '\r')
        length--;
    if (length >= CONFIG_SECRET_BYTES)
        return error_set(err, ERROR_PERMANENT, EFBIG, "%s: the first line is longer than %d bytes",
                         path, CONFIG_SECRET_BYTES - 1);
    bool is_cut = strlen(content) < size && !memchr(content, '\n', strlen(content));
    content[length] = '\0';
    if (is_cut || config_has_control_bytes(content))
        return error_set(err, ERROR_PERMANENT, EINVAL,
                         "%s: the first line contains control characters", path);
    if (length == 0)
        return error_set(err, ERROR_PERMANENT, EINVAL, "%s: the first line is empty", path);
    memcpy(secret, content, length + 1);
    return 0;
}

int config_read_secret(const char *path, char secret[CONFIG_SECRET_BYTES], struct error *err)
{
    struct stat status;
    struct error ignored;
    if (path[0] == '\0')
        return error_set(err, ERROR_PERMANENT, EINVAL, "no file is configured for the secret");
    FD(fd) = open_credential(path, &status, &ignored);
    bool is_credential = fd >= 0;
    if (!is_credential && ignored.code != ENOENT)
        return error_set(err, ignored.class, ignored.code, "%s", ignored.message);
    if (!is_credential)
        fd = config_file_open(path, &status, err);
    if (fd < 0 || check_mode(path, &status, is_credential, err) < 0)
        return -1;

    char content[CONFIG_SECRET_BYTES + 3]; /* "\r\n" and a NUL */
    ssize_t size = config_file_read(fd, content, sizeof content - 1);
    int result = size < 0 ? error_errno(err, "cannot read %s", path)
                          : take_secret(path, content, (size_t)size, secret, err);
    explicit_bzero(content, sizeof content);
    return result;
}

/* ---- what libconfig would misread ------------------------------------------------------------ */

#define WORD_BYTES "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.*+-"

enum { WORD_SHOWN_BYTES = 40 };

struct scan {
    const char *path;
    const char *at;
    int line;
};

static void skip(struct scan *scan, size_t size)
{
    for (; size > 0 && *scan->at; size--)
        scan->line += *scan->at++ == '\n';
}

/* Skips a comment; false: there is none here. */
static bool skip_comment(struct scan *scan)
{
    const char *at = scan->at;
    if (*at == '#' || strncmp(at, "//", 2) == 0) {
        skip(scan, strcspn(at, "\n"));
        return true;
    }
    if (strncmp(at, "/*", 2) != 0)
        return false;
    const char *end = strstr(at + 2, "*/");
    skip(scan, end ? (size_t)(end + 2 - at) : strlen(at));
    return true;
}

static int scan_text(struct scan *scan, struct error *err)
{
    skip(scan, 1);
    while (*scan->at && *scan->at != '"') {
        if (strncmp(scan->at, "\\x00", 4) == 0)
            return error_set(err, ERROR_PERMANENT, EINVAL, "%s:%d: \\x00 in a string", scan->path,
                             scan->line);
        skip(scan, *scan->at == '\\' ? 2 : 1);
    }
    skip(scan, 1);
    return 0;
}

/* Compares as text: the number may be of any length. */
static bool is_above(const char *digits, size_t size, const char *limit)
{
    size_t limit_size = strlen(limit);
    return size > limit_size || (size == limit_size && memcmp(digits, limit, size) > 0);
}

static int scan_word(struct scan *scan, struct error *err)
{
    size_t size = strspn(scan->at, WORD_BYTES);
    const char *digits = scan->at + strspn(scan->at, "+-");
    digits += strspn(digits, "0");
    size_t count = strspn(digits, "0123456789");
    size_t suffix = (size_t)(scan->at + size - digits) - count;
    bool is_long = suffix > 0 && strspn(digits + count, "L") == suffix;
    const char *hint = NULL;
    if (suffix == 0 && is_above(digits, count, "2147483647"))
        hint = " for an integer without a trailing L";
    if ((suffix == 0 || is_long) && is_above(digits, count, "9223372036854775807"))
        hint = "";
    if (hint)
        return error_set(err, ERROR_PERMANENT, ERANGE, "%s:%d: %.*s is too large%s", scan->path,
                         scan->line, size > WORD_SHOWN_BYTES ? WORD_SHOWN_BYTES : (int)size,
                         scan->at, hint);
    skip(scan, size);
    return 0;
}

int config_scan(const char *path, const char *content, struct error *err)
{
    struct scan scan = {.path = path, .at = content, .line = 1};
    while (*scan.at) {
        if (skip_comment(&scan))
            continue;
        if (*scan.at == '"') {
            if (scan_text(&scan, err) < 0)
                return -1;
        } else if (*scan.at == '@') {
            return error_set(err, ERROR_PERMANENT, EINVAL, "%s:%d: @include is not accepted", path,
                             scan.line);
        } else if (strchr(WORD_BYTES, *scan.at)) {
            if (scan_word(&scan, err) < 0)
                return -1;
        } else {
            skip(&scan, 1);
        }
    }
    return 0;
}
