#include "agent/cli/show.h"

#include "agent/cli/render.h"
#include "agent/cli/view.h"
#include "base/text.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

static int open_view(struct view *view, const struct config *config)
{
    struct error err;
    if (view_open(view, config, &err) == 0)
        return 0;
    fprintf(stderr, "tailslate-agent: %s\n", err.message);
    return err.code == ENOENT ? EX_UNAVAILABLE : error_exit_status(&err);
}

static void print_json(const struct json *node)
{
    TEXT(text) = json_print_pretty(node);
    TEXT(plain) = text_plain_document(text);
    puts(plain);
}

int show_status(const struct config *config, bool as_json)
{
    struct view view;
    int status = open_view(&view, config);
    if (status == 0 && as_json)
        print_json(view.root);
    else if (status == 0)
        render_status(stdout, &view, text_columns(stdout));
    view_close(&view);
    return status;
}

/* ---- spool ls -------------------------------------------------------------------------------- */

static void copy_member(struct json *to, const struct json *from, const char *key)
{
    if (json_get(from, key))
        json_set(to, key, json_copy(json_get(from, key)));
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
        render_spool(stdout, &view, text_columns(stdout));
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
