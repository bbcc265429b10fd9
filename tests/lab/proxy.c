#include "proxy.h"

#include "base/clock.h"
#include "exchange.h"
#include "forge.h"
#include "hold.h"
#include "lib/cleanup.h"
#include "peer_wire.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ARMED_MAX = 256, BACKLOG = 128, HOLD_MS = 400, DRIPS_MAX = 200, DRIP_MS = 5 };
enum { LATE_MS = 700, CROWD = 4, CROWD_MS = 200, KNOWN_MAX = 4096, SLUG_BYTES = 64 };

struct armed {
    struct lab_event event;
    int64_t left; /* calls that it still hits */
};

/* A job that was claimed. */
struct known {
    int64_t job;
    char slug[SLUG_BYTES];
    bool is_presented; /* some completion of it was */
};

struct proxy {
    struct history *history;
    const char *directory, *database;
    int nodes, verifiers, ports[LAB_VERIFIERS_MAX];
    int listeners[LAB_NODES_MAX], stop; /* stop: an eventfd */
    pthread_t acceptor;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    int connections;
    unsigned turn;
    struct armed armed[ARMED_MAX];
    size_t armed_count;
    struct known known[KNOWN_MAX];
    size_t known_count;
};

static void pause_for(const struct proxy *proxy, int ms)
{
    struct pollfd end = {.fd = proxy->stop, .events = POLLIN};
    poll(&end, 1, ms);
}

/* ---- what is known of the jobs --------------------------------------------------------------- */

static struct known *find_known(struct proxy *proxy, int64_t job)
{
    for (size_t i = 0; i < proxy->known_count; i++)
        if (proxy->known[i].job == job)
            return &proxy->known[i];
    return NULL;
}

static void learn(struct proxy *proxy, const struct json *answer)
{
    int64_t job = 0;
    const char *slug = "";
    json_get_int(answer, "job_id", 1, INT64_MAX, &job);
    json_get_text(answer, "video_slug", SLUG_BYTES - 1, &slug);
    pthread_mutex_lock(&proxy->lock);
    if (job > 0 && !find_known(proxy, job)) {
        must(proxy->known_count < KNOWN_MAX);
        struct known *known = &proxy->known[proxy->known_count++];
        known->job = job;
        snprintf(known->slug, sizeof known->slug, "%s", slug);
    }
    pthread_mutex_unlock(&proxy->lock);
}

static void write_down(const struct exchange *exchange)
{
    struct json *line = exchange_line(exchange);
    if (line && exchange->call == LAB_CALL_CLAIM)
        learn(exchange->proxy, json_get(line, "answer"));
    if (line)
        history_write(exchange->proxy->history, line);
}

/* ---- faults ---------------------------------------------------------------------------------- */

static bool fits(const struct armed *armed, int node, bool is_refusal, enum lab_call call)
{
    bool is_for_node = armed->event.target == node ||
                       lab_fault_target(armed->event.fault) == LAB_COMPLETION;
    return armed->left > 0 && is_for_node && (armed->event.fault == LAB_REFUSE) == is_refusal &&
           (is_refusal || armed->event.call == call);
}

static enum lab_fault take_fault(struct proxy *proxy, int node, bool is_refusal, enum lab_call call)
{
    enum lab_fault fault = LAB_FAULT_COUNT;
    pthread_mutex_lock(&proxy->lock);
    for (size_t i = 0; i < proxy->armed_count && fault == LAB_FAULT_COUNT; i++) {
        if (!fits(&proxy->armed[i], node, is_refusal, call))
            continue;
        proxy->armed[i].left--;
        fault = proxy->armed[i].event.fault;
    }
    pthread_mutex_unlock(&proxy->lock);
    return fault;
}

