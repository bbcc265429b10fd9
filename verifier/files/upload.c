#include "verifier/files/upload.h"

#include "base/archive.h"
#include "base/playlist.h"
#include "lib/cleanup.h"
#include "lib/uuid.h"
#include "verifier/files/files_trash.h"
#include "verifier/files/files_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MODE = 0644, TAR_FILES_MAX = 100 * 1000 };
static const int64_t TAR_UNPACKED_MAX_BYTES = (int64_t)64 << 30;
/* Media hardly compress: an archive that expands by more than this is a bomb. */
enum { TAR_RATIO_MAX = 20 };
static const int64_t TAR_FREE_BYTES = (int64_t)64 << 20; /* whatever its ratio */

int segment_upload_begin(const struct files *files, const char *slug,
                         enum tailslate_quality quality, const char *filename,
                         struct segment_upload *upload, struct error *err)
{
    *upload = (struct segment_upload){.dir = -1, .fd = -1};
    upload->kind = segment_kind_of(filename);
    must(upload->kind != SEGMENT_REFUSED);
    snprintf(upload->filename, sizeof upload->filename, "%s", filename);
    upload->dir = files_open_home(files, slug, quality, filename, true, err);
    if (upload->dir < 0)
        return -1;
    upload->fd = durable_temp(upload->dir, upload->temp, err);
    if (upload->fd < 0) {
        upload->temp[0] = '\0';
        return -1;
    }
    return fchmod(upload->fd, FILE_MODE) == 0 ? 0 : error_errno(err, "%s", filename);
}

static bool file_fits(int fd, enum segment_kind kind, int64_t size)
{
    unsigned char head[SEGMENT_HEAD_BYTES];
    if (kind == SEGMENT_TEXT) {
        if (size <= 0 || size > PLAYLIST_MAX_BYTES)
            return false;
        TEXT(text) = must_malloc((size_t)size);
        return pread(fd, text, (size_t)size, 0) == size && segment_is_text(text, (size_t)size);
    }
    ssize_t got = pread(fd, head, sizeof head, 0);
    return got > 0 && segment_head_fits(kind, head, (size_t)got);
}

bool segment_upload_fits(const struct segment_upload *upload, int64_t size)
{
    return file_fits(upload->fd, upload->kind, size);
}

bool segment_upload_is_there(const struct segment_upload *upload, const char *sha256, int64_t size)
{
    struct stat status;
    char hex[HASH_HEX_BYTES];
    struct error ignored;
    FD(fd) = files_open_beneath(upload->dir, upload->filename, O_RDONLY | O_NONBLOCK);
    return fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
           status.st_size == size && hash_file(fd, hex, NULL, &ignored) == 0 &&
           strcmp(hex, sha256) == 0;
}

int segment_upload_sync(struct segment_upload *upload, struct error *err)
{
    return durable_sync_file(upload->fd, err);
}

int segment_upload_confirm(const struct segment_upload *upload, struct error *err)
{
    return durable_sync_dir(upload->dir, err);
}

int segment_upload_publish(struct segment_upload *upload, struct error *err)
{
    char temp[DURABLE_TEMP_BYTES];
    memcpy(temp, upload->temp, sizeof temp);
    upload->temp[0] = '\0'; /* gone either way */
    return durable_publish(upload->dir, upload->fd, temp, upload->filename, err);
}

void segment_upload_end(struct segment_upload *upload)
{
    if (upload->temp[0])
        unlinkat(upload->dir, upload->temp, 0);
    if (upload->fd >= 0)
        close(upload->fd);
    if (upload->dir >= 0)
        close(upload->dir);
}

int tar_upload_begin(const struct files *files, const char *slug, struct tar_upload *upload,
                     struct error *err)
{
    char temp[DURABLE_TEMP_BYTES];
    *upload = (struct tar_upload){
        .files = files, .fd = -1, .staging_root = -1, .staging = -1, .inner = -1};
    snprintf(upload->slug, sizeof upload->slug, "%s", slug);
    int videos = files_use(files, FILES_VIDEOS, err);
    if (videos < 0 || durable_mkdir(videos, FILES_STAGING, 0700, err) != 0)
        return -1;
    upload->staging_root = files_open_beneath(videos, FILES_STAGING, O_RDONLY | O_DIRECTORY);
    if (upload->staging_root < 0)
        return error_errno(err, FILES_STAGING);
    upload->fd = durable_temp(upload->staging_root, temp, err);
    if (upload->fd < 0)
        return -1;
    /* Without a name, so that nothing is left behind if the process dies. */
    return unlinkat(upload->staging_root, temp, 0) == 0 ? 0 : error_errno(err, "%s", temp);
}

static int refuse_path(const char *path, struct error *err)
{
    return error_set(err, ERROR_PERMANENT, EINVAL, "the archive contains %s, which is not allowed",
                     path);
}

static int open_inner(struct tar_upload *upload, struct error *err)
{
    const char *name = tailslate_quality_name(upload->quality);
    if (upload->inner >= 0)
        return 0;
    if (durable_mkdir(upload->staging, name, 0755, err) != 0)
        return -1;
    upload->inner = files_open_beneath(upload->staging, name, O_RDONLY | O_DIRECTORY);
    return upload->inner < 0 ? error_errno(err, "%s", name) : 0;
}

