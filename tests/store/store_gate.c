#include "store_gate.h"

#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/uuid.h"
#include "redis.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* One for the whole run: each test is a process of its own. */
static struct redis *server;

static const char *kind(void)
{
    const char *kind = getenv("TAILSLATE_TEST_GATE");
    return kind ? kind : "none";
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
    (void)tests;
    if (strcmp(kind(), "redis") != 0)
        return;
    server = redis_start(NULL);
    TEXT(url) = redis_url(server);
    setenv("TAILSLATE_TEST_REDIS", url, 1);
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    (void)stats;
    if (server)
        redis_stop(server);
}

static char *open_redis(void)
{
    const char *url = getenv("TAILSLATE_TEST_REDIS");
    cr_assert(url, "no Redis was started");
    return must_strdup(url);
}

static char *open_failing(struct store_gate *gate)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    gate->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(gate->listener, (struct sockaddr *)&address, size), 0);
    cr_assert_eq(listen(gate->listener, 8), 0);
    cr_assert_eq(getsockname(gate->listener, (struct sockaddr *)&address, &size), 0);
    return must_printf("redis://127.0.0.1:%d", ntohs(address.sin_port));
}

void store_gate_open(struct store_gate *gate)
{
    bool is_failing = strcmp(kind(), "failing") == 0;
    *gate = (struct store_gate){.listener = -1};
    if (strcmp(kind(), "none") == 0)
        return;
    char nonce[TAILSLATE_UUID_BYTES];
    struct error err;
    uuid_make_v4(nonce);
    TEXT(prefix) = must_printf("%s:", nonce);
    TEXT(url) = is_failing ? open_failing(gate) : open_redis();
    log_configure("error", "text");
    cr_assert_eq(gate_open(url, NULL, prefix, &gate->gate, &err), 0, "%s", err.message);
    if (!is_failing)
        cr_assert_eq(gate_ping(gate->gate, &err), 0, "%s", err.message);
}

void store_gate_close(struct store_gate *gate)
{
    if (!gate->gate)
        return;
    gate_close(gate->gate);
    if (gate->listener >= 0)
        close(gate->listener);
}
