/* The sweeper's own ticks: what it does when, and what it tells Redis. */
#include "verifier/sweeper/sweeper.h"

#include "lib/cleanup.h"
#include "redis.h"
#include "site.h"
#include "verifier/store/store_cleanup.h"

#include <criterion/criterion.h>
#include <string.h>

#define DAY_MS   ((int64_t)24 * HOUR_MS)
#define LAST_RUN "vlog:stale_job_checker:last_run"

static struct sweeper *new_sweeper(struct site *site, struct gate *gate)
{
    struct sweeper_settings settings = {.store = site->rig->store,
                                        .files = &site->files,
                                        .gate = gate,
                                        .sweep_ms = MINUTE_MS,
                                        .cleanup_ms = HOUR_MS,
                                        .trash_ms = DAY_MS};
    return sweeper_new(&settings);
}

static int64_t sweeps_of(struct site *site, const char *outcome)
{
    TEXT(sql) = must_printf("SELECT COUNT(*) FROM sweeps WHERE outcome = '%s'", outcome);
    return rig_number(site->rig, sql);
}

Test(sweeper, a_tick_that_comes_too_late_only_says_that_it_is_up)
{
    struct site *site = site_new();
    struct error err;
    store_resign(site->rig->store, INSTANCE, &err);
    struct sweeper *sweeper = new_sweeper(site, NULL);
    sweeper_tick(sweeper, 1000);
    cr_expect_eq(sweeps_of(site, "nothing"), 1);
    int64_t job = rig_add_job(site->rig, "film");
    rig_claim(site->rig, &site->rig->anna, job);
    /* Another instance kept the row while this process was stopped. */
    for (int i = 0; i < 190; i++) {
        fleet_pass(site->rig, 10 * SECOND_MS);
        fleet_tick(site->rig, OTHER);
    }
    cr_assert_eq(store_resign(site->rig->store, OTHER, &err), 0);
    sweeper_tick(sweeper, 1000 + 190 * 10 * SECOND_MS);
    cr_expect_eq(sweeps_of(site, "tick_overdue"), 1);
    cr_expect(fleet_is_claimed(site->rig, job));
    sweeper_tick(sweeper, 1000 + 190 * 10 * SECOND_MS + 5 * SECOND_MS);
    cr_expect_not(fleet_is_claimed(site->rig, job), "the next one sweeps");
    cr_expect(sweeper_free(sweeper));
    cr_expect_eq(rig_number(site->rig, "SELECT COUNT(*) FROM fleet WHERE leader IS NULL"), 1);
    site_free(site);
}

Test(sweeper, a_restart_does_not_put_the_sweep_off_and_shutdown_releases_nothing)
{
    struct site *site = site_new();
    struct error err;
    int64_t job = rig_add_job(site->rig, "film");
    rig_claim(site->rig, &site->rig->anna, job);
    store_resign(site->rig->store, INSTANCE, &err);
    for (int i = 0; i < 12; i++) {
        struct sweeper *sweeper = new_sweeper(site, NULL);
        sweeper_tick(sweeper, 1000);
        cr_expect(sweeper_free(sweeper));
        fleet_pass(site->rig, 12 * SECOND_MS);
        cr_expect(fleet_is_claimed(site->rig, job));
    }
    /* 144 s: each minute one of them swept. */
    rig_expect(site->rig, "1", "SELECT COUNT(*) FROM fleet WHERE last_sweep_at > up_since");
    site_free(site);
}

Test(sweeper, clears_up_once_an_hour_and_not_while_sweeps_are_kept_back)
{
    struct site *site = site_new();
    struct error err;
    site_put(site, "videos/gone/master.m3u8");
    store_resign(site->rig->store, INSTANCE, &err);
    struct sweeper *sweeper = new_sweeper(site, NULL);
    fleet_pass(site->rig, HOUR_MS);
    sweeper_tick(sweeper, 1000);
    cr_expect_eq(rig_number(site->rig, "SELECT COUNT(*) FROM fleet WHERE last_cleanup_at"
                                       " IS NOT NULL"),
                 0, "in grace");
    for (int i = 1; i <= 14; i++) {
        fleet_pass(site->rig, 10 * SECOND_MS);
        sweeper_tick(sweeper, 1000 + i * 10 * SECOND_MS);
    }
    cr_expect_eq(rig_number(site->rig, "SELECT COUNT(*) FROM fleet WHERE last_cleanup_at"
                                       " IS NOT NULL"),
                 1);
    site_keeps(site, "videos/gone/master.m3u8"); /* it is young */
    cr_expect(sweeper_free(sweeper));
    site_free(site);
}

