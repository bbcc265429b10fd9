#include "base/clock.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

Test(clock, mono_does_not_go_back_and_wall_is_the_time_of_day)
{
    int64_t before_ms = mono_ms();
    cr_expect_leq(before_ms, mono_ms());
    int64_t now_us = (int64_t)time(NULL) * 1000000;
    cr_expect(wall_us() >= now_us && wall_us() < now_us + 60 * 1000000);
}

/* Text to number; the last column is how it is written, NULL: as it was. */
static const struct {
    const char *text;
    int64_t wall_us;
    const char *written;
} times[] = {
    {"1970-01-01T00:00:00.000000+00:00", 0, NULL},
    {"1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000000+00:00"},
    {"1969-12-31T23:59:59.999999+00:00", -1, NULL},
    {"2026-01-03T16:28:00.123456+00:00", 1767457680123456, NULL},
    {"2026-01-03T16:28:00.123456Z", 1767457680123456, "2026-01-03T16:28:00.123456+00:00"},
    {"2026-01-03 16:28:00.123456+00:00", 1767457680123456, "2026-01-03T16:28:00.123456+00:00"},
    {"2026-01-03T16:28:00.1Z", 1767457680100000, "2026-01-03T16:28:00.100000+00:00"},
    {"2026-01-03T16:28:00.000001Z", 1767457680000001, "2026-01-03T16:28:00.000001+00:00"},
    {"2026-01-03T16:28:00+00:00", 1767457680000000, "2026-01-03T16:28:00.000000+00:00"},
    {"2026-01-03T18:28:00+02:00", 1767457680000000, "2026-01-03T16:28:00.000000+00:00"},
    {"2026-01-03T10:58:00-05:30", 1767457680000000, "2026-01-03T16:28:00.000000+00:00"},
    {"2024-02-29T00:00:00Z", 1709164800000000, "2024-02-29T00:00:00.000000+00:00"},
    {"2000-02-29T00:00:00Z", 951782400000000, "2000-02-29T00:00:00.000000+00:00"},
    {"2016-12-31T23:59:60Z", 1483228800000000, "2017-01-01T00:00:00.000000+00:00"},
    {"0000-01-01T00:00:00.000000+00:00", -62167219200000000, NULL},
    {"9999-12-31T23:59:59.999999+00:00", 253402300799999999, NULL},
};

Test(clock, the_wire_s_times_are_read_and_written)
{
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        int64_t parsed_us = -7;
        char written[WALL_TEXT_BYTES];
        cr_expect(wall_parse(times[i].text, &parsed_us), "%s", times[i].text);
        cr_expect_eq(parsed_us, times[i].wall_us, "%s: %lld", times[i].text, (long long)parsed_us);
        wall_format(times[i].wall_us, written);
        cr_expect_str_eq(written, times[i].written ? times[i].written : times[i].text);
    }
}

static const char *const no_times[] = {
    "",
    "now",
    "2026-01-03",
    "2026-01-03T16:28:00",
    "2026-01-03T16:28Z",
    "2026-01-03T16:28:00 Z",
    "2026-01-03T16:28:00Z ",
    " 2026-01-03T16:28:00Z",
    "2026-01-03t16:28:00z",
    "2026-1-03T16:28:00Z",
    "2026-01-03T16:28:00.Z",
    "2026-01-03T16:28:00.1234567Z",
    "2026-01-03T16:28:00,5Z",
    "2026-13-03T16:28:00Z",
    "2026-00-03T16:28:00Z",
    "2026-01-32T16:28:00Z",
    "2026-01-00T16:28:00Z",
    "2026-04-31T16:28:00Z",
    "2025-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "2026-01-03T24:00:00Z",
    "2026-01-03T16:60:00Z",
    "2026-01-03T16:28:61Z",
    "2026-01-03T16:28:00+0000",
    "2026-01-03T16:28:00+00",
    "2026-01-03T16:28:00+24:00",
    "2026-01-03T16:28:00+00:60",
    "2026-01-03T16:28:00+00:00x",
    "+026-01-03T16:28:00Z",
    "20260-01-03T16:28:00Z",
    "2026-01-03T16:28:00.-1Z",
};

Test(clock, what_is_no_time_is_refused_and_nothing_is_written)
{
    for (size_t i = 0; i < sizeof no_times / sizeof no_times[0]; i++) {
        int64_t parsed_us = -7;
        cr_expect_not(wall_parse(no_times[i], &parsed_us), "'%s'", no_times[i]);
        cr_expect_eq(parsed_us, -7, "'%s'", no_times[i]);
    }
}

Test(clock, a_time_that_has_no_four_digit_year_is_written_as_the_nearest)
{
    char written[WALL_TEXT_BYTES];
    wall_format(INT64_MAX, written);
    cr_expect_str_eq(written, "9999-12-31T23:59:59.999999+00:00");
    wall_format(INT64_MIN, written);
    cr_expect_str_eq(written, "0000-01-01T00:00:00.000000+00:00");
}

/* A claim's time goes through text and back without losing a microsecond. */
Test(clock, every_time_survives_the_way_through_text)
{
    for (int64_t wanted_us = -62167219200000000; wanted_us < 253402300799999999;
         wanted_us += 7777777777777777) {
        char written[WALL_TEXT_BYTES];
        int64_t parsed_us;
        wall_format(wanted_us, written);
        cr_assert(wall_parse(written, &parsed_us), "%s", written);
        cr_assert_eq(parsed_us, wanted_us, "%s", written);
    }
}
