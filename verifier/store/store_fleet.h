/* store_fleet: the fleet's row: since when the server side is up, and who leads it. */
#ifndef VERIFIER_STORE_FLEET_H
#define VERIFIER_STORE_FLEET_H

#include "verifier/base/grace.h"
#include "verifier/store/store.h"

struct store_tick {
    bool leads;
    enum grace_gap gap;
    int64_t gap_ms, credit_ms, credited; /* credited: how many claims were moved */
    int64_t jump_ms;                     /* of the database's clock, see grace_jump */
    int64_t now_ms, last_sweep_ms, last_cleanup_ms;
};
/* Records one sign of life of the server: measures the gap since the last one, credits it to the
 * open claims, once for the fleet, and extends or takes the lease of the leader. own_ms: how long
 * ago this process gave its last, by boot_ms; -1: this is its first. A clock that jumped is not
 * an outage: silence is counted again, no claim is extended, no time is left in the future. */
int store_alive(struct store *store, const char *instance, int64_t own_ms, struct store_tick *tick,
                struct error *err);
/* Ends the lease of this instance, if it has it. Releases no claims. */
int store_resign(struct store *store, const char *instance, struct error *err);

#endif
