/* orphans: files that belong to nothing any more go to the trash, and what lies there long enough
 * is deleted.
 *
 * Orphans are, once nothing in their tree has changed for trash_ms: temp files; staging directories
 * of archives; in the directory of a completed job, renditions that no row records and no playlist
 * names; a directory that looks like a video's, whose slug no video has, and that is not older than
 * all videos which the database knows. Deleted is only what the trash has held for trash_ms.
 *
 * Refuses to touch: a video whose job is not completed (a late completion may still need its
 * files), failed or deleted videos, sources, directories that hold anything which no transcode
 * makes, other mounts, whatever a link leads to. What is moved was looked at again under the lock
 * of its job's row.
 *
 * Ages go by the earlier of this machine's clock and the database's, so that one that runs ahead
 * makes nothing old. Fatal: nothing; what cannot be moved is logged and left. */
#ifndef VERIFIER_ORPHANS_H
#define VERIFIER_ORPHANS_H

#include "verifier/files/files.h"
#include "verifier/store/store.h"

enum {
    ORPHANS_PLACES_MAX = 200 * 1000, /* of one round */
    ORPHANS_PATH_BYTES = 640,
};

enum orphan_kind {
    ORPHAN_TEMP,
    ORPHAN_STAGING,
    ORPHAN_RENDITION,
    ORPHAN_DIRECTORY,
    ORPHAN_EXPIRED, /* in the trash, to be deleted */
};
const char *orphan_kind_name(enum orphan_kind kind);
const char *orphan_reason(enum orphan_kind kind);

struct orphan {
    enum orphan_kind kind;
    const char *path; /* "videos/film/480p" */
    int64_t entries;  /* files and directories in it */
};
typedef void orphan_found(void *ctx, const struct orphan *orphan);

struct orphans_settings {
    struct store *store;
    const struct files *files;
    int64_t trash_ms;
    bool preview;        /* say what would be done, and do nothing */
    orphan_found *found; /* or NULL; else it is logged */
    void *ctx;
    const _Atomic int64_t *ahead_ms; /* a test's way through hours; NULL = nothing */
};

struct orphans;
struct orphans *orphans_new(const struct orphans_settings *settings);
void orphans_free(struct orphans *orphans); /* NULL is fine */

/* Goes on with the round for about budget_ms. *complete: that was the last of it. -1: the database
 * could not be asked; the next call goes on where this one stopped. */
int orphans_work(struct orphans *orphans, int64_t budget_ms, bool *complete, struct error *err);

#endif
