#include "agent/cli/view.h"

#include "agent/base/tree.h"
#include "agent/daemon/status.h"
#include "agent/spool/control_file.h"
#include "agent/step/disk.h"
#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/durable.h"
#include "lib/message_fields.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* What the agent has published about each record, in the order of their IDs. */
struct published {
    const char *id;
    const struct json *record;
};
struct index {
    struct published *items;
    size_t count;
};

static int compare_published(const void *left, const void *right)
{
    const struct published *a = left, *b = right;
    return strcmp(a->id, b->id);
}

static struct index index_published(const struct json *published)
{
    const struct json *records = json_get(published, "records");
    struct index index = {.count = 0};
    if (!json_is_array(records))
        return index;
    index.items = must_calloc((size_t)json_count(records) + 1, sizeof *index.items);
    for (const struct json *one = json_first(records); one; one = json_next(one)) {
        const char *id = json_text(json_get(one, "record"));
        if (id)
            index.items[index.count++] = (struct published){.id = id, .record = one};
    }
    qsort(index.items, index.count, sizeof *index.items, compare_published);
    return index;
}

static const struct json *find_published(const struct index *index, const char *id)
{
    struct published key = {.id = id};
    const struct published *found = index->count ? bsearch(&key, index->items, index->count,
                                                           sizeof key, compare_published)
                                                 : NULL;
    return found ? found->record : NULL;
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

static void add_qualities(struct json *row, const struct message_progress *progress)
{
    struct json *list = json_new_array();
    for (size_t i = 0; i < progress->quality_count; i++) {
        const struct message_quality_progress *one = &progress->qualities[i];
        struct json *quality = json_new_object();
        json_set_text(quality, "name", tailslate_quality_name(one->quality));
        json_set_text(quality, "status", quality_status_name(one->status));
        json_set_int(quality, "percent", one->percent);
        if (one->segments_completed >= 0)
            json_set_int(quality, "segments_uploaded", one->segments_completed);
        json_append(list, quality);
    }
    json_set(row, "qualities", list);
}

static bool add_progress(struct json *row, int dir, struct record_progress *progress)
{
    struct error ignored;
    if (record_read_progress(dir, progress, &ignored) != 0)
        return false;
    if (work_step_name(progress->progress.step))
        json_set_text(row, "step", work_step_name(progress->progress.step));
    if (progress->progress.percent >= 0)
        json_set_int(row, "percent", progress->progress.percent);
    if (progress->speed > 0)
        json_set_number(row, "speed", progress->speed);
    if (progress->eta_seconds >= 0)
        json_set_int(row, "eta_seconds", progress->eta_seconds);
    add_qualities(row, &progress->progress);
    return true;
}

static void add_warnings(struct json *row, int dir)
{
    struct record_outcome outcome;
    struct error ignored;
    if (record_read_outcome(dir, &outcome, &ignored) == 0 && outcome.completion.warnings.count > 0)
        json_set(row, "warnings", warnings_new_array(&outcome.completion.warnings));
}

static void add_size(struct json *row, int dir)
{
    struct tree_size size;
    tree_measure(dir, &size);
    json_set_int(row, "size_bytes", size.bytes);
}

/* The agent's values, if the agent works on the record. */
static void add_reason(struct json *row, const struct spool *spool, const char *id)
{
    char reason[SPOOL_REASON_BYTES];
    spool_read_reason(spool->live, id, reason);
    if (reason[0])
        json_set_text(row, "reason", reason);
}

static void set_time(struct json *row, const char *key, int64_t at_us)
{
    char text[WALL_TEXT_BYTES];
    wall_format(at_us, text);
    json_set_text(row, key, text);
}

static void add_refusal(struct json *row, int dir, double hold_days)
{
    struct record_refusal refusal;
    if (!record_read_refusal(dir, &refusal))
        return;
    set_time(row, "refused_since", refusal.since_us);
    json_set_text(row, "refused_reason", refusal.reason);
    if (hold_days > 0)
        set_time(row, "set_aside_at", refusal.since_us + (int64_t)(hold_days * 24 * 3600 * 1e6));
    if (!view_text(row, "reason", NULL))
        json_set_text(row, "reason", refusal.reason);
}

static struct json *make_row(const struct view *view, const struct spool_entry *entry,
                             const struct index *published)
{
    const struct spool *spool = &view->spool;
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
    json_set_bool(row, "on_hold", control_file_exists(dir, CONTROL_HOLD));
    if (state == JOB_CLAIMED && record_is_waiting(dir))
        json_set_text(row, "waits_for", "disk");
    add_size(row, dir);
    add_claim(row, dir);
    struct record_progress progress;
    bool has_step = job_need(state) == JOB_NEEDS_STEP && add_progress(row, dir, &progress);
    add_warnings(row, dir);
    const struct json *known = find_published(published, entry->id);
    copy_member(row, known, "step_unseen");
    copy_member(row, known, "attempts");
    copy_member(row, known, "next_attempt_at");
    copy_member(row, known, "reason");
    copy_member(row, known, "held");
    if (view_bool(row, "on_hold") && !view_text(row, "reason", NULL))
        add_reason(row, spool, entry->id);
    add_refusal(row, dir, view->config->retry.hold_days);
    view_add_waiting(view, row, dir, has_step ? &progress : NULL, known);
    return row;
}

static int add_rows(struct view *view, const struct json *published, struct error *err)
{
    struct spool_entry *entries = NULL;
    size_t count = 0, foreign = 0;
    if (spool_list(view->spool.live, &entries, &count, &foreign, err) != 0)
        return -1;
    struct json *rows = json_new_array();
    struct index index = index_published(published);
    for (size_t i = 0; i < count; i++)
        json_append(rows, make_row(view, &entries[i], &index));
    free(index.items);
    free(entries);
    json_set(view->root, "jobs", rows);
    json_set_int(view->root, "foreign", (int64_t)foreign);
    return 0;
}

static int add_directory(struct view *view, int directory, const char *name, struct error *err)
{
    struct spool_entry *entries = NULL;
    size_t count = 0;
    if (spool_list(directory, &entries, &count, NULL, err) != 0)
        return -1;
    struct json *rows = json_new_array();
    for (size_t i = 0; i < count; i++) {
        char reason[SPOOL_REASON_BYTES];
        spool_read_reason(directory, entries[i].id, reason);
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
    JSON(published) = is_running ? status_read(view->spool.state_dir) : NULL;
    int64_t free_bytes;
    json_set_bool(view->root, "running", is_running);
    json_set_text(view->root, "node", view->config->node.name);
    json_set_text(view->root, "state_dir", view->config->node.state_dir);
    if (disk_free_bytes(view->spool.state_dir, &free_bytes, err) != 0)
        return -1;
    json_set_int(view->root, "disk_free_bytes", free_bytes);
    json_set_bool(view->root, "drained", control_file_exists(view->spool.controls, CONTROL_DRAIN));
    json_set_bool(view->root, "paused", control_file_exists(view->spool.controls, CONTROL_PAUSE));
    int done = add_rows(view, published, err);
    if (done == 0)
        done = add_directory(view, view->spool.retained, "kept", err);
    if (done == 0)
        done = add_directory(view, view->spool.quarantine, "quarantine", err);
    if (published)
        json_set(view->root, "agent", published); /* which owns it now */
    published = NULL;
    return done;
}

int view_open(struct view *view, const struct config *config, struct error *err)
{
    *view = (struct view){.config = config, .root = json_new_object(), .spool = SPOOL_INIT};
    return fill(view, err);
}

void view_close(struct view *view)
{
    spool_close(&view->spool);
    json_free(view->root);
    view->root = NULL;
}

/* ---- one record ------------------------------------------------------------------------------ */

/* Whole files, unchanged: they are JSON texts. */
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

static int find_record(const struct spool *spool, const char *id, const char **directory,
                       struct error *err)
{
    const struct {
        const char *name;
        int fd;
    } directories[] = {
        {"spool", spool->live}, {"kept", spool->retained}, {"quarantine", spool->quarantine}};
    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++) {
        int dir = spool_open_record(directories[i].fd, id, err);
        *directory = directories[i].name;
        if (dir >= 0)
            return dir;
    }
    return -1;
}

/* The start of the last lines. */
static const char *last_lines(const char *text, int lines)
{
    const char *at = text + strlen(text);
    while (at > text) {
        if (at[-1] == '\n' && lines-- == 0)
            return at;
        at--;
    }
    return at;
}

static void add_log(struct json *row, int dir)
{
    char tail[VIEW_LOG_TAIL_BYTES + 1];
    struct stat status;
    FD(fd) = openat(dir, RECORD_LOG, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        return;
    off_t from = status.st_size > VIEW_LOG_TAIL_BYTES ? status.st_size - VIEW_LOG_TAIL_BYTES : 0;
    ssize_t size = pread(fd, tail, VIEW_LOG_TAIL_BYTES, from);
    tail[size > 0 ? size : 0] = '\0';
    json_set_text(row, "transcoder_log", last_lines(tail, VIEW_LOG_LINES));
}

struct json *view_record(const struct view *view, const char *id, struct error *err)
{
    const char *directory;
    FD(dir) = find_record(&view->spool, id, &directory, err);
    if (dir < 0)
        return NULL;
    struct json *row = json_new_object();
    enum job_state state = JOB_WRONG;
    struct error why;
    json_set_text(row, "record", id);
    json_set_text(row, "directory", directory);
    if (record_state(dir, &state, &why) != 0)
        json_set_text(row, "problem", why.message);
    json_set_text(row, "state", job_state_name(state));
    json_set_bool(row, "step_running", record_is_locked(dir));
    json_set_bool(row, "on_hold", control_file_exists(dir, CONTROL_HOLD));
    add_size(row, dir);
    add_files(row, dir);
    add_log(row, dir);
    return row;
}

/* ---- members --------------------------------------------------------------------------------- */

const char *view_text(const struct json *object, const char *key, const char *otherwise)
{
    const char *text = json_text(json_get(object, key));
    return text && text[0] ? text : otherwise;
}

int64_t view_int(const struct json *object, const char *key, int64_t otherwise)
{
    json_get_int(object, key, INT64_MIN, INT64_MAX, &otherwise);
    return otherwise;
}

bool view_bool(const struct json *object, const char *key)
{
    bool value = false;
    json_get_bool(object, key, &value);
    return value;
}

bool view_age(const struct json *object, const char *key, int64_t *seconds)
{
    int64_t at_us;
    const char *text = view_text(object, key, "");
    if (!wall_parse(text, &at_us))
        return false;
    *seconds = (wall_us() - at_us) / 1000000;
    return true;
}

const char *view_span(int64_t seconds, char text[VIEW_SPAN_BYTES])
{
    enum { HOUR = 3600, DAY = 24 * HOUR };
    if (seconds < 0)
        seconds = 0;
    if (seconds < 60)
        snprintf(text, VIEW_SPAN_BYTES, "%" PRId64 " s", seconds);
    else if (seconds < HOUR)
        snprintf(text, VIEW_SPAN_BYTES, "%" PRId64 ":%02" PRId64 " min", seconds / 60,
                 seconds % 60);
    else if (seconds < 2 * DAY)
        snprintf(text, VIEW_SPAN_BYTES, "%" PRId64 ":%02" PRId64 " h", seconds / HOUR,
                 seconds / 60 % 60);
    else
        snprintf(text, VIEW_SPAN_BYTES, "%" PRId64 " days", seconds / DAY);
    return text;
}
