/* gated: a verifier with a gate in a real Redis, and a worker whose output is there.
 *
 * The verifier's configuration names the Redis whether it is up or not. */
#ifndef SUPPORT_GATED_H
#define SUPPORT_GATED_H

#include "redis.h"
#include "scene.h"

enum { GATED_CLOSED = 1, GATED_OPEN = 3 }; /* of the breaker: Redis is used; it is left alone */

/* The verifier is configured for this Redis, and not started. */
struct rig *gated_rig(const struct redis *redis);
/* It runs; alice has claimed a job and uploaded what belongs to it. */
struct scene gated_scene(struct rig *rig);
/* So many more jobs like it, each claimed; workers[i].job names it. */
void gated_more(const struct scene *scene, struct worker workers[], int count);

/* Its value in /metrics: "entered", "failed"…; "state": of the breaker. */
int64_t gated_count(const struct rig *rig, const char *what);
void gated_wait_state(const struct rig *rig, int64_t state);
/* What the completion's key holds; owned, "" where it is not there. */
char *gated_key(const struct redis *redis, int64_t job, const char *token);
char *gated_key_name(int64_t job, const char *token);

#endif
