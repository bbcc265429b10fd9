/* Slow clients: those that send byte by byte or never read are disconnected, and no other client
 * notices. */
#include "base/clock.h"
#include "inspect.h"
#include "lib/error.h"
#include "media.h"
#include "raw.h"

#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DRIP_EVERY_MS = 100 };

/* ---- those who drip ---- */

enum { DRIPPERS = 600 };

struct dripper {
    int fd; /* -1: gone */
    const char *bytes;
    size_t at, size; /* the last byte is sent again and again */
};

static void drip(struct dripper *dripper)
{
    size_t at = dripper->at < dripper->size ? dripper->at : dripper->size - 1;
    dripper->at++;
    if (!raw_is_closed(dripper->fd) &&
        send(dripper->fd, dripper->bytes + at, 1, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
        return;
    close(dripper->fd);
    dripper->fd = -1;
}

static int drip_all(struct dripper *drippers, int count)
{
    int left = 0;
    for (int i = 0; i < count; i++) {
        if (drippers[i].fd >= 0)
            drip(&drippers[i]);
        left += drippers[i].fd >= 0;
    }
    poll(NULL, 0, DRIP_EVERY_MS);
    return left;
}

static const char slow_head[] =
    "GET /api/worker/1/verify-complete HTTP/1.1\r\nHost: x\r\nX-Slow: a";

static void connect_dripper(const struct rig *rig, struct dripper *dripper, int host)
{
    *dripper = (struct dripper){
        .fd = raw_connect(rig, host), .bytes = slow_head, .size = sizeof slow_head - 1};
}

static void close_all(struct dripper *drippers, int count)
{
    for (int i = 0; i < count; i++)
        if (drippers[i].fd >= 0)
            close(drippers[i].fd);
}

Test(attack_slow, one_address_with_600_slow_connections_gets_a_quarter, .timeout = 120)
{
    struct watch *watch;
    struct scene scene = watch_scene(&watch);
    static struct dripper drippers[DRIPPERS];
    int64_t open_max = 0;
    for (int i = 0; i < DRIPPERS; i++)
        connect_dripper(scene.rig, &drippers[i], 2);
    for (int round = 0; round < 30; round++) {
        drip_all(drippers, DRIPPERS);
        int64_t open = metric_of(scene.rig, "tailslate_connections");
        open_max = open > open_max ? open : open_max;
    }
    cr_expect_leq(open_max, 128 + 4, "%lld connections", (long long)open_max);
    cr_expect_geq(open_max, 64, "the attack was none: %lld", (long long)open_max);
    cr_expect_geq(metric_of(scene.rig, "tailslate_connections_refused_total"), DRIPPERS - 128 - 1);
    cr_expect(log_wait(scene.rig->verifier->log, "event=connections.refused last_client=127.0.0.2",
                       RAW_QUIET_MS, NULL));
    close_all(drippers, DRIPPERS);
    watch_end_well(&scene, watch);
}

Test(attack_slow, a_proxy_that_is_trusted_may_have_more, .timeout = 60)
{
    enum { CONNECTIONS = 200 };
    struct scene scene = {.rig = rig_new()};
    rig_verifier_set(scene.rig, "listen.trusted_proxy", "\"127.0.0.2\"");
    rig_start_verifier(scene.rig);
    static struct dripper drippers[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++)
        connect_dripper(scene.rig, &drippers[i], 2);
    for (int round = 0; round < 5; round++)
        cr_assert_eq(drip_all(drippers, CONNECTIONS), CONNECTIONS);
    close_all(drippers, CONNECTIONS);
    rig_end(scene.rig);
}

/* More than there are places for, and each that is cut comes again. */
Test(attack_slow, slow_connections_from_everywhere_push_out_each_other, .timeout = 120)
{
    struct watch *watch;
    struct scene scene = watch_scene(&watch);
    static struct dripper drippers[DRIPPERS];
    for (int i = 0; i < DRIPPERS; i++)
        connect_dripper(scene.rig, &drippers[i], 2 + i % 10);
    for (int round = 0; round < 60; round++) {
        drip_all(drippers, DRIPPERS);
        for (int i = 0; i < DRIPPERS; i++)
            if (drippers[i].fd < 0)
                connect_dripper(scene.rig, &drippers[i], 2 + i % 10);
    }
    cr_expect_geq(metric_of(scene.rig, "tailslate_connections_cut_total"), 500);
    close_all(drippers, DRIPPERS);
    watch_end_well(&scene, watch);
}

/* Nobody without a key keeps a connection for longer than a minute, whatever it is that he drips.
 */
static const char *const slow_ways[] = {
    slow_head,
    "G",
    "POST /api/worker/upload/1/quality/360p HTTP/1.1\r\nHost: x\r\nContent-Length: "
    "1000000\r\n\r\naa",
    "POST /api/worker/1/complete HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
    "chunked\r\n\r\n1\r\na\r\n1",
    "POST /api/worker/1/complete HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    "1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\nfffff\r\na",
    "POST /api/worker/1/complete HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
    "Content-Length: 5000\r\nX-Worker-API-Key: guess\r\n\r\na",
    "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\na",
};
enum { SLOW_WAYS = sizeof slow_ways / sizeof *slow_ways };

Test(attack_slow, who_drips_without_a_key_is_cut_within_a_minute, .timeout = 180)
{
    struct watch *watch;
    struct scene scene = watch_scene(&watch);
    struct dripper drippers[SLOW_WAYS];
    for (int i = 0; i < SLOW_WAYS; i++) {
        drippers[i] = (struct dripper){
            .fd = raw_connect(scene.rig, 2), .bytes = slow_ways[i], .size = strlen(slow_ways[i])};
        /* All but the last byte at once. */
        cr_assert(raw_send(drippers[i].fd, slow_ways[i], drippers[i].size - 1));
        drippers[i].at = drippers[i].size;
    }
    int64_t started_ms = mono_ms();
    while (drip_all(drippers, SLOW_WAYS) > 0)
        cr_assert_lt(mono_ms() - started_ms, 60 * 1000, "some drip on: %d %d %d %d %d %d %d",
                     drippers[0].fd, drippers[1].fd, drippers[2].fd, drippers[3].fd, drippers[4].fd,
                     drippers[5].fd, drippers[6].fd);
    cr_log_info("all cut after %lld ms", (long long)(mono_ms() - started_ms));
    watch_end_well(&scene, watch);
}

/* ---- those who never read ---- */

/* It asks and asks and reads nothing: what is not sent is bounded by one answer. */
Test(attack_slow, clients_that_never_read_their_answers_are_cut, .timeout = 180)
{
    enum { CLIENTS = 20 };
    struct watch *watch;
    struct scene scene = watch_scene(&watch);
    int fds[CLIENTS], left = CLIENTS, small = 4096;
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = raw_connect(scene.rig, 2);
        setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    }
    static const char ask[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    int64_t started_ms = mono_ms();
    while (left > 0) {
        cr_assert_lt(mono_ms() - started_ms, 100 * 1000, "%d are still served", left);
        for (int i = 0; i < CLIENTS; i++) {
            struct pollfd end = {.fd = fds[i], .events = POLLRDHUP};
            if (fds[i] < 0)
                continue;
            send(fds[i], ask, sizeof ask - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (poll(&end, 1, 0) == 1) {
                close(fds[i]);
                fds[i] = -1;
                left--;
            }
        }
        poll(NULL, 0, DRIP_EVERY_MS);
    }
    watch_end_well(&scene, watch);
}