/* In which staging directory, and under which name, does a file of the archive go? */
static int home_of(struct tar_upload *upload, const char *path, const char **name,
                   struct error *err)
{
    const char *slash = strchr(path, '/');
    *name = path;
    if (upload->is_final)
        return segment_is_of_all(path) ? upload->staging : refuse_path(path, err);
    if (!slash)
        return segment_kind_of(path) == SEGMENT_CAPTIONS ||
                       (segment_is_flat(upload->quality, path) &&
                        segment_kind_of(path) != SEGMENT_REFUSED)
                   ? upload->staging
                   : refuse_path(path, err);
    const char *quality = tailslate_quality_name(upload->quality);
    *name = slash + 1;
    if (strncmp(path, quality, strlen(quality)) != 0 || path + strlen(quality) != slash ||
        segment_kind_of(*name) == SEGMENT_REFUSED)
        return refuse_path(path, err);
    return open_inner(upload, err) == 0 ? upload->inner : -1;
}

static int place(const char *path, void *ctx, struct error *err)
{
    struct tar_upload *upload = ctx;
    const char *name;
    int dir = home_of(upload, path, &name, err);
    if (dir < 0)
        return -1;
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return error_set(err, ERROR_PERMANENT, EINVAL, "the archive contains %s twice", path);
    if (fd < 0)
        return error_errno(err, "%s", path);
    if (fchmod(fd, FILE_MODE) != 0) {
        error_errno(err, "%s", path);
        close(fd);
        return -1;
    }
    upload->count++;
    return fd;
}

static bool is_jpeg(int fd)
{
    unsigned char head[2];
    return pread(fd, head, sizeof head, 0) == sizeof head && head[0] == 0xFF && head[1] == 0xD8;
}

static int check_file(int dir, const char *name, struct error *err)
{
    struct stat status;
    FD(fd) = files_open_beneath(dir, name, O_RDONLY);
    if (fd < 0 || fstat(fd, &status) != 0)
        return error_errno(err, "%s", name);
    enum segment_kind kind = segment_kind_of(name);
    bool fits = kind == SEGMENT_REFUSED ? is_jpeg(fd) : file_fits(fd, kind, status.st_size);
    if (!fits)
        return error_set(err, ERROR_PERMANENT, EINVAL,
                         "%s: the content does not match the extension", name);
    return 0;
}

static bool is_file(int dir, const char *name)
{
    struct stat status;
    return fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode);
}

static int check_one(void *ctx, int dir, const char *name, struct error *err)
{
    (void)ctx;
    return is_file(dir, name) ? check_file(dir, name, err) : 0;
}

static int64_t unpacked_max(int64_t archive_bytes)
{
    if (archive_bytes > TAR_UNPACKED_MAX_BYTES / TAR_RATIO_MAX)
        return TAR_UNPACKED_MAX_BYTES;
    int64_t by_ratio = archive_bytes * TAR_RATIO_MAX;
    return by_ratio > TAR_FREE_BYTES ? by_ratio : TAR_FREE_BYTES;
}

int tar_upload_unpack(struct tar_upload *upload, struct error *err)
{
    struct stat archive;
    if (fstat(upload->fd, &archive) != 0)
        return error_errno(err, "archive");
    struct archive_limits limits = {.max_bytes = unpacked_max(archive.st_size),
                                    .max_files = TAR_FILES_MAX};
    uuid_make_v4(upload->staging_name);
    if (durable_mkdir(upload->staging_root, upload->staging_name, 0700, err) != 0)
        return -1;
    upload->staging = files_open_beneath(upload->staging_root, upload->staging_name,
                                         O_RDONLY | O_DIRECTORY);
    if (upload->staging < 0)
        return error_errno(err, "%s", upload->staging_name);
    if (lseek(upload->fd, 0, SEEK_SET) != 0)
        return error_errno(err, "archive");
    if (archive_unpack(upload->fd, limits, place, upload, err) != 0)
        return -1;
    if (upload->count == 0)
        return error_set(err, ERROR_PERMANENT, EINVAL, "the archive contains no files");
    if (files_for_each(upload->staging, check_one, upload, err) != 0 ||
        (upload->inner >= 0 && files_for_each(upload->inner, check_one, upload, err) != 0))
        return -1;
    return upload->inner < 0 ? 0 : durable_sync_dir(upload->inner, err);
}

static int move_one(void *ctx, int dir, const char *name, struct error *err)
{
    struct tar_upload *upload = ctx;
    return is_file(dir, name) ? durable_move(dir, name, upload->video, name, err) : 0;
}

/* What lies flat; on the disk once for all of it: this happens under the database's write lock. */
static int move_flat(struct tar_upload *upload, int video, struct error *err)
{
    upload->video = video;
    if (files_for_each(upload->staging, move_one, upload, err) != 0 ||
        durable_sync_dir(video, err) != 0)
        return -1;
    return durable_sync_dir(upload->staging, err);
}

int tar_upload_publish(struct tar_upload *upload, struct error *err)
{
    const char *quality = tailslate_quality_name(upload->quality);
    FD(video) = files_open_video(upload->files, upload->slug, true, err);
    if (video < 0)
        return -1;
    if (!upload->is_final &&
        files_discard(upload->files, upload->slug, 1u << upload->quality, err) != 0)
        return -1;
    if (upload->inner >= 0 && durable_rename(upload->staging, quality, video, quality, err) != 0)
        return -1;
    return move_flat(upload, video, err);
}

void tar_upload_end(struct tar_upload *upload)
{
    struct error ignored;
    int fds[] = {upload->fd, upload->inner, upload->staging};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (upload->staging >= 0)
        durable_remove_tree(upload->staging_root, upload->staging_name, &ignored);
    if (upload->staging_root >= 0)
        close(upload->staging_root);
}
