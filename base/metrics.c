#include "base/metrics.h"

#include "lib/cleanup.h"
#include "lib/error.h"

#include <inttypes.h>
#include <string.h>

/* In the order of registration; written before threads start. */
static struct metric *first;

void metric_register(struct metric *metric)
{
    struct metric **end = &first;
    for (; *end; end = &(*end)->next)
        must(*end != metric);
    metric->next = NULL;
    *end = metric;
}

void metrics_register_build_info(void)
{
    static struct metric build_info = METRIC_GAUGE(
        "tailslate_build_info", "version=\"" TAILSLATE_VERSION "\"",
        "Always 1; the label is the version of this program.");
    metric_set(&build_info, 1);
    metric_register(&build_info);
}

void metric_add(struct metric *metric, int64_t amount)
{
    atomic_fetch_add_explicit(&metric->value, amount, memory_order_relaxed);
}

void metric_set(struct metric *metric, int64_t value)
{
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

static void print_help(const char *help, FILE *out)
{
    for (; *help; help++) {
        if (*help == '\\' || *help == '\n')
            fputs(*help == '\n' ? "\\n" : "\\\\", out);
        else
            fputc(*help, out);
    }
    fputc('\n', out);
}

static void print_value(const struct metric *metric, FILE *out)
{
    const char *labels = metric->labels ? metric->labels : "";
    fprintf(out, *labels ? "%s{%s} %" PRId64 "\n" : "%s%s %" PRId64 "\n", metric->name, labels,
            atomic_load_explicit(&metric->value, memory_order_relaxed));
}

static const struct metric *first_of_name(const char *name)
{
    const struct metric *metric = first;
    while (strcmp(metric->name, name) != 0)
        metric = metric->next;
    return metric;
}

/* The text format requires all lines of a metric together, after one HELP and one TYPE. */
static void print_family(const struct metric *metric, FILE *out)
{
    fprintf(out, "# HELP %s ", metric->name);
    print_help(metric->help, out);
    fprintf(out, "# TYPE %s %s\n", metric->name, metric->type);
    for (const struct metric *member = metric; member; member = member->next)
        if (strcmp(member->name, metric->name) == 0)
            print_value(member, out);
}

char *metrics_print(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    must(out);
    for (const struct metric *metric = first; metric; metric = metric->next)
        if (first_of_name(metric->name) == metric)
            print_family(metric, out);
    must(fclose(out) == 0 && text);
    return text;
}
