#include "agent/cli/render.h"

#include "base/table.h"
#include "base/text.h"
#include "lib/cleanup.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

enum { BAR_CELLS = 16, SMALL_BAR_CELLS = 10, BAR_BYTES = 24, INDENT = 8 };

struct screen {
    FILE *out;
    int columns;
};

/* What does not fit goes on below, behind the labels. */
static void __attribute__((format(printf, 2, 3)))
line(const struct screen *screen, const char *format, ...)
{
    TEXT(text) = NULL;
    va_list args;
    va_start(args, format);
    must(vasprintf(&text, format, args) >= 0);
    va_end(args);
    TEXT(plain) = text_plain(text);
    text_wrap(screen->out, plain, 0, INDENT, screen->columns);
    fputc('\n', screen->out);
}

char *render_waiting(const struct json *waiting)
{
    char span[VIEW_SPAN_BYTES], since[48] = "", next[48] = "";
    const char *reason = view_text(waiting, "reason", NULL);
    const char *hint = view_text(waiting, "hint", NULL);
    int64_t age;
    if (!reason)
        return NULL;
    if (view_age(waiting, "since", &age))
        snprintf(since, sizeof since, "for %s", view_span(age, span));
    if (view_age(waiting, "next_attempt_at", &age))
        snprintf(next, sizeof next, "%snext attempt in %s", since[0] ? ", " : "",
                 view_span(-age, span));
    bool is_timed = since[0] || next[0];
    return must_printf("%s%s%s%s%s%s%s", reason, is_timed ? " (" : "", since, next,
                       is_timed ? ")" : "", hint ? "; to do: " : "", hint ? hint : "");
}

void render_node_waiting(FILE *out, const struct view *view, const char *label, int columns)
{
    struct screen screen = {.out = out, .columns = columns};
    TEXT(text) = render_waiting(json_get(json_get(view->root, "agent"), "waiting"));
    if (text)
        line(&screen, "%s%s", label, text);
}

static const char *bar(int64_t percent, int cells, char text[BAR_BYTES])
{
    percent = percent < 0 ? 0 : percent > 100 ? 100 : percent;
    for (int i = 0; i < cells; i++)
        text[i] = i < percent * cells / 100 ? '#' : '-';
    text[cells] = '\0';
    return text;
}

/* ---- the node -------------------------------------------------------------------------------- */

/* "12:03:04" only: the date is in the JSON. */
static const char *clock_of(const struct json *object, const char *key, char text[16])
{
    const char *time = view_text(object, key, "");
    snprintf(text, 16, "%.8s", strlen(time) > 19 ? time + 11 : "?");
    return text;
}

static void print_agent(const struct screen *screen, const struct view *view)
{
    const struct json *agent = json_get(view->root, "agent");
    char span[VIEW_SPAN_BYTES];
    int64_t age = 0;
    line(screen, "node    %s, %s", view_text(view->root, "node", "?"),
         view->config->node.state_dir);
    if (!view_bool(view->root, "running")) {
        line(screen, "agent   not running; showing the contents of the spool");
        return;
    }
    view_age(agent, "started_at", &age);
    line(screen, "agent   running for %s, pid %" PRId64 ", version %s%s%s", view_span(age, span),
         view_int(agent, "pid", 0), view_text(agent, "version", "?"),
         view_bool(agent, "draining") ? ", exiting when empty" : "",
         view_bool(agent, "stopping") ? ", stopping" : "");
}

static void print_server(const struct screen *screen, const struct json *agent)
{
    const struct json *server = json_get(agent, "server");
    char since[16];
    /* What is waited for has a line of its own. */
    const char *reason = view_text(server, "reason", "");
    if (strcmp(reason, view_text(json_get(agent, "waiting"), "reason", "")) == 0)
        reason = "";
    if (!server)
        return;
    line(screen, "server  %s: %s since %s UTC%s%s", view_text(server, "url", "?"),
         view_text(server, "state", "?"), clock_of(server, "since", since), reason[0] ? ": " : "",
         reason);
}

static void print_control_files(const struct screen *screen, const struct view *view)
{
    if (view_bool(view->root, "drained"))
        line(screen, "control drained: nothing is claimed until undrain");
    if (view_bool(view->root, "paused"))
        line(screen, "control paused: nothing is claimed, transcoders are suspended until unpause");
}

static void print_claims(const struct screen *screen, const struct json *agent)
{
    const struct json *claims = json_get(agent, "claims");
    if (!agent)
        return;
    line(screen, "slots   %" PRId64 " of %" PRId64 " in use; %s", view_int(agent, "slots_held", 0),
         view_int(agent, "slots", 0),
         view_bool(claims, "asking") ? "asking for jobs" : "NOT ASKING FOR JOBS");
}

