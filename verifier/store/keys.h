/* keys: is this API key the one whose hash is stored? The only place that knows libargon2.
 *
 * A stock server stores argon2id (64 MiB and about 80 ms for each verification) or, in older
 * versions, SHA-256. With one verification for each request, eleven requests a second would
 * saturate a server, so an argon2id key that matched is remembered for KEYS_LIFE_MS: as a hash
 * keyed by random octets of this process, in memory, in a table that does not grow. Remembered is
 * only that *this key belongs to this stored hash*, which cannot change; whether the key is revoked
 * or expired and its worker disabled is the database's to say (for how long: key_memory.h).
 *
 * At most KEYS_AT_ONCE verifications run; the others wait up to KEYS_WAIT_MS. Refuses stored
 * parameters that would cost more than the limits below, and anything that is not argon2id
 * version 19. Comparisons take constant time. Any thread may call. */
#ifndef VERIFIER_KEYS_H
#define VERIFIER_KEYS_H

#include "lib/hash.h"

#include <stdint.h>

enum {
    KEYS_LIFE_MS = 60 * 1000,
    KEYS_AT_ONCE = 2,
    KEYS_WAIT_MS = 2000,
    KEYS_KEY_MAX_BYTES = 256, /* a longer one is never a key */
    KEYS_MEMORY_MAX_KIB = 256 * 1024,
    KEYS_PASSES_MAX = 10,
    KEYS_LANES_MAX = 16,
};

enum keys_version { KEYS_SHA256 = 1, KEYS_ARGON2ID = 2 }; /* worker_api_keys.hash_version */

enum keys_effort {
    KEYS_ANY_EFFORT,
    KEYS_NO_WORK, /* argon2id only from memory: for callers who have guessed too often */
};

enum keys_match {
    KEYS_DIFFERENT,
    KEYS_SAME,
    KEYS_NOT_TRIED,  /* it would have needed an argon2id verification */
    KEYS_BUSY,       /* no capacity, or no memory, within KEYS_WAIT_MS: try again */
    KEYS_UNREADABLE, /* the stored hash has a format or a cost that is not accepted */
};

struct keys;
struct keys *keys_new(void);
void keys_free(struct keys *keys);

/* The keyed hash of "this key belongs to this stored hash": nothing can be guessed from it. */
void keys_digest(const struct keys *keys, const char *api_key, const char *stored,
                 char digest[HASH_HEX_BYTES]);
unsigned keys_first_octet(const char digest[HASH_HEX_BYTES]); /* to find it in a table */

/* now_ms: mono_ms(). */
enum keys_match keys_check(struct keys *keys, const char *api_key, int64_t hash_version,
                           const char *stored, enum keys_effort effort, int64_t now_ms);

#endif
