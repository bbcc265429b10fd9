/* The heap of what is due, against a list that is searched from end to end. */
#include "agent/daemon/due.h"
#include "lib/error.h"

#include <criterion/criterion.h>
#include <inttypes.h>

enum { ITEMS = 200, STEPS = 20000, SEEDS = 8, TIMES = 12 };

/* splitmix64: the same numbers on every machine. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

struct item {
    struct due due;
    bool is_in;
    int64_t at_ms, age_us;
};

static bool comes_before(const struct item *a, const struct item *b)
{
    if (a->at_ms != b->at_ms)
        return a->at_ms < b->at_ms;
    return a->age_us != b->age_us ? a->age_us < b->age_us : a->due.number < b->due.number;
}

static struct item *search(struct item *items, size_t *count)
{
    struct item *first = NULL;
    *count = 0;
    for (size_t i = 0; i < ITEMS; i++) {
        if (!items[i].is_in)
            continue;
        ++*count;
        if (!first || comes_before(&items[i], first))
            first = &items[i];
    }
    return first;
}

/* Few different times and ages, so that many are equal. */
static void change(struct due_heap *heap, struct item *item, uint64_t *random)
{
    bool is_in = next_random(random) % 3 != 0;
    if (!is_in) {
        due_take(heap, &item->due);
    } else {
        item->at_ms = (int64_t)(next_random(random) % TIMES) - 1;
        item->age_us = (int64_t)(next_random(random) % TIMES);
        due_put(heap, &item->due, item->at_ms, item->age_us);
    }
    item->is_in = is_in;
}

static void compare(const struct due_heap *heap, struct item *items, uint64_t seed, int step)
{
    size_t count;
    const struct item *expected = search(items, &count);
    cr_assert(heap->count == count && due_first(heap) == expected,
              "seed %" PRIu64 ", step %d: %zu and %zu items", seed, step, heap->count, count);
}

Test(due, the_first_is_always_the_one_that_a_search_finds)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        static struct item items[ITEMS];
        struct due_heap heap = {0};
        uint64_t random = seed;
        for (size_t i = 0; i < ITEMS; i++)
            items[i] = (struct item){.due = {.of = &items[i], .number = (int64_t)i}};
        for (int step = 0; step < STEPS; step++) {
            change(&heap, &items[next_random(&random) % ITEMS], &random);
            compare(&heap, items, seed, step);
        }
        for (struct item *first; (first = due_first(&heap)); first->is_in = false) {
            compare(&heap, items, seed, STEPS);
            due_take(&heap, &first->due);
        }
        compare(&heap, items, seed, STEPS);
        cr_assert_null(heap.items, "an empty heap keeps no memory");
    }
}

Test(due, what_is_in_no_heap_can_be_taken_out_again)
{
    struct due_heap heap = {0};
    struct due item = {.of = &heap, .number = 1};
    due_take(&heap, &item);
    due_put(&heap, &item, 5, 0);
    due_take(&heap, &item);
    due_take(&heap, &item);
    cr_expect_null(due_first(&heap));
}
