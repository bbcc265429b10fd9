/* counters: what /metrics says of the verifier. */
#ifndef VERIFIER_COUNTERS_H
#define VERIFIER_COUNTERS_H

#include <stdint.h>

enum counter {
    COUNT_CLAIMS,
    COUNT_COMMITTED,
    COUNT_COMMITTED_LATE,
    COUNT_REPLAYED,
    COUNT_COMPLETION_REFUSED,
    COUNT_FAILURE_RETRIED,
    COUNT_FAILURE_FINAL,
    COUNT_UPLOADS,
    COUNT_UPLOAD_BYTES,
    COUNT_AUTH_FAILURES,
    COUNT_REQUESTS_2XX,
    COUNT_REQUESTS_3XX,
    COUNT_REQUESTS_4XX,
    COUNT_REQUESTS_5XX,
    COUNT_COUNT,
};

void counters_register(void); /* once, before threads start */
void count(enum counter counter, int64_t amount);
void count_status(int status);

#endif
