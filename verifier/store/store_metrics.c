#include "verifier/store/store_metrics.h"

#include "base/metrics.h"

#define RELEASES(reason)                                                                           \
    METRIC_COUNTER("tailslate_claims_released_total", "reason=\"" reason "\"",                     \
                   "Expired claims that were released.")
#define SWEEPS(outcome)                                                                            \
    METRIC_COUNTER("tailslate_sweeps_total", "outcome=\"" outcome "\"", "Sweeps by outcome.")

static struct metric releases[REASON_COUNT] = {
    [REASON_UNKNOWN_WORKER] = RELEASES("unknown_worker"),
    [REASON_DISABLED_WORKER] = RELEASES("disabled_worker"),
    [REASON_SILENT] = RELEASES("silent"),
    [REASON_IDLE] = RELEASES("idle"),
    [REASON_NOT_NAMED] = RELEASES("not_named"),
    [REASON_LONG_EXPIRED] = RELEASES("long_expired"),
};

/* An outage is not counted as a sweep. */
static struct metric sweeps[SWEEP_OUTAGE] = {
    [SWEEP_NOTHING] = SWEEPS("nothing"),
    [SWEEP_RELEASED] = SWEEPS("released"),
    [SWEEP_GRACE] = SWEEPS("grace"),
    [SWEEP_MASS_SILENCE] = SWEEPS("mass_silence"),
    [SWEEP_UNMONITORED] = SWEEPS("unmonitored"),
    [SWEEP_LOST_LEASE] = SWEEPS("lost_lease"),
    [SWEEP_TICK_OVERDUE] = SWEEPS("tick_overdue"),
};

enum gauge { LEADS, LAST_SWEEP, OUTAGES, CREDIT, CREDITED, ORPHANS, GAUGE_COUNT };
static struct metric others[GAUGE_COUNT] = {
    [LEADS] = METRIC_GAUGE("tailslate_sweeper_leads", 0, "1 if this instance is the leader."),
    [LAST_SWEEP] = METRIC_GAUGE(
        "tailslate_last_sweep_timestamp_seconds", 0,
        "Time of the fleet's last complete sweep, by the database's clock."),
    [OUTAGES] = METRIC_COUNTER("tailslate_outages_total", 0,
                               "Outages of the server that this instance detected."),
    [CREDIT] = METRIC_COUNTER("tailslate_outage_seconds_total", 0,
                              "Seconds of outage credited to open claims."),
    [CREDITED] = METRIC_COUNTER("tailslate_claims_credited_total", 0,
                                "Claims extended by the length of an outage."),
    [ORPHANS] = METRIC_COUNTER("tailslate_orphans_total", 0,
                               "Orphaned files and directories moved to the trash."),
};

void store_metrics_register(void)
{
    for (int i = REASON_UNKNOWN_WORKER; i < REASON_COUNT; i++)
        metric_register(&releases[i]);
    for (int i = 0; i < SWEEP_OUTAGE; i++)
        metric_register(&sweeps[i]);
    for (int i = 0; i < GAUGE_COUNT; i++)
        metric_register(&others[i]);
}

void store_metrics_release(enum store_reason reason)
{
    metric_add(&releases[reason], 1);
}

void store_metrics_sweep(enum store_outcome outcome)
{
    metric_add(&sweeps[outcome], 1);
}

void store_metrics_tick(const struct store_tick *tick)
{
    metric_set(&others[LEADS], tick->leads);
    metric_set(&others[LAST_SWEEP], tick->last_sweep_ms / 1000);
    metric_add(&others[OUTAGES], tick->credit_ms > 0);
    metric_add(&others[CREDIT], tick->credit_ms / 1000);
    metric_add(&others[CREDITED], tick->credited);
}

void store_metrics_orphans(int64_t count)
{
    metric_add(&others[ORPHANS], count);
}
