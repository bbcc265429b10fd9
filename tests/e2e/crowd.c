/* The same completion from everywhere at once: one effect, and no answer that is not true. */
#include "inspect.h"
#include "scene.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>

enum {
    CROWD = 64,
    COUNTED_MS = 10 * 1000, /* a count is written after its answer */
};

struct caller {
    const struct worker *worker;
    pthread_barrier_t *start;
    char token[128];
    long status;
    bool replayed, is_true, spoke_late;
};

static void *call_once(void *ctx)
{
    struct caller *caller = ctx;
    pthread_barrier_wait(caller->start);
    REPLY(reply) = worker_complete(caller->worker, caller->token);
    caller->status = reply.status;
    caller->replayed = reply_bool(&reply, "replayed");
    caller->spoke_late = reply_bool(&reply, "late");
    /* An acknowledgment says that it is committed: so it must be there now, in the database. */
    caller->is_true = reply.status != 200 ||
                      inspect_int(caller->worker->rig,
                                  "SELECT count(*) FROM completions WHERE job_id=%lld",
                                  (long long)caller->worker->job) == 1;
    return NULL;
}

static void call_all_at_once(struct caller callers[CROWD])
{
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, CROWD);
    pthread_t threads[CROWD];
    for (int i = 0; i < CROWD; i++) {
        callers[i].start = &start;
        cr_assert(pthread_create(&threads[i], NULL, call_once, &callers[i]) == 0);
    }
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);
}

static void check_crowd(const struct scene *scene, const struct caller callers[CROWD])
{
    int committed = 0, acknowledged = 0;
    for (int i = 0; i < CROWD; i++) {
        cr_assert(callers[i].status == 200 || callers[i].status == 503, "caller %d: %ld", i,
                  callers[i].status);
        cr_assert(callers[i].is_true, "caller %d was told of a completion that was not there", i);
        cr_assert(!callers[i].spoke_late);
        acknowledged += callers[i].status == 200;
        committed += callers[i].status == 200 && !callers[i].replayed;
    }
    cr_assert_eq(committed, 1, "%d answers say that they committed", committed);
    cr_assert_geq(acknowledged, CROWD / 2, "only %d of %d were answered", acknowledged, CROWD);
    inspect_job_completed_once(scene->rig, scene->job);
    cr_assert_eq(inspect_int(scene->rig, "SELECT count(*) FROM video_qualities"), 1);
}

Test(crowd, sixty_four_replays_at_once_have_one_effect_and_each_is_counted)
{
    struct scene scene = scene_uploaded();
    struct caller callers[CROWD] = {0};
    for (int i = 0; i < CROWD; i++) {
        callers[i].worker = &scene.worker;
        snprintf(callers[i].token, sizeof callers[i].token, "%s", scene.token);
    }
    call_all_at_once(callers);
    check_crowd(&scene, callers);
    int replayed = 0;
    for (int i = 0; i < CROWD; i++)
        replayed += callers[i].replayed;
    inspect_wait_int(scene.rig, replayed, COUNTED_MS, "SELECT replays FROM completions");
    rig_end(scene.rig);
}

Test(crowd, sixty_four_tokens_at_once_have_one_effect)
{
    struct scene scene = scene_uploaded();
    struct caller callers[CROWD] = {0};
    for (int i = 0; i < CROWD; i++) {
        callers[i].worker = &scene.worker;
        worker_token(&scene.worker, callers[i].token);
    }
    call_all_at_once(callers);
    check_crowd(&scene, callers);
    rig_end(scene.rig);
}
