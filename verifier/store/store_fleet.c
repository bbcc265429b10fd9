/* The fleet's row: since when the server side is up, who leads it, and what an outage costs. */
#include "verifier/store/store_fleet.h"

#include "lib/cleanup.h"
#include "lib/json.h"
#include "verifier/store/store_release.h"

#include <string.h>

int64_t fleet_ms(const char *text)
{
    int64_t us;
    return text && wall_parse(text, &us) ? us / 1000 : 0;
}

void fleet_time(int64_t ms, char text[WALL_TEXT_BYTES])
{
    text[0] = '\0';
    if (ms != 0)
        wall_format(ms * 1000, text);
}

static struct db_value time_or_null(const char *text)
{
    return db_text(text[0] ? text : NULL);
}

#define FLEET                                                                                      \
    "SELECT alive_at, up_since, leader, leader_until, last_sweep_at, suspicious_since,"            \
    " last_cleanup_at FROM fleet WHERE id = 1"

static int read_row(struct db *db, bool hold, struct fleet *fleet, struct error *err)
{
    *fleet = (struct fleet){0};
    DB_ROWS(rows) = db_query(db, hold ? FLEET DB_FOR_UPDATE : FLEET, DB_NO_ARGS, err);
    int got = rows ? db_next(rows, err) : -1;
    if (got < 0)
        return -1;
    if (got == 0)
        return error_set(err, ERROR_BUG, 0, "the table fleet has no row");
    db_copy_text(rows, 0, fleet->alive_at, sizeof fleet->alive_at);
    fleet->alive_at_ms = fleet_ms(fleet->alive_at);
    fleet->up_since_ms = fleet_ms(db_get_text(rows, 1));
    db_copy_text(rows, 2, fleet->leader, sizeof fleet->leader);
    fleet->leader_until_ms = fleet_ms(db_get_text(rows, 3));
    fleet->last_sweep_ms = fleet_ms(db_get_text(rows, 4));
    fleet->suspicious_since_ms = fleet_ms(db_get_text(rows, 5));
    fleet->last_cleanup_ms = fleet_ms(db_get_text(rows, 6));
    return 0;
}

int fleet_read(struct store *store, struct db *db, bool hold, struct fleet *fleet,
               struct error *err)
{
    /* The time is read once the row is locked: the wait for it may have been long. */
    if (read_row(db, hold, fleet, err) != 0 || store_now(store, db, fleet->now, err) != 0)
        return -1;
    fleet->now_ms = fleet_ms(fleet->now);
    if (store->settings.monitored)
        return 0;
    fleet->alive_at_ms = fleet->now_ms;
    fleet->up_since_ms = store->up_since_us / 1000;
    fleet->last_sweep_ms = 0;
    return 0;
}

static int count_workers(struct db *db, const struct fleet *fleet,
                         const struct grace_limits *limits, struct grace_facts *facts,
                         struct error *err)
{
    char heard[WALL_TEXT_BYTES], silent[WALL_TEXT_BYTES];
    wall_format(grace_heard_since(fleet->now_ms, limits) * 1000, heard);
    wall_format(grace_before(fleet->now_ms, fleet->up_since_ms, limits->offline_ms) * 1000, silent);
    DB_ROWS(rows) = db_query(db,
                             "SELECT COUNT(*), COUNT(CASE WHEN last_heartbeat < $2 THEN 1 END)"
                             " FROM workers WHERE status <> 'disabled' AND last_heartbeat >= $1",
                             DB_ARGS(db_text(heard), db_text(silent)), err);
    if (!rows || db_next(rows, err) != 1)
        return -1;
    facts->heard = db_get_int(rows, 0);
    facts->silent = db_get_int(rows, 1);
    return 0;
}

int fleet_judge(struct store *store, struct db *db, const struct fleet *fleet, int64_t last_run_ms,
                bool may_write, enum grace_verdict *verdict, struct error *err)
{
    struct grace_limits limits = {store->settings.grace_ms, store->settings.offline_ms};
    struct grace_facts facts = {.now_ms = fleet->now_ms,
                                .alive_at_ms = fleet->alive_at_ms,
                                .up_since_ms = fleet->up_since_ms,
                                .last_sweep_ms = fleet->last_sweep_ms,
                                .last_run_ms = last_run_ms,
                                .suspicious_since_ms = fleet->suspicious_since_ms};
    int64_t since_ms;
    char since[WALL_TEXT_BYTES];
    if (count_workers(db, fleet, &limits, &facts, err) != 0)
        return -1;
    *verdict = grace_decide(&facts, &limits, &since_ms);
    if (!may_write || since_ms == fleet->suspicious_since_ms)
        return 0;
    fleet_time(since_ms, since);
    return db_run(db, NULL, err, "UPDATE fleet SET suspicious_since = $1 WHERE id = 1",
                  DB_ARGS(time_or_null(since)));
}

