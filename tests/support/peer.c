#include "peer.h"

#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "peer_wire.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fnmatch.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_LOST "first-lost"

struct rule {
    char pattern[256];
    const char *rest; /* of the script: what has not been played */
    char *script;
    char last[PEER_ACTION_BYTES];
};

struct peer {
    int listener, port;
    int stop, release; /* eventfds: readable once the peer ends, once peer_release was called */
    pthread_t acceptor;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* on CLOCK_MONOTONIC */
    int upstream_port, connections;
    struct rule rules[PEER_RULES_MAX];
    int rule_count;
    struct peer_request *requests[PEER_REQUESTS_MAX];
    int request_count;
    peer_asked *asked; /* set before the first request */
    void *asked_ctx;
};

static bool fits(const struct peer_request *request, const char *pattern)
{
    char text[sizeof request->method + sizeof request->path];
    snprintf(text, sizeof text, "%s %s", request->method, request->path);
    return fnmatch(pattern, text, 0) == 0;
}

static bool is_first(const struct peer *peer, const struct peer_request *request)
{
    for (int i = 0; i < peer->request_count; i++)
        if (strcmp(peer->requests[i]->method, request->method) == 0 &&
            strcmp(peer->requests[i]->path, request->path) == 0)
            return false;
    return true;
}

/* The next action of a script, or what comes after its end. */
static void play(struct peer *peer, struct rule *rule, char action[PEER_ACTION_BYTES])
{
    rule->rest += strspn(rule->rest, " ;");
    if (*rule->rest) {
        size_t size = strcspn(rule->rest, ";");
        snprintf(rule->last, sizeof rule->last, "%.*s", (int)size, rule->rest);
        rule->rest += size;
    } else if (peer->upstream_port && strcmp(rule->last, FIRST_LOST) != 0) {
        snprintf(rule->last, sizeof rule->last, "pass");
    }
    memcpy(action, rule->last, PEER_ACTION_BYTES);
}

static void record(struct peer *peer, struct peer_request *request)
{
    pthread_mutex_lock(&peer->lock);
    /* The newest rule first, so that a test can change its mind. */
    snprintf(request->action, sizeof request->action, peer->upstream_port ? "pass" : "404");
    for (int i = peer->rule_count - 1; i >= 0; i--) {
        if (fits(request, peer->rules[i].pattern)) {
            play(peer, &peer->rules[i], request->action);
            break;
        }
    }
    if (strcmp(request->action, FIRST_LOST) == 0)
        snprintf(request->action, sizeof request->action,
                 is_first(peer, request) ? "lost" : "pass");
    must(peer->request_count < PEER_REQUESTS_MAX);
    peer->requests[peer->request_count++] = request;
    pthread_cond_broadcast(&peer->changed);
    pthread_mutex_unlock(&peer->lock);
}

static struct peer_request *parse(const struct wire_bytes *bytes)
{
    struct peer_request *request = must_calloc(1, sizeof *request);
    size_t method = strcspn(bytes->data, " ");
    snprintf(request->method, sizeof request->method, "%.*s", (int)method, bytes->data);
    const char *path = bytes->data + method + (bytes->data[method] == ' ');
    snprintf(request->path, sizeof request->path, "%.*s", (int)strcspn(path, " \r"), path);
    request->headers = must_printf("%.*s", (int)bytes->head_size, bytes->data);
    request->body_size = bytes->size - bytes->head_size;
    request->body = must_calloc(1, request->body_size + 1);
    memcpy(request->body, bytes->data + bytes->head_size, request->body_size);
    request->at_mono_ms = mono_ms();
    return request;
}

/* Hold the request; a stop ends it early. */
static void hold(struct peer *peer, const char *amount)
{
    char *unit;
    double value = strtod(amount, &unit);
    struct pollfd end = {.fd = peer->stop, .events = POLLIN};
    poll(&end, 1, (int)(strncmp(unit, "ms", 2) == 0 ? value : value * 1000));
}

static void hold_until_released(struct peer *peer)
{
    struct pollfd ends[] = {{.fd = peer->stop, .events = POLLIN},
                            {.fd = peer->release, .events = POLLIN}};
    poll(ends, 2, -1);
}

