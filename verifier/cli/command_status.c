#include "verifier/cli/command_status.h"

#include "lib/json.h"
#include "verifier/cli/job_print.h"
#include "verifier/cli/table.h"

#include <stdlib.h>
#include <string.h>

static void number(int64_t value, char text[24])
{
    snprintf(text, 24, "%lld", (long long)value);
}

static void print_heads(const struct status_view *view, FILE *out)
{
    const struct store_counts *counts = &view->overview.counts;
    const struct store_fleet *fleet = &view->overview.fleet;
    size_t offline = 0, disabled = 0;
    for (size_t i = 0; i < view->worker_count; i++) {
        offline += strcmp(view->workers[i].status, "offline") == 0;
        disabled += strcmp(view->workers[i].status, "disabled") == 0;
    }
    fprintf(out, "jobs      %lld waiting, %lld running, %lld completed, %lld failed\n",
            (long long)counts->pending, (long long)counts->processing, (long long)counts->completed,
            (long long)counts->failed);
    fprintf(out, "workers   %zu online, %zu offline, %zu disabled\n",
            view->worker_count - offline - disabled, offline, disabled);
    if (!fleet->alive_at[0]) {
        fputs("sweeper   has never run: no server with a sweeper has been started yet\n", out);
        return;
    }
    char alive[STATUS_SPAN_BYTES], swept[STATUS_SPAN_BYTES];
    status_span(fleet->now, fleet->alive_at, alive);
    status_span(fleet->now, fleet->last_sweep_at, swept);
    fprintf(out, "sweeper   last sweep %s; server up since %.19s, last sign of life %s\n", swept,
            fleet->up_since, alive);
    if (fleet->suspicious_since[0])
        fprintf(out,
                "ALARM     more than half of the workers fell silent at %s: no claims are released "
                "for now. Check the network between the workers and the server.\n",
                fleet->suspicious_since);
}

static void print_running(const struct status_view *view, FILE *out)
{
    static const char *const titles[] = {"JOB",    "DONE",       "STEP", "ATTEMPT",
                                         "WORKER", "CLAIM ENDS", "SLUG"};
    if (view->running_count == 0)
        return;
    struct table *table = table_new(titles, sizeof titles / sizeof titles[0]);
    for (size_t i = 0; i < view->running_count; i++) {
        const struct store_job *job = &view->running[i];
        char id[24], done[STATUS_BAR_BYTES], attempt[48], ends[STATUS_SPAN_BYTES];
        number(job->id, id);
        status_bar(job->progress_percent, done);
        snprintf(attempt, sizeof attempt, "%lld/%lld", (long long)job->attempt_number,
                 (long long)job->max_attempts);
        status_span(view->overview.fleet.now, job->claim_expires_at, ends);
        table_row(table, (const char *const[]){id, done, job->current_step, attempt,
                                               job->last_holder_name, ends, job->slug});
    }
    fputs("\nRunning\n", out);
    table_print(table, out);
    table_free(table);
}

static void print_recent(const struct store_overview *overview, FILE *out)
{
    static const char *const titles[] = {"JOB",    "WHEN", "REPLAYS", "LATE",
                                         "WORKER", "SLUG", "TOKEN"};
    if (overview->recent_count == 0)
        return;
    struct table *table = table_new(titles, sizeof titles / sizeof titles[0]);
    for (size_t i = 0; i < overview->recent_count; i++) {
        const struct store_recent *recent = &overview->recent[i];
        char id[24], when[STATUS_SPAN_BYTES], replays[24];
        number(recent->job_id, id);
        number(recent->replays, replays);
        status_span(overview->fleet.now, recent->committed_at, when);
        table_row(table, (const char *const[]){id, when, replays, recent->late ? "late" : "",
                                               recent->worker_name, recent->slug, recent->token});
    }
    fputs("\nRecent completions\n", out);
    table_print(table, out);
    table_free(table);
}

static void add_released(struct table *table, const char *when, const struct store_swept *sweep)
{
    struct error ignored;
    JSON(list) = json_parse(sweep->released, strlen(sweep->released), &ignored);
    for (int i = 0; i < json_count(list); i++) {
        const struct json *item = json_at(list, i);
        int64_t job = 0;
        char id[24];
        json_get_int(item, "job", 0, INT64_MAX, &job);
        number(job, id);
        table_row(table, (const char *const[]){i ? "" : when, i ? "" : sweep->outcome, id,
                                               json_text(json_get(item, "detail"))});
    }
}

