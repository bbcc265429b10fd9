#include "fleet.h"

#include "lib/cleanup.h"

#include <criterion/criterion.h>
#include <string.h>

enum { STEP_MS = 10 * SECOND_MS };

struct store *fleet_open(struct rig *rig)
{
    struct error err;
    struct store *store = rig_open(rig, rig->url, &err);
    cr_assert(store, "%s", err.message);
    return store;
}

struct rig *fleet_new_with(int64_t claim_ms, int64_t offline_ms, int64_t grace_ms)
{
    struct rig *rig = rig_new_with(claim_ms, offline_ms);
    rig->monitored = true;
    rig->grace_ms = grace_ms;
    store_close(rig->store);
    rig->store = fleet_open(rig);
    return rig;
}

struct rig *fleet_new(void)
{
    struct rig *rig = fleet_new_with(30 * MINUTE_MS, 5 * MINUTE_MS, 2 * MINUTE_MS);
    fleet_tick(rig, INSTANCE);
    fleet_stay_up(rig, 3 * MINUTE_MS);
    return rig;
}

struct rig *fleet_new_claimed(void)
{
    struct rig *rig = fleet_new();
    rig->job = rig_add_job(rig, "film");
    cr_assert_eq(rig_claim(rig, &rig->anna, 0).job_id, rig->job);
    return rig;
}

void fleet_pass(struct rig *rig, int64_t ms)
{
    rig->ahead_ms += ms;
}

struct store_tick fleet_tick(struct rig *rig, const char *instance)
{
    struct store_tick tick;
    struct error err;
    cr_assert_eq(store_alive(rig->store, instance, -1, &tick, &err), 0, "%s", err.message);
    return tick;
}

/* In steps that leave the test's own time a good part of what counts as a gap. */
void fleet_stay_up(struct rig *rig, int64_t ms)
{
    for (int64_t left_ms = ms; left_ms > 0; left_ms -= STEP_MS) {
        fleet_pass(rig, left_ms < STEP_MS ? left_ms : STEP_MS);
        fleet_tick(rig, INSTANCE);
    }
}

void fleet_beat(struct rig *rig, struct store_worker *worker, int64_t job)
{
    rig_beat(rig, worker, WORKER_BUSY, true, job);
}

void fleet_beat_idle(struct rig *rig, struct store_worker *worker)
{
    rig_beat(rig, worker, WORKER_IDLE, false, 0);
}

void fleet_beat_stock(struct rig *rig, struct store_worker *worker)
{
    rig_beat(rig, worker, WORKER_BUSY, false, 0);
}

struct store_sweep fleet_sweep(struct rig *rig)
{
    struct store_sweep sweep = {.instance = INSTANCE};
    struct error err;
    cr_assert_eq(store_sweep(rig->store, &sweep, &err), 0, "%s", err.message);
    return sweep;
}

void fleet_sweeps(struct rig *rig, enum store_outcome outcome, size_t released)
{
    struct store_sweep sweep = fleet_sweep(rig);
    cr_expect_str_eq(store_outcome_name(sweep.outcome), store_outcome_name(outcome));
    cr_expect_eq(sweep.count, released, "%zu released", sweep.count);
    store_sweep_fini(&sweep);
}

void fleet_releases(struct rig *rig, int64_t job, enum store_reason reason)
{
    struct store_sweep sweep = fleet_sweep(rig);
    cr_assert_eq(sweep.count, 1);
    cr_expect_eq(sweep.released[0].job_id, job);
    cr_expect_str_eq(store_reason_name(sweep.released[0].reason), store_reason_name(reason));
    store_sweep_fini(&sweep);
}

bool fleet_is_claimed(struct rig *rig, int64_t job)
{
    TEXT(sql) = must_printf("SELECT COUNT(*) FROM transcoding_jobs WHERE id = %lld"
                            " AND claimed_at IS NOT NULL",
                            (long long)job);
    return rig_number(rig, sql) == 1;
}

int64_t fleet_expires_ms(struct rig *rig, int64_t job)
{
    TEXT(sql) = must_printf("SELECT claim_expires_at FROM transcoding_jobs WHERE id = %lld",
                            (long long)job);
    TEXT(text) = rig_text(rig, sql);
    int64_t us;
    /* PostgreSQL writes +00 for +00:00. */
    TEXT(whole) = must_printf("%s%s", text, rig->path ? "" : ":00");
    cr_assert(wall_parse(whole, &us), "%s", whole);
    return us / 1000;
}