static void print_encoder(const struct screen *screen, const struct json *encoder)
{
    const char *codec = view_text(encoder, "codec", "?"), *name = view_text(encoder, "name", NULL);
    const char *avoided = view_text(encoder, "avoided", NULL);
    if (!encoder)
        return;
    if (!name)
        line(screen, "encoder NONE WORKS for %s; run tailslate-agent check for the reason", codec);
    else
        line(screen, "encoder %s by %s (%s)%s%s%s%s", codec, name, view_text(encoder, "kind", "?"),
             avoided ? "; avoiding " : "", avoided ? avoided : "", avoided ? ": " : "",
             avoided ? view_text(encoder, "avoided_reason", "") : "");
}

static void print_node(const struct screen *screen, const struct view *view)
{
    const struct json *agent = json_get(view->root, "agent");
    print_agent(screen, view);
    print_control_files(screen, view);
    print_server(screen, agent);
    print_claims(screen, agent);
    render_node_waiting(screen->out, view, "waits   ", screen->columns);
    print_encoder(screen, json_get(agent, "encoder"));
    line(screen, "disk    %.1f GB free (nothing is claimed below %g)%s",
         (double)view_int(view->root, "disk_free_bytes", 0) / 1e9,
         view->config->node.min_free_disk_gb,
         view_bool(json_get(agent, "disk"), "low") ? ", TOO LOW" : "");
}

/* ---- jobs in progress ------------------------------------------------------------------------ */

static const char *step_of(const struct json *row, const struct view *view)
{
    if (!view_bool(row, "step_running"))
        return view_bool(row, "on_hold") ? "on hold" : "(no step running)";
    if (view_bool(row, "step_unseen"))
        return "NOT VISIBLE TO AGENT";
    if (view_text(row, "waits_for", NULL))
        return "WAITING FOR DISK SPACE";
    if (view_text(row, "refused_since", NULL))
        return "REFUSED";
    if (view_bool(view->root, "paused") && strcmp(view_text(row, "step", ""), "transcode") == 0)
        return "paused";
    return view_text(row, "step", "starting");
}

static void add_qualities(struct table *table, const struct json *row)
{
    char cells[BAR_BYTES];
    const struct json *list = json_get(row, "qualities");
    for (const struct json *one = json_first(list); one; one = json_next(one)) {
        int64_t percent = view_int(one, "percent", 0);
        TEXT(text) = must_printf("%-9s [%s] %3" PRId64 "%%  %-11s %" PRId64 " segments uploaded",
                                 view_text(one, "name", "?"), bar(percent, SMALL_BAR_CELLS, cells),
                                 percent, view_text(one, "status", "?"),
                                 view_int(one, "segments_uploaded", 0));
        table_note(table, text);
    }
}

static char *work_of(const struct json *row, const struct view *view)
{
    char cells[BAR_BYTES], speed_text[24] = "", eta_text[40] = "";
    double speed = 0;
    int64_t eta = view_int(row, "eta_seconds", -1);
    if (json_get_number(row, "speed", 0, 1e6, &speed) == JSON_FOUND)
        snprintf(speed_text, sizeof speed_text, "  %.1fx", speed);
    if (eta >= 0)
        snprintf(eta_text, sizeof eta_text, "  %" PRId64 ":%02" PRId64 ":%02" PRId64 " left",
                 eta / 3600, eta / 60 % 60, eta % 60);
    return must_printf("[%s] %3" PRId64 "%%  %s%s%s  %s",
                       bar(view_int(row, "percent", 0), BAR_CELLS, cells),
                       view_int(row, "percent", 0), step_of(row, view), speed_text, eta_text,
                       view_text(row, "slug", ""));
}

/* ---- the outbox ------------------------------------------------------------------------------ */

static char *delivery_of(const struct json *row)
{
    char span[VIEW_SPAN_BYTES];
    int64_t age;
    if (view_bool(row, "on_hold"))
        return must_strdup("on hold until retry");
    bool is_dated = view_age(row, "next_attempt_at", &age);
    TEXT(when) = json_get(row, "attempts")
                     ? must_printf("attempt %" PRId64 "%s", view_int(row, "attempts", 0) + 1,
                                   view_bool(row, "held") ? ", HELD," : "")
                     : must_strdup("when an agent is running");
    return must_printf("%s%s%s", when, is_dated ? " in " : "",
                       is_dated ? view_span(-age, span) : "");
}

