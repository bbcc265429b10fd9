/* store_cleanup: what the removal of orphans asks the database, and leaves in it. */
#ifndef VERIFIER_STORE_CLEANUP_H
#define VERIFIER_STORE_CLEANUP_H

#include "verifier/store/store.h"

struct store_video_dir {
    bool known;   /* a video has this slug */
    bool settled; /* its job is completed, and nothing re-opens it */
    tailslate_quality_set recorded;
    int64_t since_ms; /* if not known: creation of the oldest video; 0: no videos */
};
/* Reads the video of this slug under the lock of its job's row, and calls act(ctx) while the lock
 * is held. preview: without a lock; nothing may be changed. */
typedef int store_video_dir_act(void *ctx, const struct store_video_dir *dir, struct error *err);
int store_with_video_dir(struct store *store, const char *slug, bool preview,
                         store_video_dir_act *act, void *ctx, struct error *err);
/* The store's clock in ms. */
int store_clock(struct store *store, int64_t *now_ms, struct error *err);

/* Records a complete cleanup; *noted false: another instance is the leader. */
int store_note_cleanup(struct store *store, const char *instance, char now[WALL_TEXT_BYTES],
                       bool *noted, struct error *err);

#endif
