/* Sweeps: the decision, the release in batches, and the record of what was done and why. */
#include "verifier/store/store_sweep.h"

#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "verifier/store/store_metrics.h"
#include "verifier/store/store_release.h"

#include <string.h>

const char *store_outcome_name(enum store_outcome outcome)
{
    static const char *const names[SWEEP_OUTCOME_COUNT] = {
        [SWEEP_NOTHING] = "nothing",
        [SWEEP_RELEASED] = "released",
        [SWEEP_GRACE] = "grace",
        [SWEEP_MASS_SILENCE] = "mass_silence",
        [SWEEP_UNMONITORED] = "unmonitored",
        [SWEEP_LOST_LEASE] = "lost_lease",
        [SWEEP_TICK_OVERDUE] = "tick_overdue",
        [SWEEP_OUTAGE] = "outage",
    };
    return names[outcome];
}

const char *store_outcome_reason(enum store_outcome outcome)
{
    switch (outcome) {
    case SWEEP_NOTHING:
        return "every claim is unexpired or still held by its worker";
    case SWEEP_RELEASED:
        return "these claims had expired and their workers no longer hold them";
    case SWEEP_GRACE:
        return grace_reason(GRACE_WAIT);
    case SWEEP_MASS_SILENCE:
        return grace_reason(GRACE_MASS_SILENCE);
    case SWEEP_UNMONITORED:
        return grace_reason(GRACE_UNMONITORED);
    case SWEEP_LOST_LEASE:
        return "another instance is the leader now";
    case SWEEP_TICK_OVERDUE:
        return "this process was stalled, and what it knew is out of date";
    case SWEEP_OUTAGE:
        return "the server was down; open claims were extended by that time";
    case SWEEP_OUTCOME_COUNT:
        break;
    }
    return NULL;
}

bool store_sweep_succeeded(enum store_outcome outcome)
{
    return outcome == SWEEP_NOTHING || outcome == SWEEP_RELEASED;
}

static enum store_outcome outcome_of(enum grace_verdict verdict)
{
    switch (verdict) {
    case GRACE_WAIT:
        return SWEEP_GRACE;
    case GRACE_MASS_SILENCE:
        return SWEEP_MASS_SILENCE;
    case GRACE_UNMONITORED:
        return SWEEP_UNMONITORED;
    case GRACE_RELEASE:
        break;
    }
    return SWEEP_NOTHING;
}

void sweep_announce(const struct store_sweep *sweep, size_t from)
{
    for (size_t i = from; i < sweep->count; i++) {
        const struct store_released *released = &sweep->released[i];
        store_metrics_release(released->reason);
        log_info("claim.released", LOG_INT("job", released->job_id),
                 LOG_INT("epoch", released->epoch), LOG_TEXT("worker", released->worker_id),
                 LOG_TEXT("reason", store_reason_name(released->reason)),
                 LOG_TEXT("detail", released->detail));
    }
}

void store_sweep_fini(struct store_sweep *sweep)
{
    free(sweep->released);
    sweep->released = NULL;
    sweep->count = sweep->capacity = 0;
}

int store_sweep_choose(struct store *store, int64_t after, struct store_candidates *candidates,
                       struct error *err)
{
    struct fleet fleet;
    TRANSACTION(tx);
    if (store_begin_reading(store, &tx, err) != 0 ||
        fleet_read(store, tx.db, false, &fleet, err) != 0)
        return -1;
    return release_choose(store, tx.db, &fleet, 0, after, candidates, err);
}

static char *released_json(const struct store_sweep *sweep, size_t from)
{
    JSON(list) = json_new_array();
    for (size_t i = from; i < sweep->count; i++)
        json_append(list, store_released_json(&sweep->released[i]));
    return json_print(list);
}

struct json *store_released_json(const struct store_released *released)
{
    struct json *item = json_new_object();
    json_set_int(item, "job", released->job_id);
    json_set_int(item, "epoch", released->epoch);
    json_set_text(item, "worker", released->worker_name);
    json_set_text(item, "worker_id", released->worker_id);
    json_set_text(item, "reason", store_reason_name(released->reason));
    json_set_text(item, "detail", released->detail);
    return item;
}

static bool leads(const struct fleet *fleet, const struct store_sweep *sweep)
{
    return sweep->by_order || (strcmp(fleet->leader, sweep->instance) == 0 &&
                               grace_lease_holds(fleet->now_ms, fleet->leader_until_ms));
}

/* An operator's order takes the lead for as long as it works. */
static int write_sweep(struct db *db, const struct fleet *fleet, const struct store_sweep *sweep,
                       bool is_last, struct error *err)
{
    char until[WALL_TEXT_BYTES];
    fleet_time(fleet->now_ms + GRACE_LEASE_MS, until);
    if (sweep->by_order &&
        db_run(db, NULL, err, "UPDATE fleet SET leader = $1, leader_until = $2 WHERE id = 1",
               DB_ARGS(db_text(sweep->instance), db_text(until))) != 0)
        return -1;
    return !is_last ? 0
                    : db_run(db, NULL, err, "UPDATE fleet SET last_sweep_at = $1 WHERE id = 1",
                             DB_ARGS(db_text(fleet->now)));
}

