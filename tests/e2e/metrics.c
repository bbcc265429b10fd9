/* What an operator looks at: /healthz, /readyz, /api/health, /metrics; also while the database
 * hangs. */
#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "postgres.h"
#include "scene.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { FAMILIES_MAX = 100, SERIES_MAX = 1000, ANSWERS_WITHIN_MS = 1000, COMES_BACK_MS = 30 * 1000 };

/* ---- Prometheus' text form, read strictly ---- */

struct family {
    char name[128], type[16];
    int samples;
};

struct exposition {
    struct family families[FAMILIES_MAX];
    size_t family_count;
    char *series[SERIES_MAX]; /* name and labels; each only once */
    double values[SERIES_MAX];
    size_t series_count;
    char complaint[400]; /* the first */
};

static bool __attribute__((format(printf, 3, 4)))
demand(struct exposition *exposition, bool holds, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!holds && !exposition->complaint[0])
        vsnprintf(exposition->complaint, sizeof exposition->complaint, format, args);
    va_end(args);
    return holds;
}

static bool is_name(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!isalpha((unsigned char)text[i]) && text[i] != '_' && text[i] != ':' &&
            !(i > 0 && isdigit((unsigned char)text[i])))
            return false;
    return size > 0;
}

static struct family *last_family(struct exposition *exposition)
{
    return exposition->family_count ? &exposition->families[exposition->family_count - 1] : NULL;
}

static void read_help(struct exposition *exposition, const char *line)
{
    size_t size = strcspn(line, " ");
    struct family family = {.samples = 0};
    if (!demand(exposition,
                exposition->family_count < FAMILIES_MAX && is_name(line, size) &&
                    size < sizeof family.name && line[size] == ' ' && line[size + 1],
                "HELP without a name or a text: %s", line))
        return;
    memcpy(family.name, line, size);
    for (size_t i = 0; i < exposition->family_count; i++)
        demand(exposition, strcmp(exposition->families[i].name, family.name) != 0, "%s comes twice",
               family.name);
    exposition->families[exposition->family_count++] = family;
}

static void read_type(struct exposition *exposition, const char *line)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    struct family *family = last_family(exposition);
    size_t size = strcspn(line, " ");
    if (!demand(exposition,
                family && strlen(family->name) == size && memcmp(family->name, line, size) == 0 &&
                    !family->type[0] && line[size] == ' ',
                "TYPE without its HELP: %s", line))
        return;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(line + size + 1, types[i]) == 0)
            snprintf(family->type, sizeof family->type, "%s", types[i]);
    demand(exposition, family->type[0], "of which type? %s", line);
}

/* `{a="b",c="d"}`; returns what is behind it, NULL where it is no such thing. */
static const char *skip_labels(const char *at)
{
    if (*at != '{')
        return at;
    do {
        at++;
        size_t size = strcspn(at, "=");
        if (!is_name(at, size) || at[size] != '=' || at[size + 1] != '"')
            return NULL;
        for (at += size + 2; *at && *at != '"'; at++)
            if (*at == '\\' && (!*++at || !strchr("\\\"n", *at)))
                return NULL;
        if (*at++ != '"')
            return NULL;
    } while (*at == ',');
    return *at == '}' ? at + 1 : NULL;
}

/* A histogram's samples carry an ending. */
static bool belongs(const struct family *family, const char *name, size_t size)
{
    static const char *const endings[] = {"_bucket", "_sum", "_count"};
    size_t own = strlen(family->name);
    if (strncmp(name, family->name, own) != 0)
        return false;
    if (strcmp(family->type, "histogram") != 0)
        return own == size;
    for (size_t i = 0; i < 3; i++)
        if (size == own + strlen(endings[i]) && strncmp(name + own, endings[i], size - own) == 0)
            return true;
    return false;
}

