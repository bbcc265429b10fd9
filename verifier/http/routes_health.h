/* routes_health: health and metrics. */
#ifndef VERIFIER_ROUTES_HEALTH_H
#define VERIFIER_ROUTES_HEALTH_H

#include "verifier/http/handler.h"

struct health_probe_report;
/* What keeps the server from working, in a sentence; NULL: nothing. */
const char *health_problem(const struct health_probe_report *report, bool is_stopping);

route_handler route_health, route_alive, route_metrics;

#endif
