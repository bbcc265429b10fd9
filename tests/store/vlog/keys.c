/* A stock server's keys: argon2id, or SHA-256 from older days; several with one beginning. */
#include "base/clock.h"
#include "base/metrics.h"
#include "lib/cleanup.h"
#include "lib/hash.h"
#include "store_rig.h"
#include "verifier/base/counters.h"
#include "verifier/store/key_memory.h"
#include "verifier/store/store_key.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* Two keys with one beginning, hashed as a stock server does it, and another that has it too. */
#define CARL  "anna-the-keys-0123456789abcdefghijklmnopqrs"
#define DORA  "anna-the-others-0123456789abcdefghijklmnopq"
#define WRONG "anna-the-third-0123456789abcdefghijklmnopqr"
static const char carl_hash[] = "$argon2id$v=19$m=65536,t=3,p=4$c2l4dGVlbi1ieXRlcy1vZg$"
                                "N6u/dyOhohsZLs2fXqsgBtN0a+4ddFx6JuuEUZEc4bw";
static const char dora_hash[] = "$argon2id$v=19$m=65536,t=3,p=4$c2l4dGVlbi1ieXRlcy1vZg$"
                                "RticRhPIUPp5hFc0lh9opA/9gmf9Gk2vVEFydedw1rs";

static void add(struct rig *rig, const char *name, const char *key, const char *hash, int version)
{
    TEXT(sql) = must_printf("SELECT stock_add_worker('%s', '%s', '%s', %d)", name, key, hash,
                            version);
    rig_sql(rig, sql);
}

static struct rig *with_carl(void)
{
    counters_register();
    struct rig *rig = rig_new();
    add(rig, "carl", CARL, carl_hash, 2);
    return rig;
}

static enum store_key look(struct rig *rig, const char *key, struct store_worker *worker)
{
    enum store_key found;
    struct error err;
    cr_assert_eq(store_worker_by_key(rig->store, key, &found, worker, &err), 0, "%s", err.message);
    return found;
}

static long long slow_looks(void)
{
    TEXT(text) = metrics_print();
    const char *line = strstr(text, "\ntailslate_key_verifications_total ");
    long long number = -1;
    cr_assert(line && sscanf(line, "\ntailslate_key_verifications_total %lld", &number) == 1);
    return number;
}

Test(vlog_keys, both_kinds_are_known_also_where_they_begin_alike)
{
    struct rig *rig = with_carl();
    struct store_worker worker;
    char sha256[HASH_HEX_BYTES];
    hash_bytes("an-older-key", strlen("an-older-key"), sha256);
    add(rig, "dora", DORA, dora_hash, 2);
    add(rig, "emil", "an-older-key", sha256, 1);
    cr_expect_eq(look(rig, CARL, &worker), STORE_KEY_GOOD);
    cr_expect_str_eq(worker.name, "carl");
    cr_expect_eq(look(rig, DORA, &worker), STORE_KEY_GOOD);
    cr_expect_str_eq(worker.name, "dora");
    cr_expect_eq(look(rig, "an-older-key", &worker), STORE_KEY_GOOD);
    cr_expect_str_eq(worker.name, "emil");
    cr_expect_eq(look(rig, WRONG, &worker), STORE_KEY_UNKNOWN);
    rig_free(rig);
}

Test(vlog_keys, two_hundred_calls_cost_one_slow_look)
{
    struct rig *rig = with_carl();
    struct store_worker worker;
    for (int i = 0; i < 200; i++)
        cr_assert_eq(look(rig, CARL, &worker), STORE_KEY_GOOD, "%d", i);
    cr_expect_eq(slow_looks(), 1);
    rig_free(rig);
}