static void add_series(struct exposition *exposition, const char *line, size_t size, double value)
{
    TEXT(series) = must_printf("%.*s", (int)size, line);
    for (size_t i = 0; i < exposition->series_count; i++)
        demand(exposition, strcmp(exposition->series[i], series) != 0, "%s comes twice", series);
    if (!demand(exposition, exposition->series_count < SERIES_MAX, "too many series"))
        return;
    exposition->values[exposition->series_count] = value;
    exposition->series[exposition->series_count++] = steal_text(&series);
}

static void read_sample(struct exposition *exposition, const char *line)
{
    struct family *family = last_family(exposition);
    size_t size = strcspn(line, "{ ");
    if (!demand(exposition,
                family && family->type[0] && is_name(line, size) && belongs(family, line, size),
                "a sample of no family: %s", line))
        return;
    const char *behind = skip_labels(line + size);
    if (!demand(exposition, behind && behind[0] == ' ' && behind[1] && !strchr(" \t", behind[1]),
                "labels or value: %s", line))
        return;
    char *end;
    double value = strtod(behind + 1, &end);
    demand(exposition, end > behind + 1 && *end == '\0' && isfinite(value), "no value: %s", line);
    demand(exposition, strcmp(family->type, "gauge") == 0 || value >= 0, "below zero: %s", line);
    add_series(exposition, line, (size_t)(behind - line), value);
    family->samples++;
}

static void check_names(struct exposition *exposition)
{
    for (size_t i = 0; i < exposition->family_count; i++) {
        const struct family *family = &exposition->families[i];
        size_t size = strlen(family->name);
        bool is_total = size > 6 && strcmp(family->name + size - 6, "_total") == 0;
        demand(exposition, is_total == (strcmp(family->type, "counter") == 0), "%s is a %s",
               family->name, family->type);
        demand(exposition,
               strncmp(family->name, "tailslate_", 10) == 0 ||
                   strncmp(family->name, "process_", 8) == 0,
               "%s is of another house", family->name);
        demand(exposition, family->samples > 0, "%s has no sample", family->name);
        demand(exposition, !strstr(family->name, "_ms") && !strstr(family->name, "_kib"),
               "%s is in no base unit", family->name);
    }
}

static void read_exposition(const char *text, struct exposition *exposition)
{
    while (*text) {
        size_t size = strcspn(text, "\n");
        TEXT(line) = must_printf("%.*s", (int)size, text);
        if (strncmp(line, "# HELP ", 7) == 0)
            read_help(exposition, line + 7);
        else if (strncmp(line, "# TYPE ", 7) == 0)
            read_type(exposition, line + 7);
        else
            read_sample(exposition, line);
        if (!demand(exposition, text[size] == '\n', "the last line has no end"))
            return;
        text += size + 1;
    }
    check_names(exposition);
}

static void forget(struct exposition *exposition)
{
    for (size_t i = 0; i < exposition->series_count; i++)
        free(exposition->series[i]);
    free(exposition);
}

static const struct {
    const char *text;
    bool is_readable;
} texts[] = {
    {"# HELP tailslate_a b\n# TYPE tailslate_a gauge\ntailslate_a{b=\"c\"} 1\n", true},
    {"tailslate_a 1\n", false},
    {"# HELP tailslate_a b\n# TYPE tailslate_a gauge\ntailslate_a 1", false},
    {"# HELP tailslate_a b\n# TYPE tailslate_a gauge\ntailslate_a  1\n", false},
    {"# HELP tailslate_a b\n# TYPE tailslate_a gauge\ntailslate_a x\n", false},
    {"# HELP tailslate_a b\n# TYPE tailslate_a gauge\ntailslate_a 1\ntailslate_a 1\n", false},
    {"# HELP tailslate_a b\n# TYPE tailslate_a gauge\ntailslate_a{b=c} 1\n", false},
    {"# HELP tailslate_a b\n# TYPE tailslate_a gauge\ntailslate_a{b=\"c} 1\n", false},
    {"# HELP tailslate_a b\n# TYPE tailslate_a gauge\ntailslate_b 1\n", false},
    {"# HELP tailslate_a b\n# TYPE tailslate_a counter\ntailslate_a 1\n", false},
    {"# HELP tailslate_a b\n# TYPE tailslate_a thing\ntailslate_a 1\n", false},
    {"# HELP tailslate_a b\n# TYPE tailslate_a gauge\n", false},
    {"# TYPE tailslate_a gauge\ntailslate_a 1\n", false},
};

