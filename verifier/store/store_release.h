/* store_release: what /claim and the sweeper share: the fleet's row, the decision whether anything
 * may be released now, and the one predicate of what. For files of the store only.
 *
 * Lock order: the fleet's row, then all jobs by ascending id, then their videos, then workers. */
#ifndef VERIFIER_STORE_RELEASE_H
#define VERIFIER_STORE_RELEASE_H

#include "lib/uuid.h"
#include "verifier/store/store_private.h"
#include "verifier/store/store_sweep.h"

struct fleet {
    char now[WALL_TEXT_BYTES], alive_at[WALL_TEXT_BYTES];
    char leader[TAILSLATE_UUID_BYTES];
    /* 0: never */
    int64_t now_ms, alive_at_ms, up_since_ms, leader_until_ms;
    int64_t last_sweep_ms, suspicious_since_ms, last_cleanup_ms;
};
/* hold: lock the row until the (writing) transaction ends. Without settings.monitored no sweeper
 * updates the row: the server side is then this process, up since its store was opened. */
int fleet_read(struct store *store, struct db *db, bool hold, struct fleet *fleet,
               struct error *err);
/* may_write: a changed suspicion is written into the row, which is held. */
int fleet_judge(struct store *store, struct db *db, const struct fleet *fleet, int64_t last_run_ms,
                bool may_write, enum grace_verdict *verdict, struct error *err);
/* 0 for NULL and what is not a time. */
int64_t fleet_ms(const char *text);
/* "" for 0. */
void fleet_time(int64_t ms, char text[WALL_TEXT_BYTES]);

/* Claims that have expired and that no worker holds, by ascending id above `after`; job_id 0: any.
 */
int release_choose(struct store *store, struct db *db, const struct fleet *fleet, int64_t job_id,
                   int64_t after, struct store_candidates *candidates, struct error *err);
/* Reads one claim again; reason NONE: it is held, or no longer a claim. */
struct release_claim {
    struct store_released released;
    int64_t video_id;
    char claimed_at[WALL_TEXT_BYTES];
};
int release_read(struct store *store, struct db *db, const struct fleet *fleet, int64_t job_id,
                 struct release_claim *claim, struct error *err);
/* Releases those of the candidates for which all still holds, and adds them to the sweep. */
int release_all(struct store *store, struct db *db, const struct fleet *fleet,
                const struct store_candidates *candidates, struct store_sweep *sweep,
                struct error *err);

void sweep_add(struct store_sweep *sweep, const struct store_released *released);
/* Says of each release from `from` on that it is committed: the log's line and the counter. */
void sweep_announce(const struct store_sweep *sweep, size_t from);
/* One row in the record of sweeps; where nothing was released and the newest row says the same,
 * that row is updated instead. released: JSON. */
int sweep_record(struct db *db, const char *now, const char *instance, enum store_outcome outcome,
                 int64_t count, const char *released, struct error *err);

#endif
