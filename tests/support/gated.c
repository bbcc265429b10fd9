#include "gated.h"

#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"

#include <criterion/criterion.h>
#include <string.h>

enum { BACK_MS = 60 * 1000 }; /* pauses between probes grow to 30 s */

struct rig *gated_rig(const struct redis *redis)
{
    struct rig *rig = rig_new();
    TEXT(url) = redis_url(redis);
    TEXT(value) = must_printf("\"%s\"", url);
    rig_verifier_set(rig, "redis.url", value);
    return rig;
}

struct scene gated_scene(struct rig *rig)
{
    struct scene scene = {.rig = rig};
    rig_start_verifier(rig);
    scene.worker = worker_new(rig, "alice");
    scene.job = rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    cr_assert(worker_claim(&scene.worker));
    worker_put_tree(&scene.worker);
    worker_token(&scene.worker, scene.token);
    return scene;
}

void gated_more(const struct scene *scene, struct worker workers[], int count)
{
    /* By hand: the command and the uploads would take most of the test's time. The scene's own
     * video has ID 1. */
    TEXT(copy) = must_printf("cd '%s/videos' && for i in $(seq %d); do cp -r film film-$i &&"
                             " ln ../uploads/1.mp4 ../uploads/$((i + 1)).mp4 || exit 1; done",
                             scene->rig->dir, count);
    RUN(run) = run_program((const char *[]){"sh", "-c", copy, NULL}, NULL, RIG_START_MS);
    cr_assert(run.status == 0, "%s", run.err);
    inspect_change(scene->rig,
                   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
                   " INSERT INTO videos (title, slug, created_at) SELECT 'Film', 'film-' || i,"
                   " '2026-01-03T16:28:00.000000+00:00' FROM n",
                   count);
    inspect_change(scene->rig, "INSERT INTO transcoding_jobs (video_id) SELECT id FROM videos"
                               " WHERE slug LIKE 'film-%%'");
    for (int i = 0; i < count; i++) {
        workers[i] = scene->worker;
        cr_assert(worker_claim(&workers[i]), "only %d of %d jobs", i, count);
    }
}

int64_t gated_count(const struct rig *rig, const char *what)
{
    TEXT(url) = must_printf("http://127.0.0.1:%d/metrics", rig->port);
    TEXT(line) = strcmp(what, "state") == 0
                     ? must_strdup("\ntailslate_gate_state ")
                     : must_printf("\ntailslate_gate_total{outcome=\"%s\"} ", what);
    REPLY(reply) = call_make(&(struct call){.url = url});
    const char *at = strstr(reply.body, line);
    cr_assert(at, "no %s in %s", line, reply.body);
    return strtoll(at + strlen(line), NULL, 10);
}

struct wanted_state {
    const struct rig *rig;
    int64_t state;
};

static bool has_state(void *ctx)
{
    const struct wanted_state *wanted = ctx;
    return gated_count(wanted->rig, "state") == wanted->state;
}

void gated_wait_state(const struct rig *rig, int64_t state)
{
    struct wanted_state wanted = {rig, state};
    cr_assert(log_wait_until(rig->verifier->log, has_state, &wanted, BACK_MS),
              "the breaker's state is %d after %d ms, not %d", (int)gated_count(rig, "state"),
              BACK_MS, (int)state);
}

char *gated_key_name(int64_t job, const char *token)
{
    return must_printf("vlog:completion_token:%lld:%s", (long long)job, token);
}

char *gated_key(const struct redis *redis, int64_t job, const char *token)
{
    TEXT(name) = gated_key_name(job, token);
    return redis_ask(redis, "GET", name, NULL);
}
