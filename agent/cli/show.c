#include "agent/cli/show.h"

#include "agent/base/tty_escape.h"
#include "agent/cli/render.h"
#include "agent/cli/view.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static int open_view(struct view *view, const struct config *config)
{
    struct error err;
    if (view_open(view, config, &err) == 0)
        return 0;
    fprintf(stderr, "tailslate-agent: %s\n", err.message);
    return error_exit_status(&err);
}

static void print_json(const struct json *node)
{
    TEXT(text) = json_print_pretty(node);
    tty_escape_print_lines(stdout, text);
    putchar('\n');
}

int show_status(const struct config *config, bool as_json)
{
    struct view view;
    int status = open_view(&view, config);
    if (status == 0 && as_json)
        print_json(view.root);
    else if (status == 0)
        render_status(stdout, &view, SIZE_MAX);
    view_close(&view);
    return status;
}

/* ---- spool ls -------------------------------------------------------------------------------- */

static void print_size(int64_t bytes)
{
    if (bytes < 0)
        printf(" %8s", "?");
    else if (bytes < 1000 * 1000)
        printf(" %5" PRId64 " kB", (bytes + 999) / 1000);
    else
        printf(" %5" PRId64 " MB", bytes / 1000 / 1000);
}

/* The part of the token that distinguishes two claims on a job. */
static void print_token(const struct json *row)
{
    const char *token = strchr(view_text(row, "token", ""), '-');
    printf(" %-8.8s", token ? token + 1 : "?");
}

static void print_next(const struct json *row)
{
    char span[VIEW_SPAN_BYTES];
    int64_t age;
    if (view_bool(row, "on_hold"))
        printf(" %-9s", "on hold");
    else if (!view_age(row, "next_attempt_at", &age))
        printf(" %-9s", "-");
    else
        printf(" %-9s", age >= 0 ? "now" : view_span(-age, span));
}

static void print_row(const struct json *row)
{
    char span[VIEW_SPAN_BYTES];
    int64_t age = 0;
    bool is_dated = view_age(row, "claimed_at", &age);
    printf("%-8" PRId64 " %-10s %-12s", view_int(row, "job", 0), view_text(row, "record", "?"),
           view_text(row, "state", "?"));
    print_token(row);
    printf(" %-9s", is_dated ? view_span(age, span) : "?");
    print_size(view_int(row, "size_bytes", -1));
    printf(" %5" PRId64, view_int(row, "attempts", 0));
    print_next(row);
    putchar(' ');
    tty_escape_print(stdout, view_text(row, "problem", view_text(row, "slug", "")), SIZE_MAX);
    putchar('\n');
    render_waiting(stdout, json_get(row, "waiting"), "         ", SIZE_MAX);
}

static void print_directory(const struct view *view, const char *name)
{
    const struct json *rows = json_get(view->root, name);
    for (const struct json *row = json_first(rows); row; row = json_next(row)) {
        printf("%-8" PRId64 " %-10s %-12s ", view_int(row, "job", 0), view_text(row, "record", "?"),
               name);
        tty_escape_print(stdout, view_text(row, "reason", ""), SIZE_MAX);
        putchar('\n');
    }
}

static void copy_member(struct json *to, const struct json *from, const char *key)
{
    if (json_get(from, key))
        json_set(to, key, json_copy(json_get(from, key)));
}

static void print_spool(const struct view *view)
{
    printf("%-8s %-10s %-12s %-8s %-9s %8s %5s %-9s %s\n", "JOB", "RECORD", "STATE", "TOKEN", "AGE",
           "SIZE", "TRIES", "NEXT", "VIDEO");
    const struct json *rows = json_get(view->root, "jobs");
    for (const struct json *row = json_first(rows); row; row = json_next(row))
        print_row(row);
    print_directory(view, "kept");
    print_directory(view, "quarantine");
    render_count(stdout, view);
    render_waiting(stdout, json_get(json_get(view->root, "agent"), "waiting"),
                   "node waits: ", SIZE_MAX);
}

int show_spool(const struct config *config, bool as_json)
{
    struct view view;
    int status = open_view(&view, config);
    if (status == 0 && as_json) {
        JSON(rows) = json_new_object();
        copy_member(rows, view.root, "jobs");
        copy_member(rows, view.root, "kept");
        copy_member(rows, view.root, "quarantine");
        print_json(rows);
    } else if (status == 0) {
        print_spool(&view);
    }
    view_close(&view);
    return status;
}

int show_record(const struct config *config, const char *id)
{
    struct view view;
    struct error err;
    int status = open_view(&view, config);
    if (status == 0) {
        JSON(row) = view_record(&view, id, &err);
        if (row) {
            print_json(row);
        } else {
            fprintf(stderr, "tailslate-agent: %s\n", err.message);
            status = err.code == ENOENT || err.code == EINVAL ? EX_DATAERR : EX_NOPERM;
        }
    }
    view_close(&view);
    return status;
}
