#include "lib/durable.h"

#include "lib/cleanup.h"
#include "lib/fault.h"
#include "lib/uuid.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

enum {
    TEMP_TRIES_MAX = 16,
    TREE_DEPTH_MAX = 32,
    /* A directory that is still being filled (by a transcoder that is just dying) is read again. */
    TREE_PASSES_MAX = 8,
};

/* A name with a slash would leave the given directory. */
static int check_name(const char *name, struct error *err)
{
    if (name[0] != '\0' && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
        return 0;
    return error_set(err, ERROR_BUG, EINVAL, "not a file name: '%s'", name);
}

int durable_temp(int dir, char name[DURABLE_TEMP_BYTES], struct error *err)
{
    for (int i = 0; i < TEMP_TRIES_MAX; i++) {
        snprintf(name, DURABLE_TEMP_BYTES, DURABLE_TEMP_PREFIX "%016" PRIx64, random_u64());
        int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0)
            return fd;
        if (errno != EEXIST && errno != EINTR)
            break;
    }
    return error_errno(err, "cannot create a temp file");
}

int durable_append(int fd, const void *data, size_t size, struct error *err)
{
    const char *at = data;
    while (size > 0) {
        ssize_t written = write(fd, at, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return error_errno(err, "cannot write");
        at += written;
        size -= (size_t)written;
    }
    return 0;
}

int durable_sync_file(int fd, struct error *err)
{
    /* No second attempt, not even for EINTR: after a failure the pages may be gone, and the next
     * fsync on this descriptor would report success for bytes that are not on disk. */
    return fsync(fd) == 0 ? 0 : error_errno(err, "cannot fsync");
}

int durable_sync_dir(int dir, struct error *err)
{
    return fsync(dir) == 0 ? 0 : error_errno(err, "cannot fsync the directory");
}

/* The same two, with the name for which a test can inject an error. */
static int sync_file_of(int fd, const char *name, struct error *err)
{
    if (fault_strikes(FAULT_FSYNC, name))
        return error_errno(err, "cannot fsync");
    return durable_sync_file(fd, err);
}

static int sync_dir_of(int dir, const char *name, struct error *err)
{
    if (fault_strikes(FAULT_DIRSYNC, name))
        return error_errno(err, "%s: cannot fsync the directory", name);
    return durable_sync_dir(dir, err) == 0 ? 0 : error_wrap(err, "%s", name);
}

/* close reports errors that a network file system delayed; Linux always closes the descriptor. */
static int close_checked(int *fd, struct error *err)
{
    int result = close(steal_fd(fd));
    return result == 0 || errno == EINTR ? 0 : error_errno(err, "cannot close");
}

static int replace(int dir, const char *temp, const char *name, struct error *err)
{
    if (!fault_strikes(FAULT_RENAME, name) && renameat(dir, temp, dir, name) == 0)
        return 0;
    return error_errno(err, "cannot rename %s", temp);
}

enum permanence { LASTING, VOLATILE };

static int write_temp(int dir, const char *temp, const char *name, int *fd, const void *data,
                      size_t size, enum permanence permanence, struct error *err)
{
    if (durable_append(*fd, data, size, err) < 0)
        return -1;
    if (permanence == LASTING && sync_file_of(*fd, name, err) < 0)
        return -1;
    if (close_checked(fd, err) < 0)
        return -1;
    return replace(dir, temp, name, err);
}

static int write_whole(int dir, const char *name, const void *data, size_t size,
                       enum permanence permanence, struct error *err)
{
    if (check_name(name, err) < 0)
        return -1;
    char temp[DURABLE_TEMP_BYTES];
    FD(fd) = durable_temp(dir, temp, err);
    if (fd < 0)
        return error_wrap(err, "%s", name);
    if (write_temp(dir, temp, name, &fd, data, size, permanence, err) < 0) {
        unlinkat(dir, temp, 0);
        return error_wrap(err, "%s", name);
    }
    /* The rename is durable only once the directory itself is on disk. */
    return permanence == LASTING ? sync_dir_of(dir, name, err) : 0;
}

int durable_write(int dir, const char *name, const void *data, size_t size, struct error *err)
{
    return write_whole(dir, name, data, size, LASTING, err);
}

int durable_write_volatile(int dir, const char *name, const void *data, size_t size,
                           struct error *err)
{
    return write_whole(dir, name, data, size, VOLATILE, err);
}

int durable_publish(int dir, int fd, const char *temp, const char *name, struct error *err)
{
    if (check_name(temp, err) < 0 || check_name(name, err) < 0)
        return -1;
    if (sync_file_of(fd, name, err) < 0 || replace(dir, temp, name, err) < 0) {
        unlinkat(dir, temp, 0);
        return error_wrap(err, "%s", name);
    }
    return sync_dir_of(dir, name, err);
}

int durable_mkdir(int dir, const char *name, mode_t mode, struct error *err)
{
    struct stat status;
    if (check_name(name, err) < 0)
        return -1;
    if (mkdirat(dir, name, mode) < 0) {
        if (errno != EEXIST)
            return error_errno(err, "cannot create the directory %s", name);
        if (fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(status.st_mode))
            return error_set(err, ERROR_PERMANENT, ENOTDIR, "%s exists and is not a directory",
                             name);
    }
    /* Also if it existed: the process that created it may have died before this line. */
    return sync_dir_of(dir, name, err);
}

int durable_move(int from_dir, const char *from, int to_dir, const char *to, struct error *err)
{
    if (check_name(from, err) < 0 || check_name(to, err) < 0)
        return -1;
    if (!fault_strikes(FAULT_RENAME, to) && renameat(from_dir, from, to_dir, to) == 0)
        return 0;
    return error_errno(err, "cannot rename %s to %s", from, to);
}

int durable_rename(int from_dir, const char *from, int to_dir, const char *to, struct error *err)
{
    if (durable_move(from_dir, from, to_dir, to, err) < 0)
        return -1;
    /* The new name first: a power cut in between may leave two names, but not none. */
    if (sync_dir_of(to_dir, to, err) < 0)
        return -1;
    return from_dir == to_dir ? 0 : sync_dir_of(from_dir, from, err);
}

int durable_unlink(int dir, const char *name, struct error *err)
{
    if (check_name(name, err) < 0)
        return -1;
    if (fault_strikes(FAULT_UNLINK, name) || (unlinkat(dir, name, 0) < 0 && errno != ENOENT))
        return error_errno(err, "cannot remove %s", name);
    return sync_dir_of(dir, name, err);
}

static int remove_entry(int dir, const char *name, int depth, struct error *err);

static int remove_entries(int dir, int depth, struct error *err)
{
    /* A descriptor of its own, because fdopendir takes it over with its offset. */
    FD(list_fd) = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIRECTORY(list) = list_fd < 0 ? NULL : fdopendir(list_fd);
    if (!list)
        return error_errno(err, "cannot list");
    steal_fd(&list_fd);
    struct dirent *entry;
    while (errno = 0, (entry = readdir(list))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (remove_entry(dir, entry->d_name, depth, err) < 0)
            return -1;
    }
    return errno == 0 ? 0 : error_errno(err, "cannot list");
}

static int remove_directory(int dir, const char *name, int depth, struct error *err)
{
    if (depth >= TREE_DEPTH_MAX)
        return error_set(err, ERROR_PERMANENT, ELOOP, "%s: more than %d directories deep", name,
                         TREE_DEPTH_MAX);
    FD(inner) = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inner < 0)
        return errno == ENOENT ? 0 : error_errno(err, "cannot open %s", name);
    for (int pass = 0; pass < TREE_PASSES_MAX; pass++) {
        if (remove_entries(inner, depth + 1, err) < 0)
            return error_wrap(err, "%s", name);
        if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
            return 0;
        if (errno != ENOTEMPTY)
            break;
    }
    return error_errno(err, "cannot remove %s", name);
}

