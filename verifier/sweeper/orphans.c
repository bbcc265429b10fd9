#include "verifier/sweeper/orphans.h"

#include "base/clock.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/durable.h"
#include "verifier/base/slug.h"
#include "verifier/store/store_cleanup.h"
#include "verifier/store/store_metrics.h"
#include "verifier/sweeper/orphans_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

const char *orphan_kind_name(enum orphan_kind kind)
{
    switch (kind) {
    case ORPHAN_TEMP:
        return "temp";
    case ORPHAN_STAGING:
        return "staging";
    case ORPHAN_RENDITION:
        return "rendition";
    case ORPHAN_DIRECTORY:
        return "directory";
    case ORPHAN_EXPIRED:
        return "expired";
    }
    return NULL;
}

const char *orphan_reason(enum orphan_kind kind)
{
    switch (kind) {
    case ORPHAN_TEMP:
        return "an unfinished temporary file";
    case ORPHAN_STAGING:
        return "an unfinished archive";
    case ORPHAN_RENDITION:
        return "the completed video has no such rendition on record, and no playlist names it";
    case ORPHAN_DIRECTORY:
        return "no video has this slug";
    case ORPHAN_EXPIRED:
        return "it was in the trash for sweeper.trash_hours";
    }
    return NULL;
}

bool orphans_is_old(const struct orphans *orphans, int64_t time_ms)
{
    return time_ms != 0 && orphans->now_ms - time_ms >= orphans->settings.trash_ms;
}

bool orphans_is_temp(const char *name)
{
    return strncmp(name, DURABLE_TEMP_PREFIX, strlen(DURABLE_TEMP_PREFIX)) == 0;
}

