#include "agent/daemon/health.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "lib/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

enum {
    CONNECTIONS_MAX = 16,
    CONNECTION_IDLE_S = 10,
    CONNECTION_MEMORY_BYTES = 16 * 1024,
};

struct health {
    const struct node *node;
    const struct claim *claim;
    struct MHD_Daemon *daemon;
    int fd;
};

#define GAUGE(variable, name, labels, help)                                                        \
    static struct metric variable = METRIC_GAUGE("tailslate_agent_" name, labels, help)
GAUGE(gauge_slots, "slots", "state=\"total\"", "Slots for transcodes.");
GAUGE(gauge_held, "slots", "state=\"held\"", "Slots for transcodes.");
GAUGE(gauge_disk, "disk_free_bytes", NULL, "Free space in state_dir.");
GAUGE(gauge_disk_limit, "disk_limit_bytes", NULL, "Free space below which nothing is claimed.");
GAUGE(gauge_disk_low, "disk_low", NULL, "1: free space is below the limit.");
GAUGE(gauge_server, "server_up", NULL, "1: the last heartbeat succeeded.");
GAUGE(gauge_asking, "asking", NULL, "1: the agent claims a job when a slot is free.");
GAUGE(gauge_drained, "drained", NULL, "1: drained by an operator.");
GAUGE(gauge_paused, "paused", NULL, "1: paused by an operator.");
GAUGE(gauge_faults, "node_failures_in_a_row", NULL,
      "Consecutive jobs that failed because of this node.");
GAUGE(gauge_undelivered, "undelivered", NULL, "Sealed reports that are not acknowledged yet.");
GAUGE(gauge_held_back, "undelivered_held", NULL, "Undelivered reports that need an operator.");
GAUGE(gauge_oldest, "oldest_undelivered_seconds", NULL,
      "Age of the oldest undelivered report; 0: none.");
#define RECORDS_METRIC(state)                                                                      \
    METRIC_GAUGE("tailslate_agent_records", "state=\"" state "\"", "Live records in the spool.")
static struct metric gauge_records[JOB_STATE_COUNT] = {
    [JOB_CLAIMED] = RECORDS_METRIC("claimed"),
    [JOB_TRANSCODED] = RECORDS_METRIC("transcoded"),
    [JOB_SEALED] = RECORDS_METRIC("sealed"),
    [JOB_REOPENED] = RECORDS_METRIC("reopened"),
    [JOB_FAILED] = RECORDS_METRIC("failed"),
    [JOB_LOST] = RECORDS_METRIC("lost"),
    [JOB_ACKNOWLEDGED] = RECORDS_METRIC("acknowledged"),
};

static void register_metrics(void)
{
    static struct metric *const gauges[] = {
        &gauge_slots,       &gauge_held,      &gauge_disk,    &gauge_disk_limit, &gauge_disk_low,
        &gauge_server,      &gauge_asking,    &gauge_drained, &gauge_paused,     &gauge_faults,
        &gauge_undelivered, &gauge_held_back, &gauge_oldest,
    };
    metrics_register_build_info();
    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++)
        metric_register(gauges[i]);
    for (size_t state = JOB_CLAIMED; state < JOB_STATE_COUNT; state++)
        metric_register(&gauge_records[state]);
}

static void set_queue(const struct node *node)
{
    int64_t oldest_us = 0, count = 0, held = 0;
    for (const struct live *live = node->roster.first; live; live = live->next) {
        if (job_need(live->state) != JOB_NEEDS_COURIER)
            continue;
        count++;
        held += live->delivery.is_held || live->is_on_hold;
        if (oldest_us == 0 || live->sealed_us < oldest_us)
            oldest_us = live->sealed_us;
    }
    int64_t age_us = oldest_us > 0 ? wall_us() - oldest_us : 0;
    metric_set(&gauge_undelivered, count);
    metric_set(&gauge_held_back, held);
    metric_set(&gauge_oldest, age_us > 0 ? age_us / 1000000 : 0);
}

