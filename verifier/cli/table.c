#include "verifier/cli/table.h"

#include "base/clock.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { BAR_CELLS = 16 };

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

/* Names are untrusted: no control characters for the terminal. */
static char *without_control(const char *text)
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
        row->cells[i] = without_control(cells[i] && cells[i][0] ? cells[i] : "-");
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
