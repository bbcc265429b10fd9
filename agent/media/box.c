#include "agent/media/box.h"

#include <string.h>

enum { HEADER_BYTES = 8 };

struct span span_skip(struct span span, size_t bytes)
{
    size_t step = bytes < span.size ? bytes : span.size;
    return (struct span){span.data + step, span.size - step};
}

static uint64_t take(struct span *span, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes && bytes <= span->size; i++)
        value = value << 8 | span->data[i];
    *span = span_skip(*span, bytes);
    return value;
}

uint32_t span_take32(struct span *span)
{
    return (uint32_t)take(span, 4);
}

uint64_t span_take64(struct span *span)
{
    return take(span, 8);
}

bool box_next(struct span *rest, char type[5], struct span *body)
{
    if (rest->size < HEADER_BYTES)
        return false;
    struct span header = *rest;
    size_t size = span_take32(&header);
    if (size < HEADER_BYTES || size > rest->size)
        return false;
    memcpy(type, rest->data + 4, 4);
    type[4] = '\0';
    *body = (struct span){rest->data + HEADER_BYTES, size - HEADER_BYTES};
    *rest = span_skip(*rest, size);
    return true;
}

bool box_find(struct span within, const char *type, struct span *body)
{
    char found[5];
    while (box_next(&within, found, body))
        if (strcmp(found, type) == 0)
            return true;
    return false;
}

bool box_find_path(struct span within, const char *const path[], struct span *body)
{
    *body = within;
    for (size_t i = 0; path[i]; i++)
        if (!box_find(*body, path[i], body))
            return false;
    return true;
}
