/* routes_worker: registration, heartbeats, the list of workers, revocation. */
#ifndef VERIFIER_ROUTES_WORKER_H
#define VERIFIER_ROUTES_WORKER_H

#include "verifier/http/handler.h"

route_handler route_register, route_heartbeat, route_workers, route_revoke;

#endif