void peer_release(struct peer *peer)
{
    cr_assert_eq(eventfd_write(peer->release, 1), 0);
}

static void send_answer(int fd, int status, const char *type, const char *extra, const char *body,
                        size_t missing_bytes)
{
    TEXT(text) = must_printf("HTTP/1.1 %d Scripted\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
                             "Connection: close\r\n\r\n%s",
                             status, type, strlen(body) + missing_bytes, extra, body);
    wire_send(fd, text, strlen(text));
}

static char *acknowledgment(const struct peer_request *request)
{
    const char *token = strstr(request->body, "\"completion_token\":\"");
    token = token ? token + strlen("\"completion_token\":\"") : "";
    return must_printf("{\"status\":\"ok\",\"message\":\"Job completed successfully\","
                       "\"token\":\"%.*s\",\"job_id\":%ld,\"replayed\":false,\"late\":false,"
                       "\"completed_at\":\"2026-01-03T16:28:00.123456+00:00\"}",
                       (int)strcspn(token, "\""), token, strtol(token, NULL, 10));
}

/* "NNN [what it is]" */
static void answer_status(int fd, const struct peer_request *request)
{
    char *words;
    int status = (int)strtol(request->action, &words, 10);
    words += strspn(words, " ");
    const char *after = strstr(words, "retry-after="), *code = strstr(words, "code=");
    TEXT(extra) = after ? must_printf("Retry-After: %.*s\r\n", (int)strcspn(after + 12, " "),
                                      after + 12)
                        : must_strdup("");
    TEXT(body) = NULL;
    if (strcmp(words, "ack") == 0)
        body = acknowledgment(request);
    else if (strcmp(words, "stock-ack") == 0)
        body = must_strdup("{\"status\":\"ok\",\"message\":\"Job completed successfully\"}");
    else if (strcmp(words, "stock-already") == 0)
        body = must_strdup("{\"status\":\"ok\",\"message\":\"Job already completed\"}");
    else if (*words == '{')
        body = must_strdup(words);
    else if (code)
        body = must_printf("{\"type\":\"about:blank\",\"title\":\"Scripted\",\"status\":%d,"
                           "\"detail\":\"scripted\",\"code\":\"%.*s\"}",
                           status, (int)strcspn(code + 5, " "), code + 5);
    else
        body = must_strdup("{\"detail\":\"scripted\"}");
    const char *type = code ? "application/problem+json" : "application/json";
    send_answer(fd, status, type, extra, body, 0);
}

