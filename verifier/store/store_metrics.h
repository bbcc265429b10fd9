/* store_metrics: what /metrics says of sweeps, releases and outages. */
#ifndef VERIFIER_STORE_METRICS_H
#define VERIFIER_STORE_METRICS_H

#include "verifier/store/store_fleet.h"
#include "verifier/store/store_sweep.h"

void store_metrics_register(void); /* once, before threads start */
void store_metrics_release(enum store_reason reason);
void store_metrics_sweep(enum store_outcome outcome);
/* What one sign of life has shown. */
void store_metrics_tick(const struct store_tick *tick);
void store_metrics_orphans(int64_t count);

#endif
