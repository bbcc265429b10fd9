/* metrics: counters and gauges in Prometheus text format. Thread-safe.
 *      static struct metric completions = METRIC_COUNTER("tailslate_completions_total",
 *                                                        "outcome=\"committed\"", "Completions.");
 *      metric_register(&completions);  metric_add(&completions, 1); */
#ifndef TAILSLATE_METRICS_H
#define TAILSLATE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

struct metric {
    const char *name, *labels, *type, *help; /* labels: the text inside the braces, or NULL */
    _Atomic int64_t value;
    struct metric *next;
};
#define METRIC_COUNTER(name, labels, help)                                                         \
    {                                                                                              \
        name, labels, "counter", help, 0, 0                                                        \
    }
#define METRIC_GAUGE(name, labels, help)                                                           \
    {                                                                                              \
        name, labels, "gauge", help, 0, 0                                                          \
    }

void metric_register(struct metric *metric); /* once, before threads start; static storage */
void metric_add(struct metric *metric, int64_t amount);
void metric_set(struct metric *metric, int64_t value);
/* tailslate_build_info, which is always 1: its label is the version. */
void metrics_register_build_info(void);
char *metrics_print(void); /* owned; metrics of one name are grouped */

#endif