static bool starts_with(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

static void send_file(int fd, const char *path)
{
    char chunk[64 * 1024];
    size_t size;
    struct stat status;
    STREAM(file) = fopen(path, "re");
    must(file && fstat(fileno(file), &status) == 0);
    TEXT(head) = must_printf("HTTP/1.1 200 Scripted\r\nContent-Type: application/octet-stream\r\n"
                             "Content-Length: %lld\r\nConnection: close\r\n\r\n",
                             (long long)status.st_size);
    wire_send(fd, head, strlen(head));
    while ((size = fread(chunk, 1, sizeof chunk, file)) > 0)
        wire_send(fd, chunk, size);
}

static void send_chunked(int fd, const char *path)
{
    char chunk[16 * 1024];
    size_t size;
    STREAM(file) = fopen(path, "re");
    must(file);
    static const char head[] = "HTTP/1.1 200 Scripted\r\nContent-Type: application/octet-stream\r\n"
                               "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    bool is_heard = wire_send(fd, head, strlen(head));
    while (is_heard && (size = fread(chunk, 1, sizeof chunk, file)) > 0) {
        TEXT(line) = must_printf("%zx\r\n", size);
        is_heard = wire_send(fd, line, strlen(line)) && wire_send(fd, chunk, size) &&
                   wire_send(fd, "\r\n", 2);
    }
    if (is_heard)
        wire_send(fd, "0\r\n\r\n", 5);
}

static void answer_asked(const struct peer *peer, int fd, const struct peer_request *request)
{
    struct peer_request answered = *request;
    TEXT(said) = peer->asked(peer->asked_ctx, request);
    snprintf(answered.action, sizeof answered.action, "%s", said);
    answer_status(fd, &answered);
}

/* False: the action is no answer of our own. */
static bool answer_scripted(const struct peer *peer, int fd, const struct peer_request *request)
{
    const char *action = request->action;
    if (starts_with(action, "truncate"))
        send_answer(fd, 200, "application/json", "", "{\"status\":\"ok\",\"mess", 200);
    else if (starts_with(action, "html "))
        send_answer(fd, (int)strtol(action + 5, NULL, 10), "text/html", "",
                    "<html><body>Please log in to the network.</body></html>", 0);
    else if (starts_with(action, "file "))
        send_file(fd, action + 5);
    else if (starts_with(action, "chunked "))
        send_chunked(fd, action + 8);
    else if (starts_with(action, "redirect"))
        send_answer(fd, 302, "text/plain", "Location: http://127.0.0.1:9/\r\n", "", 0);
    else if (starts_with(action, "ask"))
        answer_asked(peer, fd, request);
    else if (*action >= '1' && *action <= '5')
        answer_status(fd, request);
    else
        return false;
    return true;
}

/* True: the answer came and was brought back. */
static bool pass_on(const struct peer *peer, int fd, const struct wire_bytes *bytes, bool is_lost)
{
    struct wire_bytes answer = {0};
    bool is_there = wire_forward(peer->upstream_port, bytes, &answer, -1);
    if (is_there && !is_lost)
        wire_send(fd, answer.data, answer.size);
    free(answer.data);
    return is_there && !is_lost;
}

/* True: fd is closed already. */
static bool act(struct peer *peer, int fd, const struct peer_request *request,
                const struct wire_bytes *bytes)
{
    const char *action = request->action;
    bool is_slow = starts_with(action, "slow "), is_held = starts_with(action, "held");
    if (is_slow || starts_with(action, "stall "))
        hold(peer, action + 5 + !is_slow);
    if (is_held)
        hold_until_released(peer);
    bool is_lost = starts_with(action, "lost");
    if (is_slow || is_held || is_lost || starts_with(action, "pass")) {
        if (pass_on(peer, fd, bytes, is_lost))
            return false;
    } else if (answer_scripted(peer, fd, request)) {
        return false;
    }
    wire_reset(fd);
    return true;
}

struct connection {
    struct peer *peer;
    int fd;
};

static void *serve(void *ctx)
{
    struct connection *connection = ctx;
    struct peer *peer = connection->peer;
    int fd = connection->fd;
    free(connection);
    struct wire_bytes bytes = {0};
    bool is_closed = false;
    if (wire_read_request(fd, &bytes)) {
        struct peer_request *request = parse(&bytes);
        record(peer, request);
        is_closed = act(peer, fd, request, &bytes);
    }
    free(bytes.data);
    if (!is_closed)
        close(fd);
    pthread_mutex_lock(&peer->lock);
    peer->connections--;
    pthread_cond_broadcast(&peer->changed);
    pthread_mutex_unlock(&peer->lock);
    return NULL;
}

static void *accept_all(void *ctx)
{
    struct peer *peer = ctx;
    struct pollfd ready[2] = {{.fd = peer->listener, .events = POLLIN},
                              {.fd = peer->stop, .events = POLLIN}};
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (;;) {
        poll(ready, 2, -1);
        if (ready[1].revents)
            break;
        int fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        struct connection *connection = must_malloc(sizeof *connection);
        *connection = (struct connection){peer, fd};
        pthread_mutex_lock(&peer->lock);
        peer->connections++;
        pthread_mutex_unlock(&peer->lock);
        pthread_t thread;
        must(pthread_create(&thread, &detached, serve, connection) == 0);
    }
    pthread_attr_destroy(&detached);
    return NULL;
}

struct peer *peer_start(void)
{
    struct peer *peer = must_calloc(1, sizeof *peer);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(bind(peer->listener, (struct sockaddr *)&address, size) == 0);
    cr_assert(listen(peer->listener, 128) == 0);
    cr_assert(getsockname(peer->listener, (struct sockaddr *)&address, &size) == 0);
    peer->port = ntohs(address.sin_port);
    peer->stop = eventfd(0, EFD_CLOEXEC);
    peer->release = eventfd(0, EFD_CLOEXEC);
    pthread_mutex_init(&peer->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&peer->changed, &monotonic);
    cr_assert(pthread_create(&peer->acceptor, NULL, accept_all, peer) == 0);
    return peer;
}

void peer_stop(struct peer *peer)
{
    if (!peer)
        return;
    eventfd_write(peer->stop, 1);
    pthread_join(peer->acceptor, NULL);
    shutdown(peer->listener, SHUT_RDWR);
    close(peer->listener);
    pthread_mutex_lock(&peer->lock);
    while (peer->connections > 0)
        pthread_cond_wait(&peer->changed, &peer->lock);
    pthread_mutex_unlock(&peer->lock);
    for (int i = 0; i < peer->request_count; i++) {
        free(peer->requests[i]->headers);
        free(peer->requests[i]->body);
        free(peer->requests[i]);
    }
    for (int i = 0; i < peer->rule_count; i++)
        free(peer->rules[i].script);
    close(peer->stop);
    close(peer->release);
    free(peer);
}

int peer_port(const struct peer *peer)
{
    return peer->port;
}

void peer_set_upstream(struct peer *peer, int port)
{
    pthread_mutex_lock(&peer->lock);
    peer->upstream_port = port;
    pthread_mutex_unlock(&peer->lock);
}

void peer_ask(struct peer *peer, peer_asked *asked, void *ctx)
{
    pthread_mutex_lock(&peer->lock);
    peer->asked = asked;
    peer->asked_ctx = ctx;
    pthread_mutex_unlock(&peer->lock);
}

void peer_script(struct peer *peer, const char *pattern, const char *script)
{
    pthread_mutex_lock(&peer->lock);
    must(peer->rule_count < PEER_RULES_MAX);
    struct rule *rule = &peer->rules[peer->rule_count++];
    snprintf(rule->pattern, sizeof rule->pattern, "%s", pattern);
    rule->script = must_strdup(script);
    rule->rest = rule->script;
    pthread_mutex_unlock(&peer->lock);
}

static const struct peer_request *find(const struct peer *peer, const char *pattern, int n)
{
    for (int i = 0; i < peer->request_count; i++)
        if (fits(peer->requests[i], pattern) && n-- == 0)
            return peer->requests[i];
    return NULL;
}

int peer_count(struct peer *peer, const char *pattern)
{
    int count = 0;
    pthread_mutex_lock(&peer->lock);
    for (int i = 0; i < peer->request_count; i++)
        count += fits(peer->requests[i], pattern);
    pthread_mutex_unlock(&peer->lock);
    return count;
}

const struct peer_request *peer_request(struct peer *peer, const char *pattern, int n)
{
    pthread_mutex_lock(&peer->lock);
    const struct peer_request *request = find(peer, pattern, n);
    pthread_mutex_unlock(&peer->lock);
    return request;
}

void peer_wait(struct peer *peer, const char *pattern, int n, int64_t timeout_ms)
{
    int64_t deadline_ms = mono_ms() + timeout_ms;
    struct timespec deadline = {.tv_sec = deadline_ms / 1000,
                                .tv_nsec = deadline_ms % 1000 * 1000000};
    pthread_mutex_lock(&peer->lock);
    int late = 0;
    while (!find(peer, pattern, n - 1) && late == 0)
        late = pthread_cond_timedwait(&peer->changed, &peer->lock, &deadline);
    pthread_mutex_unlock(&peer->lock);
    cr_assert(late == 0, "request %d of \"%s\" did not come within %d ms", n, pattern,
              (int)timeout_ms);
}

void peer_wait_more(struct peer *peer, const char *pattern, int more, int64_t timeout_ms)
{
    peer_wait(peer, pattern, peer_count(peer, pattern) + more, timeout_ms);
}
