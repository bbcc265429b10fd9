/* warnings: what people should know about work that succeeded nevertheless. Pure.
 *
 * A bounded list of sentences: it travels with a completion, is stored with it and shown. A
 * sentence that is there is not added twice; what comes after TAILSLATE_WARNINGS_MAX is not kept. A
 * sentence is cut at a character, control bytes become blanks. Never a reason to refuse anything:
 * reading skips what is no text. */
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
