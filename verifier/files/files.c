#include "verifier/files/files.h"

#include "lib/cleanup.h"
#include "lib/durable.h"
#include "verifier/base/segment.h"
#include "verifier/base/slug.h"
#include "verifier/files/files_trash.h"
#include "verifier/files/files_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { DIRECTORY_MODE = 0755 };

static const char *const extensions[] = {
#define EXTENSION(extension) extension,
    FILES_EXTENSIONS(EXTENSION)
#undef EXTENSION
};
enum { EXTENSION_COUNT = sizeof extensions / sizeof extensions[0] };

int files_open_beneath(int dir, const char *name, int flags)
{
    struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    return (int)syscall(SYS_openat2, dir, name, &how, sizeof how);
}

static int open_root(const char *key, const char *path, struct error *err)
{
    FD(dir) = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0 && faccessat(dir, ".", W_OK | X_OK, AT_EACCESS) == 0)
        return steal_fd(&dir);
    error_errno(err, dir < 0 ? "files.%s %s" : "cannot write to files.%s %s", key, path);
    err->class = ERROR_TEMPORARY;
    return -1;
}

int files_open(const char *uploads_dir, const char *videos_dir, struct files *files,
               struct error *err)
{
    FD(uploads) = open_root("uploads_dir", uploads_dir, err);
    if (uploads < 0)
        return -1;
    FD(videos) = open_root("videos_dir", videos_dir, err);
    if (videos < 0)
        return -1;
    files->watch = files_watch_new(uploads_dir, videos_dir);
    files->uploads = steal_fd(&uploads);
    files->videos = steal_fd(&videos);
    return 0;
}

void files_close(struct files *files)
{
    files_watch_free(files->watch);
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

void files_name_source(int64_t video_id, const char *extension, char name[FILENAME_BYTES])
{
    snprintf(name, FILENAME_BYTES, "%lld.%s", (long long)video_id, extension);
}

int files_open_source(const struct files *files, int64_t video_id, struct error *err)
{
    char name[FILENAME_BYTES];
    int uploads = files_use(files, FILES_UPLOADS, err);
    if (uploads < 0)
        return -1;
    for (size_t i = 0; i < EXTENSION_COUNT; i++) {
        files_name_source(video_id, extensions[i], name);
        int fd = files_open_beneath(uploads, name, O_RDONLY | O_NONBLOCK);
        if (fd >= 0)
            return fd;
        if (errno != ENOENT)
            return error_errno(err, "source %s", name);
    }
    if (files_recheck(files, FILES_UPLOADS, err) != 0)
        return -1;
    return error_set(err, ERROR_PERMANENT, ENOENT, "video %lld has no source", (long long)video_id);
}

void files_source_name(const struct files *files, int64_t video_id, char name[FILENAME_BYTES])
{
    for (size_t i = 0; i < EXTENSION_COUNT; i++) {
        files_name_source(video_id, extensions[i], name);
        if (durable_exists(files->uploads, name))
            return;
    }
    name[0] = '\0';
}

/* Left by an add that died between its rename and its commit, or another database's: the number was
 * given again. */
int files_discard_source(const struct files *files, int64_t video_id, struct error *err)
{
    char name[FILENAME_BYTES];
    struct files_bin bin = FILES_BIN(files->uploads, "source");
    int result = files_use(files, FILES_UPLOADS, err) < 0 ? -1 : 0;
    for (size_t i = 0; i < EXTENSION_COUNT && result == 0; i++) {
        files_name_source(video_id, extensions[i], name);
        if (durable_exists(files->uploads, name))
            result = files_bin_put(&bin, files->uploads, name, err);
    }
    if (result == 0)
        result = files_bin_sync(&bin, files->uploads, err);
    files_bin_close(&bin);
    return result;
}

int files_open_dir(int dir, const char *name, bool make, struct error *err)
{
    int fd = files_open_beneath(dir, name, O_RDONLY | O_DIRECTORY);
    if (fd < 0 && errno == ENOENT && make) {
        if (durable_mkdir(dir, name, DIRECTORY_MODE, err) != 0)
            return -1;
        fd = files_open_beneath(dir, name, O_RDONLY | O_DIRECTORY);
    }
    return fd < 0 ? error_errno(err, "directory %s", name) : fd;
}

int files_open_video(const struct files *files, const char *slug, bool make, struct error *err)
{
    if (!slug_is_valid(slug))
        return error_set(err, ERROR_PERMANENT, EINVAL, "the slug %s is not a valid directory name",
                         slug);
    int videos = files_use(files, FILES_VIDEOS, err);
    return videos < 0 ? -1 : files_open_dir(videos, slug, make, err);
}

int files_open_quality(const struct files *files, const char *slug, enum tailslate_quality quality,
                       bool make, struct error *err)
{
    FD(video) = files_open_video(files, slug, make, err);
    return video < 0 ? -1 : files_open_dir(video, tailslate_quality_name(quality), make, err);
}

int files_open_home(const struct files *files, const char *slug, enum tailslate_quality quality,
                    const char *filename, bool make, struct error *err)
{
    return segment_is_flat(quality, filename) ? files_open_video(files, slug, make, err)
                                              : files_open_quality(files, slug, quality, make, err);
}

int files_for_each(int dir, files_entry *each, void *ctx, struct error *err)
{
    FD(copy) = files_open_beneath(dir, ".", O_RDONLY | O_DIRECTORY);
    DIRECTORY(list) = copy < 0 ? NULL : fdopendir(copy);
    if (!list)
        return error_errno(err, "cannot list a directory");
    steal_fd(&copy); /* it is the list's now */
    struct dirent *entry;
    while (errno = 0, (entry = readdir(list))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (each(ctx, dir, entry->d_name, err) != 0)
            return -1;
    }
    /* An error is not the end of the directory: what was not read may be what matters. */
    return errno == 0 ? 0 : error_errno(err, "cannot list a directory");
}