void proxy_arm(struct proxy *proxy, const struct lab_event *event)
{
    pthread_mutex_lock(&proxy->lock);
    size_t i = 0;
    while (i < proxy->armed_count && proxy->armed[i].left > 0)
        i++;
    must(i < ARMED_MAX);
    proxy->armed[i] = (struct armed){*event, event->amount};
    if (i == proxy->armed_count)
        proxy->armed_count++;
    pthread_mutex_unlock(&proxy->lock);
}

static bool hinders(enum lab_fault fault)
{
    return lab_fault_target(fault) != LAB_COMPLETION && fault != LAB_DUPLICATE && fault != LAB_LATE;
}

void proxy_heal(struct proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    for (size_t i = 0; i < proxy->armed_count; i++)
        if (hinders(proxy->armed[i].event.fault))
            proxy->armed[i].left = 0;
    pthread_mutex_unlock(&proxy->lock);
}

/* ---- one call -------------------------------------------------------------------------------- */

static void ask_verifier(struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;
    pthread_mutex_lock(&proxy->lock);
    int port = proxy->ports[proxy->turn++ % (unsigned)proxy->verifiers];
    pthread_mutex_unlock(&proxy->lock);
    exchange->asked_us = wall_us();
    wire_forward(port, &exchange->request, &exchange->answer, exchange->fd);
    exchange->answered_us = wall_us();
}

/* On its own: what it hears is thrown away, but written down. */
static void ask_and_drop(struct exchange *copy)
{
    ask_verifier(copy);
    write_down(copy);
    free(copy->answer.data);
}

static struct exchange copy_of(const struct exchange *exchange)
{
    struct exchange copy = *exchange;
    copy.answer = (struct wire_bytes){0};
    copy.passed = false;
    return copy;
}

static void *ask_again(void *ctx)
{
    ask_and_drop(ctx);
    return NULL;
}

/* The two run side by side. */
static void ask_both(struct exchange *exchange, struct exchange *copy)
{
    pthread_t thread;
    must(pthread_create(&thread, NULL, ask_again, copy) == 0);
    ask_verifier(exchange);
    pthread_join(thread, NULL);
}

static void ask_twice(struct exchange *exchange)
{
    struct exchange copy = copy_of(exchange);
    copy.is_forged = exchange->fault == LAB_SECOND_TOKEN &&
                     forge_second_token(&exchange->request, &copy.request);
    ask_both(exchange, &copy);
    if (copy.is_forged)
        free(copy.request.data);
}

/* All of them have looked before one of them can write. */
static void ask_in_crowd(struct exchange *exchange)
{
    pthread_t threads[CROWD];
    struct exchange copies[CROWD];
    TEXT(path) = must_printf("%s/verifier.db", exchange->proxy->directory);
    struct hold *hold = hold_rows(exchange->proxy->database, path);
    for (int i = 0; i < CROWD; i++) {
        copies[i] = copy_of(exchange);
        copies[i].is_forged = i % 2 && forge_second_token(&exchange->request, &copies[i].request);
        must(pthread_create(&threads[i], NULL, ask_again, &copies[i]) == 0);
    }
    pause_for(exchange->proxy, CROWD_MS);
    hold_end(hold);
    ask_verifier(exchange);
    for (int i = 0; i < CROWD; i++) {
        pthread_join(threads[i], NULL);
        if (copies[i].is_forged)
            free(copies[i].request.data);
    }
}

static void report_failure(const struct exchange *exchange)
{
    struct exchange copy = copy_of(exchange);
    if (exchange_status(&exchange->answer) != 200)
        return;
    forge_failure(&exchange->request, &copy.request);
    copy.call = LAB_CALL_FAIL;
    copy.is_forged = true;
    ask_and_drop(&copy);
    free(copy.request.data);
}

/* Only what was never presented before: afterwards nobody would look for the file. */
static void lose_file(const struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;
    pthread_mutex_lock(&proxy->lock);
    struct known *known = find_known(proxy, exchange->job);
    bool is_first = known && !known->is_presented && exchange_epoch(&exchange->request) == 1;
    if (known)
        known->is_presented = true;
    pthread_mutex_unlock(&proxy->lock);
    if (!is_first || exchange->fault != LAB_LOSE_FILE ||
        !forge_lost_file(proxy->directory, known->slug))
        return;
    struct json *line = history_line("lost");
    json_set_int(line, "job", exchange->job);
    history_write(proxy->history, line);
}

