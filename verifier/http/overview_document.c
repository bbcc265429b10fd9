#include "verifier/http/overview_document.h"

#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "verifier/http/auth.h"
#include "verifier/http/health_probe.h"
#include "verifier/http/routes_health.h"
#include "verifier/store/store_activity.h"
#include "verifier/store/store_event.h"
#include "verifier/store/store_json.h"

#include <stdio.h>
#include <string.h>

enum { DOCUMENT_REASON_BYTES = 256, EVENT_LATE_S = 300 };

static void add_problem(struct json *problems, const char *reason, const char *since,
                        const char *hint)
{
    struct json *problem = json_new_object();
    json_set_text(problem, "reason", reason);
    json_set_filled(problem, "since", since);
    json_set_filled(problem, "hint", hint);
    json_append(problems, problem);
}

struct workers {
    int64_t total, offline, disabled;
};

static int count_workers(struct store *store, struct workers *workers, struct error *err)
{
    struct store_worker_state states[STORE_WORKER_STATES_MAX];
    size_t count;
    *workers = (struct workers){0};
    if (store_worker_count(store, states, &count, err) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        workers->total += states[i].count;
        if (strcmp(states[i].status, "offline") == 0)
            workers->offline = states[i].count;
        else if (strcmp(states[i].status, "disabled") == 0)
            workers->disabled = states[i].count;
    }
    return 0;
}

static void add_server_problems(const struct app *app, struct json *problems)
{
    struct health_probe_report report;
    struct gate_counts gate;
    health_probe_take(app->probe, &report);
    const char *problem = health_problem(&report, false);
    if (problem)
        add_problem(problems, problem, "", "no job goes on until this is put right");
    gate_counts(app->gate, &gate);
    if (gate.state == GATE_OPEN)
        add_problem(problems, "Redis cannot be used", "",
                    "completions work without it, up to a second slower");
}

static void add_worker_problems(const struct store_overview *overview,
                                const struct workers *workers, struct json *problems)
{
    char reason[DOCUMENT_REASON_BYTES];
    int64_t enabled = workers->total - workers->disabled;
    if (overview->fleet.suspicious_since[0])
        add_problem(problems, "more than half of the workers fell silent: no claims are released",
                    overview->fleet.suspicious_since,
                    "check the network between the workers and the server");
    if (enabled > 0 && workers->offline == enabled && overview->counts.pending > 0) {
        snprintf(reason, sizeof reason, "no worker is online, and jobs are waiting: %lld",
                 (long long)overview->counts.pending);
        add_problem(problems, reason, "", "start tailslate-agent on a node");
    } else if (workers->offline > 0) {
        snprintf(reason, sizeof reason, "silent workers: %lld of %lld", (long long)workers->offline,
                 (long long)enabled);
        add_problem(problems, reason, "",
                    "start their agents, or revoke them: tailslate-verifier worker revoke NAME");
    }
}

/* One failed attempt is nothing that a person has to know. */
static void add_webhook_problem(const struct store_events *events, struct json *problems)
{
    char reason[DOCUMENT_REASON_BYTES];
    int64_t now_us, since_us;
    if (!events->reason[0] || !wall_parse(events->now, &now_us) ||
        !wall_parse(events->since, &since_us) || (now_us - since_us) / 1000000 < EVENT_LATE_S)
        return;
    snprintf(reason, sizeof reason, "events wait for the webhook's receiver: %lld",
             (long long)events->waiting);
    add_problem(problems, reason, events->since, "tailslate-verifier status shows the last error");
}

static struct json *problems_of(const struct app *app, const struct store_overview *overview,
                                const struct workers *workers, const struct store_events *events)
{
    struct json *problems = json_new_array();
    add_server_problems(app, problems);
    add_worker_problems(overview, workers, problems);
    add_webhook_problem(events, problems);
    return problems;
}

/* The version: of all that is in the document so far, and of the time in steps of
 * OVERVIEW_RENEW_S. */
static void make_etag(const struct json *root, const char *now, char etag[OVERVIEW_ETAG_BYTES])
{
    char hex[HASH_HEX_BYTES];
    int64_t now_us = 0;
    wall_parse(now, &now_us);
    TEXT(content) = json_print(root);
    TEXT(covered) = must_printf("%lld %s", (long long)(now_us / 1000000 / OVERVIEW_RENEW_S),
                                content);
    hash_bytes(covered, strlen(covered), hex);
    memcpy(etag, hex, OVERVIEW_ETAG_BYTES - 1);
    etag[OVERVIEW_ETAG_BYTES - 1] = '\0';
}

/* *workers: with the times of their heartbeats; owned. */
static int add_all(const struct app *app, struct json *root, const struct store_overview *overview,
                   struct json **workers, struct error *err)
{
    struct workers counts;
    struct store_events events;
    if (count_workers(app->store, &counts, err) != 0 ||
        store_events(app->store, &events, err) != 0 ||
        store_activity(app->store, root, workers, err) != 0)
        return -1;
    json_set_text(root, "version", TAILSLATE_VERSION);
    json_set_bool(root, "admin_enabled", auth_has_admin(app->auth));
    json_set(root, "problems", problems_of(app, overview, &counts, &events));
    json_set(root, "jobs", store_counts_json(&overview->counts));
    json_set(root, "recent_completions", store_recent_json(overview));
    json_set(root, "sweeps", store_sweeps_json(overview));
    json_set_int(root, "worker_count", counts.total);
    return 0;
}

char *overview_document(const struct app *app, char etag[OVERVIEW_ETAG_BYTES], struct error *err)
{
    struct store_overview overview;
    struct json *workers;
    JSON(root) = json_new_object();
    if (store_overview(app->store, &overview, err) != 0)
        return NULL;
    int result = add_all(app, root, &overview, &workers, err);
    if (result == 0) {
        make_etag(root, overview.fleet.now, etag);
        json_set_text(root, "etag", etag);
        json_set(root, "fleet", store_fleet_json(&overview.fleet));
        json_set(root, "workers", workers);
    }
    store_overview_fini(&overview);
    return result == 0 ? json_print(root) : NULL;
}
