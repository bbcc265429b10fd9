#include "agent/media/measure.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct playlist list_of(const char *durations)
{
    char text[1024] = "#EXTM3U\n";
    struct playlist list;
    struct error err;
    int i = 0, used = 0;
    for (double seconds; sscanf(durations, "%lf%n", &seconds, &used) == 1; durations += used)
        snprintf(text + strlen(text), sizeof text - strlen(text), "#EXTINF:%f,\nseg_%04d.m4s\n",
                 seconds, i++);
    cr_assert_eq(playlist_parse(text, strlen(text), &list, &err), 0);
    return list;
}

Test(rates, the_target_is_no_shorter_than_any_segment)
{
    static const struct {
        const char *durations;
        int64_t target_s;
    } cases[] = {{"6 6 2.5", 6}, {"6 6.4 1", 7}, {"6.000001", 7}, {"0.4", 1}, {"", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct playlist list = list_of(cases[i].durations);
        cr_expect_eq(measure_target_s(&list), cases[i].target_s, "%s", cases[i].durations);
        playlist_fini(&list);
    }
}

/* Half to one and a half target durations, by bytes of 1000 bits. */
Test(rates, the_peak_is_over_neighbors_that_are_about_a_target_long)
{
    static const struct {
        const char *durations;
        int64_t bytes[4], target_s, peak_bps, average_bps;
    } cases[] = {
        {"6 6 0.1", {3000, 1500, 1000}, 6, 4000, 3636},
        {"2 2 2", {1000, 1000, 250}, 6, 4000, 3000}, /* 2 s alone is too short, 4 s are not */
        {"2 2 2", {1000, 1000, 250}, 2, 4000, 3000},
        {"0.4", {1000}, 1, 20000, 20000},      /* none is long enough: the average */
        {"6 6", {3000, 1500}, 13, 3000, 3000}, /* as the longer target has it */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct playlist list = list_of(cases[i].durations);
        struct rates rates = measure_rates(&list, cases[i].bytes, cases[i].target_s);
        cr_expect_eq(rates.peak_bps, cases[i].peak_bps, "case %zu: %lld", i,
                     (long long)rates.peak_bps);
        cr_expect_eq(rates.average_bps, cases[i].average_bps, "case %zu: %lld", i,
                     (long long)rates.average_bps);
        playlist_fini(&list);
    }
}