/* Why, until when, and what ends it. */
static void add_refusal(struct table *table, const struct json *row)
{
    char span[VIEW_SPAN_BYTES], until[VIEW_SPAN_BYTES + 16] = "never set aside automatically";
    const char *id = view_text(row, "record", "?");
    int64_t refused, left;
    if (!view_age(row, "refused_since", &refused))
        return;
    TEXT(reason) = must_printf("refused for %s: %s", view_span(refused, span),
                               view_text(row, "refused_reason", "?"));
    if (view_age(row, "set_aside_at", &left))
        snprintf(until, sizeof until, "set aside in %s", view_span(-left, span));
    TEXT(hint) = must_printf("%s; to decide now: `spool quarantine %s` or `spool retry %s`", until,
                             id, id);
    table_note(table, reason);
    table_note(table, hint);
}

static void add_warnings(struct table *table, const struct json *row)
{
    const struct json *list = json_get(row, "warnings");
    for (const struct json *one = json_first(list); one; one = json_next(one)) {
        TEXT(text) = must_printf("warning: %s", json_text(one));
        table_note(table, text);
    }
}

static bool is_at_work(const struct json *row)
{
    static const char *const states[] = {"sealed", "failed", "lost", "acknowledged"};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (strcmp(view_text(row, "state", "?"), states[i]) == 0)
            return false;
    return !json_get(row, "problem");
}

/* Owned. */
static char *progress_of(const struct json *row, const struct view *view)
{
    const char *state = view_text(row, "state", "?");
    if (json_get(row, "problem"))
        return must_printf("PROBLEM: %s", view_text(row, "problem", ""));
    if (strcmp(state, "sealed") == 0 || strcmp(state, "failed") == 0)
        return delivery_of(row);
    return is_at_work(row) ? work_of(row, view) : must_strdup("");
}

static void add_row(struct table *table, const struct json *row, const struct view *view)
{
    TEXT(job) = must_printf("%" PRId64, view_int(row, "job", 0));
    TEXT(progress) = progress_of(row, view);
    table_row(table, (const char *const[]){job, view_text(row, "record", "?"),
                                           view_text(row, "state", "?"), progress});
    if (is_at_work(row))
        add_qualities(table, row);
    TEXT(waiting) = render_waiting(json_get(row, "waiting"));
    table_note(table, waiting);
    add_refusal(table, row);
    add_warnings(table, row);
}

static void print_rows(const struct screen *screen, const struct view *view)
{
    static const char *const titles[] = {"JOB", "RECORD", "STATE", "PROGRESS"};
    struct table *table = table_new(titles, sizeof titles / sizeof titles[0], TABLE_WRAPPED);
    const struct json *rows = json_get(view->root, "jobs");
    for (const struct json *row = json_first(rows); row; row = json_next(row))
        add_row(table, row, view);
    table_print(table, screen->columns, screen->out);
    table_free(table);
}

static void print_finals(const struct screen *screen, const struct json *agent)
{
    const struct json *finals = json_get(agent, "finals");
    char at[16];
    for (const struct json *one = json_first(finals); one; one = json_next(one))
        line(screen, "%s  job %" PRId64 " %s%s%s", clock_of(one, "at", at), view_int(one, "job", 0),
             view_text(one, "outcome", "?"), view_text(one, "reason", NULL) ? ": " : "",
             view_text(one, "reason", ""));
}

/* Also those of earlier runs of the agent. */
static void print_failures(const struct screen *screen, const struct json *agent)
{
    const struct json *failures = json_get(agent, "failures");
    char at[16];
    for (const struct json *one = json_first(failures); one; one = json_next(one)) {
        line(screen, "failed  %.10s %s  job %" PRId64 ": %s", view_text(one, "at", "?"),
             clock_of(one, "at", at), view_int(one, "job", 0),
             view_text(one, "reason", "no reason was recorded"));
    }
}

void render_count(FILE *out, const struct view *view, int columns)
{
    struct screen screen = {.out = out, .columns = columns};
    int64_t foreign = view_int(view->root, "foreign", 0);
    TEXT(others) = must_printf(", %" PRId64 " foreign name%s left alone", foreign,
                               foreign == 1 ? "" : "s");
    line(&screen, "%d in the spool, %d kept, %d in quarantine%s",
         json_count(json_get(view->root, "jobs")), json_count(json_get(view->root, "kept")),
         json_count(json_get(view->root, "quarantine")), foreign > 0 ? others : "");
}

void render_status(FILE *out, const struct view *view, int columns)
{
    struct screen screen = {.out = out, .columns = columns};
    print_node(&screen, view);
    print_rows(&screen, view);
    render_count(out, view, columns);
    print_finals(&screen, json_get(view->root, "agent"));
    print_failures(&screen, json_get(view->root, "agent"));
}