struct claim_end {
    int64_t job_id;
    char expires[WALL_TEXT_BYTES];
};

/* Claims that were last extended before the gap; a worker that was heard after it needs no credit.
 */
static int read_open_claims(struct db *db, const char *extended_by, int64_t after,
                            struct claim_end *claims, size_t *count, struct error *err)
{
    DB_ROWS(rows) = db_query(
        db,
        "SELECT id, claim_expires_at FROM transcoding_jobs WHERE completed_at IS NULL"
        " AND claimed_at IS NOT NULL AND claim_expires_at IS NOT NULL"
        " AND COALESCE(last_checkpoint, claimed_at) <= $1 AND id > $2 ORDER BY id LIMIT $3",
        DB_ARGS(db_text(extended_by), db_int(after), db_int(SWEEP_BATCH_MAX)), err);
    if (!rows)
        return -1;
    int got;
    *count = 0;
    while ((got = db_next(rows, err)) == 1 && *count < SWEEP_BATCH_MAX) {
        struct claim_end *claim = &claims[(*count)++];
        claim->job_id = db_get_int(rows, 0);
        db_copy_text(rows, 1, claim->expires, sizeof claim->expires);
    }
    return got < 0 ? -1 : 0;
}

static int move_claim(struct db *db, const struct claim_end *claim, int64_t credit_ms,
                      int64_t *moved, struct error *err)
{
    char expires[WALL_TEXT_BYTES];
    int64_t rows = 0;
    if (fleet_ms(claim->expires) == 0)
        return 0; /* "infinity", or what an operator took for a time */
    store_time_add(claim->expires, credit_ms, expires);
    if (db_run(db, &rows, err,
               "UPDATE transcoding_jobs SET claim_expires_at = $2 WHERE id = $1"
               " AND completed_at IS NULL AND claimed_at IS NOT NULL AND claim_expires_at = $3",
               DB_ARGS(db_int(claim->job_id), db_text(expires), db_text(claim->expires))) != 0)
        return -1;
    *moved += rows;
    return 0;
}

static int credit(struct db *db, const struct fleet *fleet, struct store_tick *tick,
                  struct error *err)
{
    struct claim_end claims[SWEEP_BATCH_MAX];
    char extended_by[WALL_TEXT_BYTES];
    size_t count = SWEEP_BATCH_MAX;
    int64_t after = 0;
    /* The server may have answered for as long as the row may be old without a gap. */
    store_time_add(fleet->alive_at, GRACE_STALE_MS, extended_by);
    while (count == SWEEP_BATCH_MAX) {
        if (read_open_claims(db, extended_by, after, claims, &count, err) != 0)
            return -1;
        for (size_t i = 0; i < count; i++)
            if (move_claim(db, &claims[i], tick->credit_ms, &tick->credited, err) != 0)
                return -1;
        after = count ? claims[count - 1].job_id : after;
    }
    return 0;
}

/* Compare-and-set: although the row is held, so that no database's idea of a lock can make the
 * same gap be credited twice. */
static int write_alive(struct db *db, const struct fleet *fleet, const char *instance,
                       const struct store_tick *tick, struct error *err)
{
    static const char never[] = "1970-01-01T00:00:00.000000+00:00";
    char up_since[WALL_TEXT_BYTES], until[WALL_TEXT_BYTES];
    bool restarts = tick->gap == GRACE_GAP_FIRST || tick->gap == GRACE_GAP_OUTAGE ||
                    tick->jump_ms != 0 || fleet->up_since_ms == 0 ||
                    fleet->up_since_ms > fleet->now_ms;
    int64_t rows = 0;
    fleet_time(restarts ? fleet->now_ms : fleet->up_since_ms, up_since);
    fleet_time(tick->leads ? fleet->now_ms + GRACE_LEASE_MS : fleet->leader_until_ms, until);
    if (db_run(db, &rows, err,
               "UPDATE fleet SET alive_at = $1, up_since = $2, leader = $3, leader_until = $4"
               " WHERE id = 1 AND COALESCE(alive_at, $6) = COALESCE($5, $6)",
               DB_ARGS(db_text(fleet->now), db_text(up_since),
                       db_text(tick->leads ? instance : fleet->leader), time_or_null(until),
                       time_or_null(fleet->alive_at), db_text(never))) != 0)
        return -1;
    return rows == 1 ? 0
                     : error_set(err, ERROR_TEMPORARY, DB_BUSY,
                                 "the fleet's row changed while it was held");
}

