/* The one predicate of what may be released, and the release itself. */
#include "verifier/store/store_release.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* $1 now, $2 workers not heard since this are silent, $3 claims expired since before this are
 * released, whatever the worker reports. */
#define RELEASE_FROM                                                                               \
    " FROM transcoding_jobs j LEFT JOIN workers w ON w.worker_id = j.worker_id"                    \
    " LEFT JOIN job_epochs e ON e.job_id = j.id"                                                   \
    " WHERE j.completed_at IS NULL AND j.claimed_at IS NOT NULL AND j.claim_expires_at < $1"

/* enum store_reason; 0 where somebody holds it. That a worker is idle, or does not name the job,
 * counts only if it was said after the claim. Job 0 in held_jobs: it named its jobs at all. */
#define RELEASE_REASON                                                                             \
    " CASE WHEN w.id IS NULL THEN 1 WHEN w.status = 'disabled' THEN 2"                             \
    " WHEN COALESCE(w.last_heartbeat, w.registered_at) < $2 THEN 3"                                \
    " WHEN w.status = 'idle' AND w.last_heartbeat > j.claimed_at THEN 4"                           \
    " WHEN EXISTS (SELECT 1 FROM held_jobs k WHERE k.worker_id = w.worker_id AND k.job_id = 0"     \
    " AND k.reported_at = w.last_heartbeat AND k.reported_at > j.claimed_at)"                      \
    " AND NOT EXISTS (SELECT 1 FROM held_jobs h WHERE h.worker_id = w.worker_id"                   \
    " AND h.job_id = j.id) THEN 5"                                                                 \
    " WHEN j.claim_expires_at < $3 THEN 6 ELSE 0 END"

_Static_assert(REASON_UNKNOWN_WORKER == 1 && REASON_DISABLED_WORKER == 2 && REASON_SILENT == 3 &&
                   REASON_IDLE == 4 && REASON_NOT_NAMED == 5 && REASON_LONG_EXPIRED == 6,
               "the statement gives these numbers");

struct release_times {
    char silent_before[WALL_TEXT_BYTES], expired_before[WALL_TEXT_BYTES];
};

static struct release_times times_of(const struct store *store, const struct fleet *fleet)
{
    struct release_times times = {0};
    int64_t now_ms = fleet->now_ms, up_since_ms = fleet->up_since_ms;
    int64_t long_ms = grace_long_expired(store->settings.claim_ms, store->settings.grace_ms);
    wall_format(grace_before(now_ms, up_since_ms, store->settings.offline_ms) * 1000,
                times.silent_before);
    wall_format(grace_before(now_ms, up_since_ms, long_ms) * 1000, times.expired_before);
    return times;
}

int release_choose(struct store *store, struct db *db, const struct fleet *fleet, int64_t job_id,
                   int64_t after, struct store_candidates *candidates, struct error *err)
{
    struct release_times times = times_of(store, fleet);
    candidates->count = 0;
    DB_ROWS(rows) = db_query(db,
                             "SELECT j.id" RELEASE_FROM " AND" RELEASE_REASON " <> 0"
                             " AND ($4 = 0 OR j.id = $4) AND j.id > $5 ORDER BY j.id LIMIT $6",
                             DB_ARGS(db_text(fleet->now), db_text(times.silent_before),
                                     db_text(times.expired_before), db_int(job_id), db_int(after),
                                     db_int(SWEEP_BATCH_MAX)),
                             err);
    if (!rows)
        return -1;
    int got;
    while ((got = db_next(rows, err)) == 1 && candidates->count < SWEEP_BATCH_MAX)
        candidates->ids[candidates->count++] = db_get_int(rows, 0);
    return got < 0 ? -1 : 0;
}

const char *store_reason_name(enum store_reason reason)
{
    switch (reason) {
    case REASON_UNKNOWN_WORKER:
        return "unknown_worker";
    case REASON_DISABLED_WORKER:
        return "disabled_worker";
    case REASON_SILENT:
        return "silent";
    case REASON_IDLE:
        return "idle";
    case REASON_NOT_NAMED:
        return "not_named";
    case REASON_LONG_EXPIRED:
        return "long_expired";
    case REASON_NONE:
    case REASON_COUNT:
        break;
    }
    return "none";
}

/* heard: of the worker's last heartbeat. */
static void explain(struct store_released *released, const char *expired, const char *heard)
{
    const char *name = released->worker_name[0] ? released->worker_name : released->worker_id;
    char *detail = released->detail;
    switch (released->reason) {
    case REASON_UNKNOWN_WORKER:
        snprintf(detail, SWEEP_REASON_BYTES, "its worker is not registered");
        break;
    case REASON_DISABLED_WORKER:
        snprintf(detail, SWEEP_REASON_BYTES, "worker %s is disabled", name);
        break;
    case REASON_SILENT:
        snprintf(detail, SWEEP_REASON_BYTES, "worker %s has sent no heartbeat since %s", name,
                 heard);
        break;
    case REASON_IDLE:
        snprintf(detail, SWEEP_REASON_BYTES, "worker %s is alive and reports that it is idle",
                 name);
        break;
    case REASON_NOT_NAMED:
        snprintf(detail, SWEEP_REASON_BYTES, "worker %s is alive and does not list this job", name);
        break;
    case REASON_LONG_EXPIRED:
        snprintf(detail, SWEEP_REASON_BYTES,
                 "the claim expired %s, more than %d claim durations ago", expired,
                 GRACE_LONG_EXPIRED_DURATIONS);
        break;
    case REASON_NONE:
    case REASON_COUNT:
        detail[0] = '\0';
    }
}

