#include "verifier/http/request_metrics.h"

#include "lib/error.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

enum { CLASS_COUNT = 4, BUCKET_COUNT = 7 };

static const char *const classes[CLASS_COUNT] = {"2xx", "3xx", "4xx", "5xx"};
static const struct {
    int64_t at_most_ms;
    const char *text;
} buckets[BUCKET_COUNT] = {{5, "0.005"}, {20, "0.02"},  {100, "0.1"}, {500, "0.5"},
                           {2000, "2"},  {10000, "10"}, {60000, "60"}};

static struct {
    const char *const *names;
    size_t count;
    struct {
        _Atomic int64_t by_class[CLASS_COUNT];
        _Atomic int64_t by_bucket[BUCKET_COUNT + 1]; /* the last: longer than all */
        _Atomic int64_t total_ms;
    } routes[REQUEST_METRICS_ROUTES_MAX];
} metrics; /* lives as long as the process, as a metric does */

void request_metrics_register(const char *const names[], size_t count)
{
    must(count <= REQUEST_METRICS_ROUTES_MAX);
    metrics.names = names;
    metrics.count = count;
}

static void add(_Atomic int64_t *value, int64_t amount)
{
    atomic_fetch_add_explicit(value, amount, memory_order_relaxed);
}

void request_metrics_note(size_t route, int status, int64_t took_ms)
{
    size_t bucket = 0;
    must(route < metrics.count && status >= 200 && status < 600);
    while (bucket < BUCKET_COUNT && took_ms > buckets[bucket].at_most_ms)
        bucket++;
    add(&metrics.routes[route].by_class[status / 100 - 2], 1);
    add(&metrics.routes[route].by_bucket[bucket], 1);
    add(&metrics.routes[route].total_ms, took_ms);
}

static int64_t get(const _Atomic int64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void print_requests(FILE *out)
{
    fputs("# HELP tailslate_http_requests_total Requests by route and status class.\n"
          "# TYPE tailslate_http_requests_total counter\n",
          out);
    for (size_t route = 0; route < metrics.count; route++)
        for (size_t class = 0; class < CLASS_COUNT; class ++)
            fprintf(out, "tailslate_http_requests_total{route=\"%s\",class=\"%s\"} %" PRId64 "\n",
                    metrics.names[route], classes[class],
                    get(&metrics.routes[route].by_class[class]));
}

#define SECONDS "tailslate_http_request_duration_seconds"

static void print_durations(size_t route, FILE *out)
{
    const char *name = metrics.names[route];
    int64_t count = 0, total_ms = get(&metrics.routes[route].total_ms);
    for (size_t bucket = 0; bucket < BUCKET_COUNT; bucket++) {
        count += get(&metrics.routes[route].by_bucket[bucket]);
        fprintf(out, SECONDS "_bucket{route=\"%s\",le=\"%s\"} %" PRId64 "\n", name,
                buckets[bucket].text, count);
    }
    count += get(&metrics.routes[route].by_bucket[BUCKET_COUNT]);
    fprintf(out, SECONDS "_bucket{route=\"%s\",le=\"+Inf\"} %" PRId64 "\n", name, count);
    fprintf(out, SECONDS "_sum{route=\"%s\"} %" PRId64 ".%03d\n", name, total_ms / 1000,
            (int)(total_ms % 1000));
    fprintf(out, SECONDS "_count{route=\"%s\"} %" PRId64 "\n", name, count);
}

void request_metrics_print(FILE *out)
{
    print_requests(out);
    fputs("# HELP " SECONDS
          " Time from the request line to the queued answer, including long polls.\n"
          "# TYPE " SECONDS " histogram\n",
          out);
    for (size_t route = 0; route < metrics.count; route++)
        print_durations(route, out);
}
