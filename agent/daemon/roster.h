/* roster: the live records and what is known about each. */
#ifndef AGENT_ROSTER_H
#define AGENT_ROSTER_H

#include "agent/daemon/node.h"

/* Add a record of spool->live to the list. NULL (err filled): it cannot be read. */
struct live *node_take(struct node *node, const char *id, struct error *err);
void node_forget(
    struct live *live); /* frees it; its requests are cancelled, its step keeps running */
/* -1: the record has become unreadable or matches no state. */
int node_refresh(struct live *live, struct error *err);

unsigned node_slots_held(const struct node *node);
unsigned node_count_state(const struct node *node, enum job_state state);
/* Each job once. False, and none: there are more than max. */
bool node_job_ids(const struct node *node, int64_t *ids, size_t max, size_t *count);

int node_open(const struct live *live, struct error *err); /* the record's directory */

void claim_cancel_delivery(struct live_delivery *delivery);
/* Binds a finished record to a new claim of its job, durably: new token, new epoch. It is due at
 * once; a request in flight for the former claim is cancelled. -1 with code ENOTUNIQ if the claim
 * is for another video: the record is then on hold, as if an operator had requested it. */
int claim_rebind(struct live *live, const struct record_claim *claim, struct error *err);

#endif
