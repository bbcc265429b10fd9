#include "lib/uuid.h"

#include "tailslate/backoff.h"

#include <criterion/criterion.h>
#include <signal.h>

static const struct tailslate_backoff house = {.base_ms = 1000, .cap_ms = 300 * 1000};

enum { NO_FLOOR = -1 };

/* With the largest random number the delay is min(cap, base * 2^attempt) itself. */
static const struct {
    struct tailslate_backoff policy;
    unsigned attempt;
    int64_t longest_ms;
} schedule[] = {
    {{1000, 300000}, 0, 1000},
    {{1000, 300000}, 1, 2000},
    {{1000, 300000}, 2, 4000},
    {{1000, 300000}, 8, 256000},
    {{1000, 300000}, 9, 300000},
    {{1000, 300000}, 10, 300000},
    {{1000, 300000}, 63, 300000},
    {{1000, 300000}, 64, 300000},
    {{1000, 300000}, 4000000000, 300000},
    {{1000, 1000}, 0, 1000},
    {{1000, 1000}, 4000000000, 1000},
    {{1, 1}, 4000000000, 1},
    {{1, INT64_MAX}, 4000000000, INT64_MAX},
    {{1, INT64_MAX}, 62, INT64_C(1) << 62},
    {{1, INT64_MAX}, 63, INT64_MAX},
    {{3, INT64_MAX}, 61, INT64_C(3) << 61},
    {{3, INT64_MAX}, 62, INT64_MAX},
    {{INT64_MAX, INT64_MAX}, 4000000000, INT64_MAX},
    {{INT64_MAX - 1, INT64_MAX}, 1, INT64_MAX},
};

Test(backoff, doubles_up_to_the_cap_and_never_overflows)
{
    for (size_t i = 0; i < sizeof schedule / sizeof schedule[0]; i++) {
        struct tailslate_backoff policy = schedule[i].policy;
        unsigned attempt = schedule[i].attempt;
        cr_expect_eq(tailslate_backoff_delay_ms(policy, attempt, NO_FLOOR, UINT64_MAX),
                     schedule[i].longest_ms, "row %zu", i);
        cr_expect_eq(tailslate_backoff_delay_ms(policy, attempt, NO_FLOOR, 0), 0, "row %zu", i);
    }
}

Test(backoff, the_jitter_is_full_whatever_the_random_number)
{
    static const uint64_t extremes[] = {
        0, 1, UINT32_MAX, UINT64_C(1) << 63, (UINT64_C(1) << 63) - 1, UINT64_MAX - 1, UINT64_MAX};
    for (unsigned attempt = 0; attempt < 70; attempt++) {
        int64_t longest_ms = attempt < 9 ? INT64_C(1000) << attempt : house.cap_ms;
        for (size_t i = 0; i < sizeof extremes / sizeof extremes[0] + 64; i++) {
            uint64_t random = i < 7 ? extremes[i] : random_u64();
            int64_t delay_ms = tailslate_backoff_delay_ms(house, attempt, NO_FLOOR, random);
            cr_assert(delay_ms >= 0 && delay_ms <= longest_ms, "attempt %u: %lld", attempt,
                      (long long)delay_ms);
        }
    }
}

/* Known mistake 18: a fleet must not come back in step because everybody has reached the cap. */
Test(backoff, the_jitter_does_not_vanish_at_the_cap)
{
    int quarters[4] = {0};
    for (uint64_t i = 0; i < 4096; i++) {
        int64_t delay_ms = tailslate_backoff_delay_ms(house, 1000, NO_FLOOR, i << 52);
        quarters[delay_ms * 4 / (house.cap_ms + 1)]++;
    }
    for (int i = 0; i < 4; i++)
        cr_expect(quarters[i] >= 1000 && quarters[i] <= 1048, "quarter %d: %d", i, quarters[i]);
}

