#include "base/table.h"

#include "base/text.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { CUT_LAST_MIN = 8, WRAPPED_LAST_MIN = 24, GAP = 2, INDENT = 4 };

struct note {
    char *text;
    struct note *next;
};

struct row {
    char *cells[TABLE_COLUMNS_MAX];
    struct note *first, *last;
    struct row *next;
};

struct table {
    int columns, width[TABLE_COLUMNS_MAX];
    enum table_kind kind;
    struct row *first, *last;
};

struct table *table_new(const char *const titles[], int columns, enum table_kind kind)
{
    must(columns <= TABLE_COLUMNS_MAX);
    struct table *table = must_calloc(1, sizeof *table);
    table->columns = columns;
    table->kind = kind;
    table_row(table, titles);
    return table;
}

void table_row(struct table *table, const char *const cells[])
{
    struct row *row = must_calloc(1, sizeof *row);
    for (int i = 0; i < table->columns; i++) {
        row->cells[i] = text_plain(cells[i] && cells[i][0] ? cells[i] : "-");
        int width = text_width(row->cells[i]);
        if (width > table->width[i])
            table->width[i] = width;
    }
    if (table->last)
        table->last->next = row;
    else
        table->first = row;
    table->last = row;
}

void table_note(struct table *table, const char *text)
{
    struct row *row = table->last;
    if (!text || !text[0])
        return;
    struct note *note = must_calloc(1, sizeof *note);
    note->text = text_plain(text);
    if (row->last)
        row->last->next = note;
    else
        row->first = note;
    row->last = note;
}

/* columns 0: as long as it is. */
static void print_cut(const char *plain, int columns, FILE *out)
{
    char *cut = columns ? text_fit(plain, columns) : must_strdup(plain);
    fputs(cut, out);
    free(cut);
}

/* What a column needs, for its cell not to go to the next line. */
static int least(const struct table *table, int i)
{
    int min = table->kind == TABLE_CUT ? CUT_LAST_MIN : WRAPPED_LAST_MIN;
    return i == table->columns - 1 && table->width[i] > min ? min : table->width[i];
}

/* All rows have their cells at the same places, on as many lines as it takes. */
static void print_row(const struct table *table, const struct row *row, int columns, FILE *out)
{
    int at = 0, start = 0;
    for (int i = 0; i < table->columns; i++) {
        const char *cell = row->cells[i];
        if (columns && start > INDENT && start + least(table, i) > columns) {
            fputc('\n', out);
            at = 0;
            start = INDENT;
        }
        fprintf(out, "%*s", start - at, "");
        if (i == table->columns - 1 && table->kind == TABLE_WRAPPED)
            text_wrap(out, cell, start, INDENT, columns);
        else
            print_cut(cell, columns ? columns - start : 0, out);
        at = start + text_width(cell);
        start += table->width[i] + GAP;
    }
    fputc('\n', out);
}

static void print_note(const struct table *table, const char *note, int columns, FILE *out)
{
    fprintf(out, "%*s", INDENT, "");
    if (table->kind == TABLE_WRAPPED)
        text_wrap(out, note, INDENT, INDENT, columns);
    else
        print_cut(note, columns ? columns - INDENT : 0, out);
    fputc('\n', out);
}

void table_print(const struct table *table, int columns, FILE *out)
{
    for (const struct row *row = table->first; row; row = row->next) {
        print_row(table, row, columns, out);
        for (const struct note *note = row->first; note; note = note->next)
            print_note(table, note->text, columns, out);
    }
}

static void free_row(struct table *table, struct row *row)
{
    for (int i = 0; i < table->columns; i++)
        free(row->cells[i]);
    while (row->first) {
        struct note *note = row->first;
        row->first = note->next;
        free(note->text);
        free(note);
    }
    free(row);
}

void table_free(struct table *table)
{
    while (table->first) {
        struct row *row = table->first;
        table->first = row->next;
        free_row(table, row);
    }
    free(table);
}
