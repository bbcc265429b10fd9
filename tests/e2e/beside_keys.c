/* What a stock server's slow keys cost, and who pays. */
#include "beside.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUESSES_MAX = 400 };

/* How many guesses it takes until they are limited. */
static int guess(const struct beside *beside, const char *header)
{
    for (int i = 0; i < GUESSES_MAX; i++) {
        REPLY(reply) = beside_knock(beside, "nobody-has-this-key", header);
        if (reply.status == 429)
            return i;
        cr_assert_eq(reply.status, 401, "%ld", reply.status);
    }
    return GUESSES_MAX;
}

Test(beside_keys, who_guesses_behind_the_proxy_is_limited_alone, .timeout = 120)
{
    struct beside beside = beside_new();
    rig_verifier_set(beside.rig, "listen.trusted_proxy", "\"127.0.0.1\"");
    rig_start_verifier(beside.rig);
    cr_assert_lt(guess(&beside, "X-Real-IP: 192.0.2.1"), GUESSES_MAX);
    REPLY(neighbor) = beside_knock(&beside, "nobody-has-this-key", "X-Real-IP: 192.0.2.2");
    reply_is(&neighbor, 401, "unauthorized");
    REPLY(proxy) = beside_knock(&beside, "nobody-has-this-key", NULL);
    reply_is(&proxy, 401, "unauthorized");
    cr_expect(log_find(beside.rig->verifier->log, "event=auth.limited client=192.0.2.1", NULL));
    beside_end(&beside);
}

Test(beside_keys, without_a_trusted_proxy_a_made_up_address_helps_nobody, .timeout = 120)
{
    struct beside beside = beside_new();
    rig_start_verifier(beside.rig);
    cr_assert_lt(guess(&beside, "X-Real-IP: 192.0.2.1"), GUESSES_MAX);
    REPLY(same) = beside_knock(&beside, "nobody-has-this-key", "X-Real-IP: 192.0.2.2");
    reply_is(&same, 429, "rate_limited");
    cr_expect(log_find(beside.rig->verifier->log, "event=auth.limited client=127.0.0.1", NULL));
    beside_end(&beside);
}

static int64_t slow_looks(const struct beside *beside)
{
    REPLY(metrics) = worker_call(&beside->worker, "/metrics", NULL, NULL);
    const char *line = strstr(metrics.body, "\ntailslate_key_verifications_total ");
    long long number = -1;
    cr_assert(line && sscanf(line, "\ntailslate_key_verifications_total %lld", &number) == 1);
    return number;
}

Test(beside_keys, a_guessers_address_gets_no_slow_check_and_a_good_key_still_passes, .timeout = 120)
{
    struct beside beside = beside_new();
    free(beside_ask(&beside,
                    "SELECT stock_add_worker('dora', 'dora-the-key', '" BESIDE_KEY_HASH "', 2)"));
    rig_start_verifier(beside.rig);
    REPLY(good) = beside_knock(&beside, BESIDE_KEY, NULL);
    reply_is(&good, 422, NULL); /* the body is no completion; the key is one */
    cr_expect_eq(slow_looks(&beside), 1);
    cr_assert_lt(guess(&beside, NULL), GUESSES_MAX);
    REPLY(unseen) = beside_knock(&beside, "dora-the-key", NULL);
    reply_is(&unseen, 429, "rate_limited");
    cr_expect_eq(slow_looks(&beside), 1);
    REPLY(known) = beside_knock(&beside, BESIDE_KEY, NULL);
    reply_is(&known, 422, NULL);
    cr_expect_eq(slow_looks(&beside), 1);
    beside_end(&beside);
}

Test(beside_keys, a_revocation_by_the_stock_server_holds_within_a_second, .timeout = 120)
{
    struct beside beside = beside_new();
    rig_start_verifier(beside.rig);
    for (int i = 0; i < 200; i++) {
        REPLY(reply) = beside_knock(&beside, BESIDE_KEY, NULL);
        reply_is(&reply, 422, NULL);
    }
    cr_expect_eq(slow_looks(&beside), 1);
    free(beside_ask(&beside, "UPDATE worker_api_keys SET revoked_at = clock_timestamp()"));
    worker_wait_out(&beside.worker);
    REPLY(revoked) = beside_knock(&beside, BESIDE_KEY, NULL);
    reply_is(&revoked, 401, "unauthorized");
    beside_end(&beside);
}

enum { CALLERS = 32 };
struct caller {
    pthread_t thread;
    const struct beside *beside;
    char key[64];
    long status;
};

static void *call(void *ctx)
{
    struct caller *caller = ctx;
    REPLY(reply) = beside_knock(caller->beside, caller->key, NULL);
    caller->status = reply.status;
    if (reply.status == 503) {
        char after[16];
        reply_header(&reply, "Retry-After", after, sizeof after);
        cr_expect_gt(strtol(after, NULL, 10), 0);
    }
    return NULL;
}

/* VmHWM: the most that was resident at once. */
static int64_t peak_kib(pid_t pid)
{
    TEXT(path) = must_printf("/proc/%d/status", (int)pid);
    STREAM(status) = fopen(path, "re");
    cr_assert(status, "%s", path);
    char line[256];
    long long kib = -1;
    while (kib < 0 && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %lld", &kib) != 1)
            kib = -1;
    cr_assert_gt(kib, 0);
    return kib;
}

Test(beside_keys, thirty_two_wrong_keys_at_once_take_the_memory_of_two, .timeout = 120)
{
    enum { LOOK_KIB = 64 * 1024, REST_KIB = 96 * 1024 };
    struct beside beside = beside_new();
    struct caller callers[CALLERS];
    /* What is freed is to be free, also under the sanitizer. */
    rig_set_env(beside.rig, "ASAN_OPTIONS", "quarantine_size_mb=1:abort_on_error=1");
    rig_start_verifier(beside.rig);
    int64_t before_kib = peak_kib(beside.rig->verifier->pid);
    for (int i = 0; i < CALLERS; i++) {
        callers[i].beside = &beside;
        snprintf(callers[i].key, sizeof callers[i].key, "anna-the-wrong-%d", i);
        cr_assert_eq(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        cr_expect(callers[i].status == 401 || callers[i].status == 503, "%ld", callers[i].status);
    }
    int64_t grown_kib = peak_kib(beside.rig->verifier->pid) - before_kib;
    cr_expect_geq(slow_looks(&beside), 2);
    cr_expect_gt(grown_kib, LOOK_KIB / 2, "%lld KiB", (long long)grown_kib);
    cr_expect_lt(grown_kib, 2 * LOOK_KIB + REST_KIB, "%lld KiB", (long long)grown_kib);
    beside_end(&beside);
}
