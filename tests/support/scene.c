#include "scene.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"

#include <criterion/criterion.h>

static struct scene begin(const char *duration_minutes)
{
    struct scene scene = {.rig = rig_new()};
    if (duration_minutes)
        rig_verifier_set(scene.rig, "claims.duration_minutes", duration_minutes);
    rig_start_verifier(scene.rig);
    scene.worker = worker_new(scene.rig, "alice");
    return scene;
}

struct scene scene_idle(void)
{
    return begin(NULL);
}

struct scene scene_claimed_for(const char *duration_minutes)
{
    struct scene scene = begin(duration_minutes);
    scene.job = rig_add_job(scene.rig, media_clip(MEDIA_NORMAL), "film");
    cr_assert(worker_claim(&scene.worker));
    cr_assert(scene.worker.job == scene.job);
    worker_token(&scene.worker, scene.token);
    return scene;
}

struct scene scene_claimed(void)
{
    return scene_claimed_for(NULL);
}

struct scene scene_uploaded(void)
{
    struct scene scene = scene_claimed();
    worker_put_tree(&scene.worker);
    return scene;
}

struct reply scene_call(const struct scene *scene, const char *what, const char *body)
{
    TEXT(path) = must_printf("/api/worker/%lld/%s", (long long)scene->worker.job, what);
    return worker_call(&scene->worker, path, body, NULL);
}
