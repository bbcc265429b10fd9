/* health: /healthz, /readyz and /metrics of the agent (libmicrohttpd stands behind it).
 *
 * Runs on the agent's loop: MHD's epoll descriptor is watched there, no thread is started.
 * /healthz says that the loop turns and nothing else (a check that looked at the server would kill
 * agents in the middle of an outage); /readyz says whether the node would take a job. */
#ifndef AGENT_HEALTH_H
#define AGENT_HEALTH_H

#include "agent/daemon/node.h"

struct health;

/* NULL with err untouched where health.port is 0. *failed tells an error apart. */
struct health *health_start(struct node *node, bool *failed, struct error *err);
void health_stop(struct health *health); /* NULL is fine */
int health_fd(const struct health *health);
void health_run(struct health *health); /* the descriptor is readable, or the time has come */
int64_t health_due_ms(const struct health *health, int64_t now_ms);

#endif
