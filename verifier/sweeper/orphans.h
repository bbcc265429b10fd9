/* orphans: moves output that no job accounts for to the trash, and deletes what has been there for
 * trash_ms.
 *
 * An orphan is, if nothing in its tree has changed for trash_ms: a temporary file; the staging
 * directory of an archive; in the directory of a completed job, a rendition that no row records and
 * no playlist names; a directory that looks like a video's, whose slug no video has, and that is
 * newer than the oldest video in the database.
 *
 * Never touches a video whose job is not completed (a late completion may still need its files),
 * failed or deleted videos, sources, directories with anything that a transcode does not make,
 * other mounts, or the target of a link. Before a move it checks again, under the lock of the job's
 * row.
 *
 * Ages are by the earlier of this machine's clock and the database's, so that a fast clock makes
 * nothing old. Fatal: nothing; what cannot be moved is logged and left. */
#ifndef VERIFIER_ORPHANS_H
#define VERIFIER_ORPHANS_H

#include "verifier/files/files_watch.h"
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
    const char *path; /* "videos/intro/480p" */
    int64_t entries;  /* files and directories in it */
};
typedef void orphan_found(void *ctx, const struct orphan *orphan);

struct orphans_settings {
    struct store *store;
    const struct files *files;
    int64_t trash_ms;
    bool preview;        /* only report what would be done */
    orphan_found *found; /* NULL: log it */
    void *ctx;
    const _Atomic int64_t *ahead_ms; /* for tests: added to the clock; NULL: nothing */
};

struct orphans;
struct orphans *orphans_new(const struct orphans_settings *settings);
void orphans_free(struct orphans *orphans); /* NULL is fine */
void orphans_set_trash_ms(struct orphans *orphans, int64_t trash_ms);

/* Continues the round for about budget_ms. *complete: the round has ended. -1: the database failed;
 * the next call continues where this one stopped. */
int orphans_work(struct orphans *orphans, int64_t budget_ms, bool *complete, struct error *err);

#endif
