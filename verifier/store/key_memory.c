#include "verifier/store/key_memory.h"

#include "lib/error.h"
#include "lib/hash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { WAYS = 4, SETS = KEY_MEMORY_MAX / WAYS };

struct entry {
    char digest[HASH_HEX_BYTES]; /* "" = free */
    int64_t until_ms;
    struct store_worker worker;
};

struct key_memory {
    pthread_mutex_t lock;
    int64_t changes; /* so often everything was forgotten */
    struct entry entries[SETS][WAYS];
};

struct key_memory *key_memory_new(void)
{
    struct key_memory *memory = must_calloc(1, sizeof *memory);
    must(pthread_mutex_init(&memory->lock, NULL) == 0);
    return memory;
}

void key_memory_free(struct key_memory *memory)
{
    if (!memory)
        return;
    pthread_mutex_destroy(&memory->lock);
    free(memory);
}

static struct entry *set_of(struct key_memory *memory, const char *digest)
{
    return memory->entries[keys_first_octet(digest) % SETS];
}

bool key_memory_find(struct key_memory *memory, const struct keys *keys, const char *api_key,
                     int64_t now_ms, struct key_question *question, struct store_worker *worker)
{
    bool found = false;
    keys_digest(keys, api_key, "", question->digest);
    question->asked_ms = now_ms;
    pthread_mutex_lock(&memory->lock);
    question->changes = memory->changes;
    const struct entry *set = set_of(memory, question->digest);
    for (int i = 0; i < WAYS && !found; i++) {
        found = hash_equal(set[i].digest, question->digest) && set[i].until_ms > now_ms;
        if (found)
            *worker = set[i].worker;
    }
    pthread_mutex_unlock(&memory->lock);
    return found;
}

/* In the place that has the least left to live. */
void key_memory_keep(struct key_memory *memory, const struct key_question *question,
                     const struct store_worker *worker)
{
    pthread_mutex_lock(&memory->lock);
    struct entry *set = set_of(memory, question->digest), *place = &set[0];
    for (int i = 1; i < WAYS; i++)
        if (set[i].until_ms < place->until_ms)
            place = &set[i];
    for (int i = 0; i < WAYS; i++)
        if (strcmp(set[i].digest, question->digest) == 0)
            place = &set[i];
    if (question->changes == memory->changes) {
        memcpy(place->digest, question->digest, sizeof place->digest);
        place->until_ms = question->asked_ms + KEY_MEMORY_MS;
        place->worker = *worker;
    }
    pthread_mutex_unlock(&memory->lock);
}

void key_memory_forget(struct key_memory *memory)
{
    pthread_mutex_lock(&memory->lock);
    memory->changes++;
    memset(memory->entries, 0, sizeof memory->entries);
    pthread_mutex_unlock(&memory->lock);
}
