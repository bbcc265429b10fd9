#include "verifier/cli/key_file.h"

#include "lib/cleanup.h"
#include "lib/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The directory that the path names, and the name in it. */
static int open_folder_of(const char *path, const char **name, struct error *err)
{
    const char *slash = strrchr(path, '/');
    TEXT(parent) = slash == path ? must_strdup("/")
                   : slash       ? must_printf("%.*s", (int)(slash - path), path)
                                 : must_strdup(".");
    *name = slash ? slash + 1 : path;
    int dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir < 0 ? error_errno(err, "--key-file %s", path) : dir;
}

int key_file_probe(const char *path, struct error *err)
{
    const char *name;
    struct stat status;
    FD(dir) = open_folder_of(path, &name, err);
    if (dir < 0)
        return -1;
    if (faccessat(dir, ".", W_OK | X_OK, AT_EACCESS) != 0)
        return error_errno(err, "--key-file %s", path);
    if (fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : error_errno(err, "--key-file %s", path);
    if (!S_ISREG(status.st_mode) || status.st_size > 0)
        return error_set(err, ERROR_PERMANENT, EEXIST,
                         "--key-file %s already exists: remove it or name another file", path);
    return 0;
}

int key_file_write(const char *path, const char *key, struct error *err)
{
    const char *name;
    FD(dir) = open_folder_of(path, &name, err);
    if (dir < 0)
        return -1;
    TEXT(line) = must_printf("%s\n", key);
    int result = durable_write(dir, name, line, strlen(line), err);
    explicit_bzero(line, strlen(line));
    return result == 0 ? 0 : error_wrap(err, "--key-file");
}

void key_file_say(int64_t id, const char *key, const char *path)
{
    printf("%lld\n", (long long)id);
    if (!path)
        printf("%s\n", key);
}
