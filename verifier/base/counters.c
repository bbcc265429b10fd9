#include "verifier/base/counters.h"

#include "base/metrics.h"

#include <errno.h>

#define COMPLETED    "Completions by outcome."
#define FAILED       "Failures that workers reported."
#define GATE         "tailslate_gate_total"
#define GATE_IS      "Questions to the gate in Redis, by what came of them."
#define FAILURES     "tailslate_request_failures_total"
#define FAILURES_ARE "Requests that were answered 503 or 500, by what failed."

/* Static, because a registered metric lives as long as the process. */
static struct metric metrics[COUNT_COUNT] = {
    [COUNT_CLAIMS] = METRIC_COUNTER("tailslate_claims_total", 0, "Jobs handed out."),
    [COUNT_COMMITTED] = METRIC_COUNTER("tailslate_completions_total", "outcome=\"committed\"",
                                       COMPLETED),
    [COUNT_COMMITTED_LATE] = METRIC_COUNTER("tailslate_completions_total",
                                            "outcome=\"committed_late\"", COMPLETED),
    [COUNT_REPLAYED] = METRIC_COUNTER("tailslate_completions_total", "outcome=\"replayed\"",
                                      COMPLETED),
    [COUNT_COMPLETION_REFUSED] = METRIC_COUNTER("tailslate_completions_total",
                                                "outcome=\"refused\"", COMPLETED),
    [COUNT_FAILURE_RETRIED] = METRIC_COUNTER("tailslate_failures_total", "will_retry=\"true\"",
                                             FAILED),
    [COUNT_FAILURE_FINAL] = METRIC_COUNTER("tailslate_failures_total", "will_retry=\"false\"",
                                           FAILED),
    [COUNT_UPLOADS] = METRIC_COUNTER("tailslate_uploads_total", 0, "Uploads taken."),
    [COUNT_UPLOAD_BYTES] = METRIC_COUNTER("tailslate_upload_bytes_total", 0, "Bytes taken."),
    [COUNT_AUTH_FAILURES] = METRIC_COUNTER("tailslate_auth_failures_total", 0,
                                           "Calls with a bad or no credential."),
    [COUNT_KEY_VERIFICATIONS] = METRIC_COUNTER("tailslate_key_verifications_total", 0,
                                               "API keys looked at by argon2id."),
    [COUNT_RATE_LIMITED] = METRIC_COUNTER("tailslate_rate_limited_total", 0,
                                          "Calls from addresses with too many bad credentials."),
    [COUNT_CONNECTIONS_OPEN] = METRIC_GAUGE("tailslate_connections", 0, "Open connections."),
    [COUNT_CONNECTIONS_REFUSED] = METRIC_COUNTER("tailslate_connections_refused_total", 0,
                                                 "Connections over the limit of one address."),
    [COUNT_CONNECTIONS_CUT] = METRIC_COUNTER("tailslate_connections_cut_total", 0,
                                             "Connections ended because their time was over."),
    [COUNT_CLIENTS_UNTRUSTED] = METRIC_COUNTER("tailslate_clients_untrusted_total", 0,
                                               "Requests without a client certificate of ours."),
    [COUNT_FAILED_BUSY] = METRIC_COUNTER(FAILURES, "kind=\"busy\"", FAILURES_ARE),
    [COUNT_FAILED_BROKEN] = METRIC_COUNTER(FAILURES, "kind=\"broken\"", FAILURES_ARE),
    [COUNT_FAILED_UNKNOWN] = METRIC_COUNTER(FAILURES, "kind=\"commit_unknown\"", FAILURES_ARE),
    [COUNT_FAILED_DISK] = METRIC_COUNTER(FAILURES, "kind=\"disk\"", FAILURES_ARE),
    [COUNT_FAILED_OTHER] = METRIC_COUNTER(FAILURES, "kind=\"other\"", FAILURES_ARE),
    [COUNT_GATE_ENTERED] = METRIC_COUNTER(GATE, "outcome=\"entered\"", GATE_IS),
    [COUNT_GATE_WAITED] = METRIC_COUNTER(GATE, "outcome=\"waited\"", GATE_IS),
    [COUNT_GATE_NOT_OURS] = METRIC_COUNTER(GATE, "outcome=\"not_ours\"", GATE_IS),
    [COUNT_GATE_SKIPPED_OPEN] = METRIC_COUNTER(GATE, "outcome=\"skipped_open\"", GATE_IS),
    [COUNT_GATE_SKIPPED_SLOW] = METRIC_COUNTER(GATE, "outcome=\"skipped_slow\"", GATE_IS),
    [COUNT_GATE_FAILED] = METRIC_COUNTER(GATE, "outcome=\"failed\"", GATE_IS),
    [COUNT_GATE_STATE] = METRIC_GAUGE("tailslate_gate_state", 0,
                                      "The gate's breaker: 0 no Redis is configured, 1 closed "
                                      "(Redis is used), 2 half-open, 3 open."),
};

void counters_register(void)
{
    for (int i = 0; i < COUNT_COUNT; i++)
        metric_register(&metrics[i]);
}

void count(enum counter counter, int64_t amount)
{
    metric_add(&metrics[counter], amount);
}

void count_set(enum counter counter, int64_t value)
{
    metric_set(&metrics[counter], value);
}

void count_failure(int code)
{
    switch (code) {
    case EBUSY:
        return count(COUNT_FAILED_BUSY, 1);
    case EPIPE:
        return count(COUNT_FAILED_BROKEN, 1);
    case EINPROGRESS:
        return count(COUNT_FAILED_UNKNOWN, 1);
    case ENOSPC:
    case EDQUOT:
    case EROFS:
    case EIO:
        return count(COUNT_FAILED_DISK, 1);
    default:
        return count(COUNT_FAILED_OTHER, 1);
    }
}
