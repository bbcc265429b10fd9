/* orphans_private: shared by orphans.c and orphans_video.c. */
#ifndef VERIFIER_ORPHANS_PRIVATE_H
#define VERIFIER_ORPHANS_PRIVATE_H

#include "verifier/files/files_trash.h"
#include "verifier/sweeper/orphans.h"

struct place {
    int area;
    char *name;
};

struct orphans {
    struct orphans_settings settings;
    int64_t now_ms;
    struct place *places; /* of this round; NULL: between rounds */
    size_t count, capacity, next;
};

bool orphans_is_old(const struct orphans *orphans, int64_t time_ms);
bool orphans_is_temp(const char *name);

/* Moves dir/name to the trash if it has not changed for trash_ms. move false: only counts it in
 * *found. */
struct orphans_move {
    struct orphans *orphans;
    struct files_bin bin;
    const char *prefix; /* of the reported path: "videos/intro" */
    bool move;
    int64_t found;
};
void orphans_consider(struct orphans_move *move, int dir, const char *name, enum orphan_kind kind);
void orphans_tell(struct orphans *orphans, enum orphan_kind kind, const char *prefix,
                  const char *name, int64_t entries);
void orphans_tell_failure(const char *prefix, const char *name, const struct error *err);

/* One directory of videos_dir. -1: the database could not be read. */
int orphans_work_video(struct orphans *orphans, const char *slug, struct error *err);

#endif
