/* counters: the verifier's metrics; request_metrics.h counts its requests. */
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
    COUNT_KEY_VERIFICATIONS,
    COUNT_RATE_LIMITED,
    COUNT_CONNECTIONS_OPEN, /* a gauge: decrease it by -1 */
    COUNT_WAITING,          /* likewise */
    COUNT_CONNECTIONS_REFUSED,
    COUNT_CONNECTIONS_CUT,
    COUNT_CLIENTS_UNTRUSTED,
    COUNT_FAILED_BUSY,
    COUNT_FAILED_BROKEN,
    COUNT_FAILED_UNKNOWN,
    COUNT_FAILED_DISK,
    COUNT_FAILED_OTHER,
    COUNT_GATE_ENTERED,
    COUNT_GATE_WAITED,
    COUNT_GATE_NOT_OURS,
    COUNT_GATE_SKIPPED_OPEN,
    COUNT_GATE_SKIPPED_SLOW,
    COUNT_GATE_FAILED,
    COUNT_GATE_STATE,
    COUNT_COUNT,
};

void counters_register(void); /* once, before threads start */
void count(enum counter counter, int64_t amount);
void count_set(enum counter counter, int64_t value); /* for counts that are made elsewhere */
/* A request that was answered 503 or 500: by what failed, an errno (db.h: enum db_code). */
void count_failure(int code);

#endif
