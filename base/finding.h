/* finding: what a program finds about its configuration and its machine before it works: one list
 * for `check`, which prints it, and for the start, which refuses by it.
 *
 * A finding says what is wrong and what to do about it, in one line. No secrets. */
#ifndef TAILSLATE_FINDING_H
#define TAILSLATE_FINDING_H

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { FINDINGS_MAX = 64, FINDING_KEY_BYTES = 48, FINDING_TEXT_BYTES = 768 };

enum finding_level {
    FINDING_GOOD,
    FINDING_NOTE,
    FINDING_PASSING, /* may pass without an edit: exit status 75, and another start is worth it */
    FINDING_BAD,     /* needs an edit: 78 */
};

struct finding {
    enum finding_level level;
    char key[FINDING_KEY_BYTES];   /* of the configuration, or a word */
    char text[FINDING_TEXT_BYTES]; /* "what; hint" */
};

struct findings {
    FILE *out; /* each is printed here at once; NULL: none */
    size_t count;
    struct finding at[FINDINGS_MAX]; /* what is too much is only printed */
    enum finding_level worst;
};

/* hint: what to do; NULL: nothing. */
void finding_add(struct findings *findings, enum finding_level level, const char *key,
                 const char *hint, const char *format, ...) __attribute__((format(printf, 5, 6)));
/* By the error's class; also PASSING where a file or a directory does not exist: it may be mounted
 * or written later. */
void finding_add_error(struct findings *findings, const char *key, const char *hint,
                       const struct error *err);

/* True: what forbids a start was printed, one "program: key: text" a line. */
bool findings_print_refusal(const struct findings *findings, const char *program, FILE *out);
/* 0, 75 or 78, by the worst. */
int findings_exit_status(const struct findings *findings);
/* The first of the worst; NULL: nothing forbids the start. */
const struct finding *findings_worst(const struct findings *findings);
/* The same as an error. 0: nothing forbids the start. */
int findings_refuse(const struct findings *findings, struct error *err);

#endif
