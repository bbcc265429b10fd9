/* due: what has to be done and when: a binary heap. Pure: no clock.
 *
 * An item is part of what it stands for, and is in one heap at most. What is due first comes first;
 * of what is due at the same time, the oldest, and of the same age what has the lowest number.
 * Numbers are unique, so the order is total.
 *
 * Invariant: no item comes before the one above it, and each knows its place. The keys of an item
 * in a heap are changed by due_put alone. */
#ifndef AGENT_DUE_H
#define AGENT_DUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct due {
    void *of;       /* what it stands for */
    int64_t at_ms;  /* monotonic */
    int64_t age_us; /* any clock; less is older */
    int64_t number;
    size_t place; /* from 1; 0: in no heap */
};

struct due_heap { /* {0}: empty */
    struct due **items;
    size_t count, capacity;
};

/* Adds it, or moves it to the place of its new keys. O(log n). */
void due_put(struct due_heap *heap, struct due *item, int64_t at_ms, int64_t age_us);
/* Removes it; nothing happens if it is in no heap. With the last one the heap's memory is freed.
 * O(log n). */
void due_take(struct due_heap *heap, struct due *item);
/* What the first one stands for; NULL: the heap is empty. */
void *due_first(const struct due_heap *heap);

#endif
