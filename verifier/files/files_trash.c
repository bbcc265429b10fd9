#include "verifier/files/files_trash.h"

#include "lib/cleanup.h"
#include "lib/durable.h"
#include "lib/uuid.h"
#include "verifier/base/segment.h"
#include "verifier/base/slug.h"
#include "verifier/files/files_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int files_bin_put(struct files_bin *bin, int dir, const char *name, struct error *err)
{
    if (bin->trash < 0) {
        char name_in_trash[SLUG_BYTES + TAILSLATE_UUID_BYTES + 1], uuid[TAILSLATE_UUID_BYTES];
        uuid_make_v4(uuid);
        snprintf(name_in_trash, sizeof name_in_trash, "%.*s.%s", SLUG_BYTES - 1, bin->label, uuid);
        FD(trash) = files_open_dir(bin->root, FILES_TRASH, true, err);
        if (trash < 0)
            return -1;
        bin->trash = files_open_dir(trash, name_in_trash, true, err);
    }
    if (bin->trash < 0)
        return -1;
    return durable_move(dir, name, bin->trash, name, err);
}

int files_bin_sync(struct files_bin *bin, int dir, struct error *err)
{
    if (bin->trash < 0)
        return 0;
    return durable_sync_dir(bin->trash, err) == 0 ? durable_sync_dir(dir, err) : -1;
}

void files_bin_close(struct files_bin *bin)
{
    if (bin->trash >= 0)
        close(bin->trash);
    bin->trash = -1;
}

struct discard {
    tailslate_quality_set discarded;
    struct files_bin bin;
};

static int discard_one(void *ctx, int dir, const char *name, struct error *err)
{
    struct discard *discard = ctx;
    enum tailslate_quality quality;
    if (!segment_quality_of(name, &quality) || !(discard->discarded & 1u << quality))
        return 0;
    return files_bin_put(&discard->bin, dir, name, err);
}

int files_discard(const struct files *files, const char *slug, tailslate_quality_set discarded,
                  struct error *err)
{
    FD(video) = files_open_video(files, slug, false, err);
    if (video < 0)
        return err->code == ENOENT ? 0 : -1;
    struct discard discard = {discarded, FILES_BIN(files->videos, slug)};
    int result = files_for_each(video, discard_one, &discard, err);
    /* Once for all of them: this happens under the database's write lock. */
    if (result == 0)
        result = files_bin_sync(&discard.bin, video, err);
    files_bin_close(&discard.bin);
    return result;
}

bool files_video_exists(const struct files *files, const char *slug)
{
    return slug_is_valid(slug) && durable_exists(files->videos, slug);
}

int files_discard_video(const struct files *files, const char *slug, struct error *err)
{
    if (files_use(files, FILES_VIDEOS, err) < 0)
        return -1;
    if (!files_video_exists(files, slug))
        return 0;
    struct files_bin bin = FILES_BIN(files->videos, slug);
    int result = files_bin_put(&bin, files->videos, slug, err);
    if (result == 0)
        result = files_bin_sync(&bin, files->videos, err);
    files_bin_close(&bin);
    return result;
}

/* As files_open_beneath, and never into another mount, not even one of the same file system. */
static int open_inside(int dir, const char *name)
{
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV};
    return (int)syscall(SYS_openat2, dir, name, &how, sizeof how);
}

static int64_t ms_of(const struct timespec *at)
{
    return (int64_t)at->tv_sec * 1000 + at->tv_nsec / 1000000;
}

static int64_t newer_time(const struct stat *status)
{
    int64_t modified = ms_of(&status->st_mtim), changed = ms_of(&status->st_ctim);
    return modified > changed ? modified : changed;
}

int64_t files_own_time(int dir, const char *name)
{
    struct stat status;
    return fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? newer_time(&status) : 0;
}

struct walk {
    struct files_tree *tree;
    int depth;
};

static int inspect_one(void *ctx, int dir, const char *name, struct error *err);

static void inspect_inside(struct walk *walk, int dir, const char *name)
{
    struct error ignored;
    FD(inner) = walk->depth < FILES_DEPTH_MAX ? open_inside(dir, name) : -1;
    if (inner < 0 && walk->depth < FILES_DEPTH_MAX && errno == ENOENT)
        return; /* it has just gone */
    walk->depth++;
    if (inner < 0 || files_for_each(inner, inspect_one, walk, &ignored) != 0)
        walk->tree->is_strange = true;
    walk->depth--;
}

static int inspect_one(void *ctx, int dir, const char *name, struct error *err)
{
    struct walk *walk = ctx;
    struct stat status;
    if (walk->tree->is_strange)
        return 0;
    if (fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : error_errno(err, "cannot inspect %s", name);
    int64_t time_ms = newer_time(&status), modified_ms = ms_of(&status.st_mtim);
    if (time_ms > walk->tree->newest_ms)
        walk->tree->newest_ms = time_ms;
    if (modified_ms > walk->tree->modified_ms)
        walk->tree->modified_ms = modified_ms;
    if (++walk->tree->entries > FILES_ENTRIES_MAX)
        walk->tree->is_strange = true;
    else if (S_ISDIR(status.st_mode))
        inspect_inside(walk, dir, name);
    return 0;
}

int files_inspect(int dir, const char *name, struct files_tree *tree, struct error *err)
{
    struct walk walk = {.tree = tree};
    struct stat status;
    *tree = (struct files_tree){0};
    if (fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return error_errno(err, "cannot inspect %s", name);
    return inspect_one(&walk, dir, name, err);
}

int files_delete(int dir, const char *name, bool *gone, struct error *err)
{
    struct files_tree tree;
    *gone = false;
    if (files_inspect(dir, name, &tree, err) != 0)
        return err->code == ENOENT ? 0 : -1;
    if (tree.is_strange)
        return 0;
    if (durable_remove_tree(dir, name, err) != 0)
        return -1;
    *gone = true;
    return 0;
}
