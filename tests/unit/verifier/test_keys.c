#include "base/clock.h"
#include "base/metrics.h"
#include "lib/cleanup.h"
#include "lib/hash.h"
#include "verifier/base/counters.h"
#include "verifier/store/keys.h"

#include <argon2.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define ANNA "anna-the-keys-0123456789abcdefghijklmnopqrs"
#define BERT "anna-the-others-0123456789abcdefghijklmnopq"

/* Of ANNA; as a stock server makes them, and as cheap as they come. */
static const char dear[] = "$argon2id$v=19$m=65536,t=3,p=4$c2l4dGVlbi1ieXRlcy1vZg$"
                           "N6u/dyOhohsZLs2fXqsgBtN0a+4ddFx6JuuEUZEc4bw";
static const char cheap[] = "$argon2id$v=19$m=64,t=1,p=1$c2l4dGVlbi1ieXRlcy1vZg$"
                            "mvHwDHWHn8WPfTZiLrmU7+Aq6t1QdZi7t9B4mQncnOs";

static long long looks(void)
{
    TEXT(text) = metrics_print();
    const char *line = strstr(text, "\ntailslate_key_verifications_total ");
    cr_assert(line, "%s", text);
    long long number = -1;
    cr_assert_eq(sscanf(line, "\ntailslate_key_verifications_total %lld", &number), 1);
    return number;
}

static struct keys *counted(void)
{
    counters_register();
    return keys_new();
}

static enum keys_match check(struct keys *keys, const char *key, const char *stored)
{
    return keys_check(keys, key, KEYS_ARGON2ID, stored, KEYS_ANY_EFFORT, 0);
}

Test(keys, reads_what_a_stock_server_stores)
{
    struct keys *keys = counted();
    char hash[HASH_HEX_BYTES];
    hash_bytes(ANNA, strlen(ANNA), hash);
    cr_expect_eq(check(keys, ANNA, dear), KEYS_SAME);
    cr_expect_eq(check(keys, BERT, dear), KEYS_DIFFERENT);
    cr_expect_eq(keys_check(keys, ANNA, KEYS_SHA256, hash, KEYS_NO_WORK, 0), KEYS_SAME);
    cr_expect_eq(keys_check(keys, BERT, KEYS_SHA256, hash, KEYS_NO_WORK, 0), KEYS_DIFFERENT);
    cr_expect_eq(keys_check(keys, ANNA, 3, hash, KEYS_ANY_EFFORT, 0), KEYS_UNREADABLE);
    /* A hash of one kind under the other's number is nobody's. */
    cr_expect_eq(keys_check(keys, ANNA, KEYS_SHA256, dear, KEYS_ANY_EFFORT, 0), KEYS_DIFFERENT);
    cr_expect_eq(keys_check(keys, ANNA, KEYS_ARGON2ID, hash, KEYS_ANY_EFFORT, 0), KEYS_UNREADABLE);
    keys_free(keys);
}

Test(keys, a_key_that_was_right_is_looked_at_once_in_its_time)
{
    struct keys *keys = counted();
    for (int i = 0; i < 200; i++)
        cr_assert_eq(check(keys, ANNA, cheap), KEYS_SAME);
    cr_expect_eq(looks(), 1);
    cr_expect_eq(keys_check(keys, ANNA, KEYS_ARGON2ID, cheap, KEYS_NO_WORK, KEYS_LIFE_MS - 1),
                 KEYS_SAME);
    cr_expect_eq(keys_check(keys, ANNA, KEYS_ARGON2ID, cheap, KEYS_NO_WORK, KEYS_LIFE_MS),
                 KEYS_NOT_TRIED);
    cr_expect_eq(keys_check(keys, ANNA, KEYS_ARGON2ID, cheap, KEYS_ANY_EFFORT, KEYS_LIFE_MS),
                 KEYS_SAME);
    cr_expect_eq(looks(), 2);
    keys_free(keys);
}