static char *print_metrics(const struct node *node)
{
    const struct config *config = node->config;
    metric_set(&gauge_slots, config->node.slots);
    metric_set(&gauge_held, roster_slots_held(node));
    metric_set(&gauge_disk, node->admission.disk_free_bytes);
    metric_set(&gauge_disk_limit, admission_disk_limit_bytes(node));
    metric_set(&gauge_disk_low, admission_has(node, ADMISSION_DISK_LOW));
    metric_set(&gauge_server, node->server.state == SERVER_FINE);
    metric_set(&gauge_asking, !admission_block_reason(node, mono_ms()));
    metric_set(&gauge_drained, admission_has(node, ADMISSION_DRAINED));
    metric_set(&gauge_paused, admission_has(node, ADMISSION_PAUSED));
    metric_set(&gauge_faults, node->admission.faults);
    set_queue(node);
    for (enum job_state state = JOB_CLAIMED; state < JOB_STATE_COUNT; state++)
        metric_set(&gauge_records[state], roster_count_state(node, state));
    return metrics_print();
}

/* Ready, too, while there is no job or no free slot. */
static char *print_readiness(const struct claim *claim, unsigned *status)
{
    struct record_waiting found, waiting = {.reason = "the server has not answered yet"};
    const struct node *node = claim->node;
    int64_t now_ms = mono_ms();
    *status = MHD_HTTP_OK;
    if (!admission_block_reason(node, now_ms) && node->server.state == SERVER_FINE)
        return must_strdup("ready\n");
    *status = MHD_HTTP_SERVICE_UNAVAILABLE;
    if (waiting_of_node(claim, now_ms, &found))
        waiting = found;
    return must_printf("not ready: %s%s%s\n", waiting.reason, waiting.hint[0] ? "; " : "",
                       waiting.hint);
}

static char *print_page(const struct health *health, const char *url, unsigned *status)
{
    *status = MHD_HTTP_OK;
    if (strcmp(url, "/metrics") == 0)
        return print_metrics(health->node);
    if (strcmp(url, "/readyz") == 0)
        return print_readiness(health->claim, status);
    if (strcmp(url, "/healthz") == 0)
        return must_strdup("ok\n");
    *status = MHD_HTTP_NOT_FOUND;
    return must_strdup("available: /healthz, /readyz, /metrics\n");
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state)
{
    const struct health *health = ctx;
    (void)version;
    (void)data;
    (void)size;
    (void)state;
    unsigned status = MHD_HTTP_METHOD_NOT_ALLOWED;
    bool is_read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    char *page = is_read ? print_page(health, url, &status) : must_strdup("only GET is allowed\n");
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(page), page,
                                                                    MHD_RESPMEM_MUST_FREE);
    must(response);
    MHD_add_response_header(response, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    enum MHD_Result queued = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

static int parse_address(const char *text, uint16_t port, struct sockaddr_storage *address,
                         struct error *err)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return 0;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        return MHD_USE_IPv6;
    }
    return error_set(err, ERROR_PERMANENT, EINVAL, "health.address \"%s\" is not an IP address",
                     text);
}

static struct MHD_Daemon *start_daemon(struct health *health, struct error *err)
{
    const struct config *config = health->node->config;
    struct sockaddr_storage address;
    int family = parse_address(config->health.address, (uint16_t)config->health.port, &address,
                               err);
    if (family < 0)
        return NULL;
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL | (unsigned)family, (uint16_t)config->health.port, NULL, NULL, on_request,
        health, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_END);
    if (!daemon)
        error_errno(err, "cannot listen on health.address %s port %lld", config->health.address,
                    (long long)config->health.port);
    return daemon;
}

struct health *health_start(const struct claim *claim, bool *failed, struct error *err)
{
    const struct node *node = claim->node;
    *failed = false;
    if (node->config->health.port == 0)
        return NULL;
    struct health *health = must_calloc(1, sizeof *health);
    health->node = node;
    health->claim = claim;
    health->daemon = start_daemon(health, err);
    if (!health->daemon) {
        *failed = true;
        free(health);
        return NULL;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(health->daemon,
                                                           MHD_DAEMON_INFO_EPOLL_FD);
    must(info);
    health->fd = info->epoll_fd;
    register_metrics();
    return health;
}

void health_stop(struct health *health)
{
    if (health)
        MHD_stop_daemon(health->daemon);
    free(health);
}

int health_fd(const struct health *health)
{
    return health->fd;
}

void health_run(struct health *health)
{
    MHD_run(health->daemon);
}

int64_t health_due_ms(const struct health *health, int64_t now_ms)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    if (!health || MHD_get_timeout(health->daemon, &timeout_ms) != MHD_YES)
        return NODE_NEVER;
    return now_ms + (int64_t)timeout_ms;
}
