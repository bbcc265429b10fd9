/* routes_job: a claim until its job is done: claim, progress, failure. */
#ifndef VERIFIER_ROUTES_JOB_H
#define VERIFIER_ROUTES_JOB_H

#include "verifier/http/handler.h"

route_handler route_claim, route_reencode_claim, route_progress, route_fail;

#endif
