/* store_activity: the jobs that run, wait and have failed, and the workers with what their last
 * heartbeat said. Reads only, one snapshot. */
#ifndef VERIFIER_STORE_ACTIVITY_H
#define VERIFIER_STORE_ACTIVITY_H

#include "verifier/store/store.h"

enum { /* rows of a list */
       ACTIVITY_RUNNING_MAX = 100,
       ACTIVITY_WAITING_MAX = 20,
       ACTIVITY_FAILED_MAX = 20,
       ACTIVITY_WORKERS_MAX = 100,
};

struct json;
/* Sets the lists `running` (the oldest claim first, with quality_progress and duration), `waiting`
 * (the highest priority first, then the oldest) and `failed` (the newest first) of root, and
 * `workers` (disabled ones last) without the times of their heartbeats, which change all the time:
 * those are in *workers, owned.
 */
int store_activity(struct store *store, struct json *root, struct json **workers,
                   struct error *err);

#endif
