#include "files.h"

#include "segment.h"
#include "slug.h"

#include "tailslate/cleanup.h"
#include "tailslate/durable.h"
#include "tailslate/uuid.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define TRASH ".trash"
enum { FOLDER_MODE = 0755, FILE_MODE = 0644 };

static const char *const extensions[] = {"mp4", "mkv", "mov", "avi", "webm", "m4v"};
enum { EXTENSION_COUNT = sizeof extensions / sizeof extensions[0] };

int files_open_beneath(int dir, const char *name, int flags)
{
    struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    return (int)syscall(SYS_openat2, dir, name, &how, sizeof how);
}

int files_open(const char *uploads_dir, const char *videos_dir, struct files *files,
               struct error *err)
{
    FD(uploads) = open(uploads_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (uploads < 0)
        return error_errno(err, "files.uploads_dir %s", uploads_dir);
    FD(videos) = open(videos_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (videos < 0)
        return error_errno(err, "files.videos_dir %s", videos_dir);
    if (faccessat(uploads, ".", W_OK | X_OK, AT_EACCESS) != 0)
        return error_errno(err, "files.uploads_dir %s cannot be written", uploads_dir);
    if (faccessat(videos, ".", W_OK | X_OK, AT_EACCESS) != 0)
        return error_errno(err, "files.videos_dir %s cannot be written", videos_dir);
    files->uploads = steal_fd(&uploads);
    files->videos = steal_fd(&videos);
    return 0;
}

void files_close(struct files *files)
{
    close(files->uploads);
    close(files->videos);
}

const char *files_source_extension(const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    for (size_t i = 0; dot && i < EXTENSION_COUNT; i++)
        if (strcasecmp(dot + 1, extensions[i]) == 0)
            return extensions[i];
    return NULL;
}

static void name_source(int64_t video_id, const char *extension, char name[FILENAME_BYTES])
{
    snprintf(name, FILENAME_BYTES, "%lld.%s", (long long)video_id, extension);
}

int files_open_source(const struct files *files, int64_t video_id, struct error *err)
{
    char name[FILENAME_BYTES];
    for (size_t i = 0; i < EXTENSION_COUNT; i++) {
        name_source(video_id, extensions[i], name);
        int fd = files_open_beneath(files->uploads, name, O_RDONLY | O_NONBLOCK);
        if (fd >= 0)
            return fd;
        if (errno != ENOENT)
            return error_errno(err, "source %s", name);
    }
    return error_set(err, ERROR_PERMANENT, ENOENT, "video %lld has no source", (long long)video_id);
}

void files_source_name(const struct files *files, int64_t video_id, char name[FILENAME_BYTES])
{
    for (size_t i = 0; i < EXTENSION_COUNT; i++) {
        name_source(video_id, extensions[i], name);
        if (durable_exists(files->uploads, name))
            return;
    }
    name[0] = '\0';
}

static int copy_all(int from, int to, struct error *err)
{
    enum { STEP_BYTES = 8 << 20, BUFFER_BYTES = 256 * 1024 };
    ssize_t copied;
    while ((copied = copy_file_range(from, NULL, to, NULL, STEP_BYTES, 0)) > 0)
        ;
    if (copied == 0)
        return 0;
    /* Not between these two files (a pipe, another file system): by hand. */
    TEXT(buffer) = must_malloc(BUFFER_BYTES);
    while ((copied = read(from, buffer, BUFFER_BYTES)) != 0) {
        if (copied < 0 && errno == EINTR)
            continue;
        if (copied < 0)
            return error_errno(err, "cannot read");
        if (durable_append(to, buffer, (size_t)copied, err) != 0)
            return -1;
    }
    return 0;
}

int files_copy_source(const struct files *files, int from, char temp[64], struct error *err)
{
    temp[0] = '\0';
    FD(to) = durable_temp(files->uploads, temp, err);
    if (to < 0)
        return -1;
    if (copy_all(from, to, err) != 0)
        return -1;
    if (fchmod(to, FILE_MODE) != 0)
        return error_errno(err, "cannot set the mode of the source");
    return durable_sync_file(to, err);
}

int files_place_source(const struct files *files, const char *temp, int64_t video_id,
                       const char *extension, struct error *err)
{
    char name[FILENAME_BYTES];
    /* Left by an add that died between its rename and its commit; the number was given again. */
    for (size_t i = 0; i < EXTENSION_COUNT; i++) {
        name_source(video_id, extensions[i], name);
        if (durable_unlink(files->uploads, name, err) != 0)
            return -1;
    }
    name_source(video_id, extension, name);
    return durable_rename(files->uploads, temp, files->uploads, name, err);
}

void files_drop_source(const struct files *files, const char *temp)
{
    if (temp[0])
        unlinkat(files->uploads, temp, 0);
}

static int make_folder(int dir, const char *name, struct error *err)
{
    return durable_mkdir(dir, name, FOLDER_MODE, err);
}

static int open_folder(int dir, const char *name, bool make, struct error *err)
{
    int fd = files_open_beneath(dir, name, O_RDONLY | O_DIRECTORY);
    if (fd < 0 && errno == ENOENT && make) {
        if (make_folder(dir, name, err) != 0)
            return -1;
        fd = files_open_beneath(dir, name, O_RDONLY | O_DIRECTORY);
    }
    return fd < 0 ? error_errno(err, "folder %s", name) : fd;
}

int files_open_video(const struct files *files, const char *slug, bool make, struct error *err)
{
    if (!slug_is_valid(slug))
        return error_set(err, ERROR_PERMANENT, EINVAL, "the slug %s names no folder", slug);
    return open_folder(files->videos, slug, make, err);
}

int files_open_quality(const struct files *files, const char *slug, enum quality quality, bool make,
                       struct error *err)
{
    FD(video) = files_open_video(files, slug, make, err);
    return video < 0 ? -1 : open_folder(video, quality_name(quality), make, err);
}

int files_open_home(const struct files *files, const char *slug, enum quality quality,
                    const char *filename, bool make, struct error *err)
{
    return segment_is_flat(quality, filename) ? files_open_video(files, slug, make, err)
                                              : files_open_quality(files, slug, quality, make, err);
}

/* A trash folder of its own for one discard, so that names never meet. */
static int open_trash(const struct files *files, const char *slug, struct error *err)
{
    char name[SLUG_BYTES + UUID_BYTES + 1], uuid[UUID_BYTES];
    uuid_make_v4(uuid);
    snprintf(name, sizeof name, "%s.%s", slug, uuid);
    FD(trash) = open_folder(files->videos, TRASH, true, err);
    return trash < 0 ? -1 : open_folder(trash, name, true, err);
}

struct discard {
    const struct files *files;
    const char *slug;
    int video, trash; /* trash: made when the first thing goes there */
};

static int discard_one(struct discard *discard, const char *name, struct error *err)
{
    if (discard->trash < 0)
        discard->trash = open_trash(discard->files, discard->slug, err);
    if (discard->trash < 0)
        return -1;
    return durable_move(discard->video, name, discard->trash, name, err);
}

static bool is_of(quality_set discarded, const char *name)
{
    for (enum quality quality = 0; quality < QUALITY_COUNT; quality++)
        if ((discarded & 1u << quality) &&
            (strcmp(name, quality_name(quality)) == 0 || segment_is_flat(quality, name)))
            return true;
    return false;
}

static int discard_all(struct discard *discard, quality_set discarded, struct error *err)
{
    int copy = files_open_beneath(discard->video, ".", O_RDONLY | O_DIRECTORY);
    DIRECTORY(dir) = copy < 0 ? NULL : fdopendir(copy);
    if (!dir)
        return error_errno(err, "cannot list %s", discard->slug);
    struct dirent *entry;
    while ((entry = readdir(dir)))
        if (is_of(discarded, entry->d_name) && discard_one(discard, entry->d_name, err) != 0)
            return -1;
    /* Once for all of them: this happens under the database's write lock. */
    if (discard->trash >= 0 && durable_sync_dir(discard->trash, err) != 0)
        return -1;
    return discard->trash >= 0 ? durable_sync_dir(discard->video, err) : 0;
}

int files_discard(const struct files *files, const char *slug, quality_set discarded,
                  struct error *err)
{
    struct error not_there;
    FD(video) = files_open_video(files, slug, false, &not_there);
    if (video < 0 && not_there.code == ENOENT)
        return 0;
    if (video < 0) {
        *err = not_there;
        return -1;
    }
    struct discard discard = {.files = files, .slug = slug, .video = video, .trash = -1};
    int result = discard_all(&discard, discarded, err);
    if (discard.trash >= 0)
        close(discard.trash);
    return result;
}
