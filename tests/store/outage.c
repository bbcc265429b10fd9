/* P9: an outage of the server costs no live job, and restarts keep no dead worker's. */
#include "fleet.h"
#include "lib/cleanup.h"

#include <criterion/criterion.h>
#include <pthread.h>

/* A new process: a store of its own, and its first sign of life. */
static void restart(struct rig *rig)
{
    store_close(rig->store);
    rig->store = fleet_open(rig);
    fleet_tick(rig, INSTANCE);
}

/* Ten minutes of lives of 30 s. step_ms: between two signs of life. Returns the second at which the
 * dead worker's job was released. */
static int restart_for_ten_minutes(struct rig *rig, int64_t step_ms, struct store_worker *living,
                                   int64_t held, int64_t dead)
{
    int released_at_s = 0;
    for (int second = 0; second < 600; second += 30) {
        for (int64_t ms = step_ms; ms < 30 * SECOND_MS; ms += step_ms) {
            fleet_pass(rig, step_ms);
            fleet_tick(rig, INSTANCE);
        }
        fleet_pass(rig, 30 * SECOND_MS % step_ms ? 30 * SECOND_MS % step_ms : step_ms);
        restart(rig);
        if (living)
            fleet_beat(rig, living, held);
        struct store_sweep sweep = fleet_sweep(rig);
        cr_expect(sweep.outcome == SWEEP_GRACE ? second < 120 : sweep.outcome <= SWEEP_RELEASED,
                  "%s after %d s", store_outcome_name(sweep.outcome), second);
        store_sweep_fini(&sweep);
        if (!released_at_s && !fleet_is_claimed(rig, dead))
            released_at_s = second + 30;
        cr_expect(!living || fleet_is_claimed(rig, held), "released after %d s", second);
    }
    return released_at_s;
}

static struct rig *short_fleet(void)
{
    struct rig *rig = fleet_new_with(3 * MINUTE_MS, MINUTE_MS, 2 * MINUTE_MS);
    fleet_tick(rig, INSTANCE);
    return rig;
}

/* anna lives and bert is dead. */
static void claim_both(struct rig *rig, int64_t *held, int64_t *dead)
{
    *held = rig_add_job(rig, "held");
    *dead = rig_add_job(rig, "dead");
    rig_claim(rig, &rig->anna, *held);
    rig_claim(rig, &rig->bert, *dead);
}

/* step_ms: as above. */
static void expect_release_within(int64_t step_ms, int from_s, int to_s)
{
    struct rig *rig = short_fleet();
    int64_t held, dead;
    claim_both(rig, &held, &dead);
    int at_s = restart_for_ten_minutes(rig, step_ms, &rig->anna, held, dead);
    cr_expect(at_s >= from_s && at_s <= to_s, "released after %d s", at_s);
    rig_free(rig);
}

Test(outage, restarts_every_30_s_release_the_dead_workers_job_and_never_the_held_one)
{
    expect_release_within(5 * SECOND_MS, 180, 210);
}

/* Each life says once that it is up and is gone: half of the time is credited. */
Test(outage, so_it_is_where_each_life_gives_a_single_sign)
{
    expect_release_within(30 * SECOND_MS, 330, 420);
}

static int released_of_one(bool lives)
{
    struct rig *rig = short_fleet();
    int64_t job = rig_add_job(rig, "film");
    rig_sql(rig, "DELETE FROM workers WHERE worker_name = 'bert'");
    rig_claim(rig, &rig->anna, job);
    int at_s = restart_for_ten_minutes(rig, 5 * SECOND_MS, lives ? &rig->anna : NULL, job, job);
    rig_free(rig);
    return at_s;
}

Test(outage, so_it_is_on_a_fleet_of_one_worker)
{
    int at_s = released_of_one(false);
    cr_expect(at_s >= 180 && at_s <= 210, "released after %d s", at_s);
    cr_expect_eq(released_of_one(true), 0);
}

struct starter {
    pthread_t thread;
    pthread_barrier_t *barrier;
    struct store *store;
    const char *instance;
    struct store_tick tick;
    int result;
    struct error err;
};

