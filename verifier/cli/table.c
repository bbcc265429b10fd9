#include "verifier/cli/table.h"

#include "lib/error.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct row {
    char *cells[TABLE_COLUMNS_MAX];
    struct row *next;
};

struct table {
    int columns, width[TABLE_COLUMNS_MAX];
    struct row *first, *last;
};

static int width_of(const char *text)
{
    int width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

/* Names come from strangers: none of their bytes drives the terminal. */
static char *harmless(const char *text)
{
    char *copy = must_strdup(text);
    for (unsigned char *at = (unsigned char *)copy; *at; at++) {
        bool is_c1 = at[0] == 0xC2 && at[1] >= 0x80 && at[1] < 0xA0;
        if (*at < 0x20 || *at == 0x7F || is_c1)
            at[0] = '?';
        if (is_c1)
            at[1] = '?';
    }
    return copy;
}

struct table *table_new(const char *const titles[], int columns)
{
    must(columns <= TABLE_COLUMNS_MAX);
    struct table *table = must_calloc(1, sizeof *table);
    table->columns = columns;
    table_row(table, titles);
    return table;
}

void table_row(struct table *table, const char *const cells[])
{
    struct row *row = must_calloc(1, sizeof *row);
    for (int i = 0; i < table->columns; i++) {
        row->cells[i] = harmless(cells[i] && cells[i][0] ? cells[i] : "-");
        int width = width_of(row->cells[i]);
        if (width > table->width[i])
            table->width[i] = width;
    }
    if (table->last)
        table->last->next = row;
    else
        table->first = row;
    table->last = row;
}

void table_print(const struct table *table, FILE *out)
{
    for (const struct row *row = table->first; row; row = row->next) {
        for (int i = 0; i < table->columns; i++) {
            bool last = i == table->columns - 1;
            int padding = last ? 0 : table->width[i] - width_of(row->cells[i]) + 2;
            fprintf(out, "%s%*s", row->cells[i], padding, "");
        }
        fputc('\n', out);
    }
}

void table_free(struct table *table)
{
    while (table->first) {
        struct row *row = table->first;
        table->first = row->next;
        for (int i = 0; i < table->columns; i++)
            free(row->cells[i]);
        free(row);
    }
    free(table);
}
