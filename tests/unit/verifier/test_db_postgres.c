#include "lib/cleanup.h"
#include "verifier/db/db_postgres_connect.h"

#include <criterion/criterion.h>
#include <stdlib.h>

Test(db_postgres, integers_are_read_up_to_the_ends_of_their_range)
{
    cr_expect_eq(postgres_integer("0"), 0);
    cr_expect_eq(postgres_integer(""), 0);
    cr_expect_eq(postgres_integer("-17"), -17);
    cr_expect_eq(postgres_integer("9223372036854775807"), INT64_MAX);
    cr_expect_eq(postgres_integer("9223372036854775808"), INT64_MAX);
    cr_expect_eq(postgres_integer("-9223372036854775808"), INT64_MIN);
    cr_expect_eq(postgres_integer("-99999999999999999999"), INT64_MIN);
    cr_expect_eq(postgres_integer("12.75"), 12);
}

Test(db_postgres, times_come_back_in_the_form_that_is_compared)
{
    char text[WALL_TEXT_BYTES];
    cr_expect_str_eq(postgres_time("2026-01-03 16:28:00+00", true, text),
                     "2026-01-03T16:28:00.000000+00:00");
    cr_expect_str_eq(postgres_time("2026-01-03 16:28:00.12+00", true, text),
                     "2026-01-03T16:28:00.120000+00:00");
    cr_expect_str_eq(postgres_time("2026-01-03 16:28:00.123456", false, text),
                     "2026-01-03T16:28:00.123456+00:00");
    cr_expect_str_eq(postgres_time("infinity", true, text), "infinity");
}

Test(db_postgres, what_stands_in_comments_is_for_it_alone)
{
    TEXT(sql) = postgres_sql("SELECT 1 / 2 * 3 FROM t /*FOR UPDATE OF j SKIP LOCKED*/");
    cr_expect_str_eq(sql, "SELECT 1 / 2 * 3 FROM t   FOR UPDATE OF j SKIP LOCKED  ");
}

Test(db_postgres, messages_become_one_line)
{
    char text[POSTGRES_REASON_BYTES];
    postgres_one_line("refused\n\tIs it running?\n", text);
    cr_expect_str_eq(text, "refused Is it running?");
}
