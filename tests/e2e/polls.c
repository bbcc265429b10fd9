/* Long polls: thousands wait without a thread, nobody else notices, and each gets what is its own.
 */
#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/hash.h"
#include "media.h"
#include "raw.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    OF_WORKER = 8, /* WAITERS_OF_WORKER_MAX */
    WORKERS = 250,
    POLLS = WORKERS * OF_WORKER,
    THREADS_MAX = 90,
    FILES = 8192,
    PROMPT_MS = 2000, /* with sanitizers, on a busy machine */
    STOP_WITHIN_MS = 10 * 1000,
    SETTLED_MS = 20 * 1000, /* far less than what a poll waits */
    LONG_S = 60,
    KEY_BYTES = 48,
    ANSWER_BYTES = 4096,
};

/* ---- workers, by hand: a process for each would take minutes ---- */

static void key_of(int number, char key[KEY_BYTES])
{
    snprintf(key, KEY_BYTES, "p%07d-a-key-for-a-worker-that-only-waits", number);
}

static void add_workers(const struct rig *rig, int count)
{
    for (int i = 0; i < count; i++) {
        char key[KEY_BYTES], hash[HASH_HEX_BYTES];
        key_of(i, key);
        hash_bytes(key, strlen(key), hash);
        inspect_change(rig,
                       "INSERT INTO workers (worker_id, worker_name, registered_at)"
                       " VALUES ('poller-%d', 'poller-%d', '2026-01-01T00:00:00.000000Z')",
                       i, i);
        inspect_change(rig,
                       "INSERT INTO worker_api_keys (worker_id, key_hash, key_prefix, created_at)"
                       " SELECT id, '%s', '%.8s', registered_at FROM workers"
                       " WHERE worker_id = 'poller-%d'",
                       hash, key, i);
    }
}

/* ---- polls ---- */

/* From addresses in turn, because one may not have so many connections. */
static int begin_poll(const struct rig *rig, const char *key, int wait_s)
{
    static int calls;
    TEXT(request) = must_printf("POST /api/worker/claim?wait=%d HTTP/1.1\r\nHost: x\r\n"
                                "X-Worker-API-Key: %s\r\nContent-Length: 0\r\n\r\n",
                                wait_s, key);
    int fd = raw_connect(rig, 2 + calls++ % 8);
    cr_assert(fd >= 0 && raw_send_text(fd, request));
    return fd;
}

static void wait_for_polls(const struct rig *rig, int64_t count)
{
    int64_t until_ms = mono_ms() + SETTLED_MS, there;
    while ((there = metric_of(rig, "tailslate_long_polls")) != count) {
        cr_assert_lt(mono_ms(), until_ms, "%lld polls wait", (long long)there);
        poll(NULL, 0, 20);
    }
}

static bool is_answered(int fd, int64_t within_ms)
{
    struct pollfd answer = {.fd = fd, .events = POLLIN};
    return poll(&answer, 1, (int)within_ms) == 1;
}

/* What has come is one answer, or its beginning and an end. "": nothing. */
static void read_some(int fd, char answer[ANSWER_BYTES])
{
    ssize_t got = is_answered(fd, SETTLED_MS) ? read(fd, answer, ANSWER_BYTES - 1) : 0;
    answer[got > 0 ? got : 0] = '\0';
}

static void read_answer(int fd, char answer[ANSWER_BYTES])
{
    read_some(fd, answer);
    cr_assert(strncmp(answer, "HTTP/1.1 200", 12) == 0, "%s", answer);
}

static void expect_no_job(int fd)
{
    char answer[ANSWER_BYTES];
    read_answer(fd, answer);
    cr_assert(strstr(answer, "No job available"), "%s", answer);
    close(fd);
}