Test(metrics, the_reader_of_these_tests_is_strict)
{
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct exposition *exposition = must_calloc(1, sizeof *exposition);
        read_exposition(texts[i].text, exposition);
        cr_expect_eq(!exposition->complaint[0], texts[i].is_readable, "%s%s", texts[i].text,
                     exposition->complaint);
        forget(exposition);
    }
}

static double value_of(const struct exposition *exposition, const char *series)
{
    for (size_t i = 0; i < exposition->series_count; i++)
        if (strcmp(exposition->series[i], series) == 0)
            return exposition->values[i];
    cr_assert(false, "%s is not there", series);
    return 0;
}

/* Buckets go up, the last is +Inf, and it is the count. */
static void check_histogram(const struct exposition *exposition, const char *route)
{
    double before = 0;
    TEXT(bucket) = must_printf("tailslate_http_request_duration_seconds_bucket{route=\"%s\",le=\"",
                               route);
    TEXT(count) = must_printf("tailslate_http_request_duration_seconds_count{route=\"%s\"}", route);
    int buckets = 0;
    for (size_t i = 0; i < exposition->series_count; i++)
        if (strncmp(exposition->series[i], bucket, strlen(bucket)) == 0) {
            cr_assert_geq(exposition->values[i], before, "%s", exposition->series[i]);
            before = exposition->values[i];
            buckets++;
        }
    cr_assert_gt(buckets, 2, "%s", route);
    TEXT(all) = must_printf("%s+Inf\"}", bucket);
    cr_assert_eq(value_of(exposition, all), value_of(exposition, count), "%s", route);
}

static struct reply get(const struct rig *rig, const char *path)
{
    TEXT(url) = must_printf("http://127.0.0.1:%d%s", rig->port, path);
    return call_make(&(struct call){.url = url});
}

static struct exposition *scrape(const struct rig *rig)
{
    REPLY(reply) = get(rig, "/metrics");
    reply_is(&reply, 200, NULL);
    char type[80];
    reply_header(&reply, "Content-Type", type, sizeof type);
    cr_assert(strncmp(type, "text/plain; version=0.0.4", 25) == 0, "%s", type);
    struct exposition *exposition = must_calloc(1, sizeof *exposition);
    read_exposition(reply.body, exposition);
    cr_assert_str_eq(exposition->complaint, "");
    return exposition;
}

static const struct {
    const char *series;
    double at_least, at_most;
} wanted[] = {
    {"tailslate_http_requests_total{route=\"/api/worker/{id}/complete\",class=\"2xx\"}", 2, 2},
    {"tailslate_http_requests_total{route=\"none\",class=\"4xx\"}", 1, 1},
    {"tailslate_completions_total{outcome=\"committed\"}", 1, 1},
    {"tailslate_completions_total{outcome=\"replayed\"}", 1, 1},
    {"tailslate_claims_total", 1, 1},
    {"tailslate_upload_bytes_total", 1000, 1e9},
    {"tailslate_auth_failures_total", 1, 1},
    {"tailslate_rate_limited_total", 0, 0},
    {"tailslate_connections", 1, 20},
    {"tailslate_connections_refused_total", 0, 0},
    {"tailslate_request_failures_total{kind=\"busy\"}", 0, 0},
    {"tailslate_store_up", 1, 1},
    {"tailslate_jobs{state=\"completed\"}", 1, 1},
};

