/* text: names that others have chosen, on a terminal: without control characters, and measured in
 * columns. UTF-8, whatever the locale of the environment is. */
#ifndef VERIFIER_TEXT_H
#define VERIFIER_TEXT_H

#include <stdio.h>

/* Control characters, marks that turn the direction of writing, and invalid bytes become `?`.
 * Owned. */
char *text_plain(const char *text);
/* The columns of plain text: 2 for a wide character, 0 for a combining one. */
int text_width(const char *plain);
/* Plain text in at most so many columns, with `…` at its end where something is missing. Owned. */
char *text_fit(const char *plain, int columns);
/* The columns of the terminal, or of the environment's COLUMNS; 0: not a terminal, no limit. */
int text_columns(FILE *out);

#endif