/* How many have an answer, and the last of them. */
static int answered(const int *fds, int count, int *which)
{
    struct pollfd all[POLLS];
    for (int i = 0; i < count; i++)
        all[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    int ready = poll(all, (nfds_t)count, SETTLED_MS);
    for (int i = 0; i < count; i++)
        if (all[i].revents)
            *which = i;
    return ready;
}

static int64_t threads_of(pid_t pid)
{
    TEXT(path) = must_printf("/proc/%d/status", (int)pid);
    STREAM(status) = fopen(path, "re");
    char line[256];
    long long threads = 0;
    cr_assert(status);
    while (fgets(line, sizeof line, status) && sscanf(line, "Threads: %lld", &threads) != 1)
        ;
    return threads;
}

static void expect_prompt(const struct reply *reply, const char *what)
{
    cr_assert_eq(reply->status, 200, "%s: %ld", what, reply->status);
    cr_assert_lt(reply->took_ms, PROMPT_MS, "%s took %lld ms", what, (long long)reply->took_ms);
}

static void raise_file_limit(void)
{
    struct rlimit files = {FILES, FILES};
    cr_assert(setrlimit(RLIMIT_NOFILE, &files) == 0);
}

/* Places for all of them, and a completion that only needs to be presented. */
static struct scene crowded_scene(void)
{
    raise_file_limit();
    struct scene scene = {.rig = rig_new()};
    rig_verifier_set(scene.rig, "listen.connections", "4096");
    rig_verifier_set(scene.rig, "listen.connections_per_address", "1024");
    rig_start_verifier(scene.rig);
    scene.worker = worker_new(scene.rig, "alice");
    rig_add_job(scene.rig, media_clip(MEDIA_TINY), "done");
    cr_assert(worker_claim(&scene.worker));
    worker_put_tree(&scene.worker);
    worker_token(&scene.worker, scene.token);
    add_workers(scene.rig, WORKERS);
    return scene;
}

Test(polls, idle_ones_hold_no_thread_and_one_of_them_gets_the_job, .timeout = 300)
{
    struct scene scene = crowded_scene();
    struct rig *rig = scene.rig;
    static int fds[POLLS];
    char answer[ANSWER_BYTES];
    int64_t threads = threads_of(rig->verifier->pid);
    for (int i = 0; i < POLLS; i++) {
        char key[KEY_BYTES];
        key_of(i / OF_WORKER, key);
        fds[i] = begin_poll(rig, key, LONG_S);
    }
    wait_for_polls(rig, POLLS);
    cr_expect_leq(threads_of(rig->verifier->pid), threads);
    cr_expect_leq(threads, THREADS_MAX);

    TEXT(url) = must_printf("http://127.0.0.1:%d/api/health", rig->port);
    REPLY(health) = call_make(&(struct call){.url = url});
    expect_prompt(&health, "health");
    REPLY(completed) = worker_complete(&scene.worker, scene.token);
    expect_prompt(&completed, "a completion");

    int64_t job = rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    int lucky = 0;
    cr_assert_eq(answered(fds, POLLS, &lucky), 1);
    read_answer(fds[lucky], answer);
    TEXT(wanted) = must_printf("\"job_id\":%lld", (long long)job);
    cr_assert(strstr(answer, wanted), "%s", answer);
    close(fds[lucky]);
    wait_for_polls(rig, POLLS - 1);

    int64_t started_ms = mono_ms();
    cr_assert_eq(rig_stop_verifier(rig), 0);
    cr_expect_lt(mono_ms() - started_ms, STOP_WITHIN_MS);
    for (int i = 0; i < POLLS; i++)
        if (i != lucky)
            expect_no_job(fds[i]);
    rig_end(rig);
}

Test(polls, each_ends_at_its_own_time, .timeout = 60)
{
    struct scene scene = scene_idle();
    int64_t started_ms = mono_ms();
    int longer = begin_poll(scene.rig, scene.worker.key, 3);
    int shorter = begin_poll(scene.rig, scene.worker.key, 1);
    expect_no_job(shorter);
    cr_expect_geq(mono_ms() - started_ms, 1000);
    cr_expect_lt(mono_ms() - started_ms, 2900, "it waited for the longer one");
    expect_no_job(longer);
    cr_expect_geq(mono_ms() - started_ms, 3000);
    rig_end(scene.rig);
}

Test(polls, of_a_client_that_is_gone_end_and_claim_nothing, .timeout = 60)
{
    struct scene scene = scene_idle();
    close(begin_poll(scene.rig, scene.worker.key, 50));
    int fd = begin_poll(scene.rig, scene.worker.key, LONG_S);
    wait_for_polls(scene.rig, 1);
    close(fd);
    wait_for_polls(scene.rig, 0);
    rig_add_job(scene.rig, media_clip(MEDIA_TINY), "film");
    cr_assert(worker_claim(&scene.worker));
    cr_expect_eq(scene.worker.epoch, 1, "it was claimed for nobody");
    rig_end(scene.rig);
}

Test(polls, of_one_worker_are_bounded_and_the_oldest_gives_way, .timeout = 60)
{
    struct scene scene = scene_idle();
    int fds[OF_WORKER + 1];
    for (int i = 0; i < OF_WORKER; i++) {
        fds[i] = begin_poll(scene.rig, scene.worker.key, LONG_S);
        wait_for_polls(scene.rig, i + 1);
    }
    fds[OF_WORKER] = begin_poll(scene.rig, scene.worker.key, LONG_S);
    expect_no_job(fds[0]);
    wait_for_polls(scene.rig, OF_WORKER);
    for (int i = 1; i <= OF_WORKER; i++) {
        cr_expect_not(is_answered(fds[i], 0), "poll %d", i);
        close(fds[i]);
    }
    rig_end(scene.rig);
}

/* Who has failed a job does not get it again at once, and does not keep the next one from it. */
Test(polls, a_job_that_the_first_may_not_have_goes_to_the_next, .timeout = 60)
{
    struct scene scene = {.rig = rig_new()};
    rig_verifier_set(scene.rig, "claims.retry_delay_seconds", "60");
    rig_start_verifier(scene.rig);
    scene.worker = worker_new(scene.rig, "alice");
    struct worker bob = worker_new(scene.rig, "bob");
    char answer[ANSWER_BYTES];
    scene.job = rig_add_job(scene.rig, media_clip(MEDIA_TINY), "film");
    cr_assert(worker_claim(&scene.worker));
    int first = begin_poll(scene.rig, scene.worker.key, LONG_S);
    wait_for_polls(scene.rig, 1);
    int second = begin_poll(scene.rig, bob.key, LONG_S);
    wait_for_polls(scene.rig, 2);
    REPLY(failed) = scene_call(&scene, "fail", "{\"error_message\":\"no\",\"retry\":true}");
    reply_is(&failed, 200, NULL);
    read_answer(second, answer);
    cr_assert(strstr(answer, "\"job_id\":1"), "%s", answer);
    cr_expect_not(is_answered(first, 0));
    close(first);
    close(second);
    rig_end(scene.rig);
}
