/* What is released, why, and what never is. */
#include "fleet.h"
#include "lib/cleanup.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

static struct message_claim claim(struct rig *rig, const struct store_worker *worker)
{
    struct message_claim claimed = rig_claim(rig, worker, 0);
    cr_assert_gt(claimed.job_id, 0);
    return claimed;
}

/* Time in which these two live, as workers that name this job, or none. */
static void live(struct rig *rig, struct store_worker *worker, int64_t job, int64_t ms)
{
    for (; ms > 0; ms -= MINUTE_MS) {
        fleet_stay_up(rig, MINUTE_MS);
        fleet_beat(rig, worker, job);
    }
}

Test(sweep, a_dead_workers_job_is_released_and_nothing_is_held_against_it)
{
    struct rig *rig = fleet_new();
    int64_t job = rig_add_job(rig, "film");
    fleet_beat(rig, &rig->anna, 0);
    claim(rig, &rig->anna);
    fleet_stay_up(rig, 29 * MINUTE_MS);
    fleet_sweeps(rig, SWEEP_NOTHING, 0);
    fleet_stay_up(rig, 2 * MINUTE_MS);
    struct store_sweep sweep = fleet_sweep(rig);
    cr_assert_eq(sweep.count, 1);
    cr_expect_eq(sweep.released[0].job_id, job);
    cr_expect_eq(sweep.released[0].epoch, 1);
    cr_expect_eq(sweep.released[0].reason, REASON_SILENT);
    cr_expect_str_eq(sweep.released[0].worker_name, "anna");
    cr_expect(strstr(sweep.released[0].detail, "worker anna has sent no heartbeat since "));
    store_sweep_fini(&sweep);
    rig_expect(rig, "pending 1 1 free",
               "SELECT v.status || ' ' || j.attempt_number || ' ' ||"
               " e.claim_epoch || ' ' || CASE WHEN j.processed_by_worker_id ="
               " w.worker_id AND j.worker_id IS NULL AND w.current_job_id IS NULL"
               " THEN 'free' ELSE 'not free' END FROM transcoding_jobs j"
               " JOIN videos v ON v.id = j.video_id JOIN job_epochs e"
               " ON e.job_id = j.id JOIN workers w ON w.worker_name = 'anna'");
    TEXT(record) = rig_text(rig, "SELECT outcome || released_count || released FROM sweeps"
                                 " ORDER BY id DESC LIMIT 1");
    cr_expect(strstr(record, "released1[{\"job\":1,\"epoch\":1,\"worker\":\"anna\""), "%s", record);
    cr_expect(strstr(record, "\"detail\":\"worker anna has sent no heartbeat since "), "%s",
              record);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).claim_epoch, 2);
    rig_free(rig);
}

Test(sweep, what_was_released_and_not_taken_is_still_good)
{
    struct rig *rig = fleet_new_claimed();
    fleet_stay_up(rig, 31 * MINUTE_MS);
    fleet_sweeps(rig, SWEEP_RELEASED, 1);
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, 1), rig->job, 1),
                 TAILSLATE_VERDICT_COMMIT_LATE);
    rig_free(rig);
}

Test(sweep, who_names_an_expired_job_keeps_it_for_four_claim_durations)
{
    struct rig *rig = fleet_new_with(3 * MINUTE_MS, MINUTE_MS, 0);
    fleet_tick(rig, INSTANCE);
    int64_t job = rig_add_job(rig, "film");
    claim(rig, &rig->anna);
    for (int minute = 1; minute < 15; minute++) {
        live(rig, &rig->anna, job, MINUTE_MS);
        fleet_sweeps(rig, SWEEP_NOTHING, 0);
        cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, 0, "after %d minutes", minute);
    }
    live(rig, &rig->anna, job, 2 * MINUTE_MS);
    fleet_releases(rig, job, REASON_LONG_EXPIRED);
    rig_free(rig);
}

