/* store_sweep: the release of claims that no worker holds.
 *
 * The sweeper, /claim and the operator's `sweep --once` release by one predicate and one decision
 * (store_release.c, grace.c). A release charges no attempt and keeps the last holder and the epoch:
 * a late completion is accepted until another worker claims the job.
 *
 * Refuses to release anything in an unmonitored fleet (settings.monitored), in grace, and
 * in a mass silence. Chosen claims are read again under their lock before they are released. */
#ifndef VERIFIER_STORE_SWEEP_H
#define VERIFIER_STORE_SWEEP_H

#include "verifier/base/grace.h"
#include "verifier/store/store.h"

struct json;

enum {
    SWEEP_BATCH_MAX = 200,   /* claims released in one transaction */
    SWEEP_BATCHES_MAX = 100, /* of one sweep; the next one continues */
    SWEEP_ROWS_MAX = 1000,   /* of the record of sweeps */
    SWEEP_REASON_BYTES = 192,
};

enum store_reason {
    REASON_NONE, /* it is held */
    REASON_UNKNOWN_WORKER,
    REASON_DISABLED_WORKER,
    REASON_SILENT,
    REASON_IDLE,
    REASON_NOT_NAMED,
    REASON_LONG_EXPIRED,
    REASON_COUNT,
};
const char *store_reason_name(enum store_reason reason);

struct store_released {
    int64_t job_id, epoch;
    char worker_id[WORKER_ID_BYTES], worker_name[STORE_NAME_BYTES];
    enum store_reason reason;
    char detail[SWEEP_REASON_BYTES]; /* a sentence for an operator */
};

enum store_outcome {
    SWEEP_NOTHING,
    SWEEP_RELEASED,
    SWEEP_GRACE,
    SWEEP_MASS_SILENCE,
    SWEEP_UNMONITORED,
    SWEEP_LOST_LEASE,   /* another instance is the leader now */
    SWEEP_TICK_OVERDUE, /* the tick came too late to trust what it knew */
    SWEEP_OUTAGE,       /* no sweep: a gap was credited */
    SWEEP_OUTCOME_COUNT,
};
const char *store_outcome_name(enum store_outcome outcome);
const char *store_outcome_reason(enum store_outcome outcome);
bool store_sweep_succeeded(enum store_outcome outcome); /* NOTHING, RELEASED */

struct store_sweep {
    const char *instance;
    bool by_order;                   /* an operator's: takes over the lease and returns it */
    int64_t last_run_ms;             /* what Redis says; 0: nothing */
    enum store_outcome outcome;      /* out */
    char swept_at[WALL_TEXT_BYTES];  /* out */
    struct store_released *released; /* out; owned */
    size_t count, capacity;
};
struct json *store_released_json(const struct store_released *released); /* owned */

/* A whole sweep. One that succeeded is on record as the last sweep. */
int store_sweep(struct store *store, struct store_sweep *sweep, struct error *err);
/* What store_sweep would do now. Changes nothing. */
int store_sweep_preview(struct store *store, struct store_sweep *sweep, struct error *err);
void store_sweep_fini(struct store_sweep *sweep);
/* Adds a row to `sweeps` without a sweep. */
int store_note_outcome(struct store *store, const char *instance, enum store_outcome outcome,
                       struct error *err);

/* The two halves of store_sweep: a read without locks, and a transaction that checks everything
 * again. after: only IDs above this. If the list is full, there may be more. */
struct store_candidates {
    int64_t ids[SWEEP_BATCH_MAX];
    size_t count;
};
int store_sweep_choose(struct store *store, int64_t after, struct store_candidates *candidates,
                       struct error *err);
int store_sweep_release(struct store *store, const struct store_candidates *candidates,
                        struct store_sweep *sweep, struct error *err);

#endif
