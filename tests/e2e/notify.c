/* What the agent tells a service manager: the socket is ours, the protocol is sd_notify(3). */
#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { TOLD_MS = 30 * 1000, MESSAGE_BYTES = 1024 };

static int manager(struct rig *rig, bool is_abstract)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    TEXT(path) = must_printf("%s%s/notify", is_abstract ? "@" : "", rig->dir);
    cr_assert_lt(strlen(path), sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path));
    if (is_abstract)
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    rig_set_env(rig, "NOTIFY_SOCKET", path);
    return fd;
}

/* Waits for a message that begins so; others are passed over. */
static void expect(int fd, const char *wanted, char message[MESSAGE_BYTES])
{
    int64_t until_ms = mono_ms() + TOLD_MS;
    for (;;) {
        struct pollfd told = {.fd = fd, .events = POLLIN};
        int64_t left_ms = until_ms - mono_ms();
        cr_assert(left_ms > 0 && poll(&told, 1, (int)left_ms) == 1, "no %s", wanted);
        ssize_t got = recv(fd, message, MESSAGE_BYTES - 1, 0);
        cr_assert_gt(got, 0);
        message[got] = '\0';
        if (strncmp(message, wanted, strlen(wanted)) == 0)
            return;
    }
}

Test(notify, ready_reload_and_stop_are_told, .timeout = 120)
{
    char message[MESSAGE_BYTES];
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    FD(fd) = manager(rig, false);
    rig_start_agent(rig);
    expect(fd, "READY=1", message);
    expect(fd, "STATUS=0 of 1 slots in use, 0 to be delivered, server fine", message);
    int64_t before_us = mono_ms() * 1000, at_us = 0;
    process_signal(rig->agent, SIGHUP);
    expect(fd, "RELOADING=1\nMONOTONIC_USEC=", message);
    cr_assert_eq(sscanf(strchr(message, '\n'), "\nMONOTONIC_USEC=%" SCNd64, &at_us), 1);
    cr_assert(at_us >= before_us && at_us <= (mono_ms() + 1) * 1000, "%s", message);
    expect(fd, "READY=1", message);
    process_signal(rig->agent, SIGTERM);
    expect(fd, "STOPPING=1", message);
    rig_end(rig);
}

Test(notify, the_watchdog_is_fed_while_no_server_answers, .timeout = 120)
{
    char message[MESSAGE_BYTES];
    struct rig *rig = rig_new();
    FD(fd) = manager(rig, true);
    rig_set_env(rig, "WATCHDOG_USEC", "1000000");
    rig_start_agent(rig); /* no verifier: nobody answers */
    expect(fd, "WATCHDOG=1", message);
    int64_t first_ms = mono_ms();
    for (int i = 0; i < 6; i++)
        expect(fd, "WATCHDOG=1", message);
    cr_assert_geq(mono_ms() - first_ms, 2000, "it is fed too often");
    cr_assert_leq(mono_ms() - first_ms, 6000, "the manager would have killed it");
    rig_end(rig);
}

Test(notify, another_process_s_watchdog_is_not_fed, .timeout = 120)
{
    char message[MESSAGE_BYTES];
    struct rig *rig = rig_new();
    FD(fd) = manager(rig, false);
    rig_set_env(rig, "WATCHDOG_USEC", "100000");
    rig_set_env(rig, "WATCHDOG_PID", "1");
    rig_start_verifier(rig);
    rig_start_agent(rig);
    expect(fd, "STATUS=0 of 1 slots in use, 0 to be delivered, server fine", message);
    while (recv(fd, message, sizeof message, MSG_DONTWAIT) > 0)
        cr_assert(strncmp(message, "WATCHDOG", 8) != 0);
    rig_end(rig);
}

Test(notify, the_verifier_tells_that_it_serves_reloads_and_stops)
{
    char message[MESSAGE_BYTES];
    struct rig *rig = rig_new();
    FD(fd) = manager(rig, false);
    rig_start_verifier(rig);
    expect(fd, "READY=1", message);
    process_signal(rig->verifier, SIGHUP);
    expect(fd, "RELOADING=1\nMONOTONIC_USEC=", message);
    expect(fd, "READY=1", message);
    cr_expect_eq(rig_stop_verifier(rig), 0);
    expect(fd, "STOPPING=1", message);
    rig_end(rig);
}
