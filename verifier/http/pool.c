#include "verifier/http/pool.h"

#include "lib/error.h"
#include "verifier/base/deadline.h"

#include <pthread.h>
#include <stdlib.h>

enum { STACK_BYTES = 1024 * 1024, THREADS_MAX = 16 };

/* Of what a lane waits for there is less than this: the store has STORE_CONNECTIONS_MAX. */
static const int threads_of[LANE_COUNT] = {
    [LANE_HEALTH] = 4, [LANE_PAGE] = 2,      [LANE_ENTRY] = 8,  [LANE_NARROW] = 1,
    [LANE_CALLS] = 16, [LANE_COMPLETE] = 16, [LANE_FILES] = 16,
};

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct task *first, **end;
    bool is_stopping;
    pthread_t threads[THREADS_MAX];
};

struct pool {
    struct queue queues[LANE_COUNT];
};

static struct task *take(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    while (!queue->first && !queue->is_stopping)
        pthread_cond_wait(&queue->filled, &queue->lock);
    struct task *task = queue->first;
    if (task) {
        queue->first = task->next;
        if (!queue->first)
            queue->end = &queue->first;
    }
    pthread_mutex_unlock(&queue->lock);
    return task;
}

static void *work(void *ctx)
{
    for (struct task *task; (task = take(ctx));)
        task->run(task);
    return NULL;
}

static void start_lane(struct queue *queue, int count)
{
    pthread_attr_t attributes;
    must(pthread_mutex_init(&queue->lock, NULL) == 0);
    must(pthread_cond_init(&queue->filled, NULL) == 0);
    queue->end = &queue->first;
    must(pthread_attr_init(&attributes) == 0);
    must(pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0);
    for (int i = 0; i < count; i++)
        must(pthread_create(&queue->threads[i], &attributes, work, queue) == 0);
    pthread_attr_destroy(&attributes);
}

struct pool *pool_start(void)
{
    struct pool *pool = must_calloc(1, sizeof *pool);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        start_lane(&pool->queues[lane], threads_of[lane]);
    return pool;
}

void pool_run(struct pool *pool, enum lane lane, struct task *task)
{
    struct queue *queue = &pool->queues[lane];
    task->next = NULL;
    pthread_mutex_lock(&queue->lock);
    *queue->end = task;
    queue->end = &task->next;
    pthread_cond_signal(&queue->filled);
    pthread_mutex_unlock(&queue->lock);
}

static void end_lane(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->is_stopping = true;
    pthread_cond_broadcast(&queue->filled);
    pthread_mutex_unlock(&queue->lock);
}

bool pool_stop(struct pool *pool, int64_t until_ms)
{
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        end_lane(&pool->queues[lane]);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        for (int i = 0; i < threads_of[lane]; i++)
            if (!deadline_join(pool->queues[lane].threads[i], until_ms))
                return false;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        must(!pool->queues[lane].first);
        pthread_cond_destroy(&pool->queues[lane].filled);
        pthread_mutex_destroy(&pool->queues[lane].lock);
    }
    free(pool);
    return true;
}