Test(sweep, a_stock_worker_that_is_busy_keeps_its_expired_job_and_an_idle_one_does_not)
{
    struct rig *rig = fleet_new_claimed();
    fleet_stay_up(rig, 31 * MINUTE_MS);
    fleet_beat_stock(rig, &rig->anna);
    fleet_sweeps(rig, SWEEP_NOTHING, 0);
    fleet_beat_idle(rig, &rig->anna);
    fleet_releases(rig, rig->job, REASON_IDLE);
    cr_expect_not(fleet_is_claimed(rig, rig->job));
    rig_free(rig);
}

/* Mistake: the answer to /claim is lost; the worker lives and knows nothing of the job. */
Test(sweep, a_claim_whose_answer_was_lost_is_released_when_it_expires)
{
    struct rig *rig = fleet_new();
    int64_t known = rig_add_job(rig, "known");
    claim(rig, &rig->anna);
    int64_t lost = rig_add_job(rig, "lost");
    claim(rig, &rig->anna);
    live(rig, &rig->anna, known, 30 * MINUTE_MS);
    rig_progress(rig, rig_caller(&rig->anna, 1), known);
    live(rig, &rig->anna, known, MINUTE_MS);
    fleet_releases(rig, lost, REASON_NOT_NAMED);
    cr_expect(fleet_is_claimed(rig, known));
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, lost);
    rig_free(rig);
}

/* Mistake 22: marked offline while its claim was good, and then never looked at again. */
Test(sweep, a_worker_that_went_offline_before_its_claim_expired_is_not_forgotten)
{
    struct rig *rig = fleet_new();
    int64_t job = rig_add_job(rig, "film");
    fleet_beat(rig, &rig->anna, 0);
    claim(rig, &rig->anna);
    fleet_stay_up(rig, 10 * MINUTE_MS);
    rig_sql(rig, "UPDATE workers SET status = 'offline' WHERE worker_name = 'anna'");
    fleet_sweeps(rig, SWEEP_NOTHING, 0);
    fleet_stay_up(rig, 21 * MINUTE_MS);
    fleet_sweeps(rig, SWEEP_RELEASED, 1);
    cr_expect_not(fleet_is_claimed(rig, job));
    rig_free(rig);
}

Test(sweep, the_claims_of_disabled_and_forgotten_workers_are_released_when_they_expire)
{
    struct rig *rig = fleet_new();
    rig_add_job(rig, "one");
    rig_add_job(rig, "two");
    claim(rig, &rig->anna);
    claim(rig, &rig->bert);
    rig_sql(rig, "UPDATE workers SET status = 'disabled' WHERE worker_name = 'anna'");
    rig_sql(rig, "DELETE FROM workers WHERE worker_name = 'bert'");
    fleet_stay_up(rig, 29 * MINUTE_MS);
    fleet_sweeps(rig, SWEEP_NOTHING, 0);
    fleet_stay_up(rig, 2 * MINUTE_MS);
    struct store_sweep sweep = fleet_sweep(rig);
    cr_assert_eq(sweep.count, 2);
    cr_expect_eq(sweep.released[0].reason, REASON_DISABLED_WORKER);
    cr_expect_eq(sweep.released[1].reason, REASON_UNKNOWN_WORKER);
    store_sweep_fini(&sweep);
    rig_free(rig);
}

