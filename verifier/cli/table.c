#include "verifier/cli/table.h"

#include "base/clock.h"
#include "lib/error.h"
#include "verifier/cli/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { BAR_CELLS = 16, LAST_MIN = 8, NOTE_INDENT = 4 };

struct row {
    char *cells[TABLE_COLUMNS_MAX], *note; /* note: NULL: none */
    struct row *next;
};

struct table {
    int columns, width[TABLE_COLUMNS_MAX];
    struct row *first, *last;
};

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

void table_note(struct table *table, const char *note)
{
    if (note && note[0])
        table->last->note = text_plain(note);
}

/* columns 0: as long as it is. */
static void print_cut(const char *plain, int columns, FILE *out)
{
    char *cut = columns ? text_fit(plain, columns) : must_strdup(plain);
    fputs(cut, out);
    free(cut);
}

static void print_row(const struct table *table, const struct row *row, int columns, FILE *out)
{
    int last = table->columns - 1, at = 0;
    for (int i = 0; i < last; i++) {
        fprintf(out, "%s%*s", row->cells[i], table->width[i] - text_width(row->cells[i]) + 2, "");
        at += table->width[i] + 2;
    }
    print_cut(row->cells[last], columns ? (columns - at > LAST_MIN ? columns - at : LAST_MIN) : 0,
              out);
    fputc('\n', out);
    if (!row->note)
        return;
    fprintf(out, "%*s", NOTE_INDENT, "");
    print_cut(row->note, columns ? columns - NOTE_INDENT : 0, out);
    fputc('\n', out);
}

void table_print(const struct table *table, FILE *out)
{
    int columns = text_columns(out);
    for (const struct row *row = table->first; row; row = row->next)
        print_row(table, row, columns, out);
}

void table_free(struct table *table)
{
    while (table->first) {
        struct row *row = table->first;
        table->first = row->next;
        for (int i = 0; i < table->columns; i++)
            free(row->cells[i]);
        free(row->note);
        free(row);
    }
    free(table);
}

void status_span(const char *now, const char *at, char text[STATUS_SPAN_BYTES])
{
    static const struct {
        int64_t seconds;
        const char *unit;
    } units[] = {{2 * 86400, "d"}, {2 * 3600, "h"}, {2 * 60, "min"}, {1, "s"}};
    int64_t now_us, at_us;
    if (!wall_parse(now, &now_us) || !wall_parse(at, &at_us)) {
        snprintf(text, STATUS_SPAN_BYTES, "never");
        return;
    }
    bool is_past = at_us <= now_us;
    int64_t seconds = (is_past ? now_us - at_us : at_us - now_us) / 1000000;
    size_t i = 0;
    while (i < 3 && seconds < units[i].seconds)
        i++;
    /* "2 h" begins at two hours, so that rounding loses less than half. */
    int64_t divisor = units[i].seconds > 1 ? units[i].seconds / 2 : 1;
    snprintf(text, STATUS_SPAN_BYTES, is_past ? "%lld %s ago" : "in %lld %s",
             (long long)(seconds / divisor), units[i].unit);
}

void status_bar(int64_t percent, char text[STATUS_BAR_BYTES])
{
    int64_t shown = percent < 0 ? 0 : percent > 100 ? 100 : percent;
    int full = (int)(shown * BAR_CELLS / 100);
    char cells[BAR_CELLS + 1];
    for (int i = 0; i < BAR_CELLS; i++)
        cells[i] = i < full ? '#' : '.';
    cells[BAR_CELLS] = '\0';
    snprintf(text, STATUS_BAR_BYTES, "[%s] %3d%%", cells, (int)shown);
}
