/* sweeper: a thread that writes the verifier's sign of life every few seconds and, on the leader,
 * releases claims that nobody holds and removes orphaned output.
 *
 * The first tick runs before the server starts, so that an outage is credited before any claim is
 * judged. An overdue tick (the process was stopped, the machine slept) only writes the sign of
 * life. Stopping gives up the lease and releases nothing.
 *
 * Fatal: nothing. What the database refuses is tried again at the next tick; meanwhile nobody
 * releases anything, because the fleet's sign of life is old. */
#ifndef VERIFIER_SWEEPER_H
#define VERIFIER_SWEEPER_H

#include "verifier/base/config.h"
#include "verifier/base/wakeup.h"
#include "verifier/files/files.h"
#include "verifier/gate/gate.h"
#include "verifier/store/store.h"

enum {
    SWEEPER_SLICE_MS = 1000, /* of cleanup between two ticks */
    SWEEPER_END_MS = 4000,
};

struct sweeper_settings {
    struct store *store;
    const struct files *files;
    struct gate *gate;     /* NULL: no Redis */
    struct wakeup *wakeup; /* NULL: no long polls */
    int64_t sweep_ms, cleanup_ms, trash_ms;
};
/* From the configuration. */
struct sweeper_settings sweeper_settings_of(const struct verifier_config *config);

struct sweeper;
struct sweeper *sweeper_new(const struct sweeper_settings *settings);
/* One tick; boot_now_ms: the time by boot_ms. */
void sweeper_tick(struct sweeper *sweeper, int64_t boot_now_ms);
void sweeper_start(struct sweeper *sweeper); /* the first tick here, the others in a thread */
/* Takes over the intervals at the next tick; NULL is fine. */
void sweeper_reconfigure(struct sweeper *sweeper, const struct sweeper_settings *settings);
void sweeper_stop(struct sweeper *sweeper); /* asks the thread to end; NULL is fine */
/* Waits for the thread, which gives up the lease; NULL is fine. False: it has not ended within
 * SWEEPER_END_MS of sweeper_stop (a database that hangs, a large tree that is being deleted), and
 * nothing is freed. */
bool sweeper_free(struct sweeper *sweeper);

#endif
