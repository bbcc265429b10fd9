/* routes_health: health and metrics. */
#ifndef VERIFIER_ROUTES_HEALTH_H
#define VERIFIER_ROUTES_HEALTH_H

#include "verifier/http/handler.h"

route_handler route_health, route_alive, route_metrics;

#endif
