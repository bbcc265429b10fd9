/* number: a number in a path, a header or an argument. Pure. */
#ifndef VERIFIER_NUMBER_H
#define VERIFIER_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* Not negative, without sign, spaces or leading zeros; at most 18 digits. */
bool number_parse(const char *text, int64_t *value);

#endif
