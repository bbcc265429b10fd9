/* sweeper: the thread of a server that says every few seconds that the server side is up, and, on
 * the one instance that leads, releases claims that nobody holds and clears orphaned output away.
 *
 * The first tick runs before the server serves: an outage is credited before anybody is judged by
 * it. A tick that comes too late (the process was stopped, the machine slept) only says that it is
 * up. Ending gives the lead back and releases nothing.
 *
 * Fatal: nothing. What the database refuses now is tried again at the next tick; while it refuses,
 * nothing is released by anybody, for the fleet's row is old. */
#ifndef VERIFIER_SWEEPER_H
#define VERIFIER_SWEEPER_H

#include "verifier/base/config.h"
#include "verifier/base/wakeup.h"
#include "verifier/files/files.h"
#include "verifier/gate/gate.h"
#include "verifier/store/store.h"

enum {
    SWEEPER_SLICE_MS = 1000, /* of a clean-up, between two ticks */
    SWEEPER_END_MS = 4000,
};

struct sweeper_settings {
    struct store *store;
    const struct files *files;
    struct gate *gate;     /* NULL: no Redis */
    struct wakeup *wakeup; /* NULL: nobody waits */
    int64_t sweep_ms, cleanup_ms, trash_ms;
};
/* What the configuration says. */
struct sweeper_settings sweeper_settings_of(const struct verifier_config *config);

struct sweeper;
struct sweeper *sweeper_new(const struct sweeper_settings *settings);
/* One tick, at this time by boot_ms. */
void sweeper_tick(struct sweeper *sweeper, int64_t boot_now_ms);
void sweeper_start(struct sweeper *sweeper); /* the first tick here, the others in a thread */
void sweeper_stop(struct sweeper *sweeper);  /* asks the thread to end; NULL is fine */
/* Waits for that, and for the lead to be given back; NULL is fine. False: it has not ended within
 * SWEEPER_END_MS since it was asked (a database that hangs, a large tree that is deleted), and
 * nothing is freed. */
bool sweeper_free(struct sweeper *sweeper);

#endif
