/* Guessing keys: slowed down by address, and nobody else feels it. */
#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "raw.h"

#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    GUESSERS = 16,
    BATCH = 25, /* requests sent before their answers are read */
    FREE_GUESSES = 120,
    LATENCY_MAX_MS = 5000,
    LOGGED_PER_S = 20,
#ifdef __SANITIZE_ADDRESS__
    GROWTH_MAX_KIB = 64 * 1024,
#else
    GROWTH_MAX_KIB = 8 * 1024,
#endif
};

/* GUESSES=1000000 by hand. */
static int64_t guesses(void)
{
    const char *wanted = getenv("GUESSES");
    return wanted ? strtoll(wanted, NULL, 10) : 50 * 1000;
}

struct outcome {
    int64_t unauthorized, limited, other;
};

/* Reads so many answers; what they say is in their first lines. */
static void read_answers(int fd, int count, struct outcome *outcome)
{
    char buffer[64 * 1024];
    size_t kept = 0;
    struct pollfd in = {.fd = fd, .events = POLLIN};
    while (count > 0) {
        cr_assert(poll(&in, 1, RAW_QUIET_MS) == 1, "%d answers are missing", count);
        ssize_t got = recv(fd, buffer + kept, sizeof buffer - 1 - kept, 0);
        cr_assert_gt(got, 0, "cut off, %d answers are missing", count);
        size_t size = kept + (size_t)got;
        buffer[size] = '\0';
        char *at = buffer, *next;
        while ((next = strstr(at, "HTTP/1.1 ")) && strlen(next) >= 12) {
            long status = strtol(next + 9, NULL, 10);
            *(status == 401   ? &outcome->unauthorized
              : status == 429 ? &outcome->limited
                              : &outcome->other) += 1;
            count--;
            at = next + 12;
        }
        kept = size - (size_t)(at - buffer); /* the beginning of a first line, perhaps */
        kept = kept < 16 ? kept : 16;
        memmove(buffer, buffer + size - kept, kept);
    }
}

static void guess(int fd, int64_t number, struct outcome *outcome)
{
    TEXT(batch) = must_strdup("");
    for (int i = 0; i < BATCH; i++) {
        TEXT(more) = must_printf("%sPOST /api/worker/claim HTTP/1.1\r\nHost: x\r\n"
                                 "X-Worker-API-Key: guess-%lld-of-a-key-with-43-characters\r\n"
                                 "Content-Length: 0\r\n\r\n",
                                 batch, (long long)(number * BATCH + i));
        free(batch);
        batch = steal_text(&more);
    }
    cr_assert(raw_send_text(fd, batch));
    read_answers(fd, BATCH, outcome);
}

static int call_with_key(const struct scene *scene, int host, const char *key)
{
    char answer[4096];
    int status = 0;
    TEXT(request) = must_printf("POST /api/worker/heartbeat HTTP/1.1\r\nHost: x\r\n"
                                "X-Worker-API-Key: %s\r\nConnection: close\r\n"
                                "Content-Length: 17\r\n\r\n{\"status\":\"idle\"}",
                                key);
    int fd = raw_connect(scene->rig, host);
    cr_assert(fd >= 0 && raw_send_text(fd, request));
    raw_read(fd, answer, sizeof answer, RAW_QUIET_MS);
    close(fd);
    cr_assert(sscanf(answer, "HTTP/1.1 %d", &status) == 1, "%s", answer);
    return status;
}

Test(attack_keys, a_flood_of_guesses_is_answered_429_and_hurts_nobody, .timeout = 3600)
{
    struct watch *watch;
    struct scene scene = watch_scene(&watch);
    struct outcome outcome = {0};
    int fds[GUESSERS];
    int64_t count = guesses() / GUESSERS / BATCH, started_ms = mono_ms();
    for (int i = 0; i < GUESSERS; i++)
        cr_assert((fds[i] = raw_connect(scene.rig, 2)) >= 0);
    for (int64_t round = 0; round < count; round++)
        for (int i = 0; i < GUESSERS; i++) {
            guess(fds[i], round * GUESSERS + i, &outcome);
            if (round % 50 == 25 && i == 0)
                cr_assert_eq(call_with_key(&scene, 2, scene.worker.key), 200,
                             "a good key from the guesser's address was refused");
        }
    int64_t took_ms = mono_ms() - started_ms;
    for (int i = 0; i < GUESSERS; i++)
        close(fds[i]);
    cr_log_info("%lld guesses in %lld ms: %lld times 401, %lld times 429",
                (long long)(outcome.unauthorized + outcome.limited), (long long)took_ms,
                (long long)outcome.unauthorized, (long long)outcome.limited);
    cr_expect_eq(outcome.other, 0);
    cr_expect_leq(outcome.unauthorized, FREE_GUESSES * (1 + took_ms / 60000 + 1));
    cr_expect_geq(outcome.unauthorized, FREE_GUESSES);
    cr_expect_eq(metric_of(scene.rig, "tailslate_rate_limited_total"), outcome.limited);

    cr_expect(log_wait(scene.rig->verifier->log,
                       "event=request.refusals_not_logged count=", RAW_QUIET_MS, NULL));
    cr_expect_geq(log_count(scene.rig->verifier->log, "event=auth.limited client=127.0.0.2"), 1);
    cr_expect_leq(log_count(scene.rig->verifier->log, "event=request.refused"),
                  LOGGED_PER_S * (took_ms / 1000 + 2));
    struct watch_report report = watch_end(watch);
    cr_expect_eq(report.failures, 0);
    cr_expect_leq(report.latency_max_ms, LATENCY_MAX_MS);
    cr_expect_leq(report.rss_max_kib - report.rss_before_kib, GROWTH_MAX_KIB);
    log_is_whole(scene.rig);
    rig_end(scene.rig);
}

/* Otherwise a guesser with many addresses would start again from each, again and again. */
Test(attack_keys, a_guesser_is_not_forgotten_for_a_crowd_of_others, .timeout = 300)
{
    enum { OTHERS = 3000 };
    struct watch *watch;
    struct scene scene = watch_scene(&watch);
    struct outcome outcome = {0};
    int fd = raw_connect(scene.rig, 2);
    for (int i = 0; i <= FREE_GUESSES / BATCH; i++)
        guess(fd, i, &outcome);
    cr_assert_gt(outcome.limited, 0);
    close(fd);
    int others_limited = 0;
    for (int i = 0; i < OTHERS; i++)
        others_limited += call_with_key(&scene, 256 + i, "a-guess-from-elsewhere") == 429;
    cr_expect_leq(others_limited, OTHERS / 100, "%d addresses share a place", others_limited);
    cr_expect_eq(call_with_key(&scene, 2, "one-more-guess"), 429);
    cr_expect_eq(call_with_key(&scene, 2, scene.worker.key), 200);
    struct watch_report report = watch_end(watch);
    cr_expect_eq(report.failures, 0);
    rig_end(scene.rig);
}