static bool drip(const struct exchange *exchange)
{
    const struct wire_bytes *answer = &exchange->answer;
    size_t drop = answer->size / DRIPS_MAX + 1;
    for (size_t at = 0; at < answer->size; at += drop) {
        size_t left = answer->size - at;
        if (!wire_send(exchange->fd, answer->data + at, left < drop ? left : drop))
            return false;
        pause_for(exchange->proxy, DRIP_MS);
    }
    return true;
}

static void say_html(int fd, const char *status)
{
    static const char page[] = "<html><body>Please log in to the network.</body></html>";
    TEXT(text) = must_printf("HTTP/1.1 %s\r\nContent-Type: text/html\r\nContent-Length: %zu\r\n"
                             "Connection: close\r\n\r\n%s",
                             status, sizeof page - 1, page);
    wire_send(fd, text, strlen(text));
}

/* True: the call is not for the verifier. */
static bool is_answered_here(const struct exchange *exchange)
{
    if (exchange->fault == LAB_BAD_GATEWAY)
        say_html(exchange->fd, "502 Bad Gateway");
    else if (exchange->fault == LAB_CAPTIVE)
        say_html(exchange->fd, "200 OK");
    return exchange->fault == LAB_BAD_GATEWAY || exchange->fault == LAB_CAPTIVE ||
           exchange->fault == LAB_RESET_BEFORE;
}

/* True: the node has heard all of the answer. */
static bool bring_back(const struct exchange *exchange)
{
    const struct wire_bytes *answer = &exchange->answer;
    if (exchange->fault == LAB_SWALLOW)
        pause_for(exchange->proxy, HOLD_MS);
    if (answer->size == 0 || exchange->fault == LAB_SWALLOW || exchange->fault == LAB_RESET_AFTER)
        return false;
    if (exchange->fault == LAB_DRIP)
        return drip(exchange);
    if (exchange->fault != LAB_CUT)
        return wire_send(exchange->fd, answer->data, answer->size);
    wire_send(exchange->fd, answer->data, answer->size / 2);
    return false;
}

static void carry_out(struct exchange *exchange)
{
    exchange->asked_us = exchange->answered_us = wall_us();
    if (is_answered_here(exchange))
        return;
    if (exchange->fault == LAB_DELAY)
        pause_for(exchange->proxy, HOLD_MS);
    if (exchange->call == LAB_CALL_COMPLETE)
        lose_file(exchange);
    if (exchange->fault == LAB_DUPLICATE || exchange->fault == LAB_SECOND_TOKEN)
        ask_twice(exchange);
    else if (exchange->fault == LAB_CROWD)
        ask_in_crowd(exchange);
    else
        ask_verifier(exchange);
    if (exchange->fault == LAB_FAIL_AFTER)
        report_failure(exchange);
    exchange->passed = bring_back(exchange);
}

/* An upload does not come again: what a later one replaced would be back. */
static void come_late(const struct exchange *exchange)
{
    struct exchange copy = copy_of(exchange);
    if (exchange->fault != LAB_LATE || exchange->call == LAB_CALL_UPLOAD)
        return;
    copy.fd = -1;
    pause_for(exchange->proxy, LATE_MS);
    ask_and_drop(&copy);
}

static void end_connection(struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;
    bool is_whole = exchange->passed || exchange->fault == LAB_BAD_GATEWAY ||
                    exchange->fault == LAB_CAPTIVE;
    if (is_whole)
        close(exchange->fd);
    else
        wire_reset(exchange->fd);
    come_late(exchange);
    free(exchange->request.data);
    free(exchange->answer.data);
    free(exchange);
    pthread_mutex_lock(&proxy->lock);
    proxy->connections--;
    pthread_cond_broadcast(&proxy->idle);
    pthread_mutex_unlock(&proxy->lock);
}

