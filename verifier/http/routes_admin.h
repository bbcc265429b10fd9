/* routes_admin: jobs for operators: the list, one job, and what can be ordered about it. */
#ifndef VERIFIER_ROUTES_ADMIN_H
#define VERIFIER_ROUTES_ADMIN_H

#include "verifier/http/handler.h"

route_handler route_jobs, route_one_job;
route_handler route_job_retry, route_jobs_retry, route_job_cancel, route_job_release,
    route_job_priority, route_job_retranscode;

#endif
