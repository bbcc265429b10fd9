/* box: the boxes of an MP4 file in memory, every length checked. Pure. */
#ifndef AGENT_BOX_H
#define AGENT_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
    const unsigned char *data;
    size_t size;
};

/* What remains after so many bytes: nothing if there are fewer. */
struct span span_skip(struct span span, size_t bytes);

/* Reads a big-endian number from the front of *span; 0 if it is too short. */
uint32_t span_take32(struct span *span);
uint64_t span_take64(struct span *span);

/* The next box of *rest; false: there is no complete one. type receives its four letters. */
bool box_next(struct span *rest, char type[5], struct span *body);
/* The first box of this type; the first one along a path of nested types (ends with NULL). */
bool box_find(struct span within, const char *type, struct span *body);
bool box_find_path(struct span within, const char *const path[], struct span *body);

#endif
