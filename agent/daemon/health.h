/* health: the agent's /healthz, /readyz and /metrics. The only module of the agent that uses
 * libmicrohttpd.
 *
 * Runs on the agent's loop, which polls MHD's epoll descriptor; no thread is started. /healthz only
 * says that the loop is running (a check that depended on the server would kill agents during an
 * outage); /readyz says whether the node would claim a job. */
#ifndef AGENT_HEALTH_H
#define AGENT_HEALTH_H

#include "agent/daemon/waiting.h"

struct health;

/* NULL with err unchanged if health.port is 0. *failed distinguishes an error. */
struct health *health_start(const struct claim *claim, bool *failed, struct error *err);
void health_stop(struct health *health); /* NULL is fine */
int health_fd(const struct health *health);
void health_run(
    struct health *health); /* call when the descriptor is readable or the time has come */
int64_t health_due_ms(const struct health *health, int64_t now_ms);

#endif
