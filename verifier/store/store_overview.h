/* store_overview: an operator's overview: the fleet, the latest completions, what the sweeper
 * did and why. Reads only, except for the count of replays, which is a statistic. */
#ifndef VERIFIER_STORE_OVERVIEW_H
#define VERIFIER_STORE_OVERVIEW_H

#include "verifier/store/store_operator.h"

enum {
    OVERVIEW_COMPLETIONS_MAX = 20,
    OVERVIEW_SWEEPS_MAX = 5,
    OVERVIEW_OUTCOME_BYTES = 32,
    OVERVIEW_INSTANCE_BYTES = 64,
};

struct store_recent { /* a completion */
    int64_t job_id, claim_epoch, replays;
    char slug[SLUG_BYTES], title[STORE_TITLE_BYTES], token[TAILSLATE_TOKEN_BYTES],
        worker_name[STORE_NAME_BYTES];
    char committed_at[WALL_TEXT_BYTES];
    bool late;
    struct tailslate_warnings warnings;
};

struct store_swept {
    char swept_at[WALL_TEXT_BYTES];
    char instance[OVERVIEW_INSTANCE_BYTES], outcome[OVERVIEW_OUTCOME_BYTES];
    int64_t released_count;
    char *released; /* JSON, as the sweep wrote it; owned */
};

/* Times are "" where they never were. */
struct store_fleet {
    char now[WALL_TEXT_BYTES], alive_at[WALL_TEXT_BYTES], up_since[WALL_TEXT_BYTES];
    char leader[OVERVIEW_INSTANCE_BYTES], leader_until[WALL_TEXT_BYTES];
    char last_sweep_at[WALL_TEXT_BYTES], suspicious_since[WALL_TEXT_BYTES];
    char last_cleanup_at[WALL_TEXT_BYTES];
};

struct store_overview {
    struct store_fleet fleet;
    struct store_counts counts;
    struct store_recent recent[OVERVIEW_COMPLETIONS_MAX]; /* newest first */
    size_t recent_count;
    struct store_swept sweeps[OVERVIEW_SWEEPS_MAX]; /* newest first */
    size_t sweep_count;
    struct store_swept last_release; /* the newest sweep that released something */
    bool released_ever;
};
int store_overview(struct store *store, struct store_overview *overview, struct error *err);
void store_overview_fini(struct store_overview *overview);

/* Adds count replays to the completion of this claim. */
struct store_replays {
    int64_t job_id, claim_epoch, count;
};
int store_add_replays(struct store *store, const struct store_replays *replays, size_t count,
                      struct error *err);

#endif
