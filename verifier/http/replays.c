#include "verifier/http/replays.h"

#include "lib/error.h"
#include "verifier/store/store_overview.h"

#include <pthread.h>
#include <stdlib.h>

struct replays {
    struct store *store;
    pthread_mutex_t lock; /* protects the members below */
    bool is_writing;
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
    store_add_replays(replays->store, entries, count, &ignored);
    pthread_mutex_lock(&replays->lock);
}

struct replays *replays_new(struct store *store)
{
    struct replays *replays = must_calloc(1, sizeof *replays);
    replays->store = store;
    must(pthread_mutex_init(&replays->lock, NULL) == 0);
    return replays;
}

void replays_free(struct replays *replays)
{
    pthread_mutex_destroy(&replays->lock);
    free(replays);
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
    }
    if (i < REPLAYS_JOBS_MAX)
        replays->entries[i].count++;
    pthread_mutex_unlock(&replays->lock);
}

bool replays_are_noted(struct replays *replays)
{
    pthread_mutex_lock(&replays->lock);
    bool are = replays->count > 0;
    pthread_mutex_unlock(&replays->lock);
    return are;
}

void replays_write(struct replays *replays)
{
    pthread_mutex_lock(&replays->lock);
    bool is_writer = !replays->is_writing;
    for (int left = REPLAYS_WRITES_MAX; is_writer && replays->count > 0; left--) {
        /* During the last write another thread may become the writer, so nothing is left behind. */
        is_writer = left > 1;
        replays->is_writing = is_writer;
        write_out(replays);
    }
    if (is_writer)
        replays->is_writing = false;
    pthread_mutex_unlock(&replays->lock);
}
