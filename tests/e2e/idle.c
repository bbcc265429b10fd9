/* What an agent without work costs its server. */
#include "base/clock.h"
#include "lib/cleanup.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>

enum { TCP_ESTABLISHED = 1, LOOK_MS = 20 };

/* Connections to this port, seen from the side that opened them. */
static int count_connections(int port)
{
    char line[256];
    int count = 0;
    STREAM(file) = fopen("/proc/net/tcp", "re");
    cr_assert(file);
    while (fgets(line, sizeof line, file)) {
        unsigned remote, state;
        count += sscanf(line, " %*d: %*x:%*x %*x:%x %x", &remote, &state) == 2 &&
                 remote == (unsigned)port && state == TCP_ESTABLISHED;
    }
    return count;
}

/* The kernel announces nothing: looked at until a deadline. */
static int wait_for_connections(int port, int wanted)
{
    int64_t until_ms = mono_ms() + RIG_START_MS;
    int count;
    while ((count = count_connections(port)) != wanted && mono_ms() < until_ms)
        poll(NULL, 0, LOOK_MS);
    return count;
}

Test(idle, an_agent_without_work_holds_one_connection, .timeout = 120)
{
    struct rig *rig = rig_new();
    rig_agent_set(rig, "heartbeat.interval_seconds", "300");
    rig_agent_set(rig, "claim.wait_seconds", "60");
    rig_start_verifier(rig);
    rig_start_agent(rig);
    rig_expect(rig, "event=server.ok", RIG_START_MS, NULL); /* the answer to its heartbeat */
    int count = wait_for_connections(rig->port, 1);
    cr_expect_eq(count, 1, "%d, beside the long poll", count);
    rig_end(rig);
}