Test(backoff, retry_after_wins_over_the_schedule)
{
    cr_expect_eq(tailslate_backoff_delay_ms(house, 0, 60000, 0), 60000);
    cr_expect_eq(tailslate_backoff_delay_ms(house, 0, 500, 0), 500);
}

Test(backoff, the_jitter_comes_on_top_of_retry_after)
{
    cr_expect_eq(tailslate_backoff_delay_ms(house, 0, 60000, UINT64_MAX), 61000);
    cr_expect_eq(tailslate_backoff_delay_ms(house, 99, 60000, UINT64_MAX), 360000);
}

Test(backoff, retry_after_is_bounded_by_an_hour)
{
    cr_expect_eq(tailslate_backoff_delay_ms(house, 0, TAILSLATE_RETRY_AFTER_MAX_MS + 1, 0),
                 TAILSLATE_RETRY_AFTER_MAX_MS);
    cr_expect_eq(tailslate_backoff_delay_ms(house, 0, INT64_MAX, 0), TAILSLATE_RETRY_AFTER_MAX_MS);
}

Test(backoff, no_retry_after_and_zero_are_no_floor)
{
    cr_expect_eq(tailslate_backoff_delay_ms(house, 0, -1, 0), 0);
    cr_expect_eq(tailslate_backoff_delay_ms(house, 0, INT64_MIN, 0), 0);
    cr_expect_eq(tailslate_backoff_delay_ms(house, 0, 0, 0), 0);
}

Test(backoff, the_longest_cap_and_a_floor_do_not_overflow)
{
    struct tailslate_backoff longest = {1, INT64_MAX};
    cr_assert_eq(tailslate_backoff_delay_ms(longest, 4000000000, INT64_MAX, UINT64_MAX), INT64_MAX);
}

Test(backoff, a_cap_below_the_base_is_a_bug, .signal = SIGABRT)
{
    tailslate_backoff_delay_ms((struct tailslate_backoff){2, 1}, 0, NO_FLOOR, 0);
}

static const struct {
    int64_t value_ms;
    double share;
    int64_t least_ms, most_ms;
} polls[] = {
    {10000, 0.25, 7500, 12500},
    {10000, 0, 10000, 10000},
    {10000, 1, 0, 20000},
    {0, 1, 0, 0},
    {1, 0.5, 1, 1},
    {3, 0.5, 2, 4},
    {INT64_MAX, 0, INT64_MAX, INT64_MAX},
};

Test(backoff, a_poll_s_jitter_spans_its_share_both_ways)
{
    for (size_t i = 0; i < sizeof polls / sizeof polls[0]; i++) {
        int64_t value_ms = polls[i].value_ms;
        double share = polls[i].share;
        cr_expect_eq(tailslate_backoff_jitter_ms(value_ms, share, 0), polls[i].least_ms, "row %zu",
                     i);
        cr_expect_eq(tailslate_backoff_jitter_ms(value_ms, share, UINT64_MAX), polls[i].most_ms,
                     "row %zu", i);
    }
}

Test(backoff, the_longest_poll_does_not_overflow)
{
    for (int i = 0; i < 1000; i++)
        cr_assert_geq(tailslate_backoff_jitter_ms(INT64_MAX, 1, random_u64()), 0);
}

Test(backoff, the_server_s_return_ends_a_wait_early_spread_and_never_before_its_floor)
{
    bool is_spread = false;
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t random = i * UINT64_C(18446744073709551);
        int64_t at_ms = tailslate_backoff_wake_ms(300000, 0, 10000, 5000, random);
        cr_assert(at_ms >= 10000 && at_ms <= 15000, "%lld", (long long)at_ms);
        is_spread |= at_ms > 14000;
        cr_assert_geq(tailslate_backoff_wake_ms(300000, 60000, 10000, 5000, random), 60000);
        cr_assert_leq(tailslate_backoff_wake_ms(10001, 0, 10000, 5000, random), 10001,
                      "it came later");
    }
    cr_assert(is_spread);
}