/* Mistake 12: written from a stale look. */
Test(sweep, what_changed_after_the_look_is_left_as_it_is)
{
    struct rig *rig = fleet_new();
    struct store_candidates candidates;
    struct error err;
    int64_t completed = rig_add_job(rig, "completed"), extended = rig_add_job(rig, "extended");
    int64_t taken = rig_add_job(rig, "taken"), dead = rig_add_job(rig, "dead");
    int64_t revived = rig_add_job(rig, "revived");
    struct store_worker carl = rig_add_worker(rig, "carl");
    for (int i = 0; i < 4; i++)
        claim(rig, &rig->anna);
    rig_claim(rig, &carl, revived);
    fleet_stay_up(rig, 31 * MINUTE_MS);
    cr_assert_eq(store_sweep_choose(rig->store, 0, &candidates, &err), 0, "%s", err.message);
    cr_assert_eq(candidates.count, 5);

    rig_present(rig, rig_caller(&rig->anna, 1), completed, 1);
    rig_progress(rig, rig_caller(&rig->anna, 1), extended);
    rig_release(rig, taken);
    cr_assert_eq(rig_claim(rig, &rig->bert, taken).job_id, taken);
    fleet_beat(rig, &carl, revived);

    struct store_sweep sweep = {.instance = INSTANCE};
    cr_assert_eq(store_sweep_release(rig->store, &candidates, &sweep, &err), 0, "%s", err.message);
    cr_assert_eq(sweep.count, 1);
    cr_expect_eq(sweep.released[0].job_id, dead);
    store_sweep_fini(&sweep);
    cr_expect(fleet_is_claimed(rig, extended));
    cr_expect(fleet_is_claimed(rig, taken));
    cr_expect(fleet_is_claimed(rig, revived));
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM transcoding_jobs j JOIN videos v"
                                 " ON v.id = j.video_id WHERE j.completed_at IS NOT NULL"
                                 " AND v.status = 'ready'"),
                 1);
    rig_free(rig);
}

Test(sweep, two_hundred_and_fifty_claims_are_released_in_one_sweep)
{
    struct rig *rig = fleet_new_with(3 * MINUTE_MS, MINUTE_MS, 0);
    fleet_tick(rig, INSTANCE);
    for (int i = 0; i < SWEEP_BATCH_MAX + 50; i++) {
        rig_add_job(rig, NULL);
        claim(rig, &rig->anna);
    }
    fleet_tick(rig, INSTANCE); /* that took a while */
    fleet_stay_up(rig, 4 * MINUTE_MS);
    fleet_sweeps(rig, SWEEP_RELEASED, SWEEP_BATCH_MAX + 50);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM videos WHERE status = 'pending'"),
                 SWEEP_BATCH_MAX + 50);
    cr_expect_eq(rig_number(rig, "SELECT SUM(released_count) FROM sweeps"), SWEEP_BATCH_MAX + 50);
    rig_free(rig);
}

/* Everything that a sweep could change, as text. */
static char *dump(struct rig *rig)
{
    static const char *const parts[] = {
        "SELECT COALESCE(CAST(alive_at AS TEXT), '-') || COALESCE(CAST(up_since AS TEXT), '-') ||"
        " COALESCE(leader, '-') || COALESCE(CAST(leader_until AS TEXT), '-') ||"
        " COALESCE(CAST(last_sweep_at AS TEXT), '-') ||"
        " COALESCE(CAST(suspicious_since AS TEXT), '-') ||"
        " COALESCE(CAST(last_cleanup_at AS TEXT), '-') FROM fleet",
        "SELECT COALESCE(worker_id, '-') || COALESCE(CAST(claimed_at AS TEXT), '-') ||"
        " COALESCE(CAST(claim_expires_at AS TEXT), '-') || attempt_number ||"
        " COALESCE(current_step, '-') || COALESCE(processed_by_worker_id, '-')"
        " FROM transcoding_jobs",
        "SELECT status FROM videos",
        "SELECT status || COALESCE(current_job_id, 0) FROM workers WHERE worker_name = 'anna'",
        "SELECT COUNT(*) || COALESCE(CAST(MAX(swept_at) AS TEXT), '-') FROM sweeps",
        "SELECT COUNT(*) || '-' || MAX(claim_epoch) FROM job_epochs",
    };
    char *all = must_strdup("");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        TEXT(before) = all;
        TEXT(part) = rig_text(rig, parts[i]);
        all = must_printf("%s\n%s", before, part);
    }
    return all;
}

