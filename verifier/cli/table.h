/* table: rows for a terminal, aligned by columns, without control characters. On a terminal the
 * last column is cut so that a row fits (text_columns). */
#ifndef VERIFIER_TABLE_H
#define VERIFIER_TABLE_H

#include <stdint.h>
#include <stdio.h>

enum { TABLE_COLUMNS_MAX = 10 };

struct table;
struct table *table_new(const char *const titles[], int columns);
void table_row(struct table *table, const char *const cells[]); /* copied; NULL or "": - */
void table_note(struct table *table, const char *note);         /* below the last row; NULL: none */
void table_print(const struct table *table, FILE *out);
void table_free(struct table *table);

enum { STATUS_SPAN_BYTES = 32, STATUS_BAR_BYTES = 32 };
/* "12 s ago", "in 28 min", "never" for "". */
void status_span(const char *now, const char *at, char text[STATUS_SPAN_BYTES]);
/* [########........]  50% */
void status_bar(int64_t percent, char text[STATUS_BAR_BYTES]);

#endif
