/* replays: counts how often a completion was presented again.
 *
 * A replay is answered without a write. Its count is written after the answer was sent, by the same
 * thread; replays that arrive during a write are added by the thread that writes, so that a burst
 * causes few writes and holds one connection of the store. The counts are a statistic: what a
 * crash, an error or a full table loses is lost. Thread-safe. */
#ifndef VERIFIER_REPLAYS_H
#define VERIFIER_REPLAYS_H

#include "verifier/store/store.h"

#include <stdbool.h>

enum {
    REPLAYS_JOBS_MAX = 256,
    REPLAYS_WRITES_MAX = 8, /* by one thread in one call */
};

struct replays;
struct replays *replays_new(struct store *store);
void replays_free(struct replays *replays);

void replays_note(struct replays *replays, int64_t job_id, int64_t claim_epoch);
bool replays_are_noted(struct replays *replays); /* and not written yet */
/* Writes what was noted, if no other thread is writing. Only after an answer was sent: the store
 * may make it wait. */
void replays_write(struct replays *replays);

#endif
