/* argv: the arguments of a program that we run, built one by one. No shell ever sees them.
 *
 * Pure. A template is split at whitespace. '…' and "…" group; outside '…' a backslash quotes the
 * next character. {names} are replaced after splitting, so that a value with whitespace or quotes
 * stays one argument. */
#ifndef AGENT_ARGV_H
#define AGENT_ARGV_H

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { ARGV_MAX = 1024 };

struct argv {
    char **items; /* NULL-terminated, owned */
    size_t count;
};

void argv_push(struct argv *argv, const char *format, ...) __attribute__((format(printf, 2, 3)));
void argv_fini(struct argv *argv);

struct argv_value {
    const char *name, *text; /* borrowed */
};

/* Refuses an unclosed quote, a {name} that is not among the values, more than ARGV_MAX arguments,
 * and an empty command. `{{` is one brace. */
int argv_fill(struct argv *argv, const char *pattern, const struct argv_value *values, size_t count,
              struct error *err);

#endif
