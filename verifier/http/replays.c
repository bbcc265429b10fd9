#include "verifier/http/replays.h"

#include "base/clock.h"
#include "verifier/base/deadline.h"
#include "verifier/store/store_overview.h"

#include <stdlib.h>

struct replays {
    struct store *store;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_stopping;
    struct store_replays entries[REPLAYS_JOBS_MAX];
    size_t count;
};

/* Called with the lock held; writes without it. What cannot be written is dropped. */
static void write_out(struct replays *replays)
{
    struct store_replays entries[REPLAYS_JOBS_MAX];
    size_t count = replays->count;
    struct error ignored;
    for (size_t i = 0; i < count; i++)
        entries[i] = replays->entries[i];
    replays->count = 0;
    pthread_mutex_unlock(&replays->lock);
    if (count > 0)
        store_add_replays(replays->store, entries, count, &ignored);
    pthread_mutex_lock(&replays->lock);
}

static void *keep_writing(void *ctx)
{
    struct replays *replays = ctx;
    pthread_mutex_lock(&replays->lock);
    while (!replays->is_stopping) {
        if (replays->count == 0) {
            pthread_cond_wait(&replays->changed, &replays->lock);
            continue;
        }
        /* A worker that asks again does so several times: one write for all of them. */
        int64_t until_ms = mono_ms() + REPLAYS_PAUSE_MS;
        while (!replays->is_stopping && deadline_wait(&replays->changed, &replays->lock, until_ms))
            ;
        write_out(replays);
    }
    write_out(replays);
    pthread_mutex_unlock(&replays->lock);
    return NULL;
}

struct replays *replays_start(struct store *store)
{
    struct replays *replays = must_calloc(1, sizeof *replays);
    replays->store = store;
    must(pthread_mutex_init(&replays->lock, NULL) == 0);
    must(pthread_cond_init(&replays->changed, NULL) == 0);
    must(pthread_create(&replays->thread, NULL, keep_writing, replays) == 0);
    return replays;
}

void replays_note(struct replays *replays, int64_t job_id, int64_t claim_epoch)
{
    pthread_mutex_lock(&replays->lock);
    size_t i = 0;
    while (i < replays->count &&
           (replays->entries[i].job_id != job_id || replays->entries[i].claim_epoch != claim_epoch))
        i++;
    if (i == replays->count && i < REPLAYS_JOBS_MAX) {
        replays->entries[i] = (struct store_replays){.job_id = job_id, .claim_epoch = claim_epoch};
        replays->count++;
        pthread_cond_signal(&replays->changed);
    }
    if (i < REPLAYS_JOBS_MAX)
        replays->entries[i].count++;
    pthread_mutex_unlock(&replays->lock);
}

bool replays_stop(struct replays *replays)
{
    int64_t until_ms = mono_ms() + REPLAYS_STOP_MS;
    pthread_mutex_lock(&replays->lock);
    replays->is_stopping = true;
    pthread_cond_signal(&replays->changed);
    pthread_mutex_unlock(&replays->lock);
    if (!deadline_join(replays->thread, until_ms))
        return false;
    pthread_cond_destroy(&replays->changed);
    pthread_mutex_destroy(&replays->lock);
    free(replays);
    return true;
}
