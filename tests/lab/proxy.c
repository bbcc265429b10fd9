#include "proxy.h"

#include "base/clock.h"
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

enum { ARMED_MAX = 256, BACKLOG = 128, HOLD_MS = 1000, DRIPS_MAX = 200, DRIP_MS = 5 };

struct armed {
    struct lab_event event;
    int64_t left; /* calls that it still hits */
};

struct proxy {
    struct history *history;
    int nodes, verifiers, ports[LAB_VERIFIERS_MAX];
    int listeners[LAB_NODES_MAX], stop; /* stop: an eventfd */
    pthread_t acceptor;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    int connections;
    unsigned turn;
    struct armed armed[ARMED_MAX];
    size_t armed_count;
};

/* One call of a node, and what was done about it. */
struct exchange {
    struct proxy *proxy;
    int fd, node;
    struct wire_bytes request, answer;
    enum lab_call call;
    int64_t job;
    enum lab_fault fault; /* LAB_FAULT_COUNT: none */
    int64_t asked_us, answered_us;
    bool passed;
};

static void pause_for(const struct proxy *proxy, int ms)
{
    struct pollfd end = {.fd = proxy->stop, .events = POLLIN};
    poll(&end, 1, ms);
}

/* ---- what the call is ------------------------------------------------------------------------ */

static enum lab_call kind_of(const char *path, int64_t *job)
{
    static const struct {
        const char *form;
        enum lab_call call;
    } forms[] = {{"/complete", LAB_CALL_COMPLETE},
                 {"/fail", LAB_CALL_FAIL},
                 {"/progress", LAB_CALL_PROGRESS}};
    *job = 0;
    if (strncmp(path, "/api/worker/claim", 17) == 0)
        return LAB_CALL_CLAIM;
    if (strncmp(path, "/api/worker/heartbeat", 21) == 0)
        return LAB_CALL_HEARTBEAT;
    if (strncmp(path, "/api/worker/upload/", 19) == 0) {
        *job = strtoll(path + 19, NULL, 10);
        return LAB_CALL_UPLOAD;
    }
    if (strncmp(path, "/api/worker/", 12) != 0)
        return LAB_CALL_OTHER;
    *job = strtoll(path + 12, NULL, 10);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strncmp(path + 12 + strspn(path + 12, "0123456789"), forms[i].form,
                    strlen(forms[i].form)) == 0)
            return forms[i].call;
    return LAB_CALL_OTHER;
}

static void look_at(struct exchange *exchange)
{
    const char *path = strchr(exchange->request.data, ' ');
    exchange->call = kind_of(path ? path + 1 : "", &exchange->job);
    /* Only what writes: reading segments' status is no upload. */
    if (exchange->call == LAB_CALL_UPLOAD && strncmp(exchange->request.data, "POST", 4) != 0)
        exchange->call = LAB_CALL_OTHER;
}

static struct json *body_of(const struct wire_bytes *bytes)
{
    struct error ignored;
    const char *end = bytes->data ? strstr(bytes->data, "\r\n\r\n") : NULL;
    size_t size = end ? bytes->size - (size_t)(end + 4 - bytes->data) : 0;
    return size > 0 && size <= JSON_MAX_BYTES ? json_parse(end + 4, size, &ignored) : NULL;
}

static int status_of(const struct wire_bytes *answer)
{
    return answer->size > 12 && strncmp(answer->data, "HTTP/1.1 ", 9) == 0
               ? (int)strtol(answer->data + 9, NULL, 10)
               : 0;
}

static int64_t epoch_of(const struct wire_bytes *request)
{
    const char *header = strcasestr(request->data, "\r\nX-Claim-Epoch:");
    return header && header < request->data + request->head_size ? strtoll(header + 16, NULL, 10)
                                                                 : 0;
}

/* ---- what is written down -------------------------------------------------------------------- */

static void add_question(const struct exchange *exchange, struct json *line)
{
    const char *text = NULL;
    JSON(body) = exchange->call == LAB_CALL_UPLOAD ? NULL : body_of(&exchange->request);
    if (json_get_text(body, "completion_token", JSON_MAX_BYTES, &text) == JSON_FOUND)
        json_set_text(line, "token", text);
    const struct json *metadata = json_get(body, "metadata");
    if (metadata && json_get(metadata, "jobs"))
        json_set(line, "jobs", json_copy(json_get(metadata, "jobs")));
}

/* A claim that waited in vain is no news. */
static bool is_news(const struct exchange *exchange, const struct json *answer)
{
    return exchange->call != LAB_CALL_OTHER &&
           (exchange->call != LAB_CALL_CLAIM || !answer || json_get(answer, "job_id"));
}

static void write_down(const struct exchange *exchange)
{
    struct json *answer = body_of(&exchange->answer);
    if (!is_news(exchange, answer)) {
        json_free(answer);
        return;
    }
    struct json *line = history_line("call");
    json_set_text(line, "what", lab_call_name(exchange->call));
    json_set_int(line, "node", exchange->node);
    json_set_id(line, "job", exchange->job);
    json_set_id(line, "epoch", epoch_of(&exchange->request));
    add_question(exchange, line);
    json_set_int(line, "status", status_of(&exchange->answer));
    json_set_int(line, "asked_us", exchange->asked_us);
    json_set_int(line, "answered_us", exchange->answered_us);
    json_set_text(line, "fault",
                  exchange->fault == LAB_FAULT_COUNT ? NULL : lab_fault_name(exchange->fault));
    json_set_bool(line, "passed", exchange->passed);
    json_set(line, "answer", answer);
    history_write(exchange->proxy->history, line);
}

/* ---- faults ---------------------------------------------------------------------------------- */

static bool fits(const struct armed *armed, int node, bool is_refusal, enum lab_call call)
{
    return armed->left > 0 && armed->event.target == node &&
           (armed->event.fault == LAB_REFUSE) == is_refusal &&
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

void proxy_heal(struct proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->armed_count = 0;
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

static void *ask_again(void *ctx)
{
    struct exchange *copy = ctx;
    ask_verifier(copy);
    return NULL;
}

/* The two run side by side; what the second one hears is thrown away, but written down. */
static void ask_twice(struct exchange *exchange)
{
    pthread_t thread;
    struct exchange copy = *exchange;
    must(pthread_create(&thread, NULL, ask_again, &copy) == 0);
    ask_verifier(exchange);
    pthread_join(thread, NULL);
    write_down(&copy);
    free(copy.answer.data);
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
    if (exchange->fault == LAB_DUPLICATE)
        ask_twice(exchange);
    else
        ask_verifier(exchange);
    exchange->passed = bring_back(exchange);
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
        look_at(exchange);
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

struct proxy *proxy_start(struct history *history, int nodes, const int verifier_ports[],
                          int verifiers)
{
    struct proxy *proxy = must_calloc(1, sizeof *proxy);
    proxy->history = history;
    proxy->nodes = nodes;
    proxy->verifiers = verifiers;
    memcpy(proxy->ports, verifier_ports, (size_t)verifiers * sizeof *verifier_ports);
    for (int i = 0; i < nodes; i++)
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
