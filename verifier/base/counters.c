#include "verifier/base/counters.h"

#include "base/metrics.h"

#include <errno.h>

#define COMPLETED    "Completions by outcome."
#define FAILED       "Failures reported by workers."
#define GATE         "tailslate_gate_total"
#define GATE_IS      "Requests to the gate in Redis by outcome."
#define FAILURES     "tailslate_request_failures_total"
#define FAILURES_ARE "Requests answered with 500 or 503, by what failed."

/* Static, because a registered metric lives as long as the process. */
static struct metric metrics[COUNT_COUNT] = {
    [COUNT_CLAIMS] = METRIC_COUNTER("tailslate_claims_total", 0, "Claims granted."),
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
    [COUNT_UPLOADS] = METRIC_COUNTER("tailslate_uploads_total", 0, "Uploads accepted."),
    [COUNT_UPLOAD_BYTES] = METRIC_COUNTER("tailslate_upload_bytes_total", 0, "Bytes uploaded."),
    [COUNT_AUTH_FAILURES] = METRIC_COUNTER("tailslate_auth_failures_total", 0,
                                           "Requests with a bad or missing credential."),
    [COUNT_KEY_VERIFICATIONS] = METRIC_COUNTER("tailslate_key_verifications_total", 0,
                                               "API keys verified with argon2id."),
    [COUNT_RATE_LIMITED] = METRIC_COUNTER("tailslate_rate_limited_total", 0,
                                          "Requests from addresses with too many bad credentials."),
    [COUNT_CONNECTIONS_OPEN] = METRIC_GAUGE("tailslate_connections", 0, "Open connections."),
    [COUNT_WAITING] = METRIC_GAUGE("tailslate_long_polls", 0,
                                   "Requests that wait for a job or a change."),
    [COUNT_CONNECTIONS_REFUSED] = METRIC_COUNTER(
        "tailslate_connections_refused_total", 0,
        "Connections refused because their address was at its limit."),
    [COUNT_CONNECTIONS_CUT] = METRIC_COUNTER("tailslate_connections_cut_total", 0,
                                             "Connections closed because they took too long."),
    [COUNT_CLIENTS_UNTRUSTED] = METRIC_COUNTER("tailslate_clients_untrusted_total", 0,
                                               "Requests without a trusted client certificate."),
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
                                      "The gate's circuit breaker: 0 no Redis configured, 1 closed "
                                      "(Redis is used), 2 half-open, 3 open."),
};

void counters_register(void)
{
    metrics_register_build_info();
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