Test(vlog_keys, what_the_database_says_of_a_remembered_key_holds_within_a_second)
{
    static const struct {
        const char *sql, *back;
        enum store_key found;
    } ends[] = {
        {"UPDATE worker_api_keys SET revoked_at = clock_timestamp()",
         "UPDATE worker_api_keys SET revoked_at = NULL", STORE_KEY_OVER},
        {"UPDATE worker_api_keys SET expires_at = clock_timestamp() - interval '1 second'",
         "UPDATE worker_api_keys SET expires_at = clock_timestamp() + interval '1 hour'",
         STORE_KEY_OVER},
        {"UPDATE workers SET status = 'disabled'", "UPDATE workers SET status = 'offline'",
         STORE_KEY_DISABLED},
        {"UPDATE worker_api_keys SET key_hash = replace(key_hash, 'N6u', 'N7u')",
         "UPDATE worker_api_keys SET key_hash = replace(key_hash, 'N7u', 'N6u')",
         STORE_KEY_UNKNOWN},
    };
    struct rig *rig = with_carl();
    struct store_worker worker;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        cr_expect_eq(look(rig, CARL, &worker), STORE_KEY_GOOD, "%s", ends[i].sql);
        rig_sql(rig, ends[i].sql);
        int64_t since_ms = mono_ms();
        while (mono_ms() - since_ms < KEY_MEMORY_MS && look(rig, CARL, &worker) == STORE_KEY_GOOD)
            ;
        cr_expect_eq(look(rig, CARL, &worker), ends[i].found, "%s", ends[i].sql);
        rig_sql(rig, ends[i].back);
    }
    cr_expect_eq(look(rig, CARL, &worker), STORE_KEY_GOOD);
    rig_free(rig);
}

Test(vlog_keys, a_revoked_key_is_not_worth_a_slow_look)
{
    struct rig *rig = with_carl();
    struct store_worker worker;
    rig_sql(rig, "UPDATE worker_api_keys SET revoked_at = clock_timestamp()");
    cr_expect_eq(look(rig, CARL, &worker), STORE_KEY_UNKNOWN);
    cr_expect_eq(slow_looks(), 0);
    rig_free(rig);
}

Test(vlog_keys, who_has_guessed_too_often_gets_no_slow_look)
{
    struct rig *rig = with_carl();
    struct store_worker worker;
    enum store_key found;
    struct error err;
    cr_assert_eq(store_worker_by_known_key(rig->store, CARL, &found, &worker, &err), 0);
    cr_expect_eq(found, STORE_KEY_UNKNOWN);
    cr_expect_eq(slow_looks(), 0);
    cr_expect_eq(look(rig, CARL, &worker), STORE_KEY_GOOD);
    cr_assert_eq(store_worker_by_known_key(rig->store, CARL, &found, &worker, &err), 0);
    cr_expect_eq(found, STORE_KEY_GOOD, "and a key that was right a moment ago needs none");
    cr_expect_eq(slow_looks(), 1);
    rig_free(rig);
}

Test(vlog_keys, what_can_be_no_key_is_unknown_and_no_error)
{
    struct rig *rig = with_carl();
    struct store_worker worker;
    static const char *const odd[] = {"",
                                      "short",
                                      "anna-the",
                                      "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7",
                                      "anna-th\xc3\xa4-keys",
                                      "a'; DROP TABLE workers; --",
                                      "anna-the keys-0123456789"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        cr_expect_eq(look(rig, odd[i], &worker), STORE_KEY_UNKNOWN, "%s", odd[i]);
    rig_sql(rig,
            "UPDATE worker_api_keys SET key_hash ="
            " '$argon2id$v=19$m=99999999,t=3,p=4$c2l4dGVlbi1ieXRlcy1vZg$N6u/dyOhohsZLs2fXqsgBg'"
            " WHERE hash_version = 2");
    cr_expect_eq(look(rig, CARL, &worker), STORE_KEY_UNKNOWN);
    rig_sql(rig, "UPDATE worker_api_keys SET hash_version = 7");
    cr_expect_eq(look(rig, CARL, &worker), STORE_KEY_UNKNOWN);
    cr_expect_eq(slow_looks(), 1, "'anna-the' was short enough to be one");
    rig_free(rig);
}

Test(vlog_keys, our_own_workers_stand_in_its_tables_as_its_legacy_ones)
{
    struct rig *rig = rig_new();
    struct store_worker worker;
    struct store_registration mine = {.name = "mine", .type = "remote"};
    struct error err;
    bool found;
    cr_assert_eq(store_worker_register(rig->store, &mine, &err), 0, "%s", err.message);
    rig_expect(rig, "1:64:8:active",
               "SELECT k.hash_version || ':' || length(k.key_hash) || ':' ||"
               " length(k.key_prefix) || ':' || w.status FROM worker_api_keys k"
               " JOIN workers w ON w.id = k.worker_id WHERE worker_name = 'mine'");
    cr_assert_eq(store_worker_revoke(rig->store, mine.worker_id, &found, &err), 0);
    cr_expect_eq(look(rig, mine.api_key, &worker), STORE_KEY_OVER, "as a stock server says it");
    rig_free(rig);
}
