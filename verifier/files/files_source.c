#include "verifier/files/files_source.h"

#include "lib/cleanup.h"
#include "lib/durable.h"
#include "lib/uuid.h"
#include "verifier/files/files_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

enum { SOURCE_MODE = 0640 };

static void tell(const struct files_incoming *incoming, int64_t done)
{
    if (incoming->progress)
        incoming->progress(incoming->ctx, done);
}

/* Not between these two files (a pipe, another file system): by hand. */
static int copy_by_hand(const struct files_incoming *incoming, int to, struct error *err)
{
    enum { BUFFER_BYTES = 256 * 1024 };
    TEXT(buffer) = must_malloc(BUFFER_BYTES);
    int64_t done = 0;
    ssize_t copied;
    while ((copied = read(incoming->from, buffer, BUFFER_BYTES)) != 0) {
        if (copied < 0 && errno == EINTR)
            continue;
        if (copied < 0)
            return error_errno(err, "cannot read");
        if (durable_append(to, buffer, (size_t)copied, err) != 0)
            return -1;
        done += copied;
        tell(incoming, done);
    }
    return 0;
}

static int copy_all(const struct files_incoming *incoming, int to, struct error *err)
{
    int64_t done = 0;
    ssize_t copied;
    if (ioctl(to, FICLONE, incoming->from) == 0)
        return 0;
    while ((copied = copy_file_range(incoming->from, NULL, to, NULL, FILES_COPY_STEP_BYTES, 0)) >
           0) {
        done += copied;
        tell(incoming, done);
    }
    /* Some file systems report the end at once: read(2) decides then. */
    return copied == 0 && done > 0 ? 0 : copy_by_hand(incoming, to, err);
}

/* Only the server may read a source: it may have come from a directory that others cannot read.
 * The dir's owner is the server, also where root or a member of its group copies one in. */
static int give_to_server(int uploads, int fd, struct error *err)
{
    struct stat dir;
    if (fstat(uploads, &dir) != 0)
        return error_errno(err, "uploads_dir");
    if (fchown(fd, dir.st_uid, dir.st_gid) != 0 && geteuid() != dir.st_uid &&
        fchown(fd, (uid_t)-1, dir.st_gid) != 0)
        return error_errno(err,
                           "cannot set the owner or group of the source to that of uploads_dir");
    return fchmod(fd, SOURCE_MODE) == 0 ? 0 : error_errno(err, "cannot set the mode of the source");
}

static bool is_same(const struct stat *before, const struct stat *after)
{
    return before->st_size == after->st_size && before->st_mtim.tv_sec == after->st_mtim.tv_sec &&
           before->st_mtim.tv_nsec == after->st_mtim.tv_nsec;
}

static int copy(int uploads, struct files_incoming *incoming, struct error *err)
{
    struct stat before, after, made;
    FD(to) = durable_temp(uploads, incoming->temp, err);
    if (to < 0)
        return -1;
    if (fstat(incoming->from, &before) != 0)
        return error_errno(err, "the source");
    if (copy_all(incoming, to, err) != 0)
        return -1;
    if (fstat(incoming->from, &after) != 0 || !is_same(&before, &after))
        return error_set(err, ERROR_PERMANENT, EAGAIN, "it is still being written");
    /* With `job add --remove` the copy is soon the only one. */
    if (fstat(to, &made) != 0 || made.st_size != after.st_size)
        return error_set(err, ERROR_TEMPORARY, EIO, "the copy has not the size of the source");
    return give_to_server(uploads, to, err) == 0 ? durable_sync_file(to, err) : -1;
}

/* The link shares owner and mode with the file, which stay as they are. */
static bool server_may_read(int uploads, const struct stat *file)
{
    struct stat dir;
    if (fstat(uploads, &dir) != 0)
        return false;
    if (file->st_uid == dir.st_uid)
        return file->st_mode & S_IRUSR;
    return file->st_gid == dir.st_gid ? file->st_mode & S_IRGRP : file->st_mode & S_IROTH;
}

static int link_in(int uploads, struct files_incoming *incoming, struct error *err)
{
    char opened[32], name[TAILSLATE_UUID_BYTES];
    struct stat file;
    if (fstat(incoming->from, &file) != 0)
        return error_errno(err, "the source");
    if (!server_may_read(uploads, &file))
        return error_set(err, ERROR_PERMANENT, EACCES,
                         "the owner of uploads_dir may not read it, and --link does not change "
                         "that: add it without --link, or chmod it");
    if (durable_sync_file(incoming->from, err) != 0)
        return -1;
    uuid_make_v4(name);
    snprintf(opened, sizeof opened, "/proc/self/fd/%d", incoming->from);
    snprintf(incoming->temp, sizeof incoming->temp, "%s%s", DURABLE_TEMP_PREFIX, name);
    if (linkat(AT_FDCWD, opened, uploads, incoming->temp, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    incoming->temp[0] = '\0';
    if (errno == EXDEV)
        return error_set(err, ERROR_PERMANENT, EXDEV,
                         "it is on another file system than uploads_dir: add it without --link");
    return error_errno(err, "--link");
}

int files_take_in(const struct files *files, struct files_incoming *incoming, struct error *err)
{
    incoming->temp[0] = '\0';
    int uploads = files_use(files, FILES_UPLOADS, err);
    if (uploads < 0)
        return -1;
    return incoming->link ? link_in(uploads, incoming, err) : copy(uploads, incoming, err);
}

int files_place_source(const struct files *files, const char *temp, int64_t video_id,
                       const char *extension, struct error *err)
{
    char name[FILENAME_BYTES];
    if (files_discard_source(files, video_id, err) != 0)
        return -1;
    files_name_source(video_id, extension, name);
    return durable_rename(files->uploads, temp, files->uploads, name, err);
}

void files_drop_source(const struct files *files, const char *temp)
{
    if (temp[0])
        unlinkat(files->uploads, temp, 0);
}
