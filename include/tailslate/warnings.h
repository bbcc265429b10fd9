/* warnings: what people should know about work that succeeded nevertheless. Pure.
 *
 * A limited list of sentences that travels with a completion, is stored with it and shown. A
 * sentence is never added twice; sentences after TAILSLATE_WARNINGS_MAX are dropped. Long sentences
 * are truncated at a character, control bytes become spaces. Never a reason to refuse anything:
 * reading skips elements that are not strings. */
#ifndef TAILSLATE_WARNINGS_H
#define TAILSLATE_WARNINGS_H

#include <stddef.h>

enum { TAILSLATE_WARNINGS_MAX = 8, TAILSLATE_WARNING_BYTES = 256 };

struct tailslate_warnings {
    char texts[TAILSLATE_WARNINGS_MAX][TAILSLATE_WARNING_BYTES];
    size_t count;
};

void tailslate_warnings_add(struct tailslate_warnings *warnings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
