/* The judgment, by tables: what is released when, and what nothing may shorten. */
#include "verifier/base/grace.h"

#include <criterion/criterion.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND };
#define HOUR ((int64_t)60 * MINUTE)
#define NOW  ((int64_t)1800000000000)

static const struct grace_limits limits = {120 * SECOND, 5 * MINUTE};

static struct grace_facts facts_of_a_calm_fleet(void)
{
    return (struct grace_facts){.now_ms = NOW,
                                .alive_at_ms = NOW - 5 * SECOND,
                                .up_since_ms = NOW - 10 * HOUR,
                                .last_sweep_ms = NOW - 60 * SECOND};
}

Test(grace, a_gap_is_none_a_restart_or_an_outage)
{
    static const struct {
        int64_t gap_ms;
        enum grace_gap gap;
        int64_t credit_ms;
    } rows[] = {
        {0, GRACE_GAP_NONE, 0},
        {15 * SECOND, GRACE_GAP_NONE, 0},
        {15 * SECOND + 1, GRACE_GAP_RESTART, 1},
        {30 * SECOND, GRACE_GAP_RESTART, 15 * SECOND},
        {60 * SECOND, GRACE_GAP_RESTART, 45 * SECOND},
        {60 * SECOND + 1, GRACE_GAP_OUTAGE, 60 * SECOND + 1},
        {3 * HOUR, GRACE_GAP_OUTAGE, 3 * HOUR},
        {-HOUR, GRACE_GAP_NONE, 0}, /* the clock was set back */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t credit_ms;
        cr_expect_eq(grace_gap(NOW, NOW - rows[i].gap_ms, -1, &credit_ms), rows[i].gap, "row %zu",
                     i);
        cr_expect_eq(credit_ms, rows[i].credit_ms, "row %zu", i);
    }
    int64_t credit_ms;
    cr_expect_eq(grace_gap(NOW, 0, -1, &credit_ms), GRACE_GAP_FIRST);
    cr_expect_eq(credit_ms, 0);
}

/* own: how long ago this process was there itself, by a clock that nobody sets. */
Test(grace, a_clock_that_was_set_is_no_outage_and_hides_none)
{
    static const struct {
        int64_t gap_ms, own_ms;
        enum grace_gap gap;
        int64_t credit_ms, jump_ms;
    } rows[] = {
        {5 * SECOND, 5 * SECOND, GRACE_GAP_NONE, 0, 0},
        {20 * SECOND, 5 * SECOND, GRACE_GAP_NONE, 0, 0}, /* a slow look, or a small step */
        {3 * HOUR, 5 * SECOND, GRACE_GAP_NONE, 0, 3 * HOUR - 5 * SECOND},
        {21 * SECOND, 5 * SECOND, GRACE_GAP_NONE, 0, 16 * SECOND},
        {3 * HOUR, 3 * HOUR, GRACE_GAP_OUTAGE, 3 * HOUR, 0},
        {3 * HOUR, HOUR, GRACE_GAP_OUTAGE, HOUR, 2 * HOUR}, /* both */
        {3 * HOUR, 30 * SECOND, GRACE_GAP_RESTART, 15 * SECOND, 3 * HOUR - 30 * SECOND},
        {HOUR, 3 * HOUR, GRACE_GAP_OUTAGE, HOUR, 0},   /* another instance was there since */
        {3 * HOUR, -1, GRACE_GAP_OUTAGE, 3 * HOUR, 0}, /* who has just begun cannot tell */
        {-HOUR, 5 * SECOND, GRACE_GAP_NONE, 0, -HOUR},
        {-HOUR, -1, GRACE_GAP_NONE, 0, -HOUR},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t credit_ms, alive_ms = NOW - rows[i].gap_ms;
        cr_expect_eq(grace_gap(NOW, alive_ms, rows[i].own_ms, &credit_ms), rows[i].gap, "row %zu",
                     i);
        cr_expect_eq(credit_ms, rows[i].credit_ms, "row %zu", i);
        cr_expect_eq(grace_jump(NOW, alive_ms, rows[i].own_ms), rows[i].jump_ms, "row %zu", i);
    }
    cr_expect_eq(grace_jump(NOW, 0, 5 * SECOND), 0, "nobody was ever there");
}

