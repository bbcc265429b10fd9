#include "show.h"

#include "disk.h"
#include "order.h"
#include "spool.h"
#include "status.h"

#include "tailslate/cleanup.h"
#include "tailslate/clock.h"
#include "tailslate/durable.h"
#include "tailslate/json.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { BAR_CELLS = 20, WATCH_PAUSE_S = 1 };

struct view {
    const struct config *config;
    struct spool spool;
    struct json *root; /* what is shown: made once, then printed as JSON or for people */
};

static struct json *read_published(const struct spool *spool)
{
    TEXT(text) = NULL;
    size_t size;
    struct error ignored;
    if (durable_read(spool->state_dir, STATUS_NAME, STATUS_MAX_BYTES, &text, &size, &ignored) != 0)
        return NULL;
    return json_parse(text, size, &ignored);
}

static const struct json *find_published(const struct json *published, const char *id)
{
    const struct json *records = json_get(published, "records");
    for (int i = 0; json_is_array(records) && i < json_count(records); i++) {
        const char *name = json_text(json_get(json_at(records, i), "record"));
        if (name && strcmp(name, id) == 0)
            return json_at(records, i);
    }
    return NULL;
}

static void copy_member(struct json *to, const struct json *from, const char *key)
{
    if (json_get(from, key))
        json_set(to, key, json_copy(json_get(from, key)));
}

static void add_claim(struct json *row, int dir)
{
    struct record_claim claim;
    struct error err;
    if (record_read_claim(dir, &claim, &err) != 0) {
        json_set_text(row, "problem", err.message);
        return;
    }
    char claimed_at[WALL_TEXT_BYTES];
    wall_format(claim.claimed_at_us, claimed_at);
    json_set_text(row, "slug", claim.claim.video_slug);
    json_set_text(row, "source", claim.claim.source_filename);
    json_set_text(row, "token", claim.token);
    json_set_text(row, "claimed_at", claimed_at);
    json_set_text(row, "claim_expires_at", claim.claim.claim_expires_at);
    if (claim.claim.claim_epoch >= 0)
        json_set_int(row, "claim_epoch", claim.claim.claim_epoch);
}

static void add_progress(struct json *row, int dir)
{
    struct record_progress progress;
    struct error ignored;
    if (record_read_progress(dir, &progress, &ignored) != 0)
        return;
    if (work_step_name(progress.progress.step))
        json_set_text(row, "step", work_step_name(progress.progress.step));
    if (progress.progress.percent >= 0)
        json_set_int(row, "percent", progress.progress.percent);
    if (progress.speed > 0)
        json_set_number(row, "speed", progress.speed);
    if (progress.eta_seconds >= 0)
        json_set_int(row, "eta_seconds", progress.eta_seconds);
}

static struct json *make_row(const struct spool *spool, const struct spool_entry *entry,
                             const struct json *published)
{
    struct json *row = json_new_object();
    struct error err;
    enum job_state state = JOB_WRONG;
    FD(dir) = spool_open_record(spool->live, entry->id, &err);
    json_set_text(row, "record", entry->id);
    json_set_int(row, "job", entry->job_id);
    if (dir < 0 || record_state(dir, &state, &err) != 0)
        json_set_text(row, "problem", err.message);
    json_set_text(row, "state", job_state_name(state));
    if (dir < 0)
        return row;
    json_set_bool(row, "step_running", record_is_locked(dir));
    add_claim(row, dir);
    if (job_need(state) == JOB_NEEDS_STEP)
        add_progress(row, dir);
    const struct json *known = find_published(published, entry->id);
    copy_member(row, known, "attempts");
    copy_member(row, known, "next_attempt_at");
    copy_member(row, known, "reason");
    copy_member(row, known, "held");
    return row;
}

