#include "agent/daemon/due.h"

#include "lib/error.h"

#include <stdlib.h>

enum { CAPACITY_MIN = 16 };

static bool is_before(const struct due *a, const struct due *b)
{
    if (a->at_ms != b->at_ms)
        return a->at_ms < b->at_ms;
    if (a->age_us != b->age_us)
        return a->age_us < b->age_us;
    return a->number < b->number;
}

/* Places count from 1, so that those below place n are 2n and 2n + 1. */
static struct due *item_at(const struct due_heap *heap, size_t place)
{
    return heap->items[place - 1];
}

static void place_at(struct due_heap *heap, size_t place, struct due *item)
{
    heap->items[place - 1] = item;
    item->place = place;
}

static void move_up(struct due_heap *heap, struct due *item)
{
    size_t place = item->place;
    for (; place > 1 && is_before(item, item_at(heap, place / 2)); place /= 2)
        place_at(heap, place, item_at(heap, place / 2));
    place_at(heap, place, item);
}

static size_t earlier_below(const struct due_heap *heap, size_t place)
{
    size_t left = 2 * place;
    if (left < heap->count && is_before(item_at(heap, left + 1), item_at(heap, left)))
        return left + 1;
    return left;
}

static void move_down(struct due_heap *heap, struct due *item)
{
    size_t place = item->place;
    for (;;) {
        size_t below = earlier_below(heap, place);
        if (below > heap->count || !is_before(item_at(heap, below), item))
            break;
        place_at(heap, place, item_at(heap, below));
        place = below;
    }
    place_at(heap, place, item);
}

static void reserve_one(struct due_heap *heap)
{
    if (heap->count < heap->capacity)
        return;
    heap->capacity = heap->capacity ? 2 * heap->capacity : CAPACITY_MIN;
    heap->items = must_realloc(heap->items, heap->capacity * sizeof(struct due *));
}

void due_put(struct due_heap *heap, struct due *item, int64_t at_ms, int64_t age_us)
{
    item->at_ms = at_ms;
    item->age_us = age_us;
    if (item->place == 0) {
        reserve_one(heap);
        place_at(heap, ++heap->count, item);
    }
    must(item->place <= heap->count && item_at(heap, item->place) == item);
    move_up(heap, item);
    move_down(heap, item);
}

void due_take(struct due_heap *heap, struct due *item)
{
    if (item->place == 0)
        return;
    must(item->place <= heap->count && item_at(heap, item->place) == item);
    struct due *last = item_at(heap, heap->count--);
    if (last != item) {
        place_at(heap, item->place, last);
        move_up(heap, last);
        move_down(heap, last);
    }
    item->place = 0;
    if (heap->count > 0)
        return;
    free(heap->items);
    *heap = (struct due_heap){0};
}

void *due_first(const struct due_heap *heap)
{
    return heap->count ? item_at(heap, 1)->of : NULL;
}
