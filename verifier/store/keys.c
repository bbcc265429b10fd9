#include "verifier/store/keys.h"

#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/hash.h"
#include "lib/uuid.h"
#include "verifier/base/counters.h"
#include "verifier/base/deadline.h"

#include <argon2.h>
#include <stdlib.h>
#include <string.h>

enum {
    SECRET_BYTES = 32,
    SETS = 256, /* by the first octet of the keyed hash */
    WAYS = 4,
    STORED_MAX_BYTES = 255, /* the column's width on a stock server */
};

struct known {
    char digest[HASH_HEX_BYTES]; /* "" = free */
    int64_t until_ms;
};

struct keys {
    char secret[SECRET_BYTES];
    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct known known[SETS][WAYS];
    char at_work[KEYS_AT_ONCE][HASH_HEX_BYTES]; /* "" = a free place */
};

struct keys *keys_new(void)
{
    struct keys *keys = must_calloc(1, sizeof *keys);
    random_bytes(keys->secret, sizeof keys->secret);
    must(pthread_cond_init(&keys->freed, NULL) == 0);
    must(pthread_mutex_init(&keys->lock, NULL) == 0);
    return keys;
}

void keys_free(struct keys *keys)
{
    if (!keys)
        return;
    pthread_cond_destroy(&keys->freed);
    pthread_mutex_destroy(&keys->lock);
    explicit_bzero(keys, sizeof *keys);
    free(keys);
}

void keys_digest(const struct keys *keys, const char *api_key, const char *stored,
                 char digest[HASH_HEX_BYTES])
{
    size_t size = strlen(api_key) + 1 + strlen(stored);
    TEXT(pair) = must_printf("%s%c%s", api_key, '\0', stored);
    hash_hmac(keys->secret, sizeof keys->secret, pair, size, digest);
    explicit_bzero(pair, size);
}

static unsigned hex_value(char digit)
{
    return (unsigned)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

unsigned keys_first_octet(const char digest[HASH_HEX_BYTES])
{
    return hex_value(digest[0]) * 16 + hex_value(digest[1]);
}

static struct known *set_of(struct keys *keys, const char *digest)
{
    return keys->known[keys_first_octet(digest)];
}

static bool is_known(struct keys *keys, const char *digest, int64_t now_ms)
{
    struct known *set = set_of(keys, digest);
    bool found = false;
    for (int i = 0; i < WAYS; i++)
        found |= hash_equal(digest, set[i].digest) && set[i].until_ms > now_ms;
    return found;
}

/* In the place that has the least left to live. */
static void remember(struct keys *keys, const char *digest, int64_t now_ms)
{
    struct known *set = set_of(keys, digest), *place = &set[0];
    for (int i = 1; i < WAYS; i++)
        if (set[i].until_ms < place->until_ms)
            place = &set[i];
    memcpy(place->digest, digest, sizeof place->digest);
    place->until_ms = now_ms + KEYS_LIFE_MS;
}

static bool parameter(const char **at, const char *name, int64_t max)
{
    enum { DIGITS_MAX = 9 };
    size_t length = strlen(name);
    if (strncmp(*at, name, length) != 0)
        return false;
    *at += length;
    size_t digits = strspn(*at, "0123456789");
    if (digits == 0 || digits > DIGITS_MAX)
        return false;
    int64_t value = 0;
    for (size_t i = 0; i < digits; i++)
        value = value * 10 + (*at)[i] - '0';
    *at += digits;
    return value >= 1 && value <= max;
}

/* A row in the database must not be able to make us allocate arbitrary amounts. */
static bool is_affordable(const char *stored)
{
    const char *at = stored;
    return strlen(stored) <= STORED_MAX_BYTES &&
           parameter(&at, "$argon2id$v=19$m=", KEYS_MEMORY_MAX_KIB) &&
           parameter(&at, ",t=", KEYS_PASSES_MAX) && parameter(&at, ",p=", KEYS_LANES_MAX) &&
           *at == '$';
}

static enum keys_match work(const char *api_key, const char *stored)
{
    count(COUNT_KEY_VERIFICATIONS, 1);
    switch (argon2id_verify(stored, api_key, strlen(api_key))) {
    case ARGON2_OK:
        return KEYS_SAME;
    case ARGON2_VERIFY_MISMATCH:
        return KEYS_DIFFERENT;
    /* This machine lacks memory or threads; the key may be valid. */
    case ARGON2_MEMORY_ALLOCATION_ERROR:
    case ARGON2_THREAD_FAIL:
        return KEYS_BUSY;
    default:
        return KEYS_UNREADABLE;
    }
}

/* A free entry; -1 if there is none, or if this very key is being verified already. */
static int free_place(const struct keys *keys, const char *digest)
{
    int place = -1;
    for (int i = 0; i < KEYS_AT_ONCE; i++) {
        if (strcmp(keys->at_work[i], digest) == 0)
            return -1;
        if (!keys->at_work[i][0])
            place = i;
    }
    return place;
}

/* With the lock held. A thread that waited for another one's verification of the same key finds it
 * known. */
static enum keys_match wait_for_place(struct keys *keys, const char *digest, int64_t now_ms,
                                      int *place)
{
    int64_t until_ms = mono_ms() + KEYS_WAIT_MS;
    do {
        if (is_known(keys, digest, now_ms))
            return KEYS_SAME;
        *place = free_place(keys, digest);
        if (*place >= 0)
            return KEYS_NOT_TRIED;
    } while (deadline_wait(&keys->freed, &keys->lock, until_ms));
    return KEYS_BUSY;
}

static enum keys_match check_argon2id(struct keys *keys, const char *api_key, const char *stored,
                                      enum keys_effort effort, int64_t now_ms)
{
    char digest[HASH_HEX_BYTES];
    int place = -1;
    if (!is_affordable(stored))
        return KEYS_UNREADABLE;
    keys_digest(keys, api_key, stored, digest);
    pthread_mutex_lock(&keys->lock);
    enum keys_match match = is_known(keys, digest, now_ms) ? KEYS_SAME : KEYS_NOT_TRIED;
    if (match == KEYS_NOT_TRIED && effort == KEYS_ANY_EFFORT)
        match = wait_for_place(keys, digest, now_ms, &place);
    if (place >= 0) {
        memcpy(keys->at_work[place], digest, sizeof digest);
        pthread_mutex_unlock(&keys->lock);
        match = work(api_key, stored);
        pthread_mutex_lock(&keys->lock);
        if (match == KEYS_SAME)
            remember(keys, digest, now_ms);
        keys->at_work[place][0] = '\0';
        pthread_cond_broadcast(&keys->freed);
    }
    pthread_mutex_unlock(&keys->lock);
    return match;
}

enum keys_match keys_check(struct keys *keys, const char *api_key, int64_t hash_version,
                           const char *stored, enum keys_effort effort, int64_t now_ms)
{
    char hash[HASH_HEX_BYTES];
    if (strlen(api_key) > KEYS_KEY_MAX_BYTES)
        return KEYS_DIFFERENT;
    if (hash_version == KEYS_ARGON2ID)
        return check_argon2id(keys, api_key, stored, effort, now_ms);
    if (hash_version != KEYS_SHA256)
        return KEYS_UNREADABLE;
    hash_bytes(api_key, strlen(api_key), hash);
    return hash_equal(hash, stored) ? KEYS_SAME : KEYS_DIFFERENT;
}
