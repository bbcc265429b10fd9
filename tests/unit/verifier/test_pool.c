#include "base/clock.h"
#include "verifier/base/deadline.h"
#include "verifier/http/pool.h"

#include <criterion/criterion.h>

enum { CROWD = 64, PROMPT_MS = 10 * 1000 };

/* A thing that tasks wait for, and what they did. */
struct stage {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_open;
    int begun, ended;
};

struct act {
    struct task task;
    struct stage *stage;
    bool waits;
};

static void run(struct task *task)
{
    struct act *act = (struct act *)task; /* its first member */
    struct stage *stage = act->stage;
    pthread_mutex_lock(&stage->lock);
    stage->begun++;
    pthread_cond_broadcast(&stage->changed);
    while (act->waits && !stage->is_open)
        pthread_cond_wait(&stage->changed, &stage->lock);
    stage->ended++;
    pthread_cond_broadcast(&stage->changed);
    pthread_mutex_unlock(&stage->lock);
}

static void wait_for(struct stage *stage, const int *number, int value)
{
    int64_t until_ms = mono_ms() + PROMPT_MS;
    pthread_mutex_lock(&stage->lock);
    while (*number < value && deadline_wait(&stage->changed, &stage->lock, until_ms))
        ;
    cr_assert_geq(*number, value, "%d of %d", *number, value);
    pthread_mutex_unlock(&stage->lock);
}

static void open_stage(struct stage *stage)
{
    pthread_mutex_lock(&stage->lock);
    stage->is_open = true;
    pthread_cond_broadcast(&stage->changed);
    pthread_mutex_unlock(&stage->lock);
}

#define STAGE                                                                                      \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                     \
    }

static void begin_all(struct pool *pool, enum lane lane, struct act acts[CROWD],
                      struct stage *stage)
{
    for (int i = 0; i < CROWD; i++) {
        acts[i] = (struct act){.task.run = run, .stage = stage, .waits = true};
        pool_run(pool, lane, &acts[i].task);
    }
}

/* As many uploads as there may be, to a share that does not answer. */
Test(pool, a_lane_whose_tasks_hang_leaves_the_others_working)
{
    struct stage hung = STAGE, free_one = STAGE;
    static struct act uploads[CROWD];
    struct act others[LANE_COUNT];
    struct pool *pool = pool_start();
    begin_all(pool, LANE_FILES, uploads, &hung);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        others[lane] = (struct act){.task.run = run, .stage = &free_one};
        if (lane != LANE_FILES)
            pool_run(pool, lane, &others[lane].task);
    }
    wait_for(&free_one, &free_one.ended, LANE_COUNT - 1);
    cr_expect_eq(hung.ended, 0);
    cr_expect_not(pool_stop(pool, mono_ms() + 10), "it did not wait for the ones that hang");
    open_stage(&hung);
    wait_for(&hung, &hung.ended, CROWD);
}

Test(pool, keys_of_narrow_addresses_are_tried_one_at_a_time)
{
    struct stage stage = STAGE, behind = STAGE;
    static struct act acts[CROWD];
    struct act last = {.task.run = run, .stage = &behind};
    struct pool *pool = pool_start();
    begin_all(pool, LANE_NARROW, acts, &stage);
    pool_run(pool, LANE_ENTRY, &last.task);
    wait_for(&behind, &behind.ended, 1);
    wait_for(&stage, &stage.begun, 1);
    cr_expect_eq(stage.begun, 1);
    open_stage(&stage);
    wait_for(&stage, &stage.ended, CROWD);
    cr_expect(pool_stop(pool, mono_ms() + PROMPT_MS));
}