static void *start(void *ctx)
{
    struct starter *starter = ctx;
    pthread_barrier_wait(starter->barrier);
    starter->result = store_alive(starter->store, starter->instance, -1, &starter->tick,
                                  &starter->err);
    return NULL;
}

/* Two instances that start at the same moment. */
static void start_both(struct rig *rig, struct store_tick ticks[2])
{
    pthread_barrier_t barrier;
    struct starter starters[] = {
        {.barrier = &barrier, .store = fleet_open(rig), .instance = INSTANCE},
        {.barrier = &barrier, .store = fleet_open(rig), .instance = OTHER}};
    pthread_barrier_init(&barrier, NULL, 2);
    for (int i = 0; i < 2; i++)
        pthread_create(&starters[i].thread, NULL, start, &starters[i]);
    for (int i = 0; i < 2; i++) {
        pthread_join(starters[i].thread, NULL);
        cr_assert_eq(starters[i].result, 0, "%s", starters[i].err.message);
        ticks[i] = starters[i].tick;
        store_close(starters[i].store);
    }
    pthread_barrier_destroy(&barrier);
}

Test(outage, of_three_hours_and_two_instances_that_start_at_once_is_credited_once)
{
    struct rig *rig = fleet_new();
    struct store_worker carl = rig_add_worker(rig, "carl");
    struct store_worker *workers[] = {&rig->anna, &rig->bert, &carl};
    int64_t jobs[3], before[3];
    struct store_tick ticks[2];
    for (int i = 0; i < 3; i++) {
        jobs[i] = rig_add_job(rig, NULL);
        rig_claim(rig, workers[i], jobs[i]);
        fleet_beat(rig, workers[i], jobs[i]);
        before[i] = fleet_expires_ms(rig, jobs[i]);
    }
    fleet_tick(rig, INSTANCE);
    fleet_pass(rig, 3 * HOUR_MS);
    start_both(rig, ticks);
    int finder = ticks[0].credit_ms ? 0 : 1;
    cr_expect_eq(ticks[finder].gap, GRACE_GAP_OUTAGE);
    cr_expect_geq(ticks[finder].credit_ms, 3 * HOUR_MS);
    cr_expect_eq(ticks[finder].credited, 3);
    cr_expect_eq(ticks[!finder].gap, GRACE_GAP_NONE);
    cr_expect_eq(ticks[!finder].credit_ms, 0);
    cr_expect(ticks[0].leads != ticks[1].leads, "one of them");
    for (int i = 0; i < 3; i++)
        cr_expect_eq(fleet_expires_ms(rig, jobs[i]), before[i] + ticks[finder].credit_ms);
    rig_expect(rig, "outage", "SELECT outcome FROM sweeps WHERE outcome = 'outage'");
    rig_free(rig);
}

Test(outage, of_three_hours_releases_nothing_of_those_who_live_and_later_the_dead_ones)
{
    struct rig *rig = fleet_new();
    int64_t held, dead;
    claim_both(rig, &held, &dead);
    fleet_beat(rig, &rig->anna, held);
    fleet_beat(rig, &rig->bert, dead);
    fleet_stay_up(rig, 10 * MINUTE_MS);
    fleet_pass(rig, 3 * HOUR_MS);
    restart(rig);
    fleet_sweeps(rig, SWEEP_GRACE, 0);
    fleet_stay_up(rig, MINUTE_MS); /* within the cap of its heartbeats anna is there again */
    fleet_beat(rig, &rig->anna, held);
    fleet_sweeps(rig, SWEEP_GRACE, 0);
    for (int minute = 1; minute < 19; minute++) {
        fleet_stay_up(rig, MINUTE_MS);
        fleet_beat(rig, &rig->anna, held);
        fleet_sweeps(rig, SWEEP_NOTHING, 0);
    }
    fleet_stay_up(rig, 2 * MINUTE_MS); /* bert's claim had 20 minutes left */
    fleet_beat(rig, &rig->anna, held);
    fleet_sweeps(rig, SWEEP_RELEASED, 1);
    cr_expect(fleet_is_claimed(rig, held));
    cr_expect_not(fleet_is_claimed(rig, dead));
    rig_free(rig);
}

