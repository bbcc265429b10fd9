/* span: how long ago and how far, for a table. */
#ifndef VERIFIER_SPAN_H
#define VERIFIER_SPAN_H

#include <stdint.h>

enum { STATUS_SPAN_BYTES = 32, STATUS_BAR_BYTES = 32 };
/* "12 s ago", "in 28 min", "never" for "". */
void status_span(const char *now, const char *at, char text[STATUS_SPAN_BYTES]);
/* [########........]  50% */
void status_bar(int64_t percent, char text[STATUS_BAR_BYTES]);

#endif
