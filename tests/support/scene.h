/* scene: where a test of the verifier's calls begins: a verifier, and a worker by hand. */
#ifndef SUPPORT_SCENE_H
#define SUPPORT_SCENE_H

#include "worker.h"

struct scene {
    struct rig *rig;
    struct worker worker; /* alice */
    int64_t job;          /* 0: none yet */
    char token[128];      /* one for her claim */
};

struct scene scene_idle(void);    /* no job */
struct scene scene_claimed(void); /* one job, hers */
/* The same with claims that last so long. */
struct scene scene_claimed_for(const char *duration_minutes);
struct scene scene_uploaded(void); /* and its output is there: nothing is left but to complete */

/* POST (or GET, where body is NULL) /api/worker/<her job>/<what>. */
struct reply scene_call(const struct scene *scene, const char *what, const char *body);

#endif
