#include "fault_proxy.h"

#include "lib/cleanup.h"
#include "lib/error.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINES_MAX = 128, CHUNK_BYTES = 65536 };

struct line {
    int client, server; /* -1: this place is free */
    bool is_doomed;     /* the server's next words are the answer that gets lost */
    bool is_asked;      /* the client spoke last */
};

struct fault_proxy {
    int listener, port, upstream_port, wake; /* wake: an eventfd, after every change */
    pthread_t thread;
    pthread_mutex_t lock;
    char words[64]; /* "": no cut is ordered */
    enum fault fault;
    bool refuses, refuses_after_cut, swallows, ends;
    int cuts, connections, round_trips;
    struct line lines[LINES_MAX];
};

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void hang_up(struct line *line)
{
    close(line->client);
    close(line->server);
    *line = (struct line){.client = -1, .server = -1};
}

static int dial(int port)
{
    struct sockaddr_in address = loopback(port);
    FD(fd) = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        return -1;
    return steal_fd(&fd);
}

static void accept_one(struct fault_proxy *proxy)
{
    FD(client) = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
    proxy->connections++;
    if (client < 0 || proxy->refuses)
        return;
    FD(server) = dial(proxy->upstream_port);
    if (server < 0)
        return;
    size_t i = 0;
    while (i < LINES_MAX && proxy->lines[i].client >= 0)
        i++;
    must(i < LINES_MAX);
    proxy->lines[i] = (struct line){.client = steal_fd(&client), .server = steal_fd(&server)};
}

static bool is_to_be_cut(const struct fault_proxy *proxy, const char *chunk, size_t size)
{
    /* With its zero: a COMMIT is meant, no READ COMMITTED. */
    return proxy->words[0] && memmem(chunk, size, proxy->words, strlen(proxy->words) + 1) != NULL;
}

static void count_cut(struct fault_proxy *proxy)
{
    proxy->words[0] = '\0';
    proxy->cuts++;
    proxy->refuses = proxy->refuses || proxy->refuses_after_cut;
    proxy->refuses_after_cut = false;
}

/* False: this line is over. */
static bool pass_on(struct fault_proxy *proxy, struct line *line, bool from_client)
{
    char chunk[CHUNK_BYTES];
    int from = from_client ? line->client : line->server;
    int to = from_client ? line->server : line->client;
    ssize_t size = recv(from, chunk, sizeof chunk, MSG_DONTWAIT);
    if (size < 0)
        return errno == EAGAIN || errno == EINTR;
    if (size == 0)
        return false;
    if (!from_client && line->is_doomed) {
        count_cut(proxy);
        return false;
    }
    if (from_client && is_to_be_cut(proxy, chunk, (size_t)size)) {
        if (proxy->fault == FAULT_NOT_PASSED) {
            count_cut(proxy);
            return false;
        }
        proxy->words[0] = '\0';
        line->is_doomed = true;
    }
    proxy->round_trips += from_client && !line->is_asked;
    line->is_asked = from_client;
    return send(to, chunk, (size_t)size, MSG_NOSIGNAL) == size;
}

static size_t list_sockets(const struct fault_proxy *proxy, struct pollfd *fds)
{
    fds[0] = (struct pollfd){.fd = proxy->wake, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
    for (size_t i = 0; i < LINES_MAX; i++) {
        short events = proxy->swallows ? 0 : POLLIN;
        int silent = proxy->swallows ? -1 : 0;
        fds[2 + 2 * i] = (struct pollfd){.fd = proxy->lines[i].client | silent, .events = events};
        fds[3 + 2 * i] = (struct pollfd){.fd = proxy->lines[i].server | silent, .events = events};
    }
    return 2 + 2 * LINES_MAX;
}

static void serve(struct fault_proxy *proxy, const struct pollfd *fds)
{
    uint64_t ignored;
    if (fds[0].revents)
        (void)!read(proxy->wake, &ignored, sizeof ignored);
    for (size_t i = 0; i < LINES_MAX; i++) {
        struct line *line = &proxy->lines[i];
        if (line->client >= 0 && fds[2 + 2 * i].revents && !pass_on(proxy, line, true))
            hang_up(line);
        if (line->client >= 0 && fds[3 + 2 * i].revents && !pass_on(proxy, line, false))
            hang_up(line);
    }
    if (fds[1].revents)
        accept_one(proxy);
}

static void *work(void *ctx)
{
    struct fault_proxy *proxy = ctx;
    struct pollfd fds[2 + 2 * LINES_MAX];
    for (;;) {
        pthread_mutex_lock(&proxy->lock);
        bool ends = proxy->ends;
        size_t count = list_sockets(proxy, fds);
        pthread_mutex_unlock(&proxy->lock);
        if (ends)
            return NULL;
        poll(fds, count, -1);
        pthread_mutex_lock(&proxy->lock);
        serve(proxy, fds);
        pthread_mutex_unlock(&proxy->lock);
    }
}

struct fault_proxy *fault_proxy_start(int upstream_port)
{
    struct fault_proxy *proxy = must_calloc(1, sizeof *proxy);
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    proxy->upstream_port = upstream_port;
    for (size_t i = 0; i < LINES_MAX; i++)
        proxy->lines[i] = (struct line){.client = -1, .server = -1};
    proxy->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert(bind(proxy->listener, (struct sockaddr *)&address, size) == 0);
    cr_assert(listen(proxy->listener, LINES_MAX) == 0);
    cr_assert(getsockname(proxy->listener, (struct sockaddr *)&address, &size) == 0);
    proxy->port = ntohs(address.sin_port);
    pthread_mutex_init(&proxy->lock, NULL);
    cr_assert(pthread_create(&proxy->thread, NULL, work, proxy) == 0);
    return proxy;
}

static void changed(struct fault_proxy *proxy)
{
    uint64_t one = 1;
    pthread_mutex_unlock(&proxy->lock);
    cr_assert(write(proxy->wake, &one, sizeof one) == sizeof one);
}

void fault_proxy_stop(struct fault_proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->ends = true;
    changed(proxy);
    pthread_join(proxy->thread, NULL);
    for (size_t i = 0; i < LINES_MAX; i++)
        if (proxy->lines[i].client >= 0)
            hang_up(&proxy->lines[i]);
    close(proxy->listener);
    close(proxy->wake);
    pthread_mutex_destroy(&proxy->lock);
    free(proxy);
}

int fault_proxy_port(const struct fault_proxy *proxy)
{
    return proxy->port;
}

void fault_proxy_cut(struct fault_proxy *proxy, const char *words, enum fault fault)
{
    pthread_mutex_lock(&proxy->lock);
    snprintf(proxy->words, sizeof proxy->words, "%s", words);
    proxy->fault = fault;
    changed(proxy);
}

void fault_proxy_refuse_after_cut(struct fault_proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->refuses_after_cut = true;
    changed(proxy);
}

void fault_proxy_refuse(struct fault_proxy *proxy, bool yes)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->refuses = yes;
    changed(proxy);
}

void fault_proxy_swallow(struct fault_proxy *proxy, bool yes)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->swallows = yes;
    changed(proxy);
}

int fault_proxy_cuts(struct fault_proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    int cuts = proxy->cuts;
    pthread_mutex_unlock(&proxy->lock);
    return cuts;
}

int fault_proxy_connections(struct fault_proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    int connections = proxy->connections;
    pthread_mutex_unlock(&proxy->lock);
    return connections;
}

int fault_proxy_round_trips(struct fault_proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    int round_trips = proxy->round_trips;
    pthread_mutex_unlock(&proxy->lock);
    return round_trips;
}