Test(grace, a_short_claim_is_nobodys_only_after_what_the_grace_allows_for)
{
    cr_expect_eq(grace_long_expired(30 * 60 * SECOND, 120 * SECOND), 2 * HOUR);
    cr_expect_eq(grace_long_expired(2 * SECOND, 120 * SECOND), 480 * SECOND);
    cr_expect_eq(grace_long_expired(2 * SECOND, 0), 8 * SECOND);
}

Test(grace, after_an_outage_nothing_is_released_unless_a_sweep_is_known)
{
    static const struct {
        int64_t up_s, last_sweep_s, last_run_s; /* ago; 0: never; negative: in the future */
        enum grace_verdict verdict;
    } rows[] = {
        {3600, 60, 0, GRACE_RELEASE},
        {3600, 0, 0, GRACE_RELEASE}, /* long up: the grace is over, sweeps or not */
        {119, 0, 0, GRACE_WAIT},
        {120, 0, 0, GRACE_RELEASE},
        {1, 120, 0, GRACE_RELEASE}, /* a quick restart of everything */
        {1, 121, 0, GRACE_WAIT},
        {119, -1, 0, GRACE_WAIT},  /* in the future: it proves nothing */
        {119, -1, -1, GRACE_WAIT}, /* nor does Redis's */
        {119, 0, -3600, GRACE_WAIT},
        {59, 0, 10, GRACE_WAIT}, /* Redis: never below a minute */
        {60, 0, 10, GRACE_RELEASE},
        {60, 0, 121, GRACE_WAIT},
        {-10, 0, 10, GRACE_WAIT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct grace_facts facts = facts_of_a_calm_fleet();
        int64_t since;
        facts.up_since_ms = NOW - rows[i].up_s * SECOND;
        facts.last_sweep_ms = rows[i].last_sweep_s ? NOW - rows[i].last_sweep_s * SECOND : 0;
        facts.last_run_ms = rows[i].last_run_s ? NOW - rows[i].last_run_s * SECOND : 0;
        cr_expect_eq(grace_decide(&facts, &limits, &since), rows[i].verdict, "row %zu", i);
    }
}

Test(grace, redis_never_lengthens_a_short_grace)
{
    struct grace_limits short_grace = {10 * SECOND, 5 * MINUTE};
    struct grace_facts facts = facts_of_a_calm_fleet();
    int64_t since;
    facts.up_since_ms = NOW - 10 * SECOND;
    facts.last_sweep_ms = 0;
    facts.last_run_ms = NOW - SECOND;
    cr_expect_eq(grace_decide(&facts, &short_grace, &since), GRACE_RELEASE);
}

Test(grace, a_row_that_nobody_keeps_releases_nothing)
{
    struct grace_facts facts = facts_of_a_calm_fleet();
    int64_t since;
    facts.alive_at_ms = NOW - 15 * SECOND;
    cr_expect_eq(grace_decide(&facts, &limits, &since), GRACE_RELEASE);
    facts.alive_at_ms -= 1;
    cr_expect_eq(grace_decide(&facts, &limits, &since), GRACE_UNMONITORED);
    facts.alive_at_ms = 0;
    cr_expect_eq(grace_decide(&facts, &limits, &since), GRACE_UNMONITORED);
}

Test(grace, more_than_half_of_four_is_mass_silence)
{
    static const struct {
        int64_t heard, silent;
        enum grace_verdict verdict;
    } rows[] = {
        {3, 3, GRACE_RELEASE},      {4, 2, GRACE_RELEASE},      {4, 3, GRACE_MASS_SILENCE},
        {5, 3, GRACE_MASS_SILENCE}, {100, 50, GRACE_RELEASE},   {100, 51, GRACE_MASS_SILENCE},
        {0, 0, GRACE_RELEASE},      {4, 4, GRACE_MASS_SILENCE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct grace_facts facts = facts_of_a_calm_fleet();
        int64_t since;
        facts.heard = rows[i].heard;
        facts.silent = rows[i].silent;
        cr_expect_eq(grace_decide(&facts, &limits, &since), rows[i].verdict, "row %zu", i);
        cr_expect_eq(since, rows[i].verdict == GRACE_MASS_SILENCE ? NOW : 0, "row %zu", i);
    }
}

Test(grace, mass_silence_lasts_one_offline_threshold)
{
    struct grace_facts facts = facts_of_a_calm_fleet();
    int64_t since;
    facts.heard = facts.silent = 4;
    facts.suspicious_since_ms = NOW - 5 * MINUTE + 1;
    cr_expect_eq(grace_decide(&facts, &limits, &since), GRACE_MASS_SILENCE);
    cr_expect_eq(since, facts.suspicious_since_ms);
    facts.suspicious_since_ms = NOW - 5 * MINUTE;
    cr_expect_eq(grace_decide(&facts, &limits, &since), GRACE_RELEASE);
    cr_expect_eq(since, facts.suspicious_since_ms, "it stays on record, or it would begin anew");
    facts.silent = 1;
    cr_expect_eq(grace_decide(&facts, &limits, &since), GRACE_RELEASE);
    cr_expect_eq(since, 0, "and is over when it no longer looks so");
    facts.silent = 4;
    facts.suspicious_since_ms = NOW + HOUR;
    cr_expect_eq(grace_decide(&facts, &limits, &since), GRACE_MASS_SILENCE);
    cr_expect_eq(since, NOW, "from the future: it begins now");
}

Test(grace, mass_silence_begins_only_after_the_grace)
{
    struct grace_facts facts = facts_of_a_calm_fleet();
    int64_t since;
    facts.heard = facts.silent = 4;
    facts.last_sweep_ms = 0;
    facts.up_since_ms = NOW - SECOND;
    cr_expect_eq(grace_decide(&facts, &limits, &since), GRACE_WAIT);
    cr_expect_eq(since, 0);
}

Test(grace, nothing_counts_for_the_time_nobody_could_be_heard)
{
    cr_expect_eq(grace_before(NOW, NOW - HOUR, 5 * MINUTE), NOW - 5 * MINUTE);
    cr_expect_eq(grace_before(NOW, NOW - 5 * MINUTE, 5 * MINUTE), NOW - 5 * MINUTE);
    cr_expect_eq(grace_before(NOW, NOW - 5 * MINUTE + 1, 5 * MINUTE), 0);
}

Test(grace, a_threshold_over_an_hour_widens_the_window_of_mass_silence)
{
    struct grace_limits patient = {0, 2 * HOUR};
    cr_expect_eq(grace_heard_since(NOW, &limits), NOW - HOUR);
    cr_expect_eq(grace_heard_since(NOW, &patient), NOW - 4 * HOUR);
}

Test(grace, what_was_last_done_in_the_future_is_due)
{
    cr_expect(grace_is_due(NOW, 0, MINUTE));
    cr_expect(grace_is_due(NOW, NOW - MINUTE, MINUTE));
    cr_expect_not(grace_is_due(NOW, NOW - MINUTE + 1, MINUTE));
    cr_expect(grace_is_due(NOW, NOW + 1, MINUTE));
}

Test(grace, a_lease_holds_for_its_time_and_no_longer)
{
    cr_expect_not(grace_lease_holds(NOW, 0));
    cr_expect_not(grace_lease_holds(NOW, NOW));
    cr_expect(grace_lease_holds(NOW, NOW + 1));
    cr_expect(grace_lease_holds(NOW, NOW + GRACE_LEASE_MS));
    cr_expect_not(grace_lease_holds(NOW, NOW + GRACE_LEASE_MS + 1), "the clock was set back");
}

Test(grace, a_tick_over_two_intervals_late_is_overdue)
{
    cr_expect_not(grace_tick_is_overdue(5000, 5000, 5000));
    cr_expect_not(grace_tick_is_overdue(15000, 5000, 5000));
    cr_expect(grace_tick_is_overdue(15001, 5000, 5000));
}