Test(keys, what_was_wrong_and_what_is_of_another_hash_is_not_remembered)
{
    struct keys *keys = counted();
    cr_expect_eq(check(keys, BERT, cheap), KEYS_DIFFERENT);
    cr_expect_eq(check(keys, BERT, cheap), KEYS_DIFFERENT);
    cr_expect_eq(looks(), 2);
    cr_expect_eq(check(keys, ANNA, cheap), KEYS_SAME);
    /* The worker got a new key: the database has another hash, and the old key is wrong. */
    cr_expect_eq(keys_check(keys, ANNA, KEYS_ARGON2ID, dear, KEYS_NO_WORK, 0), KEYS_NOT_TRIED);
    cr_expect_eq(keys_check(keys, BERT, KEYS_ARGON2ID, cheap, KEYS_NO_WORK, 0), KEYS_NOT_TRIED);
    cr_expect_eq(looks(), 3);
    keys_free(keys);
}

/* A right key of its own: its stored hash. */
static void make(int number, char key[16], char stored[128])
{
    snprintf(key, 16, "key-%d", number);
    cr_assert_eq(
        argon2id_hash_encoded(1, 8, 1, key, strlen(key), "sixteen-bytes-of", 16, 16, stored, 128),
        ARGON2_OK);
}

Test(keys, more_keys_than_places_push_out_the_oldest)
{
    enum { MORE = 3000, PLACES = 1024 };
    struct keys *keys = counted();
    char key[16], stored[128];
    for (int i = 0; i < MORE; i++) {
        make(i, key, stored);
        cr_assert_eq(keys_check(keys, key, KEYS_ARGON2ID, stored, KEYS_ANY_EFFORT, i), KEYS_SAME);
        cr_assert_eq(keys_check(keys, key, KEYS_ARGON2ID, stored, KEYS_NO_WORK, i), KEYS_SAME);
    }
    int remembered = 0;
    for (int i = 0; i < MORE; i++) {
        make(i, key, stored);
        remembered += keys_check(keys, key, KEYS_ARGON2ID, stored, KEYS_NO_WORK, MORE) == KEYS_SAME;
    }
    cr_expect_leq(remembered, PLACES);
    cr_expect_geq(remembered, PLACES - PLACES / 8);
    keys_free(keys);
}

Test(keys, refuses_what_costs_too_much_and_what_it_cannot_read)
{
    static const char *const bad[] = {
        "$argon2id$v=19$m=262145,t=3,p=4$c2l4dGVlbi1ieXRlcy1vZg$N6u/dyOhohsZLs2fXqsgBtN0a+4ddFx6",
        "$argon2id$v=19$m=65536,t=11,p=4$c2l4dGVlbi1ieXRlcy1vZg$N6u/dyOhohsZLs2fXqsgBtN0a+4ddFx6",
        "$argon2id$v=19$m=65536,t=3,p=17$c2l4dGVlbi1ieXRlcy1vZg$N6u/dyOhohsZLs2fXqsgBtN0a+4ddFx6",
        "$argon2id$v=19$m=4294967296,t=3,p=4$c2l4dGVlbi1ieXRlcy1vZg$N6u/dyOhohsZLs2fXqsgBtN0a+4",
        "$argon2id$v=19$m=65536,t=0,p=4$c2l4dGVlbi1ieXRlcy1vZg$N6u/dyOhohsZLs2fXqsgBtN0a+4ddFx6",
        "$argon2id$v=19$m=65536,t=-3,p=4$c2l4dGVlbi1ieXRlcy1vZg$N6u/dyOhohsZLs2fXqsgBtN0a+4ddFx",
        "$argon2id$v=19$m= 65536,t=3,p=4$c2l4dGVlbi1ieXRlcy1vZg$N6u/dyOhohsZLs2fXqsgBtN0a+4ddFx",
        "$argon2id$v=19$m=,t=3,p=4$c2l4dGVlbi1ieXRlcy1vZg$N6u/dyOhohsZLs2fXqsgBtN0a+4ddFx6JuuEUZ",
        "$argon2id$v=18$m=65536,t=3,p=4$c2l4dGVlbi1ieXRlcy1vZg$N6u/dyOhohsZLs2fXqsgBtN0a+4ddFx6",
        "$argon2id$m=65536,t=3,p=4$c2l4dGVlbi1ieXRlcy1vZg$N6u/dyOhohsZLs2fXqsgBtN0a+4ddFx6JuuEUZ",
        "$argon2i$v=19$m=65536,t=3,p=4$c2l4dGVlbi1ieXRlcy1vZg$N6u/dyOhohsZLs2fXqsgBtN0a+4ddFx6Ju",
        "$2b$12$abcdefghijklmnopqrstuvwxyz",
        "",
    };
    struct keys *keys = counted();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_eq(check(keys, ANNA, bad[i]), KEYS_UNREADABLE, "%s", bad[i]);
    cr_expect_eq(looks(), 0, "refused before any work");
    /* Of a good beginning: read, and found to be nothing. */
    cr_expect_eq(check(keys, ANNA, "$argon2id$v=19$m=64,t=1,p=1$!$!"), KEYS_UNREADABLE);
    cr_expect_eq(check(keys, ANNA, "$argon2id$v=19$m=64,t=1,p=1$"), KEYS_UNREADABLE);
    cr_expect_eq(check(keys, ANNA, "$argon2id$v=19$m=1,t=1,p=16$c2l4dGVlbi1ieXRlcy1vZg$N6u/dyOh"),
                 KEYS_UNREADABLE);
    char long_key[KEYS_KEY_MAX_BYTES + 2];
    memset(long_key, 'k', sizeof long_key - 1);
    long_key[sizeof long_key - 1] = '\0';
    long long before = looks();
    cr_expect_eq(check(keys, long_key, cheap), KEYS_DIFFERENT);
    cr_expect_eq(looks(), before);
    keys_free(keys);
}