/* A server that is up all the time; the boot clock of its machine, in ms. */
struct life {
    struct site *site;
    struct sweeper *sweeper;
    int64_t boot_ms, held, dead; /* anna lives, bert is dead */
};

static struct life live(void)
{
    struct error err;
    struct life life = {.site = site_new(), .boot_ms = 1000};
    struct rig *rig = life.site->rig;
    store_resign(rig->store, INSTANCE, &err);
    life.sweeper = new_sweeper(life.site, NULL);
    sweeper_tick(life.sweeper, life.boot_ms);
    life.held = rig_add_job(rig, "held");
    life.dead = rig_add_job(rig, "dead");
    rig_claim(rig, &rig->anna, life.held);
    rig_claim(rig, &rig->bert, life.dead);
    fleet_beat(rig, &rig->anna, life.held);
    return life;
}

static void tick_after(struct life *life, int64_t ms)
{
    life->boot_ms += ms;
    sweeper_tick(life->sweeper, life->boot_ms);
}

/* Until bert's job is released: after how many seconds. anna is heard all the time. */
static int released_after_s(struct life *life, int at_most_s)
{
    struct rig *rig = life->site->rig;
    int passed_s = 0;
    while (fleet_is_claimed(rig, life->dead) && passed_s < at_most_s) {
        passed_s += 10;
        fleet_pass(rig, 10 * SECOND_MS);
        fleet_beat(rig, &rig->anna, life->held);
        tick_after(life, 10 * SECOND_MS);
        cr_assert(fleet_is_claimed(rig, life->held), "anna's, after %d s", passed_s);
    }
    return passed_s;
}

static void end_life(struct life *life)
{
    cr_expect(sweeper_free(life->sweeper));
    site_free(life->site);
}

Test(sweeper, a_clock_that_is_set_on_is_no_outage_and_costs_nobody_a_job)
{
    struct life life = live();
    int64_t before_ms = fleet_expires_ms(life.site->rig, life.dead);
    fleet_pass(life.site->rig, 2 * HOUR_MS);
    tick_after(&life, 5 * SECOND_MS);
    cr_expect_eq(sweeps_of(life.site, "outage"), 0);
    cr_expect_eq(fleet_expires_ms(life.site->rig, life.dead), before_ms, "nothing is credited");
    int after_s = released_after_s(&life, 900);
    cr_expect(after_s >= 290 && after_s <= 370, "silence counts anew: %d s", after_s);
    end_life(&life);
}

Test(sweeper, an_outage_that_the_process_lived_through_is_credited)
{
    struct life life = live();
    int64_t before_ms = fleet_expires_ms(life.site->rig, life.held);
    /* The database was away, or the machine slept: the boot clock went on. */
    fleet_pass(life.site->rig, 3 * HOUR_MS);
    tick_after(&life, 3 * HOUR_MS);
    cr_expect_eq(sweeps_of(life.site, "outage"), 1);
    int64_t after_ms = fleet_expires_ms(life.site->rig, life.held);
    cr_expect(after_ms - before_ms >= 3 * HOUR_MS, "%lld", (long long)(after_ms - before_ms));
    /* And one of an hour in which the clock was set on by two more. */
    fleet_pass(life.site->rig, 3 * HOUR_MS);
    tick_after(&life, HOUR_MS);
    cr_expect_eq(sweeps_of(life.site, "outage"), 2);
    cr_expect_eq(fleet_expires_ms(life.site->rig, life.held), after_ms + HOUR_MS);
    end_life(&life);
}

Test(sweeper, a_clock_that_is_set_back_freezes_no_dead_workers_job)
{
    struct life life = live();
    fleet_pass(life.site->rig, -DAY_MS);
    tick_after(&life, 5 * SECOND_MS);
    cr_expect_eq(sweeps_of(life.site, "outage"), 0);
    int after_s = released_after_s(&life, 3600);
    cr_expect(after_s >= 1790 && after_s <= 1870, "one claim's duration: %d s", after_s);
    end_life(&life);
}