Test(sweep, a_preview_says_what_would_be_released_and_changes_nothing_at_all)
{
    struct rig *rig = fleet_new_claimed();
    struct store_sweep sweep = {.instance = OTHER, .by_order = true};
    struct error err;
    fleet_stay_up(rig, 31 * MINUTE_MS);
    TEXT(before) = dump(rig);
    cr_assert_eq(store_sweep_preview(rig->store, &sweep, &err), 0, "%s", err.message);
    cr_expect_eq(sweep.outcome, SWEEP_RELEASED);
    cr_assert_eq(sweep.count, 1);
    cr_expect_eq(sweep.released[0].reason, REASON_SILENT);
    store_sweep_fini(&sweep);
    TEXT(after) = dump(rig);
    cr_expect_str_eq(after, before);
    fleet_sweeps(rig, SWEEP_RELEASED, 1);
    TEXT(swept) = dump(rig);
    cr_expect_str_neq(swept, before, "the dump would not show it");
    rig_free(rig);
}

Test(sweep, an_order_takes_the_lead_for_its_time_and_gives_it_back)
{
    struct rig *rig = fleet_new_claimed();
    struct store_sweep sweep = {.instance = OTHER, .by_order = true};
    struct error err;
    fleet_stay_up(rig, 31 * MINUTE_MS);
    cr_assert_eq(store_sweep(rig->store, &sweep, &err), 0, "%s", err.message);
    cr_expect_eq(sweep.count, 1);
    store_sweep_fini(&sweep);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM fleet WHERE leader IS NULL"), 1);
    cr_expect(fleet_tick(rig, INSTANCE).leads);
    rig_free(rig);
}

Test(sweep, one_leads_at_a_time_and_another_takes_over_within_the_lease)
{
    struct rig *rig = fleet_new();
    struct store_sweep sweep = {.instance = OTHER};
    struct error err;
    cr_expect(fleet_tick(rig, INSTANCE).leads);
    cr_expect_not(fleet_tick(rig, OTHER).leads);
    fleet_pass(rig, 14 * SECOND_MS);
    cr_expect_not(fleet_tick(rig, OTHER).leads);
    cr_assert_eq(store_sweep(rig->store, &sweep, &err), 0, "%s", err.message);
    cr_expect_eq(sweep.outcome, SWEEP_LOST_LEASE, "who does not lead does not sweep");
    fleet_pass(rig, 14 * SECOND_MS);
    cr_expect_not(fleet_tick(rig, OTHER).leads);
    fleet_pass(rig, 3 * SECOND_MS);
    cr_expect(fleet_tick(rig, OTHER).leads, "the lease of the dead one is over");
    cr_expect_not(fleet_tick(rig, INSTANCE).leads, "and it finds that out when it comes back");
    fleet_sweeps(rig, SWEEP_LOST_LEASE, 0);
    cr_assert_eq(store_resign(rig->store, INSTANCE, &err), 0);
    cr_expect_not(fleet_tick(rig, INSTANCE).leads, "nobody gives away what is not his");
    cr_assert_eq(store_resign(rig->store, OTHER, &err), 0);
    cr_expect(fleet_tick(rig, INSTANCE).leads, "what is given back is had at once");
    rig_free(rig);
}

Test(sweep, a_lease_from_a_future_that_was_set_back_is_none)
{
    struct rig *rig = fleet_new();
    fleet_pass(rig, HOUR_MS);
    fleet_tick(rig, OTHER);
    fleet_pass(rig, -HOUR_MS);
    cr_expect(fleet_tick(rig, INSTANCE).leads);
    rig_free(rig);
}

