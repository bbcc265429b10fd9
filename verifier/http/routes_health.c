#include "verifier/http/routes_health.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "lib/cleanup.h"
#include "verifier/base/counters.h"
#include "verifier/base/wakeup.h"
#include "verifier/http/health_probe.h"
#include "verifier/http/request_metrics.h"

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

/* Of a 503, a stock worker reads `detail`. */
const char *health_problem(const struct health_probe_report *report, bool is_stopping)
{
    return is_stopping             ? "The server is stopping."
           : report->is_late       ? "The database did not answer in time."
           : !report->store_is_up  ? "The database cannot be used."
           : !report->files_are_up ? report->files_reason
                                   : NULL;
}

/* Never critical: completions work without Redis. */
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
    const char *problem = health_problem(&report, is_stopping);
    struct json *root = json_new_object(), *checks = json_new_object();
    json_set_text(root, "status", problem ? "unhealthy" : "healthy");
    json_set_text(root, "version", TAILSLATE_VERSION);
    if (problem)
        json_set_text(root, "detail", problem);
    add_check(checks, "database", report.store_is_up,
              report.is_late ? "no answer in time" : "cannot be used");
    add_check(checks, "files", report.files_are_up,
              report.is_late ? "unknown" : report.files_reason);
    add_gate(request->app->gate, checks);
    json_set(root, "checks", checks);
    answer_object(answer, root);
    if (problem)
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
