/* Orphans in the directory of a video, or that directory itself. */
#include "base/playlist.h"
#include "lib/cleanup.h"
#include "lib/durable.h"
#include "verifier/base/segment.h"
#include "verifier/store/store_cleanup.h"
#include "verifier/sweeper/orphans_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct video_work {
    struct orphans *orphans;
    const char *slug;
    bool move;
    int64_t found;
    /* Used only while its entries are inspected. */
    tailslate_quality_set kept;
    struct orphans_move entries;
    bool is_foreign;
    int64_t ours;
};

static bool is_directory(int dir, const char *name)
{
    struct stat status;
    return fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
}

/* ---- a completed video: renditions without a row or playlist ---- */

/* "480p/", "480p.m3u8", "480p_0001.ts"; in doubt, a match. */
static bool names_quality(const char *text, enum tailslate_quality quality)
{
    const char *name = tailslate_quality_name(quality), *at = text;
    size_t length = strlen(name);
    while ((at = strstr(at, name))) {
        at += length;
        if (*at == '/' || *at == '.' || *at == '_')
            return true;
    }
    return false;
}

/* All, if a playlist exists and cannot be read. */
static tailslate_quality_set named_by(int video, const char *playlist)
{
    TEXT(text) = NULL;
    size_t size;
    struct error err;
    tailslate_quality_set named = 0;
    if (durable_read(video, playlist, PLAYLIST_MAX_BYTES, &text, &size, &err) != 0)
        return err.code == ENOENT ? 0 : (1u << TAILSLATE_QUALITY_COUNT) - 1;
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++)
        if (names_quality(text, quality))
            named |= 1u << quality;
    return named;
}

static int consider_temp(void *ctx, int dir, const char *name, struct error *err)
{
    struct video_work *work = ctx;
    (void)err;
    if (orphans_is_temp(name))
        orphans_consider(&work->entries, dir, name, ORPHAN_TEMP);
    return 0;
}

static int consider_entry(void *ctx, int dir, const char *name, struct error *err)
{
    struct video_work *work = ctx;
    enum tailslate_quality quality;
    if (!segment_quality_of(name, &quality))
        return consider_temp(work, dir, name, err);
    if (!(work->kept & 1u << quality)) {
        orphans_consider(&work->entries, dir, name, ORPHAN_RENDITION);
        return 0;
    }
    FD(inner) = is_directory(dir, name) ? files_open_dir(dir, name, false, err) : -1;
    return inner < 0 ? 0 : files_for_each(inner, consider_temp, work, err);
}

/* Without any recorded rendition the files may be the only copy. */
static void inspect_settled(struct video_work *work, const struct store_video_dir *dir)
{
    const struct files *files = work->orphans->settings.files;
    char prefix[ORPHANS_PATH_BYTES];
    struct error err;
    if (dir->recorded == 0)
        return;
    FD(video) = files_open_video(files, work->slug, false, &err);
    if (video < 0)
        return orphans_tell_failure("videos", work->slug, &err);
    snprintf(prefix, sizeof prefix, "videos/%s", work->slug);
    work->kept = dir->recorded | named_by(video, "master.m3u8") | named_by(video, "manifest.mpd");
    work->entries = (struct orphans_move){.orphans = work->orphans,
                                          .bin = FILES_BIN(files->videos, work->slug),
                                          .prefix = prefix,
                                          .move = work->move};
    if (files_for_each(video, consider_entry, work, &err) != 0)
        orphans_tell_failure("videos", work->slug, &err);
    files_bin_close(&work->entries.bin);
    work->found = work->entries.found;
}

/* ---- a directory that no video has ---- */

static int check_segment(void *ctx, int dir, const char *name, struct error *err)
{
    struct video_work *work = ctx;
    (void)dir, (void)err;
    if (orphans_is_temp(name) || segment_kind_of(name) != SEGMENT_REFUSED)
        work->ours++;
    else
        work->is_foreign = true;
    return 0;
}

static int check_entry(void *ctx, int dir, const char *name, struct error *err)
{
    struct video_work *work = ctx;
    enum tailslate_quality quality;
    if (!orphans_is_temp(name) && !segment_quality_of(name, &quality) && !segment_is_of_all(name))
        work->is_foreign = true;
    else if (!is_directory(dir, name))
        work->ours++;
    else {
        FD(inner) = files_open_dir(dir, name, false, err);
        return inner < 0 ? -1 : files_for_each(inner, check_segment, work, err);
    }
    return 0;
}

/* It has output and nothing else: an operator's own directory must not be moved. */
static bool looks_like_ours(struct video_work *work)
{
    struct error err;
    FD(video) = files_open_video(work->orphans->settings.files, work->slug, false, &err);
    work->is_foreign = false;
    work->ours = 0;
    if (video < 0 || files_for_each(video, check_entry, work, &err) != 0)
        return false;
    return work->ours > 0 && !work->is_foreign;
}

/* A directory older than every video in the database may be from an earlier database. */
static bool is_of_its_time(const struct video_work *work, const struct store_video_dir *dir)
{
    struct files_tree tree;
    struct error ignored;
    return dir->since_ms != 0 &&
           files_inspect(work->orphans->settings.files->videos, work->slug, &tree, &ignored) == 0 &&
           tree.modified_ms >= dir->since_ms;
}

static void inspect_unknown(struct video_work *work, const struct store_video_dir *dir)
{
    int videos = work->orphans->settings.files->videos;
    struct orphans_move move = {.orphans = work->orphans,
                                .bin = FILES_BIN(videos, work->slug),
                                .prefix = "videos",
                                .move = work->move};
    if (!looks_like_ours(work) || !is_of_its_time(work, dir))
        return;
    orphans_consider(&move, videos, work->slug, ORPHAN_DIRECTORY);
    files_bin_close(&move.bin);
    work->found = move.found;
}

static int look(void *ctx, const struct store_video_dir *dir, struct error *err)
{
    struct video_work *work = ctx;
    (void)err;
    work->found = 0;
    if (!dir->known)
        inspect_unknown(work, dir);
    else if (dir->settled)
        inspect_settled(work, dir);
    return 0;
}

int orphans_work_video(struct orphans *orphans, const char *slug, struct error *err)
{
    struct video_work work = {.orphans = orphans, .slug = slug};
    struct store *store = orphans->settings.store;
    if (!is_directory(orphans->settings.files->videos, slug))
        return 0;
    /* First without a lock; if there is anything, again with one. */
    if (store_with_video_dir(store, slug, true, look, &work, err) != 0)
        return -1;
    if (work.found == 0 || orphans->settings.preview)
        return 0;
    work.move = true;
    return store_with_video_dir(store, slug, false, look, &work, err);
}