/* Mistake 9: a second way to a job, that knows no grace. */
Test(outage, a_claim_for_a_job_obeys_the_grace_too)
{
    struct rig *rig = fleet_new_claimed();
    fleet_stay_up(rig, 31 * MINUTE_MS);
    fleet_pass(rig, HOUR_MS);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, 0, "nobody has looked at the outage yet");
    restart(rig);
    fleet_beat_idle(rig, &rig->anna);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, 0, "in grace");
    cr_expect_eq(rig_claim(rig, &rig->bert, rig->job).job_id, 0, "by name, too");
    fleet_stay_up(rig, 2 * MINUTE_MS);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, rig->job);
    rig_free(rig);
}

/* Every idle worker asks again and again during the grace. */
Test(outage, a_claim_in_the_grace_waits_for_no_lock)
{
    struct rig *rig = fleet_new_claimed();
    fleet_stay_up(rig, 31 * MINUTE_MS);
    fleet_pass(rig, HOUR_MS);
    restart(rig);
    fleet_beat_idle(rig, &rig->anna);
    void *holder = rig_hold(rig, "UPDATE fleet SET alive_at = alive_at");
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, 0);
    rig_let_go(rig, holder);
    rig_free(rig);
}

Test(outage, a_claim_that_was_extended_after_it_needs_no_credit)
{
    struct rig *rig = fleet_new();
    int64_t early, late;
    claim_both(rig, &early, &late);
    int64_t before = fleet_expires_ms(rig, early);
    fleet_pass(rig, HOUR_MS);
    rig_progress(rig, rig_caller(&rig->bert, 1), late);
    int64_t extended = fleet_expires_ms(rig, late);
    struct store_tick tick = fleet_tick(rig, INSTANCE);
    cr_expect_eq(tick.credited, 1);
    cr_expect_eq(fleet_expires_ms(rig, early), before + tick.credit_ms);
    cr_expect_eq(fleet_expires_ms(rig, late), extended);
    rig_free(rig);
}

/* An operator wrote it, or another program. */
Test(outage, a_claim_whose_end_is_no_time_of_ours_is_left_as_it_is)
{
    struct rig *rig = fleet_new_claimed();
    int64_t other = rig_add_job(rig, "other");
    rig_claim(rig, &rig->bert, other);
    rig_sql(rig, rig->path ? "UPDATE transcoding_jobs SET claim_expires_at = '2099-01-01 00:00:00'"
                             " WHERE id = 1"
                           : "UPDATE transcoding_jobs SET claim_expires_at = 'infinity'"
                             " WHERE id = 1");
    fleet_pass(rig, HOUR_MS);
    struct store_tick tick = fleet_tick(rig, INSTANCE);
    cr_expect_gt(tick.credit_ms, 0);
    cr_expect_eq(tick.credited, 1);
    rig_free(rig);
}

Test(outage, what_is_completed_or_free_is_not_credited)
{
    struct rig *rig = fleet_new();
    int64_t job = rig_add_job(rig, "film");
    rig_add_job(rig, "free");
    rig_claim(rig, &rig->anna, job);
    rig_present(rig, rig_caller(&rig->anna, 1), job, 1);
    fleet_pass(rig, HOUR_MS);
    cr_expect_eq(fleet_tick(rig, INSTANCE).credited, 0);
    rig_free(rig);
}

Test(outage, the_grace_ends_early_only_by_a_sweep_that_is_known)
{
    static const struct {
        int64_t last_run_ms; /* ago */
        int64_t waits_s;
    } rows[] = {
        {0, 120},
        {-HOUR_MS, 120},
        {HOUR_MS, 120},
        {30 * SECOND_MS, 60},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rig *rig = fleet_new();
        struct error err;
        fleet_sweeps(rig, SWEEP_NOTHING, 0);
        fleet_pass(rig, HOUR_MS);
        restart(rig);
        for (int64_t second = 0; second < rows[i].waits_s + 10; second += 10) {
            struct store_tick tick = fleet_tick(rig, INSTANCE);
            struct store_sweep sweep = {.instance = INSTANCE};
            if (rows[i].last_run_ms)
                sweep.last_run_ms = tick.now_ms - rows[i].last_run_ms;
            cr_assert_eq(store_sweep(rig->store, &sweep, &err), 0, "%s", err.message);
            cr_expect_eq(sweep.outcome, second < rows[i].waits_s ? SWEEP_GRACE : SWEEP_NOTHING,
                         "row %zu, second %d: %s", i, (int)second,
                         store_outcome_name(sweep.outcome));
            fleet_pass(rig, 10 * SECOND_MS);
        }
        rig_free(rig);
    }
}

