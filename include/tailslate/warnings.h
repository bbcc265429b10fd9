/* warnings: what people should know about work that succeeded nevertheless. Pure.
 *
 * A bounded list of sentences: it travels with a completion, is stored with it and shown. A
 * sentence that is there is not added twice; what comes after WARNINGS_MAX is not kept. A sentence
 * is cut at a character, control bytes become blanks. Never a reason to refuse anything: reading
 * skips what is no text. */
#ifndef TAILSLATE_WARNINGS_H
#define TAILSLATE_WARNINGS_H

#include <stddef.h>

enum { WARNINGS_MAX = 8, WARNING_BYTES = 256 };

struct warnings {
    char texts[WARNINGS_MAX][WARNING_BYTES];
    size_t count;
};

void warnings_add(struct warnings *warnings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
