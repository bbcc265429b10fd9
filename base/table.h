/* table: rows for a terminal, aligned by columns, without control characters.
 *
 * A row whose cells do not fit beside one another has the others below, indented, at the same
 * places in every row; no line is longer than the terminal. */
#ifndef TAILSLATE_TABLE_H
#define TAILSLATE_TABLE_H

#include <stdio.h>

enum { TABLE_COLUMNS_MAX = 10 };
enum table_kind {
    TABLE_CUT,     /* the last column and notes end with `…` where the line does */
    TABLE_WRAPPED, /* they go on below */
};

struct table;
struct table *table_new(const char *const titles[], int columns, enum table_kind kind);
void table_row(struct table *table, const char *const cells[]); /* copied; NULL or "": - */
void table_note(struct table *table, const char *text);         /* below the last row; NULL: none */
/* columns: as text_columns says; 0: no limit. */
void table_print(const struct table *table, int columns, FILE *out);
void table_free(struct table *table);

#endif
