#include "counters.h"

#include "tailslate/metrics.h"

#define COMPLETED    "Completions by outcome."
#define FAILED       "Failures that workers reported."
#define REQUESTS     "tailslate_http_requests_total"
#define REQUESTS_ARE "Answers by class of status."

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
    [COUNT_REQUESTS_2XX] = METRIC_COUNTER(REQUESTS, "class=\"2xx\"", REQUESTS_ARE),
    [COUNT_REQUESTS_3XX] = METRIC_COUNTER(REQUESTS, "class=\"3xx\"", REQUESTS_ARE),
    [COUNT_REQUESTS_4XX] = METRIC_COUNTER(REQUESTS, "class=\"4xx\"", REQUESTS_ARE),
    [COUNT_REQUESTS_5XX] = METRIC_COUNTER(REQUESTS, "class=\"5xx\"", REQUESTS_ARE),
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

void count_status(int status)
{
    count(status >= 500   ? COUNT_REQUESTS_5XX
          : status >= 400 ? COUNT_REQUESTS_4XX
          : status >= 300 ? COUNT_REQUESTS_3XX
                          : COUNT_REQUESTS_2XX,
          1);
}
