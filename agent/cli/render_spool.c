#include "agent/cli/render.h"
#include "base/table.h"
#include "lib/cleanup.h"

#include <inttypes.h>
#include <string.h>

enum { CELL_BYTES = 32 };

static void size_of(int64_t bytes, char text[CELL_BYTES])
{
    if (bytes < 0)
        snprintf(text, CELL_BYTES, "?");
    else if (bytes < 1000 * 1000)
        snprintf(text, CELL_BYTES, "%" PRId64 " kB", (bytes + 999) / 1000);
    else
        snprintf(text, CELL_BYTES, "%" PRId64 " MB", bytes / 1000 / 1000);
}

/* The part of the token that distinguishes two claims on a job. */
static void token_of(const struct json *row, char text[CELL_BYTES])
{
    const char *token = strchr(view_text(row, "token", ""), '-');
    snprintf(text, CELL_BYTES, "%.8s", token ? token + 1 : "?");
}

static const char *next_of(const struct json *row, char span[VIEW_SPAN_BYTES])
{
    int64_t age;
    if (view_bool(row, "on_hold"))
        return "on hold";
    if (!view_age(row, "next_attempt_at", &age))
        return "-";
    return age >= 0 ? "now" : view_span(-age, span);
}

static void add_row(struct table *table, const struct json *row)
{
    char job[CELL_BYTES], token[CELL_BYTES], size[CELL_BYTES], tries[CELL_BYTES];
    char age_span[VIEW_SPAN_BYTES], next_span[VIEW_SPAN_BYTES];
    int64_t age = 0;
    bool is_dated = view_age(row, "claimed_at", &age);
    snprintf(job, sizeof job, "%" PRId64, view_int(row, "job", 0));
    snprintf(tries, sizeof tries, "%" PRId64, view_int(row, "attempts", 0));
    token_of(row, token);
    size_of(view_int(row, "size_bytes", -1), size);
    table_row(table, (const char *const[]){job, view_text(row, "record", "?"),
                                           view_text(row, "state", "?"), token,
                                           is_dated ? view_span(age, age_span) : "?", size, tries,
                                           next_of(row, next_span), view_text(row, "slug", "")});
    table_note(table, view_text(row, "problem", NULL));
    TEXT(waiting) = render_waiting(json_get(row, "waiting"));
    table_note(table, waiting);
}

static void add_directory(struct table *table, const struct view *view, const char *name)
{
    const struct json *rows = json_get(view->root, name);
    for (const struct json *row = json_first(rows); row; row = json_next(row)) {
        char job[CELL_BYTES];
        snprintf(job, sizeof job, "%" PRId64, view_int(row, "job", 0));
        table_row(table, (const char *const[]){job, view_text(row, "record", "?"), name, NULL, NULL,
                                               NULL, NULL, NULL, NULL});
        table_note(table, view_text(row, "reason", NULL));
    }
}

void render_spool(FILE *out, const struct view *view, int columns)
{
    static const char *const titles[] = {"JOB",  "RECORD", "STATE", "TOKEN", "AGE",
                                         "SIZE", "TRIES",  "NEXT",  "VIDEO"};
    struct table *table = table_new(titles, sizeof titles / sizeof titles[0], TABLE_WRAPPED);
    const struct json *rows = json_get(view->root, "jobs");
    for (const struct json *row = json_first(rows); row; row = json_next(row))
        add_row(table, row);
    add_directory(table, view, "kept");
    add_directory(table, view, "quarantine");
    table_print(table, columns, out);
    table_free(table);
    render_count(out, view, columns);
    render_node_waiting(out, view, "node waits: ", columns);
}