int sweep_record(struct db *db, const char *now, const char *instance, enum store_outcome outcome,
                 int64_t count, const char *released, struct error *err)
{
    int64_t newest = 0;
    /* An unchanged state updates its row, so that it does not push out older events. */
    if (count == 0 && outcome != SWEEP_OUTAGE &&
        db_one_int(db, &newest, err,
                   "UPDATE sweeps SET swept_at = $1, instance = $2"
                   " WHERE id = (SELECT MAX(id) FROM sweeps) AND outcome = $3"
                   " AND released_count = 0 RETURNING id",
                   DB_ARGS(db_text(now), db_text(instance), db_text(store_outcome_name(outcome)))) <
            0)
        return -1;
    if (newest != 0)
        return 0;
    if (db_run(db, NULL, err,
               "INSERT INTO sweeps (swept_at, instance, outcome, released_count, released)"
               " VALUES ($1, $2, $3, $4, $5)",
               DB_ARGS(db_text(now), db_text(instance), db_text(store_outcome_name(outcome)),
                       db_int(count), db_text(released))) != 0)
        return -1;
    return db_run(db, NULL, err, "DELETE FROM sweeps WHERE id <= (SELECT MAX(id) FROM sweeps) - $1",
                  DB_ARGS(db_int(SWEEP_ROWS_MAX)));
}

int store_note_outcome(struct store *store, const char *instance, enum store_outcome outcome,
                       struct error *err)
{
    char now[WALL_TEXT_BYTES];
    TRANSACTION(tx);
    if (store_begin(store, &tx, err) != 0 || store_now(store, tx.db, now, err) != 0 ||
        sweep_record(tx.db, now, instance, outcome, 0, "[]", err) != 0)
        return -1;
    return store_commit(&tx, err);
}

static int write_batch(struct store *store, struct db *db, const struct fleet *fleet,
                       const struct store_candidates *candidates, struct store_sweep *sweep,
                       struct error *err)
{
    size_t from = sweep->count; /* what this transaction adds begins here */
    if (release_all(store, db, fleet, candidates, sweep, err) != 0 ||
        write_sweep(db, fleet, sweep, candidates->count < SWEEP_BATCH_MAX, err) != 0)
        return -1;
    TEXT(list) = released_json(sweep, from);
    sweep->outcome = sweep->count > 0 ? SWEEP_RELEASED : SWEEP_NOTHING;
    enum store_outcome batch = sweep->count > from ? SWEEP_RELEASED : SWEEP_NOTHING;
    return sweep_record(db, fleet->now, sweep->instance, batch, (int64_t)(sweep->count - from),
                        list, err);
}

static int release_batch(struct store *store, const struct store_candidates *candidates,
                         struct store_sweep *sweep, struct error *err)
{
    struct fleet fleet;
    enum grace_verdict verdict;
    TRANSACTION(tx);
    if (store_begin(store, &tx, err) != 0 || fleet_read(store, tx.db, true, &fleet, err) != 0)
        return -1;
    memcpy(sweep->swept_at, fleet.now, sizeof sweep->swept_at);
    sweep->outcome = SWEEP_LOST_LEASE;
    if (!leads(&fleet, sweep))
        return 0;
    if (fleet_judge(store, tx.db, &fleet, sweep->last_run_ms, true, &verdict, err) != 0)
        return -1;
    sweep->outcome = outcome_of(verdict);
    if (verdict != GRACE_RELEASE && sweep->by_order)
        return 0;
    if ((verdict == GRACE_RELEASE
             ? write_batch(store, tx.db, &fleet, candidates, sweep, err)
             : sweep_record(tx.db, fleet.now, sweep->instance, sweep->outcome, 0, "[]", err)) != 0)
        return -1;
    return store_commit(&tx, err);
}

int store_sweep_release(struct store *store, const struct store_candidates *candidates,
                        struct store_sweep *sweep, struct error *err)
{
    size_t from = sweep->count;
    if (release_batch(store, candidates, sweep, err) != 0) {
        sweep->count = from;
        return -1;
    }
    /* Only what is committed is announced. */
    sweep_announce(sweep, from);
    return 0;
}

static int sweep_all(struct store *store, struct store_sweep *sweep, struct error *err)
{
    struct store_candidates candidates;
    int64_t after = 0;
    for (int i = 0; i < SWEEP_BATCHES_MAX; i++) {
        if (store_sweep_choose(store, after, &candidates, err) != 0 ||
            store_sweep_release(store, &candidates, sweep, err) != 0)
            return -1;
        if (!store_sweep_succeeded(sweep->outcome) || candidates.count < SWEEP_BATCH_MAX)
            break;
        after = candidates.ids[candidates.count - 1];
    }
    return 0;
}

int store_sweep(struct store *store, struct store_sweep *sweep, struct error *err)
{
    struct error ignored; /* a lease that was not released expires by itself */
    int result = sweep_all(store, sweep, err);
    if (sweep->by_order)
        store_resign(store, sweep->instance, &ignored);
    if (result == 0)
        store_metrics_sweep(sweep->outcome);
    return result;
}

int store_sweep_preview(struct store *store, struct store_sweep *sweep, struct error *err)
{
    struct store_candidates candidates;
    struct fleet fleet;
    enum grace_verdict verdict;
    TRANSACTION(tx);
    if (store_begin_reading(store, &tx, err) != 0 ||
        fleet_read(store, tx.db, false, &fleet, err) != 0 ||
        fleet_judge(store, tx.db, &fleet, sweep->last_run_ms, false, &verdict, err) != 0 ||
        release_choose(store, tx.db, &fleet, 0, 0, &candidates, err) != 0)
        return -1;
    memcpy(sweep->swept_at, fleet.now, sizeof sweep->swept_at);
    sweep->outcome = outcome_of(verdict);
    if (verdict != GRACE_RELEASE)
        return 0;
    for (size_t i = 0; i < candidates.count; i++) {
        struct release_claim claim;
        if (release_read(store, tx.db, &fleet, candidates.ids[i], &claim, err) != 0)
            return -1;
        if (claim.released.reason != REASON_NONE)
            sweep_add(sweep, &claim.released);
    }
    sweep->outcome = sweep->count > 0 ? SWEEP_RELEASED : SWEEP_NOTHING;
    return 0;
}
