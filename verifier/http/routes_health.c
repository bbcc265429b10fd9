/* Health, metrics, and verify-complete's look at the files. */
#include "base/clock.h"
#include "base/metrics.h"
#include "lib/cleanup.h"
#include "verifier/base/counters.h"
#include "verifier/base/wakeup.h"
#include "verifier/http/health_probe.h"
#include "verifier/http/request_metrics.h"
#include "verifier/http/routes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void add_check(struct json *checks, const char *name, bool is_up, const char *detail)
{
    struct json *check = json_new_object();
    json_set_text(check, "status", is_up ? "ok" : "down");
    if (!is_up)
        json_set_text(check, "detail", detail);
    json_set(checks, name, check);
}

/* What a stock peer reads of a 503 is `detail`. */
static const char *trouble_of(const struct health_probe_report *report, bool is_stopping)
{
    return is_stopping             ? "The server is stopping."
           : report->is_late       ? "The database did not answer in time."
           : !report->store_is_up  ? "The database cannot be used."
           : !report->files_are_up ? "The uploads or videos directory cannot be used."
                                   : NULL;
}

/* Never critical: without Redis completions go on as they are. */
static void add_gate(struct gate *gate, struct json *checks)
{
    struct gate_counts counts;
    gate_counts(gate, &counts);
    if (counts.state != GATE_NONE)
        add_check(checks, "redis", counts.state == GATE_CLOSED, counts.reason);
}

void route_health(struct request *request, struct answer *answer)
{
    struct health_probe_report report;
    bool is_stopping = wakeup_is_closed(request->app->wakeup);
    health_probe_take(request->app->probe, &report);
    const char *trouble = trouble_of(&report, is_stopping);
    struct json *root = json_new_object(), *checks = json_new_object();
    json_set_text(root, "status", trouble ? "unhealthy" : "healthy");
    json_set_text(root, "version", TAILSLATE_VERSION);
    if (trouble)
        json_set_text(root, "detail", trouble);
    add_check(checks, "database", report.store_is_up,
              report.is_late ? "no answer in time" : "cannot be used");
    add_check(checks, "files", report.files_are_up,
              report.is_late ? "unknown" : "a directory cannot be used");
    add_gate(request->app->gate, checks);
    json_set(root, "checks", checks);
    answer_object(answer, root);
    if (trouble)
        answer->status = 503;
}

void route_alive(struct request *request, struct answer *answer)
{
    (void)request;
    answer_text(answer, "text/plain", must_strdup("ok\n"));
}

static void print_jobs(const struct store_counts *counts, FILE *out)
{
    fprintf(out,
            "# HELP tailslate_jobs Jobs by state.\n"
            "# TYPE tailslate_jobs gauge\n"
            "tailslate_jobs{state=\"pending\"} %lld\n"
            "tailslate_jobs{state=\"processing\"} %lld\n"
            "tailslate_jobs{state=\"completed\"} %lld\n"
            "tailslate_jobs{state=\"failed\"} %lld\n",
            (long long)counts->pending, (long long)counts->processing, (long long)counts->completed,
            (long long)counts->failed);
}

/* What the gate has counted by itself. */
static void count_gate(struct gate *gate)
{
    struct gate_counts counts;
    gate_counts(gate, &counts);
    count_set(COUNT_GATE_ENTERED, counts.entered);
    count_set(COUNT_GATE_WAITED, counts.waited);
    count_set(COUNT_GATE_NOT_OURS, counts.not_ours);
    count_set(COUNT_GATE_SKIPPED_OPEN, counts.skipped_open);
    count_set(COUNT_GATE_SKIPPED_SLOW, counts.skipped_slow);
    count_set(COUNT_GATE_FAILED, counts.failed);
    count_set(COUNT_GATE_STATE, counts.state);
}

void route_metrics(struct request *request, struct answer *answer)
{
    struct health_probe_report report;
    health_probe_take(request->app->probe, &report);
    count_gate(request->app->gate);
    TEXT(ours) = metrics_print();
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    must(out);
    fputs(ours, out);
    request_metrics_print(out);
    if (report.store_is_up)
        print_jobs(&report.counts, out);
    fprintf(out,
            "# HELP tailslate_store_up 1 if the database answers.\n"
            "# TYPE tailslate_store_up gauge\n"
            "tailslate_store_up %d\n",
            report.store_is_up);
    must(fclose(out) == 0 && text);
    answer_text(answer, "text/plain; version=0.0.4; charset=utf-8", text);
}

static void note_missing(const char *path, void *ctx)
{
    json_append_text(ctx, path);
}

/* What of the video's files is there: fills both lists. */
static int check_files(int video, tailslate_quality_set recorded, struct json *present,
                       struct json *missing, struct error *err)
{
    bool any_cmaf = false, cmaf;
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++) {
        if (!(recorded & 1u << quality))
            continue;
        int before = json_count(missing);
        if (files_check_quality(video, quality, note_missing, missing, &cmaf, err) != 0)
            return -1;
        any_cmaf |= cmaf;
        if (json_count(missing) == before)
            json_append_text(present, tailslate_quality_name(quality));
    }
    static const char *const common[] = {"master.m3u8", "thumbnail.jpg", "manifest.mpd"};
    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
        if ((strcmp(common[i], "manifest.mpd") != 0 || any_cmaf) &&
            !files_is_there(video, common[i]))
            json_append_text(missing, common[i]);
    return 0;
}

static void answer_verification(struct request *request, struct answer *answer,
                                const struct store_job *job, bool completed,
                                tailslate_quality_set recorded)
{
    struct error err;
    struct json *root = json_new_object();
    struct json *present = json_new_array(), *missing = json_new_array();
    json_set(root, "qualities_present", present);
    json_set(root, "missing_files", missing);
    FD(video) = files_open_video(request->app->files, job->slug, false, &err);
    if ((video < 0 && err.code != ENOENT) ||
        check_files(video, recorded, present, missing, &err) != 0) {
        json_free(root);
        return answer_error(answer, request, &err);
    }
    bool ready = strcmp(job->video_status, "ready") == 0;
    json_set_int(root, "job_id", job->id);
    json_set_int(root, "video_id", job->video_id);
    json_set_text(root, "video_slug", job->slug);
    json_set_text(root, "video_status", job->video_status);
    json_set_bool(root, "job_completed", completed);
    json_set_bool(root, "all_files_present",
                  completed && ready && recorded && json_count(missing) == 0);
    answer_object(answer, root);
}

void route_verify_complete(struct request *request, struct answer *answer)
{
    struct store_caller caller = route_caller(request);
    enum tailslate_standing standing;
    struct store_job job;
    tailslate_quality_set recorded;
    struct error err;
    if (store_caller_standing(request->app->store, &caller, request->number, &standing, &job,
                              &err) != 0)
        return answer_error(answer, request, &err);
    enum tailslate_problem problem = tailslate_verify_standing_problem(standing);
    /* The question is about the job, not about the claim: who held it last may ask. */
    bool may_ask = problem == TAILSLATE_PROBLEM_NONE || standing == TAILSLATE_STANDING_COMPLETED ||
                   standing == TAILSLATE_STANDING_FAILED;
    if (!may_ask)
        return answer_problem(answer, problem, NULL);
    if (store_recorded_qualities(request->app->store, job.video_id, &recorded, &err) != 0)
        return answer_error(answer, request, &err);
    answer_verification(request, answer, &job, standing == TAILSLATE_STANDING_COMPLETED, recorded);
}
