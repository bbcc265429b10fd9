/* health_probe: finds out within a bounded time whether the store can be used, and says what
 * files_watch has found of the directories.
 *
 * One thread probes; callers wake it and wait until HEALTH_PROBE_WAIT_MS after the first of them
 * did. So a database that hangs does not hang health checks, and a hundred checks at once cause one
 * probe. A result that is
 * at most HEALTH_PROBE_FRESH_MS old is used again. */
#ifndef VERIFIER_HEALTH_PROBE_H
#define VERIFIER_HEALTH_PROBE_H

#include "verifier/files/files_watch.h"
#include "verifier/store/store_operator.h"

enum { HEALTH_PROBE_WAIT_MS = 700, HEALTH_PROBE_FRESH_MS = 500, HEALTH_PROBE_STOP_MS = 1000 };

struct health_probe_report {
    bool store_is_up, files_are_up;
    char files_reason[FILES_REASON_BYTES]; /* where they are not */
    bool is_late;                          /* the probe did not end in time: both count as down */
    struct store_counts counts;            /* meaningful where store_is_up */
};

struct health_probe;
struct health_probe *health_probe_start(struct store *store, const struct files *files);
void health_probe_take(struct health_probe *probe, struct health_probe_report *report);
/* False: the store still hangs; free nothing that it uses, only call _exit. */
bool health_probe_stop(struct health_probe *probe);

#endif
