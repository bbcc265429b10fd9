#include "verifier/http/limiter.h"

#include <criterion/criterion.h>
#include <stdio.h>

static enum limit fail(struct limiter *limiter, const char *text, int64_t now_ms)
{
    struct address address = address_of_text(text);
    return limiter_count(limiter, &address, now_ms);
}

static bool is_over(struct limiter *limiter, const char *text, int64_t now_ms)
{
    struct address address = address_of_text(text);
    return limiter_is_over(limiter, &address, now_ms);
}

static void exhaust(struct limiter *limiter, const char *text, int64_t now_ms)
{
    for (int i = 0; i < LIMITER_FAILURES_MAX; i++)
        cr_assert_eq(fail(limiter, text, now_ms), LIMIT_WITHIN, "%d", i);
    cr_assert_not(is_over(limiter, text, now_ms));
    cr_assert_eq(fail(limiter, text, now_ms), LIMIT_REACHED);
}

Test(limiter, failures_are_limited_by_address_and_window)
{
    struct limiter *limiter = limiter_new();
    exhaust(limiter, "192.0.2.1", 1000);
    cr_assert(is_over(limiter, "192.0.2.1", 1000));
    cr_assert_eq(fail(limiter, "192.0.2.1", 1000 + LIMITER_WINDOW_MS - 1), LIMIT_OVER);
    cr_assert_not(is_over(limiter, "192.0.2.1", 1000 + LIMITER_WINDOW_MS));
    cr_assert_eq(fail(limiter, "192.0.2.1", 1000 + LIMITER_WINDOW_MS), LIMIT_WITHIN);
    limiter_free(limiter);
}

Test(limiter, an_ipv6_network_is_one_guesser)
{
    struct limiter *limiter = limiter_new();
    char text[64];
    for (unsigned i = 0; i <= LIMITER_FAILURES_MAX; i++) {
        snprintf(text, sizeof text, "2001:db8:1:2::%x", i);
        fail(limiter, text, 1000);
    }
    cr_assert(is_over(limiter, "2001:db8:1:2:ffff::1", 1000));
    limiter_free(limiter);
}

Test(limiter, no_crowd_of_other_addresses_makes_one_be_forgotten)
{
    struct limiter *limiter = limiter_new();
    char text[64];
    exhaust(limiter, "192.0.2.1", 1000);
    for (unsigned i = 0; i < 200000; i++) {
        snprintf(text, sizeof text, "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
        fail(limiter, text, 2000);
    }
    cr_assert(is_over(limiter, "192.0.2.1", 2000));
    limiter_free(limiter);
}

Test(limiter, addresses_spread_over_the_table)
{
    struct limiter *limiter = limiter_new();
    char text[64];
    int shared = 0;
    exhaust(limiter, "192.0.2.1", 1000);
    for (unsigned i = 0; i < 4096; i++) {
        snprintf(text, sizeof text, "10.0.%u.%u", i >> 8, i & 255);
        shared += is_over(limiter, text, 1000);
    }
    cr_assert_leq(shared, 8, "%d of 4096 addresses share the place of one", shared);
    limiter_free(limiter);
}
