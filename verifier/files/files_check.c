/* Is a rendition there, whole? */
#include "files.h"
#include "segment.h"

#include "tailslate/cleanup.h"
#include "tailslate/durable.h"
#include "tailslate/playlist.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

bool files_is_there(int dir, const char *name)
{
    struct stat status;
    return fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
           status.st_size > 0;
}

struct check {
    int home;           /* where the playlist and its segments are */
    const char *prefix; /* "720p/" or "" */
    files_absent *absent;
    void *ctx;
};

static void report(const struct check *check, const char *name)
{
    char path[SEGMENT_NAME_MAX + 16];
    snprintf(path, sizeof path, "%s%s", check->prefix, name);
    check->absent(path, check->ctx);
}

static void check_segment(const struct check *check, const char *name)
{
    if (!segment_is_media(segment_kind_of(name)) || !files_is_there(check->home, name))
        report(check, name);
}

static void check_playlist(const struct check *check, const char *name)
{
    TEXT(text) = NULL;
    size_t size;
    struct playlist list;
    struct error ignored;
    if (durable_read(check->home, name, PLAYLIST_MAX_BYTES, &text, &size, &ignored) != 0 ||
        playlist_parse(text, size, &list, &ignored) != 0) {
        report(check, name);
        return;
    }
    if (list.count == 0)
        report(check, name);
    if (list.init)
        check_segment(check, list.init);
    for (size_t i = 0; i < list.count; i++)
        check_segment(check, list.segments[i].name);
    playlist_fini(&list);
}

bool files_check_quality(int video_dir, enum quality quality, files_absent *absent, void *ctx)
{
    char flat[32], prefix[16];
    snprintf(flat, sizeof flat, "%s.m3u8", quality_name(quality));
    snprintf(prefix, sizeof prefix, "%s/", quality_name(quality));
    FD(folder) = files_open_beneath(video_dir, quality_name(quality), O_RDONLY | O_DIRECTORY);

    if (folder < 0 || (!files_is_there(folder, "stream.m3u8") && files_is_there(video_dir, flat))) {
        struct check check = {video_dir, "", absent, ctx};
        if (folder < 0 && !files_is_there(video_dir, flat)) {
            snprintf(prefix, sizeof prefix, "%s", quality_name(quality));
            absent(prefix, ctx);
            return false;
        }
        check_playlist(&check, flat);
        return false;
    }
    struct check check = {folder, prefix, absent, ctx};
    check_segment(&check, "init.mp4");
    check_playlist(&check, "stream.m3u8");
    return true;
}

int64_t files_count_named(int video_dir, enum quality quality, bool cmaf)
{
    char name[32];
    TEXT(text) = NULL;
    size_t size;
    struct playlist list;
    struct error ignored;
    FD(folder) = cmaf ? files_open_beneath(video_dir, quality_name(quality), O_RDONLY | O_DIRECTORY)
                      : -1;
    snprintf(name, sizeof name, "%s.m3u8", cmaf ? "stream" : quality_name(quality));
    if (durable_read(cmaf ? folder : video_dir, name, PLAYLIST_MAX_BYTES, &text, &size, &ignored) !=
            0 ||
        playlist_parse(text, size, &list, &ignored) != 0)
        return 0;
    int64_t count = (int64_t)list.count + (cmaf || list.init);
    playlist_fini(&list);
    return count;
}

static void count_absent(const char *path, void *ctx)
{
    (void)path;
    ++*(int *)ctx;
}

int files_missing(const struct files *files, const char *slug, quality_set named,
                  quality_set *missing, struct error *err)
{
    FD(video) = files_open_video(files, slug, false, err);
    *missing = named;
    if (video < 0)
        return err->code == ENOENT ? 0 : -1;
    for (enum quality quality = 0; quality < QUALITY_COUNT; quality++) {
        int absent = 0;
        if (!(named & 1u << quality))
            continue;
        files_check_quality(video, quality, count_absent, &absent);
        if (absent == 0)
            *missing &= ~(1u << quality);
    }
    return 0;
}