Test(metrics, are_what_prometheus_reads_and_count_what_was_done)
{
    struct scene scene = scene_uploaded();
    REPLY(first) = worker_complete(&scene.worker, scene.token);
    reply_is(&first, 200, NULL);
    REPLY(again) = worker_complete(&scene.worker, scene.token);
    reply_is(&again, 200, NULL);
    REPLY(nowhere) = get(scene.rig, "/nowhere");
    reply_is(&nowhere, 404, NULL);
    REPLY(keyless) = get(scene.rig, "/api/worker/1/verify-complete");
    reply_is(&keyless, 401, NULL);
    struct exposition *exposition = scrape(scene.rig);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        double value = value_of(exposition, wanted[i].series);
        cr_expect(value >= wanted[i].at_least && value <= wanted[i].at_most, "%s %g",
                  wanted[i].series, value);
    }
    check_histogram(exposition, "/api/worker/{id}/complete");
    check_histogram(exposition, "none");
    forget(exposition);
    rig_end(scene.rig);
}

/* ---- health ---- */

static void expect_health(const struct rig *rig, const char *path, long status)
{
    REPLY(reply) = get(rig, path);
    cr_assert_eq(reply.status, status, "%s: %ld %s", path, reply.status, reply.body);
    cr_assert_leq(reply.took_ms, ANSWERS_WITHIN_MS, "%s took %lld ms", path,
                  (long long)reply.took_ms);
    if (status == 503)
        cr_assert(*reply_text(&reply, "detail"), "%s", reply.body);
}

static void wait_for_ready(const struct rig *rig, long status)
{
    int64_t until_ms = mono_ms() + COMES_BACK_MS;
    for (;;) {
        REPLY(reply) = get(rig, "/readyz");
        if (reply.status == status)
            return;
        cr_assert_lt(mono_ms(), until_ms, "still %ld: %s", reply.status, reply.body);
    }
}

static void expect_down(const struct rig *rig)
{
    wait_for_ready(rig, 503);
    expect_health(rig, "/healthz", 200);
    expect_health(rig, "/api/health", 503);
    expect_health(rig, "/readyz", 503);
    expect_health(rig, "/metrics", 200);
    struct exposition *exposition = scrape(rig);
    cr_assert_eq(value_of(exposition, "tailslate_store_up"), 0);
    forget(exposition);
}

Test(health, is_told_within_a_second_while_the_database_hangs_or_is_gone, .timeout = 180)
{
    struct postgres *postgres = postgres_start(NULL);
    TEXT(url) = postgres_new_database(postgres->place);
    TEXT(value) = must_printf("\"%s\"", url);
    struct rig *rig = rig_new();
    rig_verifier_set(rig, "store.url", value);
    rig_start_verifier(rig);
    expect_health(rig, "/readyz", 200);
    postgres_hang(postgres);
    expect_down(rig);
    postgres_wake(postgres);
    wait_for_ready(rig, 200);
    postgres_down(postgres, SIGQUIT);
    expect_down(rig);
    postgres_up(postgres);
    wait_for_ready(rig, 200);
    rig_end(rig);
    postgres_stop(postgres);
}

Test(health, names_the_part_that_is_down)
{
    struct scene scene = scene_idle();
    expect_health(scene.rig, "/api/health", 200);
    TEXT(videos) = rig_path(scene.rig, "videos");
    TEXT(script) = must_printf("mv '%s' '%s.away'", videos, videos);
    RUN(run) = run_program((const char *[]){"sh", "-c", script, NULL}, NULL, STOP_MS);
    cr_assert_eq(run.status, 0, "%s", run.err);
    wait_for_ready(scene.rig, 503);
    REPLY(reply) = get(scene.rig, "/api/health");
    reply_is(&reply, 503, NULL);
    const struct json *checks = json_get(reply.json, "checks");
    const char *database = "", *files = "";
    json_get_text(json_get(checks, "database"), "status", 16, &database);
    json_get_text(json_get(checks, "files"), "status", 16, &files);
    cr_assert_str_eq(database, "ok");
    cr_assert_str_eq(files, "down");
    cr_assert(strstr(reply_text(&reply, "detail"), "directory"), "%s", reply.body);
    rig_end(scene.rig);
}