static int remove_entry(int dir, const char *name, int depth, struct error *err)
{
    /* Let the kernel tell what it is by trying to remove it: checking first would be a race, and
     * links are not followed either way. */
    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR)
        return error_errno(err, "cannot remove %s", name);
    return remove_directory(dir, name, depth, err);
}

int durable_remove_tree_volatile(int dir, const char *name, struct error *err)
{
    return check_name(name, err) < 0 ? -1 : remove_entry(dir, name, 0, err);
}

int durable_remove_tree(int dir, const char *name, struct error *err)
{
    return durable_remove_tree_volatile(dir, name, err) < 0 ? -1 : sync_dir_of(dir, name, err);
}

static int too_large(const char *name, size_t max_bytes, struct error *err)
{
    return error_set(err, ERROR_PERMANENT, EFBIG, "%s: larger than %zu bytes", name, max_bytes);
}

/* The size from fstat is a hint: what is read decides. */
static int read_to_end(int fd, const char *name, size_t hint, size_t max_bytes, char **data,
                       size_t *size, struct error *err)
{
    size_t used = 0, capacity = hint + 1;
    TEXT(buffer) = must_malloc(capacity + 1);
    for (;;) {
        ssize_t got = read(fd, buffer + used, capacity - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(err, "cannot read %s", name);
        used += (size_t)got;
        if (used > max_bytes)
            return too_large(name, max_bytes, err);
        if (got == 0)
            break;
        if (used == capacity) {
            capacity = capacity * 2 > max_bytes ? max_bytes + 1 : capacity * 2;
            buffer = must_realloc(buffer, capacity + 1);
        }
    }
    buffer[used] = '\0';
    *data = steal_text(&buffer);
    *size = used;
    return 0;
}

int durable_read(int dir, const char *name, size_t max_bytes, char **data, size_t *size,
                 struct error *err)
{
    if (check_name(name, err) < 0)
        return -1;
    /* O_NONBLOCK: a FIFO of this name must not block us. */
    FD(fd) = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno != ELOOP)
        return error_errno(err, "cannot open %s", name);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        return error_set(err, ERROR_PERMANENT, EINVAL, "%s is not a regular file", name);
    if (status.st_size > (off_t)max_bytes)
        return too_large(name, max_bytes, err);
    return read_to_end(fd, name, (size_t)status.st_size, max_bytes, data, size, err);
}

bool durable_exists(int dir, const char *name)
{
    struct stat status;
    return fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}
