#include "verifier/store/key_memory.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct bench {
    struct key_memory *memory;
    struct keys *keys;
    struct key_question question;
    struct store_worker worker;
};

static struct bench bench_new(void)
{
    return (struct bench){.memory = key_memory_new(), .keys = keys_new()};
}

static void bench_free(struct bench *bench)
{
    key_memory_free(bench->memory);
    keys_free(bench->keys);
}

static bool find(struct bench *bench, const char *key, int64_t now_ms)
{
    return key_memory_find(bench->memory, bench->keys, key, now_ms, &bench->question,
                           &bench->worker);
}

static void keep(struct bench *bench, int64_t id)
{
    struct store_worker worker = {.id = id};
    key_memory_keep(bench->memory, &bench->question, &worker);
}

Test(key_memory, knows_a_key_for_a_second_after_it_asked_and_no_other_key)
{
    struct bench bench = bench_new();
    cr_expect_not(find(&bench, "anna-the-key", 5000));
    keep(&bench, 7);
    cr_expect(find(&bench, "anna-the-key", 5000 + KEY_MEMORY_MS - 1));
    cr_expect_eq(bench.worker.id, 7);
    cr_expect_not(find(&bench, "anna-the-keY", 5001));
    cr_expect_not(find(&bench, "anna-the-key", 5000 + KEY_MEMORY_MS));
    bench_free(&bench);
}

Test(key_memory, forgets_at_once_and_an_answer_from_before_is_not_kept)
{
    struct bench bench = bench_new();
    cr_expect_not(find(&bench, "anna-the-key", 0));
    keep(&bench, 7);
    key_memory_forget(bench.memory);
    cr_expect_not(find(&bench, "anna-the-key", 1));
    key_memory_forget(bench.memory); /* while the database answers */
    keep(&bench, 7);
    cr_expect_not(find(&bench, "anna-the-key", 2));
    bench_free(&bench);
}

Test(key_memory, holds_so_many_and_the_oldest_go_first)
{
    struct bench bench = bench_new();
    char key[32];
    int known = 0;
    for (int i = 0; i < 10 * KEY_MEMORY_MAX; i++) {
        snprintf(key, sizeof key, "the-key-%d", i);
        cr_expect_not(find(&bench, key, i / 10));
        keep(&bench, i);
    }
    cr_expect(find(&bench, key, KEY_MEMORY_MAX));
    for (int i = 0; i < 10 * KEY_MEMORY_MAX; i++) {
        snprintf(key, sizeof key, "the-key-%d", i);
        if (find(&bench, key, KEY_MEMORY_MAX)) {
            cr_expect_eq(bench.worker.id, i);
            known++;
        }
    }
    cr_expect(known > KEY_MEMORY_MAX / 2 && known <= KEY_MEMORY_MAX, "%d", known);
    bench_free(&bench);
}