static int add_rows(struct view *view, const struct json *published, struct error *err)
{
    struct spool_entry *entries = NULL;
    size_t count = 0, foreign = 0;
    if (spool_list(view->spool.live, &entries, &count, &foreign, err) != 0)
        return -1;
    struct json *rows = json_new_array();
    for (size_t i = 0; i < count; i++)
        json_append(rows, make_row(&view->spool, &entries[i], published));
    free(entries);
    json_set(view->root, "jobs", rows);
    json_set_int(view->root, "foreign", (int64_t)foreign);
    return 0;
}

static int add_room(struct view *view, int room, const char *name, struct error *err)
{
    struct spool_entry *entries = NULL;
    size_t count = 0;
    if (spool_list(room, &entries, &count, NULL, err) != 0)
        return -1;
    struct json *rows = json_new_array();
    for (size_t i = 0; i < count; i++) {
        char reason[SPOOL_REASON_BYTES];
        spool_read_reason(room, entries[i].id, reason);
        struct json *row = json_new_object();
        json_set_text(row, "record", entries[i].id);
        json_set_int(row, "job", entries[i].job_id);
        json_set_text(row, "reason", reason);
        json_append(rows, row);
    }
    free(entries);
    json_set(view->root, name, rows);
    return 0;
}

static int fill(struct view *view, struct error *err)
{
    if (spool_open(view->config->node.state_dir, SPOOL_READ, &view->spool, err) != 0)
        return -1;
    pid_t agent;
    bool is_running = spool_is_owned(&view->spool, &agent);
    JSON(published) = is_running ? read_published(&view->spool) : NULL;
    int64_t free_bytes;
    json_set_bool(view->root, "running", is_running);
    json_set_text(view->root, "node", view->config->node.name);
    json_set_text(view->root, "state_dir", view->config->node.state_dir);
    if (disk_free_bytes(view->spool.state_dir, &free_bytes, err) != 0)
        return -1;
    json_set_int(view->root, "disk_free_bytes", free_bytes);
    json_set_bool(view->root, "drained", order_is_given(view->spool.orders, ORDER_DRAIN));
    json_set_bool(view->root, "paused", order_is_given(view->spool.orders, ORDER_PAUSE));
    int done = add_rows(view, published, err);
    if (done == 0)
        done = add_room(view, view->spool.kept, "kept", err);
    if (done == 0)
        done = add_room(view, view->spool.quarantine, "quarantine", err);
    if (published)
        json_set(view->root, "agent", json_copy(published));
    return done;
}

static int open_view(struct view *view, const struct config *config)
{
    struct error err;
    *view = (struct view){.config = config, .root = json_new_object()};
    view->spool = (struct spool)SPOOL_INIT;
    if (fill(view, &err) == 0)
        return 0;
    fprintf(stderr, "tailslate-agent: %s\n", err.message);
    return error_exit_status(&err);
}

static void close_view(struct view *view)
{
    spool_close(&view->spool);
    json_free(view->root);
}

static void print_json(const struct json *node)
{
    TEXT(text) = json_print_pretty(node);
    puts(text);
}

static const char *text_of(const struct json *object, const char *key, const char *otherwise)
{
    const char *text = json_text(json_get(object, key));
    return text && text[0] ? text : otherwise;
}

static int64_t int_of(const struct json *object, const char *key, int64_t otherwise)
{
    json_get_int(object, key, INT64_MIN, INT64_MAX, &otherwise);
    return otherwise;
}

static bool bool_of(const struct json *object, const char *key)
{
    bool value = false;
    json_get_bool(object, key, &value);
    return value;
}

/* "12:03:04" of today's and any day's time: the date is in the JSON. */
static const char *clock_of(const struct json *object, const char *key, char text[16])
{
    const char *time = text_of(object, key, "");
    snprintf(text, 16, "%.8s", strlen(time) > 19 ? time + 11 : "?");
    return text;
}

