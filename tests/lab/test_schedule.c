/* The schedule is a function of its plan, and of nothing else. */
#include "lib/cleanup.h"
#include "lib/error.h"
#include "schedule.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* On every machine: a seed in a report must mean the same there. */
static const char first_line[] = "   1     168 ms  release          job 4  amount 0\n";

static char *printed(const struct lab_plan *plan)
{
    static struct lab_event events[LAB_EVENTS_MAX];
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    size_t count = schedule_make(plan, events);
    for (size_t i = 0; i < count; i++)
        schedule_print(&events[i], out);
    fclose(out);
    return text;
}

static const struct lab_plan plan = {.seed = 7,
                                     .duration_ms = 60 * 1000,
                                     .store = LAB_FLEET,
                                     .nodes = 3,
                                     .verifiers = 2,
                                     .jobs = 10};

Test(schedule, is_the_same_for_the_same_seed_and_another_for_another)
{
    struct lab_plan other = plan;
    other.seed = 8;
    TEXT(first) = printed(&plan);
    TEXT(again) = printed(&plan);
    TEXT(different) = printed(&other);
    cr_expect_str_eq(first, again);
    cr_expect_str_neq(first, different);
    cr_expect(strncmp(first, first_line, strlen(first_line)) == 0, "%.200s", first);
}

Test(schedule, holds_every_fault_and_only_what_the_store_has)
{
    static struct lab_event events[LAB_EVENTS_MAX];
    struct lab_plan long_one = plan;
    long_one.duration_ms = LAB_EVENTS_MAX * LAB_EVENT_EVERY_MS;
    int seen[LAB_FAULT_COUNT] = {0};
    size_t count = schedule_make(&long_one, events);
    for (size_t i = 0; i < count; i++)
        seen[events[i].fault]++;
    for (enum lab_fault i = 0; i < LAB_FAULT_COUNT; i++)
        cr_expect_gt(seen[i], 0, "%s never comes", lab_fault_name(i));
    long_one.store = LAB_SQLITE;
    count = schedule_make(&long_one, events);
    for (size_t i = 0; i < count; i++) {
        enum lab_target target = lab_fault_target(events[i].fault);
        cr_expect(target != LAB_DATABASE && target != LAB_REDIS, "%s",
                  lab_fault_name(events[i].fault));
    }
}

Test(schedule, keeps_the_events_that_are_named_with_their_numbers)
{
    static struct lab_event events[LAB_EVENTS_MAX];
    size_t count = schedule_make(&plan, events);
    cr_assert_eq(schedule_keep(events, &count, "3,17,9"), 0);
    cr_assert_eq(count, 3);
    cr_expect(events[0].number == 3 && events[1].number == 9 && events[2].number == 17);
    cr_expect_eq(schedule_keep(events, &count, "3;9"), -1);
    cr_assert_eq(schedule_keep(events, &count, ""), 0);
    cr_expect_eq(count, 0);
}
