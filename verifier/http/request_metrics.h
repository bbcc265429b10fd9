/* request_metrics: requests by route, in Prometheus' text format: counts by status class, and
 * durations. Thread-safe. */
#ifndef VERIFIER_REQUEST_METRICS_H
#define VERIFIER_REQUEST_METRICS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { REQUEST_METRICS_ROUTES_MAX = 64 };

void request_metrics_register(const char *const names[],
                              size_t count); /* once, before threads start */
void request_metrics_note(size_t route, int status, int64_t took_ms);
void request_metrics_print(FILE *out);

#endif
