#include "verifier/store/store_overview.h"

#include "verifier/store/store_private.h"

#include <stdlib.h>
#include <string.h>

#define COPY(rows, column, field) db_copy_text(rows, column, field, sizeof(field))

static int read_fleet(struct store *store, struct db *db, struct store_fleet *fleet,
                      struct error *err)
{
    if (store_now(store, db, fleet->now, err) != 0)
        return -1;
    DB_ROWS(rows) = db_query(db,
                             "SELECT alive_at, up_since, leader, leader_until, last_sweep_at,"
                             " suspicious_since, last_cleanup_at FROM fleet WHERE id = 1",
                             DB_NO_ARGS, err);
    int got = rows ? db_next(rows, err) : -1;
    if (got <= 0)
        return got;
    COPY(rows, 0, fleet->alive_at);
    COPY(rows, 1, fleet->up_since);
    COPY(rows, 2, fleet->leader);
    COPY(rows, 3, fleet->leader_until);
    COPY(rows, 4, fleet->last_sweep_at);
    COPY(rows, 5, fleet->suspicious_since);
    COPY(rows, 6, fleet->last_cleanup_at);
    return 0;
}

static int read_recent(struct db *db, struct store_overview *overview, struct error *err)
{
    DB_ROWS(rows) = db_query(
        db,
        "SELECT c.job_id, c.claim_epoch, c.replays, v.slug, c.token,"
        " COALESCE(w.worker_name, c.worker_id), c.committed_at, c.response, v.title, c.warnings"
        " FROM completions c"
        " JOIN transcoding_jobs j ON j.id = c.job_id JOIN videos v ON v.id = j.video_id"
        " LEFT JOIN workers w ON w.worker_id = c.worker_id ORDER BY c.committed_at DESC LIMIT $1",
        DB_ARGS(db_int(OVERVIEW_COMPLETIONS_MAX)), err);
    if (!rows)
        return -1;
    int got;
    while ((got = db_next(rows, err)) == 1 && overview->recent_count < OVERVIEW_COMPLETIONS_MAX) {
        struct store_recent *recent = &overview->recent[overview->recent_count++];
        recent->job_id = db_get_int(rows, 0);
        recent->claim_epoch = db_get_int(rows, 1);
        recent->replays = db_get_int(rows, 2);
        COPY(rows, 3, recent->slug);
        COPY(rows, 4, recent->token);
        COPY(rows, 5, recent->worker_name);
        COPY(rows, 6, recent->committed_at);
        recent->late = store_response_late(db_get_text(rows, 7));
        COPY(rows, 8, recent->title);
        store_parse_warnings(db_get_text(rows, 9), &recent->warnings);
    }
    return got < 0 ? -1 : 0;
}

#define SWEEP_COLUMNS "SELECT swept_at, instance, outcome, released_count, released FROM sweeps"

static void sweep_from_row(struct db_rows *rows, struct store_swept *sweep)
{
    const char *released = db_get_text(rows, 4);
    COPY(rows, 0, sweep->swept_at);
    COPY(rows, 1, sweep->instance);
    COPY(rows, 2, sweep->outcome);
    sweep->released_count = db_get_int(rows, 3);
    sweep->released = must_strdup(released ? released : "[]");
}

static int read_sweeps(struct db *db, struct store_overview *overview, struct error *err)
{
    DB_ROWS(rows) = db_query(db, SWEEP_COLUMNS " ORDER BY id DESC LIMIT $1",
                             DB_ARGS(db_int(OVERVIEW_SWEEPS_MAX)), err);
    if (!rows)
        return -1;
    int got;
    while ((got = db_next(rows, err)) == 1 && overview->sweep_count < OVERVIEW_SWEEPS_MAX)
        sweep_from_row(rows, &overview->sweeps[overview->sweep_count++]);
    return got < 0 ? -1 : 0;
}

static int read_last_release(struct db *db, struct store_overview *overview, struct error *err)
{
    DB_ROWS(rows) = db_query(db, SWEEP_COLUMNS " WHERE released_count > 0 ORDER BY id DESC LIMIT 1",
                             DB_NO_ARGS, err);
    int got = rows ? db_next(rows, err) : -1;
    overview->released_ever = got == 1;
    if (got == 1)
        sweep_from_row(rows, &overview->last_release);
    return got < 0 ? -1 : 0;
}

static int read_overview(struct store *store, struct store_overview *overview, struct error *err)
{
    TRANSACTION(tx);
    if (store_begin_reading(store, &tx, err) != 0)
        return -1;
    struct db *db = tx.db;
    if (read_fleet(store, db, &overview->fleet, err) != 0 ||
        store_read_counts(db, &overview->counts, err) != 0 || read_recent(db, overview, err) != 0 ||
        read_sweeps(db, overview, err) != 0)
        return -1;
    return read_last_release(db, overview, err);
}

int store_overview(struct store *store, struct store_overview *overview, struct error *err)
{
    *overview = (struct store_overview){0};
    if (read_overview(store, overview, err) == 0)
        return 0;
    store_overview_fini(overview);
    return -1;
}

void store_overview_fini(struct store_overview *overview)
{
    for (size_t i = 0; i < overview->sweep_count; i++)
        free(overview->sweeps[i].released);
    free(overview->last_release.released);
    *overview = (struct store_overview){0};
}

static int add_replays(struct store *store, const struct store_replays *replays, size_t count,
                       struct error *err)
{
    struct db_steps steps = {0};
    for (size_t i = 0; i < count; i++)
        db_add_step(&steps,
                    "UPDATE completions SET replays = replays + $3 WHERE job_id = $1"
                    " AND claim_epoch = $2",
                    DB_ARGS(db_int(replays[i].job_id), db_int(replays[i].claim_epoch),
                            db_int(replays[i].count)));
    TRANSACTION(tx);
    if (store_begin_with(store, steps.all, steps.count, &tx, err) != 0)
        return -1;
    return store_commit(&tx, err);
}

int store_add_replays(struct store *store, const struct store_replays *replays, size_t count,
                      struct error *err)
{
    size_t at_once;
    for (size_t i = 0; i < count; i += at_once) {
        at_once = count - i < DB_STEPS_MAX ? count - i : DB_STEPS_MAX;
        if (add_replays(store, &replays[i], at_once, err) != 0)
            return -1;
    }
    return 0;
}