void orphans_tell(struct orphans *orphans, enum orphan_kind kind, const char *prefix,
                  const char *name, int64_t entries)
{
    char path[ORPHANS_PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", prefix, name);
    if (orphans->settings.found)
        orphans->settings.found(orphans->settings.ctx, &(struct orphan){kind, path, entries});
    if (orphans->settings.preview)
        return;
    store_metrics_orphans(kind != ORPHAN_EXPIRED);
    log_info(kind == ORPHAN_EXPIRED ? "orphan.deleted" : "orphan.trashed", LOG_TEXT("path", path),
             LOG_TEXT("kind", orphan_kind_name(kind)), LOG_INT("entries", entries),
             LOG_TEXT("reason", orphan_reason(kind)));
}

void orphans_tell_failure(const char *prefix, const char *name, const struct error *err)
{
    if (err->code == ENOENT)
        return; /* another verifier moved it */
    char path[ORPHANS_PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", prefix, name);
    log_warning("orphan.not_removed", LOG_TEXT("path", path), LOG_TEXT("error", err->message));
}

static int put(struct orphans_move *move, int dir, const char *name, struct error *err)
{
    if (files_bin_put(&move->bin, dir, name, err) != 0)
        return -1;
    return files_bin_sync(&move->bin, dir, err);
}

void orphans_consider(struct orphans_move *move, int dir, const char *name, enum orphan_kind kind)
{
    struct files_tree tree;
    struct error err;
    if (files_inspect(dir, name, &tree, &err) != 0)
        return orphans_tell_failure(move->prefix, name, &err);
    if (tree.is_strange || !orphans_is_old(move->orphans, tree.newest_ms))
        return;
    move->found++;
    if (move->move && put(move, dir, name, &err) != 0)
        return orphans_tell_failure(move->prefix, name, &err);
    if (move->move || move->orphans->settings.preview)
        orphans_tell(move->orphans, kind, move->prefix, name, tree.entries);
}

/* ---- areas: the directories that a cleanup reads ---- */

enum area { UPLOADS, UPLOADS_TRASH, STAGING, VIDEOS, VIDEOS_TRASH, AREA_COUNT };

static const struct {
    const char *dir, *prefix; /* dir: below its root; NULL: the root itself */
} areas[AREA_COUNT] = {
    [UPLOADS] = {NULL, "uploads"},
    [UPLOADS_TRASH] = {FILES_TRASH, "uploads/" FILES_TRASH},
    [STAGING] = {FILES_STAGING, "videos/" FILES_STAGING},
    [VIDEOS] = {NULL, "videos"},
    [VIDEOS_TRASH] = {FILES_TRASH, "videos/" FILES_TRASH},
};

static int root_of(const struct orphans *orphans, enum area area)
{
    const struct files *files = orphans->settings.files;
    return area == UPLOADS || area == UPLOADS_TRASH ? files->uploads : files->videos;
}

static int open_area(const struct orphans *orphans, enum area area, struct error *err)
{
    const char *dir = areas[area].dir ? areas[area].dir : ".";
    return files_open_dir(root_of(orphans, area), dir, false, err);
}

struct listing {
    struct orphans *orphans;
    enum area area;
};

/* In uploads_dir only temporary files count, in videos_dir only what may be a slug. */
static bool is_of_interest(enum area area, const char *name)
{
    switch (area) {
    case UPLOADS:
        return orphans_is_temp(name);
    case VIDEOS:
        return slug_is_valid(name);
    case UPLOADS_TRASH:
    case STAGING:
    case VIDEOS_TRASH:
    case AREA_COUNT:
        break;
    }
    return true;
}

static int add_place(void *ctx, int dir, const char *name, struct error *err)
{
    struct listing *listing = ctx;
    struct orphans *orphans = listing->orphans;
    (void)dir, (void)err;
    if (orphans->count == ORPHANS_PLACES_MAX || !is_of_interest(listing->area, name))
        return 0;
    if (orphans->count == orphans->capacity) {
        orphans->capacity = orphans->capacity ? orphans->capacity * 2 : 64;
        orphans->places = must_realloc(orphans->places,
                                       orphans->capacity * sizeof *orphans->places);
    }
    orphans->places[orphans->count++] = (struct place){(int)listing->area, must_strdup(name)};
    return 0;
}

static void end_round(struct orphans *orphans)
{
    for (size_t i = 0; i < orphans->count; i++)
        free(orphans->places[i].name);
    free(orphans->places);
    orphans->places = NULL;
    orphans->count = orphans->capacity = orphans->next = 0;
}

/* All names are read first, so that a round does not find in the trash what it has moved there. */
static void begin_round(struct orphans *orphans)
{
    for (enum area area = 0; area < AREA_COUNT; area++) {
        struct listing listing = {orphans, area};
        struct error err;
        FD(dir) = open_area(orphans, area, &err);
        if (dir < 0 || files_for_each(dir, add_place, &listing, &err) != 0)
            orphans_tell_failure(areas[area].prefix, "", &err);
    }
    if (orphans->count == ORPHANS_PLACES_MAX)
        log_warning("orphan.too_many", LOG_INT("max", ORPHANS_PLACES_MAX));
}

static void work_loose(struct orphans *orphans, enum area area, int dir, const char *name)
{
    struct orphans_move move = {.orphans = orphans,
                                .bin = FILES_BIN(root_of(orphans, area), "temp"),
                                .prefix = areas[area].prefix,
                                .move = !orphans->settings.preview};
    orphans_consider(&move, dir, name, area == STAGING ? ORPHAN_STAGING : ORPHAN_TEMP);
    files_bin_close(&move.bin);
}

/* By the time of the entry itself: a move keeps the times of what is inside. */
static void work_trash(struct orphans *orphans, enum area area, int dir, const char *name)
{
    struct error err;
    bool gone = true;
    if (!orphans_is_old(orphans, files_own_time(dir, name)))
        return;
    if (!orphans->settings.preview && files_delete(dir, name, &gone, &err) != 0)
        return orphans_tell_failure(areas[area].prefix, name, &err);
    if (gone)
        orphans_tell(orphans, ORPHAN_EXPIRED, areas[area].prefix, name, 1);
}

static int work_place(struct orphans *orphans, const struct place *place, struct error *err)
{
    enum area area = (enum area)place->area;
    struct error not_there;
    if (area == VIDEOS)
        return orphans_work_video(orphans, place->name, err);
    FD(dir) = open_area(orphans, area, &not_there);
    if (dir < 0)
        orphans_tell_failure(areas[area].prefix, place->name, &not_there);
    else if (area == UPLOADS_TRASH || area == VIDEOS_TRASH)
        work_trash(orphans, area, dir, place->name);
    else
        work_loose(orphans, area, dir, place->name);
    return 0;
}

static int read_clocks(struct orphans *orphans, struct error *err)
{
    const _Atomic int64_t *ahead_ms = orphans->settings.ahead_ms;
    int64_t here_ms = wall_us() / 1000 + (ahead_ms ? *ahead_ms : 0);
    if (store_clock(orphans->settings.store, &orphans->now_ms, err) != 0)
        return -1;
    if (here_ms < orphans->now_ms)
        orphans->now_ms = here_ms;
    return 0;
}

struct orphans *orphans_new(const struct orphans_settings *settings)
{
    struct orphans *orphans = must_calloc(1, sizeof *orphans);
    orphans->settings = *settings;
    return orphans;
}

void orphans_free(struct orphans *orphans)
{
    if (orphans)
        end_round(orphans);
    free(orphans);
}

void orphans_set_trash_ms(struct orphans *orphans, int64_t trash_ms)
{
    orphans->settings.trash_ms = trash_ms;
}

int orphans_work(struct orphans *orphans, int64_t budget_ms, bool *complete, struct error *err)
{
    int64_t until_ms = mono_ms() + budget_ms;
    *complete = false;
    /* Another directory's files would all be orphans. */
    if (files_use(orphans->settings.files, FILES_UPLOADS, err) < 0 ||
        files_use(orphans->settings.files, FILES_VIDEOS, err) < 0)
        return -1;
    if (read_clocks(orphans, err) != 0)
        return -1;
    if (!orphans->places)
        begin_round(orphans);
    for (; orphans->next < orphans->count; orphans->next++) {
        if (mono_ms() >= until_ms)
            return 0;
        if (work_place(orphans, &orphans->places[orphans->next], err) != 0)
            return -1;
    }
    end_round(orphans);
    *complete = true;
    return 0;
}
