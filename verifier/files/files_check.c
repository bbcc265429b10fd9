/* Checks whether a rendition is complete on disk. */
#include "verifier/files/files_check.h"

#include "base/playlist.h"
#include "lib/cleanup.h"
#include "lib/durable.h"
#include "verifier/base/segment.h"
#include "verifier/files/files_watch.h"

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
    int trouble; /* errno of a file that could not be checked; 0 */
};

/* A worker that is told that a file is missing may abandon its work, so only an error that proves
 * it counts. */
static void note_trouble(struct check *check, int code)
{
    switch (code) {
    case 0: /* it is empty, or no file */
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case EXDEV:
    case EINVAL:
    case EFBIG:
    case EBADF: /* not even the video has a directory */
        return;
    default:
        check->trouble = code;
    }
}

static bool is_there(struct check *check, int dir, const char *name)
{
    errno = 0;
    if (files_is_there(dir, name))
        return true;
    note_trouble(check, errno);
    return false;
}

static void report(const struct check *check, const char *name)
{
    char path[SEGMENT_NAME_MAX + 16];
    snprintf(path, sizeof path, "%s%s", check->prefix, name);
    check->absent(path, check->ctx);
}

static void check_segment(struct check *check, const char *name)
{
    if (!segment_is_media(segment_kind_of(name)) || !is_there(check, check->home, name))
        report(check, name);
}

static void check_playlist(struct check *check, const char *name)
{
    TEXT(text) = NULL;
    size_t size;
    struct playlist list;
    struct error err;
    if (durable_read(check->home, name, PLAYLIST_MAX_BYTES, &text, &size, &err) != 0) {
        note_trouble(check, err.code);
        return report(check, name);
    }
    if (playlist_parse(text, size, &list, &err) != 0)
        return report(check, name);
    /* Not the files that it lists: what it needs beside them is not here. */
    if (list.count == 0 || !list.self_contained)
        report(check, name);
    if (list.init)
        check_segment(check, list.init);
    for (size_t i = 0; i < list.count; i++)
        check_segment(check, list.segments[i].name);
    playlist_fini(&list);
}

/* Single audio tracks: audio_0.m3u8 and so on, beside the rendition's own playlist. A master
 * playlist may name any of them. */
static int check_further(void *ctx, int dir, const char *name, struct error *err)
{
    size_t size = strlen(name);
    (void)dir, (void)err;
    if (strncmp(name, "audio_", 6) == 0 && size > 5 && strcmp(name + size - 5, ".m3u8") == 0)
        check_playlist(ctx, name);
    return 0;
}

static bool check_quality(int video_dir, enum tailslate_quality quality, struct check *check)
{
    char flat[32];
    snprintf(flat, sizeof flat, "%s.m3u8", tailslate_quality_name(quality));
    FD(dir) = files_open_beneath(video_dir, tailslate_quality_name(quality),
                                 O_RDONLY | O_DIRECTORY);
    note_trouble(check, dir < 0 ? errno : 0);

    if (dir < 0 || (!is_there(check, dir, "stream.m3u8") && is_there(check, video_dir, flat))) {
        check->home = video_dir;
        check->prefix = "";
        if (dir < 0 && !is_there(check, video_dir, flat))
            report(check, tailslate_quality_name(quality));
        else
            check_playlist(check, flat);
        return false;
    }
    check->home = dir;
    check_segment(check, "init.mp4");
    check_playlist(check, "stream.m3u8");
    /* The video alone: byte ranges of the same segments. */
    if (files_is_there(dir, "video.m3u8"))
        check_segment(check, "video_init.mp4");
    struct error err;
    if (files_for_each(dir, check_further, check, &err) != 0)
        note_trouble(check, err.code);
    return true;
}

int files_check_quality(int video_dir, enum tailslate_quality quality, files_absent *absent,
                        void *ctx, bool *cmaf, struct error *err)
{
    char prefix[16];
    snprintf(prefix, sizeof prefix, "%s/", tailslate_quality_name(quality));
    struct check check = {.home = video_dir, .prefix = prefix, .absent = absent, .ctx = ctx};
    *cmaf = check_quality(video_dir, quality, &check);
    errno = check.trouble;
    return errno ? error_errno(err, "cannot inspect %s", tailslate_quality_name(quality)) : 0;
}

static void count_absent(const char *path, void *ctx)
{
    (void)path;
    ++*(int *)ctx;
}

static int find_missing(const struct files *files, const char *slug, tailslate_quality_set named,
                        tailslate_quality_set *missing, struct error *err)
{
    FD(video) = files_open_video(files, slug, false, err);
    *missing = named;
    if (video < 0)
        return err->code == ENOENT ? 0 : -1;
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++) {
        int absent = 0;
        bool cmaf;
        if (!(named & 1u << quality))
            continue;
        if (files_check_quality(video, quality, count_absent, &absent, &cmaf, err) != 0)
            return -1;
        if (absent == 0)
            *missing &= ~(1u << quality);
    }
    return 0;
}

/* A worker that is told so uploads again, or fails: it is said of the right directory only. */
int files_missing(const struct files *files, const char *slug, tailslate_quality_set named,
                  tailslate_quality_set *missing, struct error *err)
{
    if (find_missing(files, slug, named, missing, err) != 0)
        return -1;
    return *missing ? files_recheck(files, FILES_VIDEOS, err) : 0;
}