/* What a server said goes to a terminal: nothing in it may move the cursor or break the line. */
static void print_plain(const char *text)
{
    for (; *text; text++)
        putchar((unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text);
}

static void print_server(const struct json *server)
{
    char since[16];
    const char *reason = text_of(server, "reason", "");
    printf("server  %s: %s since %s UTC%s", text_of(server, "url", "?"),
           text_of(server, "state", "?"), clock_of(server, "since", since), reason[0] ? ": " : "");
    print_plain(reason);
    putchar('\n');
}

static void print_agent(const struct view *view)
{
    const struct json *agent = json_get(view->root, "agent");
    const struct json *server = json_get(agent, "server");
    printf("node    %s, %s\n", text_of(view->root, "node", "?"), view->config->node.state_dir);
    if (!bool_of(view->root, "running"))
        printf("agent   not running; what follows is what the spool holds\n");
    else
        printf("agent   running, pid %" PRId64 ", version %s%s%s\n", int_of(agent, "pid", 0),
               text_of(agent, "version", "?"),
               bool_of(agent, "draining") ? ", ending when empty" : "",
               bool_of(agent, "stopping") ? ", stopping" : "");
    if (bool_of(view->root, "drained"))
        printf("order   drained: nothing is claimed until undrain\n");
    if (bool_of(view->root, "paused"))
        printf("order   paused: nothing is claimed, transcoders stand still until unpause\n");
    if (server)
        print_server(server);
    if (agent)
        printf("slots   %" PRId64 " of %" PRId64 " in use\n", int_of(agent, "slots_held", 0),
               int_of(agent, "slots", 0));
    if (bool_of(agent, "tool_broken"))
        printf("ffmpeg  DOES NOT RUN: nothing is claimed (see the log, or run check)\n");
    printf("disk    %.1f GB free%s\n", (double)int_of(view->root, "disk_free_bytes", 0) / 1e9,
           bool_of(json_get(agent, "disk"), "low") ? ", TOO LOW: nothing is claimed" : "");
}

static void print_bar(int64_t percent)
{
    char bar[BAR_CELLS + 1];
    int64_t full = percent * BAR_CELLS / 100;
    for (int i = 0; i < BAR_CELLS; i++)
        bar[i] = i < full ? '#' : '-';
    bar[BAR_CELLS] = '\0';
    printf("[%s] %3" PRId64 " %%", bar, percent);
}

static void print_work(const struct json *row)
{
    double speed = 0;
    print_bar(int_of(row, "percent", 0));
    printf("  %s", text_of(row, "step", "starting"));
    if (json_get_number(row, "speed", 0, 1e6, &speed) == JSON_FOUND)
        printf("  %.1fx", speed);
    int64_t eta = int_of(row, "eta_seconds", -1);
    if (eta >= 0)
        printf("  %" PRId64 ":%02" PRId64 ":%02" PRId64 " left", eta / 3600, eta / 60 % 60,
               eta % 60);
    if (!bool_of(row, "step_running"))
        printf("  (no step runs)");
}

static void print_delivery(const struct json *row)
{
    char next[16];
    if (!json_get(row, "attempts")) {
        printf("to be delivered when an agent runs");
        return;
    }
    printf("attempt %" PRId64 ", next at %s UTC%s", int_of(row, "attempts", 0) + 1,
           clock_of(row, "next_attempt_at", next), bool_of(row, "held") ? ", HELD" : "");
    if (text_of(row, "reason", "")[0]) {
        printf(": ");
        print_plain(text_of(row, "reason", ""));
    }
}

static void print_row(const struct json *row)
{
    const char *state = text_of(row, "state", "?");
    printf("%-8" PRId64 " %-10s %-12s ", int_of(row, "job", 0), text_of(row, "record", "?"), state);
    if (json_get(row, "problem"))
        printf("PROBLEM: %s", text_of(row, "problem", ""));
    else if (strcmp(state, "sealed") == 0 || strcmp(state, "failed") == 0)
        print_delivery(row);
    else if (strcmp(state, "lost") != 0 && strcmp(state, "acknowledged") != 0)
        print_work(row);
    putchar('\n');
}

static void print_rows(const struct view *view)
{
    const struct json *rows = json_get(view->root, "jobs");
    printf("%-8s %-10s %-12s %s\n", "JOB", "RECORD", "STATE", "PROGRESS");
    for (int i = 0; i < json_count(rows); i++)
        print_row(json_at(rows, i));
    printf("%d in the spool, %d kept, %d in quarantine", json_count(rows),
           json_count(json_get(view->root, "kept")),
           json_count(json_get(view->root, "quarantine")));
    int64_t foreign = int_of(view->root, "foreign", 0);
    if (foreign > 0)
        printf(", %" PRId64 " foreign name%s left alone", foreign, foreign == 1 ? "" : "s");
    putchar('\n');
}

static void print_room(const struct view *view, const char *name)
{
    const struct json *rows = json_get(view->root, name);
    for (int i = 0; i < json_count(rows); i++) {
        printf("%-8" PRId64 " %-10s %-12s ", int_of(json_at(rows, i), "job", 0),
               text_of(json_at(rows, i), "record", "?"), name);
        print_plain(text_of(json_at(rows, i), "reason", ""));
        putchar('\n');
    }
}

int show_status(const struct config *config, bool as_json)
{
    struct view view;
    int status = open_view(&view, config);
    if (status == 0 && as_json) {
        print_json(view.root);
    } else if (status == 0) {
        print_agent(&view);
        print_rows(&view);
    }
    close_view(&view);
    return status;
}

int show_watch(const struct config *config, bool as_json)
{
    bool is_terminal = isatty(STDOUT_FILENO) == 1;
    const struct timespec pause = {.tv_sec = WATCH_PAUSE_S};
    for (;;) {
        if (is_terminal && !as_json)
            fputs("\033[H\033[2J", stdout);
        int status = show_status(config, as_json);
        if (status != 0)
            return status;
        if (fflush(stdout) != 0)
            return 0; /* nobody reads any more */
        nanosleep(&pause, NULL);
    }
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
        print_rows(&view);
        print_room(&view, "kept");
        print_room(&view, "quarantine");
    }
    close_view(&view);
    return status;
}