int release_read(struct store *store, struct db *db, const struct fleet *fleet, int64_t job_id,
                 struct release_claim *claim, struct error *err)
{
    struct release_times times = times_of(store, fleet);
    struct store_released *released = &claim->released;
    *claim = (struct release_claim){.released.job_id = job_id};
    DB_ROWS(rows) = db_query(
        db,
        "SELECT" RELEASE_REASON ", COALESCE(e.claim_epoch, 0), j.video_id, j.worker_id,"
        " COALESCE(w.worker_name, j.processed_by_worker_name), j.claimed_at, j.claim_expires_at,"
        " COALESCE(w.last_heartbeat, w.registered_at)" RELEASE_FROM " AND j.id = $4",
        DB_ARGS(db_text(fleet->now), db_text(times.silent_before), db_text(times.expired_before),
                db_int(job_id)),
        err);
    int got = rows ? db_next(rows, err) : -1;
    if (got <= 0)
        return got;
    char expired[WALL_TEXT_BYTES], heard[WALL_TEXT_BYTES];
    released->reason = (enum store_reason)db_get_int(rows, 0);
    released->epoch = db_get_int(rows, 1);
    claim->video_id = db_get_int(rows, 2);
    db_copy_text(rows, 3, released->worker_id, sizeof released->worker_id);
    db_copy_text(rows, 4, released->worker_name, sizeof released->worker_name);
    db_copy_text(rows, 5, claim->claimed_at, sizeof claim->claimed_at);
    db_copy_text(rows, 6, expired, sizeof expired);
    db_copy_text(rows, 7, heard, sizeof heard);
    explain(released, expired, heard);
    return 0;
}

/* A row that another transaction has locked belongs to a request about the job: not released. */
static int lock_job(struct db *db, int64_t job_id, bool *locked, struct error *err)
{
    int64_t id;
    int got = db_one_int(db, &id, err,
                         "SELECT id FROM transcoding_jobs WHERE id = $1" DB_FOR_UPDATE_SKIP,
                         DB_ARGS(db_int(job_id)));
    *locked = got == 1;
    return got < 0 ? -1 : 0;
}

static int end_claim(struct db *db, const char *now, const struct release_claim *claim,
                     bool *touched, struct error *err)
{
    int64_t rows = 0;
    int done = db_run(
        db, &rows, err,
        "UPDATE transcoding_jobs SET worker_id = NULL, claimed_at = NULL,"
        " claim_expires_at = NULL, current_step = NULL,"
        " processed_by_worker_id = COALESCE(processed_by_worker_id, worker_id)"
        " WHERE id = $1 AND completed_at IS NULL AND claimed_at = $2 AND claim_expires_at < $3"
        " AND" STORE_CLAIM_EPOCH " = $4",
        DB_ARGS(db_int(claim->released.job_id), db_text(claim->claimed_at), db_text(now),
                db_int(claim->released.epoch)));
    *touched = rows == 1;
    return done;
}

static int free_videos_and_workers(struct db *db, const struct release_claim *claims, size_t count,
                                   struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (store_wait_again(db, claims[i].video_id, err) != 0)
            return -1;
    for (size_t i = 0; i < count; i++)
        if (store_leave_all(db, claims[i].released.job_id, err) != 0)
            return -1;
    return 0;
}

void sweep_add(struct store_sweep *sweep, const struct store_released *released)
{
    if (sweep->count == sweep->capacity) {
        sweep->capacity = sweep->capacity ? sweep->capacity * 2 : 16;
        sweep->released = must_realloc(sweep->released, sweep->capacity * sizeof *sweep->released);
    }
    sweep->released[sweep->count++] = *released;
}

/* All locks first; then what was chosen is read again, in a statement that sees what the locks
 * waited for; then it is written with what was read as its guards. */
static int release_locked(struct store *store, struct db *db, const struct fleet *fleet,
                          const struct store_candidates *candidates, struct release_claim *claims,
                          size_t *count, struct error *err)
{
    struct store_candidates locked = {.count = 0};
    bool yes;
    for (size_t i = 0; i < candidates->count; i++) {
        if (lock_job(db, candidates->ids[i], &yes, err) != 0)
            return -1;
        if (yes)
            locked.ids[locked.count++] = candidates->ids[i];
    }
    for (size_t i = 0; i < locked.count; i++) {
        struct release_claim *claim = &claims[*count];
        if (release_read(store, db, fleet, locked.ids[i], claim, err) != 0)
            return -1;
        if (claim->released.reason == REASON_NONE)
            continue;
        if (end_claim(db, fleet->now, claim, &yes, err) != 0)
            return -1;
        *count += yes ? 1 : 0;
    }
    return free_videos_and_workers(db, claims, *count, err);
}

int release_all(struct store *store, struct db *db, const struct fleet *fleet,
                const struct store_candidates *candidates, struct store_sweep *sweep,
                struct error *err)
{
    size_t count = 0;
    if (candidates->count == 0)
        return 0;
    struct release_claim *claims = must_calloc(candidates->count, sizeof *claims);
    int result = release_locked(store, db, fleet, candidates, claims, &count, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        sweep_add(sweep, &claims[i].released);
    free(claims);
    return result;
}