static int record_gap(struct db *db, const struct fleet *fleet, const char *instance,
                      const struct store_tick *tick, struct error *err)
{
    TEXT(what) = must_printf("[{\"gap_ms\":%lld,\"credit_ms\":%lld,\"claims\":%lld}]",
                             (long long)tick->gap_ms, (long long)tick->credit_ms,
                             (long long)tick->credited);
    return sweep_record(db, fleet->now, instance, SWEEP_OUTAGE, 0, what, err);
}

/* The clock was set back: what was written by it before lies in the future, and would keep a dead
 * worker's claim until the clock is there again. No claim lasts longer than a new one would. */
static int leave_future(struct db *db, const struct fleet *fleet, int64_t claim_ms,
                        struct error *err)
{
    char longest[WALL_TEXT_BYTES];
    store_time_add(fleet->now, claim_ms, longest);
    if (db_run(db, NULL, err,
               "UPDATE transcoding_jobs SET"
               " claimed_at = CASE WHEN claimed_at > $1 THEN $1 ELSE claimed_at END,"
               " last_checkpoint = CASE WHEN last_checkpoint > $1 THEN $1 ELSE last_checkpoint END,"
               " claim_expires_at = CASE WHEN claim_expires_at > $2 THEN $2"
               " ELSE claim_expires_at END"
               " WHERE completed_at IS NULL AND claimed_at IS NOT NULL"
               " AND claim_expires_at <> 'infinity'"
               " AND (claimed_at > $1 OR last_checkpoint > $1 OR claim_expires_at > $2)",
               DB_ARGS(db_text(fleet->now), db_text(longest))) != 0)
        return -1;
    if (db_run(db, NULL, err,
               "UPDATE workers SET"
               " registered_at = CASE WHEN registered_at > $1 THEN $1 ELSE registered_at END,"
               " last_heartbeat = CASE WHEN last_heartbeat > $1 THEN $1 ELSE last_heartbeat END"
               " WHERE registered_at > $1 OR last_heartbeat > $1",
               DB_ARGS(db_text(fleet->now))) != 0)
        return -1;
    return db_run(db, NULL, err, "UPDATE held_jobs SET reported_at = $1 WHERE reported_at > $1",
                  DB_ARGS(db_text(fleet->now)));
}

static struct store_tick tick_of(const struct fleet *fleet, const char *instance, int64_t own_ms)
{
    struct store_tick tick = {.now_ms = fleet->now_ms,
                              .last_sweep_ms = fleet->last_sweep_ms,
                              .last_cleanup_ms = fleet->last_cleanup_ms};
    tick.gap = grace_gap(fleet->now_ms, fleet->alive_at_ms, own_ms, &tick.credit_ms);
    tick.jump_ms = grace_jump(fleet->now_ms, fleet->alive_at_ms, own_ms);
    tick.gap_ms = fleet->alive_at_ms ? fleet->now_ms - fleet->alive_at_ms - tick.jump_ms : 0;
    tick.leads = !fleet->leader[0] || strcmp(fleet->leader, instance) == 0 ||
                 !grace_lease_holds(fleet->now_ms, fleet->leader_until_ms);
    return tick;
}

int store_alive(struct store *store, const char *instance, int64_t own_ms, struct store_tick *tick,
                struct error *err)
{
    struct fleet fleet;
    must(store->settings.monitored);
    *tick = (struct store_tick){0};
    TRANSACTION(tx);
    if (store_begin(store, &tx, err) != 0 || fleet_read(store, tx.db, true, &fleet, err) != 0)
        return -1;
    *tick = tick_of(&fleet, instance, own_ms);
    if (write_alive(tx.db, &fleet, instance, tick, err) != 0)
        return -1;
    if (tick->jump_ms < 0 && leave_future(tx.db, &fleet, store->settings.claim_ms, err) != 0)
        return -1;
    if (tick->credit_ms != 0 && (credit(tx.db, &fleet, tick, err) != 0 ||
                                 record_gap(tx.db, &fleet, instance, tick, err) != 0))
        return -1;
    return store_commit(&tx, err);
}

int store_resign(struct store *store, const char *instance, struct error *err)
{
    TRANSACTION(tx);
    if (store_begin(store, &tx, err) != 0 ||
        db_run(tx.db, NULL, err,
               "UPDATE fleet SET leader = NULL, leader_until = NULL WHERE id = 1"
               " AND leader = $1",
               DB_ARGS(db_text(instance))) != 0)
        return -1;
    return store_commit(&tx, err);
}
