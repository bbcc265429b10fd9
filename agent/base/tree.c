#include "agent/base/tree.h"

#include "lib/cleanup.h"
#include "lib/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Return -1 to stop. fd is the file's or directory's own descriptor. */
typedef int tree_visit(int fd, const struct stat *status, void *ctx, struct error *err);

DIR *tree_list(int directory)
{
    /* A descriptor of its own, because fdopendir takes it over with its offset. */
    FD(copy) = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    if (list)
        steal_fd(&copy);
    return list;
}

struct dirent *tree_next(DIR *list)
{
    struct dirent *entry;
    while (errno = 0, (entry = readdir(list)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            break;
    return entry;
}

static int walk(int directory, int depth, tree_visit *visit, void *ctx, struct error *err);

static int walk_entry(int directory, const char *name, int depth, tree_visit *visit, void *ctx,
                      struct error *err)
{
    struct stat status;
    FD(fd) = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0; /* renamed meanwhile: a transcoder may be running */
    if (fd < 0 || fstat(fd, &status) < 0)
        return error_errno(err, "%s", name);
    if (S_ISDIR(status.st_mode))
        return walk(fd, depth + 1, visit, ctx, err);
    return visit(fd, &status, ctx, err) < 0 ? error_wrap(err, "%s", name) : 0;
}

static int walk(int directory, int depth, tree_visit *visit, void *ctx, struct error *err)
{
    struct stat status;
    if (depth > TREE_DEPTH_MAX)
        return error_set(err, ERROR_PERMANENT, 0, "more than %d directories deep", TREE_DEPTH_MAX);
    DIRECTORY(list) = tree_list(directory);
    if (!list)
        return error_errno(err, "cannot read a directory");
    struct dirent *entry;
    while ((entry = tree_next(list)))
        if (walk_entry(directory, entry->d_name, depth, visit, ctx, err) < 0)
            return -1;
    if (fstat(directory, &status) < 0)
        return error_errno(err, "cannot read a directory");
    return visit(directory, &status, ctx, err);
}

static void add_size(struct tree_size *size, const struct stat *status)
{
    int64_t modified = (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec;
    size->files++;
    if (S_ISREG(status->st_mode))
        size->bytes += status->st_size;
    if (modified > size->newest_ns)
        size->newest_ns = modified;
}

/* Opens no file: `status` measures thousands of records. */
static void measure(int directory, int depth, struct tree_size *size)
{
    struct stat status;
    struct dirent *entry;
    DIRECTORY(list) = depth > TREE_DEPTH_MAX ? NULL : tree_list(directory);
    while (list && (entry = tree_next(list))) {
        if (fstatat(directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
            continue; /* renamed meanwhile: a transcoder may be running */
        add_size(size, &status);
        FD(below) = S_ISDIR(status.st_mode)
                        ? openat(directory, entry->d_name,
                                 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                        : -1;
        if (below >= 0)
            measure(below, depth + 1, size);
    }
}

void tree_measure(int directory, struct tree_size *size)
{
    struct stat status;
    *size = (struct tree_size){0};
    measure(directory, 0, size);
    if (fstat(directory, &status) == 0)
        add_size(size, &status);
}

static int sync_one(int fd, const struct stat *status, void *ctx, struct error *err)
{
    (void)ctx;
    if (S_ISDIR(status->st_mode))
        return durable_sync_dir(fd, err);
    if (S_ISREG(status->st_mode))
        return durable_sync_file(fd, err);
    return error_set(err, ERROR_PERMANENT, 0, "is neither a file nor a directory");
}

int tree_sync(int directory, struct error *err)
{
    return walk(directory, 0, sync_one, NULL, err);
}

static int remove_some(int dir, const char *name, int depth, unsigned *budget, struct error *err);

static int empty_some(int dir, int depth, unsigned *budget, struct error *err)
{
    DIRECTORY(list) = tree_list(dir);
    if (!list)
        return error_errno(err, "cannot read a directory");
    struct dirent *entry;
    while (*budget > 0 && (entry = tree_next(list)))
        if (remove_some(dir, entry->d_name, depth, budget, err) < 0)
            return -1;
    return 0;
}

static int remove_some(int dir, const char *name, int depth, unsigned *budget, struct error *err)
{
    if (depth > TREE_DEPTH_MAX)
        return error_set(err, ERROR_PERMANENT, 0, "more than %d directories deep", TREE_DEPTH_MAX);
    FD(fd) = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && empty_some(fd, depth + 1, budget, err) < 0)
        return -1;
    if (*budget == 0)
        return 0;
    (*budget)--;
    if (unlinkat(dir, name, fd >= 0 ? AT_REMOVEDIR : 0) < 0 && errno != ENOENT)
        return error_errno(err, "cannot remove %s", name);
    return 0;
}

int tree_remove_some(int dir, const char *name, unsigned *budget, struct error *err)
{
    return remove_some(dir, name, 0, budget, err);
}