/* Whole files, as they are: they are JSON texts. */
static void add_files(struct json *row, int dir)
{
    static const char *const names[] = {"claim.json",           "outcome.json", "completion.json",
                                        "missing.json",         "failure.json", "lost.json",
                                        "acknowledgement.json", "reason.json",  "progress.json"};
    struct json *files = json_new_object();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        TEXT(text) = NULL;
        size_t size;
        struct error err;
        if (durable_read(dir, names[i], RECORD_FILE_MAX_BYTES, &text, &size, &err) != 0)
            continue;
        struct json *parsed = json_parse(text, size, &err);
        if (parsed)
            json_set(files, names[i], parsed);
        else
            json_set_text(files, names[i], err.message);
    }
    json_set(row, "files", files);
}

static int find_record(const struct spool *spool, const char *id, const char **room,
                       struct error *err)
{
    const struct {
        const char *name;
        int fd;
    } rooms[] = {{"spool", spool->live}, {"kept", spool->kept}, {"quarantine", spool->quarantine}};
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        int dir = spool_open_record(rooms[i].fd, id, err);
        *room = rooms[i].name;
        if (dir >= 0)
            return dir;
    }
    return -1;
}

int show_record(const struct config *config, const char *id)
{
    struct view view;
    struct error err;
    const char *room;
    int status = open_view(&view, config);
    FD(dir) = status == 0 ? find_record(&view.spool, id, &room, &err) : -1;
    if (status == 0 && dir < 0) {
        fprintf(stderr, "tailslate-agent: %s\n", err.message);
        status = error_exit_status(&err);
    } else if (status == 0) {
        JSON(row) = json_new_object();
        enum job_state state = JOB_WRONG;
        json_set_text(row, "record", id);
        json_set_text(row, "room", room);
        if (record_state(dir, &state, &err) != 0)
            json_set_text(row, "problem", err.message);
        json_set_text(row, "state", job_state_name(state));
        json_set_bool(row, "step_running", record_is_locked(dir));
        add_files(row, dir);
        print_json(row);
    }
    close_view(&view);
    return status;
}