static void print_sweeps(const struct store_overview *overview, FILE *out)
{
    static const char *const titles[] = {"WHEN", "OUTCOME", "RELEASED JOB", "REASON"};
    if (overview->sweep_count == 0)
        return;
    struct table *table = table_new(titles, sizeof titles / sizeof titles[0]);
    bool is_release_shown = false;
    char when[STATUS_SPAN_BYTES];
    for (size_t i = 0; i < overview->sweep_count; i++) {
        const struct store_swept *sweep = &overview->sweeps[i];
        status_span(overview->fleet.now, sweep->swept_at, when);
        is_release_shown |= sweep->released_count > 0;
        if (sweep->released_count > 0)
            add_released(table, when, sweep);
        else
            table_row(table, (const char *const[]){when, sweep->outcome, "", ""});
    }
    if (overview->released_ever && !is_release_shown) {
        status_span(overview->fleet.now, overview->last_release.swept_at, when);
        add_released(table, when, &overview->last_release);
    }
    fputs("\nSweeps\n", out);
    table_print(table, out);
    table_free(table);
}

void status_print(const struct status_view *view, FILE *out)
{
    print_heads(view, out);
    print_running(view, out);
    print_recent(&view->overview, out);
    print_sweeps(&view->overview, out);
}

static struct json *fleet_object(const struct store_fleet *fleet)
{
    struct json *object = json_new_object();
    json_set_filled(object, "now", fleet->now);
    json_set_filled(object, "alive_at", fleet->alive_at);
    json_set_filled(object, "up_since", fleet->up_since);
    json_set_filled(object, "leader", fleet->leader);
    json_set_filled(object, "leader_until", fleet->leader_until);
    json_set_filled(object, "last_sweep_at", fleet->last_sweep_at);
    json_set_filled(object, "suspicious_since", fleet->suspicious_since);
    json_set_filled(object, "last_cleanup_at", fleet->last_cleanup_at);
    return object;
}

static struct json *counts_object(const struct store_counts *counts)
{
    struct json *object = json_new_object();
    json_set_int(object, "pending", counts->pending);
    json_set_int(object, "processing", counts->processing);
    json_set_int(object, "completed", counts->completed);
    json_set_int(object, "failed", counts->failed);
    return object;
}

static struct json *recent_object(const struct store_recent *recent)
{
    struct json *object = json_new_object();
    json_set_int(object, "job_id", recent->job_id);
    json_set_text(object, "slug", recent->slug);
    json_set_filled(object, "token", recent->token);
    json_set_int(object, "claim_epoch", recent->claim_epoch);
    json_set_text(object, "worker", recent->worker_name);
    json_set_text(object, "committed_at", recent->committed_at);
    json_set_bool(object, "late", recent->late);
    json_set_int(object, "replays", recent->replays);
    return object;
}

static struct json *sweep_object(const struct store_swept *sweep)
{
    struct error ignored;
    struct json *object = json_new_object();
    struct json *released = json_parse(sweep->released, strlen(sweep->released), &ignored);
    json_set_text(object, "swept_at", sweep->swept_at);
    json_set_text(object, "instance", sweep->instance);
    json_set_text(object, "outcome", sweep->outcome);
    json_set(object, "released", released ? released : json_new_array());
    return object;
}

void status_print_json(const struct status_view *view, FILE *out)
{
    const struct store_overview *overview = &view->overview;
    JSON(root) = json_new_object();
    struct json *recent = json_new_array(), *sweeps = json_new_array();
    for (size_t i = 0; i < overview->recent_count; i++)
        json_append(recent, recent_object(&overview->recent[i]));
    for (size_t i = 0; i < overview->sweep_count; i++)
        json_append(sweeps, sweep_object(&overview->sweeps[i]));
    json_set(root, "jobs", counts_object(&overview->counts));
    json_set(root, "fleet", fleet_object(&overview->fleet));
    json_set(root, "running", job_print_array(view->running, view->running_count));
    json_set(root, "recent_completions", recent);
    json_set(root, "sweeps", sweeps);
    json_set(root, "last_release",
             overview->released_ever ? sweep_object(&overview->last_release) : NULL);
    json_show(root, out);
}

int command_status(struct context *context, const struct command *command, struct error *err)
{
    struct status_view view = {.running = NULL, .workers = NULL};
    if (store_overview(context->store, &view.overview, err) != 0)
        return -1;
    int result = store_jobs_running(context->store, &view.running, &view.running_count, err);
    if (result == 0)
        result = store_worker_list(context->store, &view.workers, &view.worker_count, err);
    if (result == 0)
        command->json ? status_print_json(&view, stdout) : status_print(&view, stdout);
    store_workers_free(view.workers, view.worker_count);
    free(view.running);
    store_overview_fini(&view.overview);
    return result;
}