struct caller {
    pthread_t thread;
    struct keys *keys;
    const char *stored;
    char key[64];
    enum keys_match match;
};

static void *call(void *ctx)
{
    struct caller *caller = ctx;
    caller->match = keys_check(caller->keys, caller->key, KEYS_ARGON2ID, caller->stored,
                               KEYS_ANY_EFFORT, mono_ms());
    return NULL;
}

enum { CALLERS = 32 };

static void call_all(struct keys *keys, struct caller callers[CALLERS], bool right,
                     const char *stored)
{
    for (int i = 0; i < CALLERS; i++) {
        callers[i].keys = keys;
        callers[i].stored = stored;
        snprintf(callers[i].key, sizeof callers[i].key, right ? ANNA "%.0d" : "wrong-%d",
                 right ? 0 : i);
        cr_assert_eq(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++)
        pthread_join(callers[i].thread, NULL);
}

Test(keys, thirty_two_at_once_with_one_right_key_cost_one_look)
{
    struct keys *keys = counted();
    struct caller callers[CALLERS];
    /* Cheap enough for a slow machine to be done with in the time that the others wait. */
    char stored[128];
    cr_assert_eq(argon2id_hash_encoded(2, 8192, 1, ANNA, strlen(ANNA), "sixteen-bytes-of", 16, 16,
                                       stored, sizeof stored),
                 ARGON2_OK);
    call_all(keys, callers, true, stored);
    for (int i = 0; i < CALLERS; i++)
        cr_expect_eq(callers[i].match, KEYS_SAME, "%d: %d", i, callers[i].match);
    cr_expect_eq(looks(), 1);
    keys_free(keys);
}

/* That they take the memory of two is seen from outside, in e2e/beside_keys.c. */
Test(keys, thirty_two_at_once_with_wrong_keys_are_all_answered)
{
    struct keys *keys = counted();
    struct caller callers[CALLERS];
    int64_t begun_ms = mono_ms();
    call_all(keys, callers, false, dear);
    int different = 0, busy = 0;
    for (int i = 0; i < CALLERS; i++) {
        different += callers[i].match == KEYS_DIFFERENT;
        busy += callers[i].match == KEYS_BUSY;
    }
    cr_expect_eq(different + busy, CALLERS);
    cr_expect_eq(looks(), different, "who is told to wait has cost nothing");
    cr_expect(busy == 0 || mono_ms() - begun_ms >= KEYS_WAIT_MS);
    keys_free(keys);
}