static void *serve(void *ctx)
{
    struct exchange *exchange = ctx;
    if (wire_read_request(exchange->fd, &exchange->request)) {
        exchange_look(exchange);
        exchange->fault = take_fault(exchange->proxy, exchange->node, false, exchange->call);
        carry_out(exchange);
        write_down(exchange);
    }
    end_connection(exchange);
    return NULL;
}

/* ---- all calls ------------------------------------------------------------------------------- */

static void accept_one(struct proxy *proxy, int node, const pthread_attr_t *detached)
{
    pthread_t thread;
    int fd = accept4(proxy->listeners[node], NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (take_fault(proxy, node, true, LAB_CALL_OTHER) == LAB_REFUSE) {
        wire_reset(fd);
        return;
    }
    struct exchange *exchange = must_calloc(1, sizeof *exchange);
    *exchange = (struct exchange){.proxy = proxy, .fd = fd, .node = node, .fault = LAB_FAULT_COUNT};
    pthread_mutex_lock(&proxy->lock);
    proxy->connections++;
    pthread_mutex_unlock(&proxy->lock);
    must(pthread_create(&thread, detached, serve, exchange) == 0);
}

static void *accept_all(void *ctx)
{
    struct proxy *proxy = ctx;
    struct pollfd ready[LAB_NODES_MAX + 1];
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (int i = 0; i <= proxy->nodes; i++)
        ready[i] = (struct pollfd){.fd = i < proxy->nodes ? proxy->listeners[i] : proxy->stop,
                                   .events = POLLIN};
    while (poll(ready, (nfds_t)proxy->nodes + 1, -1) >= 0 && !ready[proxy->nodes].revents)
        for (int i = 0; i < proxy->nodes; i++)
            if (ready[i].revents)
                accept_one(proxy, i, &detached);
    pthread_attr_destroy(&detached);
    return NULL;
}

static int listen_somewhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    must(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    must(listen(fd, BACKLOG) == 0);
    return fd;
}

struct proxy *proxy_start(struct history *history, const struct lab_plan *plan,
                          const int verifier_ports[], const char *directory, const char *database)
{
    struct proxy *proxy = must_calloc(1, sizeof *proxy);
    proxy->history = history;
    proxy->nodes = plan->nodes;
    proxy->verifiers = plan->verifiers;
    proxy->directory = directory;
    proxy->database = database;
    memcpy(proxy->ports, verifier_ports, (size_t)plan->verifiers * sizeof *verifier_ports);
    for (int i = 0; i < plan->nodes; i++)
        proxy->listeners[i] = listen_somewhere();
    proxy->stop = eventfd(0, EFD_CLOEXEC);
    pthread_mutex_init(&proxy->lock, NULL);
    pthread_cond_init(&proxy->idle, NULL);
    must(pthread_create(&proxy->acceptor, NULL, accept_all, proxy) == 0);
    return proxy;
}

int proxy_port(const struct proxy *proxy, int node)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    must(getsockname(proxy->listeners[node], (struct sockaddr *)&address, &size) == 0);
    return ntohs(address.sin_port);
}

void proxy_stop(struct proxy *proxy)
{
    must(eventfd_write(proxy->stop, 1) == 0);
    pthread_join(proxy->acceptor, NULL);
    for (int i = 0; i < proxy->nodes; i++)
        close(proxy->listeners[i]);
    pthread_mutex_lock(&proxy->lock);
    while (proxy->connections > 0)
        pthread_cond_wait(&proxy->idle, &proxy->lock);
    pthread_mutex_unlock(&proxy->lock);
    close(proxy->stop);
    pthread_mutex_destroy(&proxy->lock);
    pthread_cond_destroy(&proxy->idle);
    free(proxy);
}
