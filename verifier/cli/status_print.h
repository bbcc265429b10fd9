/* status_print: the picture of `status`: who works on what, what was completed, what was released
 * and why. Pure but for the stream: ages are told from the database's own now. */
#ifndef VERIFIER_STATUS_PRINT_H
#define VERIFIER_STATUS_PRINT_H

#include "verifier/store/store_overview.h"

#include <stdio.h>

struct status_view {
    struct store_overview overview;
    struct store_job *running;
    size_t running_count;
    struct store_worker *workers;
    size_t worker_count;
};

void status_print(const struct status_view *view, FILE *out);
void status_print_json(const struct status_view *view, FILE *out);

enum { STATUS_SPAN_BYTES = 32, STATUS_BAR_BYTES = 32 };
/* "12 s ago", "in 28 min", "never" for "". */
void status_span(const char *now, const char *at, char text[STATUS_SPAN_BYTES]);
/* [########........]  50% */
void status_bar(int64_t percent, char text[STATUS_BAR_BYTES]);

#endif
