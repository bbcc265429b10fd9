/* text: names that others have chosen, on a terminal: without control characters, and measured in
 * columns. UTF-8, whatever the locale of the environment is. */
#ifndef TAILSLATE_TEXT_H
#define TAILSLATE_TEXT_H

#include <stdio.h>

/* Control characters, marks that turn the direction of writing, and invalid bytes become `?`.
 * Owned. */
char *text_plain(const char *text);
/* The same for a document of many lines: newlines and rare characters stay, a tab becomes a space.
 * Owned. */
char *text_plain_document(const char *text);
/* The columns of plain text: 2 for a wide character, 0 for a combining one. */
int text_width(const char *plain);
/* Plain text in at most so many columns, with `…` at its end where something is missing. Owned. */
char *text_fit(const char *plain, int columns);
/* Prints plain text in lines of at most so many columns (0: one line), broken at spaces, a longer
 * word anywhere; `at` columns of the first line are taken, the others begin with `indent` spaces.
 * No newline follows. */
void text_wrap(FILE *out, const char *plain, int at, int indent, int columns);
/* The columns of the terminal, or of the environment's COLUMNS; 0: not a terminal, no limit.
 * At least 40. */
int text_columns(FILE *out);

#endif
