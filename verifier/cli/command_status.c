#include "verifier/cli/command_status.h"

#include "base/table.h"
#include "base/text.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "verifier/cli/span.h"
#include "verifier/store/store_json.h"

#include <stdlib.h>
#include <string.h>

/* In the text; the JSON has all. */
enum { STATUS_RECENT_MAX = 10, STATUS_SILENT_MAX = 5 };

static void number(int64_t value, char text[24])
{
    snprintf(text, 24, "%lld", (long long)value);
}

static bool is_silent(const struct store_worker *worker)
{
    return strcmp(worker->status, "offline") == 0;
}

static void print_silent_one(const struct status_view *view, const struct store_worker *worker,
                             FILE *out)
{
    char heard[STATUS_SPAN_BYTES], job[48] = "";
    status_span(view->overview.fleet.now, worker->last_heartbeat, heard);
    if (worker->current_job_id)
        snprintf(job, sizeof job, ", holds job %lld", (long long)worker->current_job_id);
    TEXT(line) = must_printf("SILENT    %s: last heartbeat %s%s", worker->name, heard, job);
    TEXT(plain) = text_plain(line);
    fprintf(out, "%s\n", plain);
}

/* What they hold needs nobody: the sweeper releases it when the claim has ended. */
static void print_silent(const struct status_view *view, size_t silent, FILE *out)
{
    size_t shown = 0;
    for (size_t i = 0; i < view->worker_count && shown < STATUS_SILENT_MAX; i++)
        if (is_silent(&view->workers[i])) {
            print_silent_one(view, &view->workers[i], out);
            shown++;
        }
    if (silent > shown)
        fprintf(out, "          and %zu more: tailslate-verifier worker list\n", silent - shown);
    if (silent > 0)
        fputs(
            "          Check `tailslate-agent status` there. Its jobs go to other workers when its "
            "claims\n          end. If it is gone for good: tailslate-verifier worker revoke "
            "NAME\n",
            out);
}

static void print_heads(const struct status_view *view, FILE *out)
{
    const struct store_counts *counts = &view->overview.counts;
    const struct store_fleet *fleet = &view->overview.fleet;
    size_t offline = 0, disabled = 0;
    for (size_t i = 0; i < view->worker_count; i++) {
        offline += is_silent(&view->workers[i]);
        disabled += strcmp(view->workers[i].status, "disabled") == 0;
    }
    fprintf(out, "jobs      %lld waiting, %lld running, %lld completed, %lld failed\n",
            (long long)counts->pending, (long long)counts->processing, (long long)counts->completed,
            (long long)counts->failed);
    if (view->files_reason[0])
        fprintf(out, "FILES     %s\n          No job is given to a worker until then.\n",
                view->files_reason);
    fprintf(out, "workers   %zu online, %zu offline, %zu disabled\n",
            view->worker_count - offline - disabled, offline, disabled);
    print_silent(view, offline, out);
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

/* Without a webhook only what still waits for one is worth a line. */
static void print_webhook(const struct status_view *view, FILE *out)
{
    const struct store_events *events = &view->events;
    char since[STATUS_SPAN_BYTES], next[STATUS_SPAN_BYTES];
    if (!view->has_webhook && events->waiting == 0)
        return;
    fprintf(out, "webhook   %lld waiting, %lld given up", (long long)events->waiting,
            (long long)events->given_up);
    if (events->waiting > 0) {
        status_span(events->now, events->since, since);
        fprintf(out, "; the oldest from %s", since);
    }
    if (events->waiting > 0 && view->has_webhook) {
        status_span(events->now, events->next_attempt_at, next);
        fprintf(out, ", its next attempt %s", next);
    }
    fputs("\n", out);
    if (events->reason[0])
        fprintf(out, "          %s\n", events->reason);
    if (!view->has_webhook)
        fputs("          Nothing is sent: webhook.url is not set.\n", out);
}

static void print_running(const struct status_view *view, FILE *out)
{
    static const char *const titles[] = {"JOB",    "DONE",       "STEP", "ATTEMPT",
                                         "WORKER", "CLAIM ENDS", "SLUG"};
    if (view->running_count == 0)
        return;
    struct table *table = table_new(titles, sizeof titles / sizeof titles[0], TABLE_CUT);
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
    table_print(table, text_columns(out), out);
    table_free(table);
}

static void print_recent(const struct store_overview *overview, FILE *out)
{
    static const char *const titles[] = {"JOB",    "WHEN", "REPLAYS", "LATE",
                                         "WORKER", "SLUG", "TOKEN"};
    if (overview->recent_count == 0)
        return;
    struct table *table = table_new(titles, sizeof titles / sizeof titles[0], TABLE_CUT);
    for (size_t i = 0; i < overview->recent_count && i < STATUS_RECENT_MAX; i++) {
        const struct store_recent *recent = &overview->recent[i];
        char id[24], when[STATUS_SPAN_BYTES], replays[24];
        number(recent->job_id, id);
        number(recent->replays, replays);
        status_span(overview->fleet.now, recent->committed_at, when);
        table_row(table, (const char *const[]){id, when, replays, recent->late ? "late" : "",
                                               recent->worker_name, recent->slug, recent->token});
    }
    fputs("\nRecent completions\n", out);
    table_print(table, text_columns(out), out);
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
    struct table *table = table_new(titles, sizeof titles / sizeof titles[0], TABLE_CUT);
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
    table_print(table, text_columns(out), out);
    table_free(table);
}

void status_print(const struct status_view *view, FILE *out)
{
    print_heads(view, out);
    print_webhook(view, out);
    print_running(view, out);
    print_recent(&view->overview, out);
    print_sweeps(&view->overview, out);
}

static struct json *silent_json(const struct status_view *view)
{
    struct json *list = json_new_array();
    for (size_t i = 0; i < view->worker_count; i++)
        if (is_silent(&view->workers[i]))
            json_append(list, store_worker_json(&view->workers[i]));
    return list;
}

static struct json *webhook_json(const struct status_view *view)
{
    struct json *object = json_new_object();
    json_set_bool(object, "configured", view->has_webhook);
    json_set_int(object, "waiting", view->events.waiting);
    json_set_int(object, "given_up", view->events.given_up);
    json_set_filled(object, "since", view->events.since);
    json_set_filled(object, "next_attempt_at", view->events.next_attempt_at);
    json_set_filled(object, "reason", view->events.reason);
    return object;
}

void status_print_json(const struct status_view *view, FILE *out)
{
    const struct store_overview *overview = &view->overview;
    JSON(root) = json_new_object();
    json_set(root, "jobs", store_counts_json(&overview->counts));
    json_set_filled(root, "files_problem", view->files_reason);
    json_set(root, "fleet", store_fleet_json(&overview->fleet));
    json_set(root, "silent_workers", silent_json(view));
    json_set(root, "webhook", webhook_json(view));
    json_set(root, "running", store_jobs_json(view->running, view->running_count));
    json_set(root, "recent_completions", store_recent_json(overview));
    json_set(root, "sweeps", store_sweeps_json(overview));
    json_set(root, "last_release",
             overview->released_ever ? store_sweep_json(&overview->last_release) : NULL);
    json_show(root, out);
}

int command_status(struct context *context, const struct command *command, struct error *err)
{
    struct status_view view = {.running = NULL, .workers = NULL};
    context_files_problem(context, view.files_reason);
    view.has_webhook = context->config->webhook.url[0] != '\0';
    if (store_events(context->store, &view.events, err) != 0 ||
        store_overview(context->store, &view.overview, err) != 0)
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