/* The same where no process lived through it: the row itself lies in the future. */
Test(sweeper, a_clock_that_was_set_back_while_all_were_down_leaves_nothing_in_the_future)
{
    struct life life = live();
    struct rig *rig = life.site->rig;
    struct error err;
    int64_t now_ms;
    cr_expect(sweeper_free(life.sweeper));
    fleet_pass(rig, -DAY_MS);
    life.sweeper = new_sweeper(life.site, NULL);
    tick_after(&life, 5 * SECOND_MS);
    cr_assert_eq(store_clock(rig->store, &now_ms, &err), 0);
    cr_expect_leq(fleet_expires_ms(rig, life.dead), now_ms + 30 * MINUTE_MS);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM workers, fleet WHERE registered_at >"
                                 " alive_at OR last_heartbeat > alive_at"),
                 0);
    fleet_beat(rig, &rig->anna, life.held);
    cr_expect(fleet_is_claimed(rig, life.held));
    end_life(&life);
}

static struct gate *open_gate(const struct redis *redis)
{
    struct gate *gate;
    struct error err;
    TEXT(url) = redis_url(redis);
    cr_assert_eq(gate_open(url, NULL, "vlog:", &gate, &err), 0, "%s", err.message);
    return gate;
}

Test(sweeper, tells_redis_of_whole_sweeps_only)
{
    struct site *site = site_new();
    struct error err;
    struct redis *redis = redis_start(NULL);
    struct gate *gate = open_gate(redis);
    cr_assert_eq(gate_ping(gate, &err), 0, "%s", err.message);
    store_resign(site->rig->store, INSTANCE, &err);
    fleet_pass(site->rig, HOUR_MS);
    struct sweeper *sweeper = new_sweeper(site, gate);
    sweeper_tick(sweeper, 1000);
    redis_expect(redis, "0", "EXISTS", LAST_RUN, NULL);
    for (int i = 1; i <= 13; i++) {
        fleet_pass(site->rig, 10 * SECOND_MS);
        sweeper_tick(sweeper, 1000 + i * 10 * SECOND_MS);
    }
    redis_expect(redis, "1", "EXISTS", LAST_RUN, NULL);
    redis_expect(redis, "1", "EXISTS", "vlog:orphan_cleanup:last_run", NULL);
    TEXT(life) = redis_ask(redis, "TTL", LAST_RUN, NULL);
    cr_expect(strtol(life, NULL, 10) > 200 && strtol(life, NULL, 10) <= 300, "%s", life);
    cr_expect(sweeper_free(sweeper));
    gate_close(gate);
    redis_stop(redis);
    site_free(site);
}

/* After an hour's outage: how long does it wait, where Redis says this? last_run: so long ago, or
 * where that is 0, `word`. */
static int waits_s(int64_t last_run_ms, const char *word)
{
    struct site *site = site_new();
    struct error err;
    struct redis *redis = redis_start(NULL);
    char text[WALL_TEXT_BYTES];
    int waited_s = 0;
    store_resign(site->rig->store, INSTANCE, &err);
    fleet_pass(site->rig, HOUR_MS);
    wall_format(wall_us() + (site->rig->ahead_ms - last_run_ms) * 1000, text);
    redis_expect(redis, "OK", "SET", LAST_RUN, last_run_ms ? text : word, NULL);
    struct gate *gate = open_gate(redis);
    cr_assert_eq(gate_ping(gate, &err), 0, "%s", err.message);
    struct sweeper *sweeper = new_sweeper(site, gate);
    sweeper_tick(sweeper, 1000);
    while (sweeps_of(site, "nothing") == 0 && waited_s < 300) {
        waited_s += 10;
        fleet_pass(site->rig, 10 * SECOND_MS);
        sweeper_tick(sweeper, 1000 + waited_s * SECOND_MS);
    }
    cr_expect(sweeper_free(sweeper));
    gate_close(gate);
    redis_stop(redis);
    site_free(site);
    return waited_s;
}

Test(sweeper, believes_redis_only_to_shorten_the_grace_to_a_minute)
{
    cr_expect_eq(waits_s(SECOND_MS, NULL), 60);
    cr_expect_eq(waits_s(30 * MINUTE_MS, NULL), 120, "too long ago");
    cr_expect_eq(waits_s(-HOUR_MS, NULL), 120, "in the future");
    cr_expect_eq(waits_s(0, "yesterday"), 120, "no time");
}