Test(outage, a_last_sweep_in_the_future_shortens_nothing_and_puts_nothing_off)
{
    struct rig *rig = fleet_new();
    fleet_pass(rig, HOUR_MS);
    fleet_tick(rig, INSTANCE);
    fleet_stay_up(rig, 3 * MINUTE_MS);
    fleet_sweeps(rig, SWEEP_NOTHING, 0);
    fleet_pass(rig, -HOUR_MS); /* the clock was wrong, and is set right */
    struct store_tick tick = fleet_tick(rig, INSTANCE);
    cr_expect(grace_is_due(tick.now_ms, tick.last_sweep_ms, MINUTE_MS));
    fleet_sweeps(rig, SWEEP_GRACE, 0);
    fleet_stay_up(rig, 2 * MINUTE_MS + 10 * SECOND_MS);
    fleet_sweeps(rig, SWEEP_NOTHING, 0);
    rig_free(rig);
}

Test(outage, the_first_start_of_all_waits_for_the_workers)
{
    struct rig *rig = fleet_new_with(30 * MINUTE_MS, 5 * MINUTE_MS, 2 * MINUTE_MS);
    rig_add_job(rig, "film");
    rig_claim(rig, &rig->anna, 0);
    rig_sql(rig, "UPDATE transcoding_jobs SET claim_expires_at = claimed_at");
    struct store_tick tick = fleet_tick(rig, INSTANCE);
    cr_expect_eq(tick.gap, GRACE_GAP_FIRST);
    cr_expect_eq(tick.credited, 0);
    fleet_sweeps(rig, SWEEP_GRACE, 0);
    fleet_stay_up(rig, 3 * MINUTE_MS);
    fleet_sweeps(rig, SWEEP_NOTHING, 0);
    fleet_stay_up(rig, 3 * MINUTE_MS);
    fleet_sweeps(rig, SWEEP_RELEASED, 1);
    rig_free(rig);
}

Test(outage, a_row_that_nobody_keeps_stops_every_sweep)
{
    struct rig *rig = fleet_new_claimed();
    struct error err;
    fleet_stay_up(rig, 31 * MINUTE_MS);
    fleet_pass(rig, 20 * SECOND_MS);
    fleet_sweeps(rig, SWEEP_UNMONITORED, 0);
    struct store_sweep order = {.instance = OTHER, .by_order = true};
    cr_assert_eq(store_sweep(rig->store, &order, &err), 0, "%s", err.message);
    cr_expect_eq(order.outcome, SWEEP_UNMONITORED, "an order makes no server's row new");
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM fleet WHERE leader = '" OTHER "'"), 0);
    rig_free(rig);
}

/* Without a sweeper: by the start of the process, and not for ever. */
Test(outage, where_nobody_sweeps_a_claim_for_a_job_waits_out_the_grace_of_its_process)
{
    struct rig *rig = rig_new_with(30 * MINUTE_MS, 5 * MINUTE_MS);
    int64_t job = rig_add_job(rig, "film");
    store_close(rig->store);
    rig->grace_ms = 10 * MINUTE_MS;
    rig->store = fleet_open(rig);
    rig_claim(rig, &rig->anna, 0);
    rig_sql(rig, "UPDATE transcoding_jobs SET claim_expires_at = claimed_at");
    fleet_pass(rig, 9 * MINUTE_MS);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, 0);
    fleet_pass(rig, 2 * MINUTE_MS);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, job);
    rig_free(rig);
}