Test(sweep, mass_silence_releases_nothing_for_one_threshold)
{
    struct rig *rig = fleet_new();
    struct store_worker workers[] = {rig->anna, rig->bert, rig_add_worker(rig, "carl"),
                                     rig_add_worker(rig, "dora"), rig_add_worker(rig, "emil")};
    int64_t job = rig_add_job(rig, "film");
    claim(rig, &workers[0]);
    fleet_stay_up(rig, 26 * MINUTE_MS);
    for (int i = 0; i < 5; i++)
        fleet_beat_stock(rig, &workers[i]);
    fleet_stay_up(rig, 6 * MINUTE_MS);
    fleet_beat_stock(rig, &workers[3]);
    fleet_beat_stock(rig, &workers[4]);
    fleet_sweeps(rig, SWEEP_MASS_SILENCE, 0);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, 0, "/claim recognizes the mass silence too");
    fleet_stay_up(rig, 4 * MINUTE_MS);
    fleet_sweeps(rig, SWEEP_MASS_SILENCE, 0);
    cr_expect(fleet_is_claimed(rig, job));
    fleet_stay_up(rig, 2 * MINUTE_MS);
    fleet_sweeps(rig, SWEEP_RELEASED, 1);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM fleet WHERE suspicious_since IS NOT NULL"),
                 1, "or it would begin anew");
    for (int i = 0; i < 5; i++)
        fleet_beat_stock(rig, &workers[i]);
    fleet_sweeps(rig, SWEEP_NOTHING, 0);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM fleet WHERE suspicious_since IS NULL"), 1);
    rig_free(rig);
}

Test(sweep, half_of_the_workers_or_a_fleet_of_three_is_no_mass_silence)
{
    struct rig *rig = fleet_new_claimed();
    struct store_worker carl = rig_add_worker(rig, "carl");
    fleet_stay_up(rig, 20 * MINUTE_MS);
    fleet_beat_stock(rig, &rig->anna);
    fleet_beat_stock(rig, &rig->bert);
    fleet_beat_stock(rig, &carl);
    fleet_stay_up(rig, 11 * MINUTE_MS);
    fleet_sweeps(rig, SWEEP_RELEASED, 1);
    rig_free(rig);
}

Test(sweep, what_only_goes_on_is_one_row_and_a_thousand_rows_are_kept)
{
    struct rig *rig = fleet_new();
    struct error err;
    for (int i = 0; i < 3; i++)
        fleet_sweeps(rig, SWEEP_NOTHING, 0);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM sweeps"), 1);
    for (int i = 0; i < 10; i++) /* 1024 */
        rig_sql(rig, "INSERT INTO sweeps (swept_at, instance, outcome, released_count, released)"
                     " SELECT swept_at, instance, outcome, released_count, released FROM sweeps");
    cr_assert_eq(store_note_outcome(rig->store, INSTANCE, SWEEP_TICK_OVERDUE, &err), 0);
    cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM sweeps"), SWEEP_ROWS_MAX);
    rig_free(rig);
}

static void *complete_in_a_thread(void *ctx)
{
    struct rig *rig = ctx;
    rig_present(rig, rig_caller(&rig->anna, 1), 1, 1);
    return NULL;
}

/* Whoever comes first, the completion counts: late where the sweep was first. */
Test(sweep, a_completion_beside_a_sweep_always_lands)
{
    for (int i = 0; i < 4; i++) {
        struct rig *rig = fleet_new_with(MINUTE_MS, MINUTE_MS, 0);
        pthread_t thread;
        rig_add_job(rig, "film");
        fleet_tick(rig, INSTANCE);
        claim(rig, &rig->anna);
        fleet_stay_up(rig, 2 * MINUTE_MS);
        cr_assert_eq(pthread_create(&thread, NULL, complete_in_a_thread, rig), 0);
        struct store_sweep sweep = fleet_sweep(rig);
        pthread_join(thread, NULL);
        store_sweep_fini(&sweep);
        cr_expect_eq(rig_number(rig, "SELECT COUNT(*) FROM transcoding_jobs j JOIN videos v"
                                     " ON v.id = j.video_id WHERE j.completed_at IS NOT NULL"
                                     " AND v.status = 'ready' AND j.claimed_at IS NULL"),
                     1);
        rig_free(rig);
    }
}
