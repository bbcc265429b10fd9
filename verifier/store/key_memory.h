/* key_memory: which worker a key belongs to, for KEY_MEMORY_MS after the database said so.
 *
 * A worker that reports, uploads and completes would otherwise cost the database one more round
 * trip for each call. Only good keys are remembered: of what is revoked, expired, disabled or
 * unknown each call asks the database. What this process changes about keys is forgotten at once
 * (key_memory_forget); what another one changes is noticed when the time is over, which counts from
 * before the database was asked. So a revoked key is refused by every verifier KEY_MEMORY_MS after
 * the commit, at the latest. A key whose end is nearer than that is not remembered.
 *
 * At most KEY_MEMORY_MAX keys, as keyed hashes (keys.h). The row is as old as the memory: only what
 * names the worker may be taken from it. Any thread may call. */
#ifndef VERIFIER_KEY_MEMORY_H
#define VERIFIER_KEY_MEMORY_H

#include "verifier/store/keys.h"
#include "verifier/store/store_worker.h"

#include <stdbool.h>

enum { KEY_MEMORY_MS = 1000, KEY_MEMORY_MAX = 256 };

struct key_memory;
struct key_memory *key_memory_new(void);
void key_memory_free(struct key_memory *memory);

/* A question to the database, which may be overtaken by a change. */
struct key_question {
    char digest[HASH_HEX_BYTES];
    int64_t asked_ms, changes;
};
/* True: *worker is it, and nobody has to ask. now_ms: mono_ms(). */
bool key_memory_find(struct key_memory *memory, const struct keys *keys, const char *api_key,
                     int64_t now_ms, struct key_question *question, struct store_worker *worker);
/* The database has said that the key is good, and is for the next KEY_MEMORY_MS. */
void key_memory_keep(struct key_memory *memory, const struct key_question *question,
                     const struct store_worker *worker);
void key_memory_forget(struct key_memory *memory);

#endif
