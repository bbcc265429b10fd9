/* replays: counts how often a completion was presented again, for those who look later.
 *
 * A replay is answered from a look, without a lock, and must stay so: the counts are gathered here
 * and written by a thread of their own, about once a second. They are a statistic: what a crash or
 * a full table loses is lost. */
#ifndef VERIFIER_REPLAYS_H
#define VERIFIER_REPLAYS_H

#include "verifier/store/store.h"

enum { REPLAYS_JOBS_MAX = 256, REPLAYS_PAUSE_MS = 1000, REPLAYS_STOP_MS = 1000 };

struct replays;
struct replays *replays_start(struct store *store);
void replays_note(struct replays *replays, int64_t job_id, int64_t claim_epoch);
/* Writes what is there first. False: the store hangs; nothing of it may be freed then. */
bool replays_stop(struct replays *replays);

#endif
