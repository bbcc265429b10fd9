#include "verifier/http/connections.h"

#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "verifier/base/counters.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct connection {
    int fd; /* borrowed; open as long as it is in the list */
    struct address address;
    int64_t deadline_ms;
    bool is_known, is_cut;
    struct connection *previous, *next;
};

struct connections {
    pthread_mutex_t lock;
    struct connection *first;
    int64_t address_max, count;
    int64_t refused; /* since the last cut */
    struct address last_refused;
};

struct connections *connections_new(int64_t address_max)
{
    struct connections *connections = must_calloc(1, sizeof *connections);
    connections->address_max = address_max;
    must(pthread_mutex_init(&connections->lock, NULL) == 0);
    return connections;
}

void connections_free(struct connections *connections)
{
    must(!connections->first);
    pthread_mutex_destroy(&connections->lock);
    free(connections);
}

void connections_set_address_max(struct connections *connections, int64_t address_max)
{
    pthread_mutex_lock(&connections->lock);
    connections->address_max = address_max;
    pthread_mutex_unlock(&connections->lock);
}

/* Visits at most CONNECTIONS_MAX, and only when a connection arrives. */
static int64_t count_of(const struct connections *connections, const struct address *address)
{
    int64_t of_address = 0;
    for (const struct connection *at = connections->first; at; at = at->next)
        of_address += address_is_same(&at->address, address);
    return of_address;
}

static void cut(struct connection *connection)
{
    shutdown(connection->fd, SHUT_RDWR); /* its thread then closes it */
    connection->is_cut = true;
    count(COUNT_CONNECTIONS_CUT, 1);
}

/* The newest is first in the list. */
static void cut_oldest_unauthenticated(struct connections *connections)
{
    struct connection *oldest = NULL;
    for (struct connection *at = connections->first; at; at = at->next)
        if (!at->is_known && !at->is_cut)
            oldest = at;
    if (oldest)
        cut(oldest);
}

bool connections_admit(struct connections *connections, const struct address *address,
                       bool is_unlimited)
{
    pthread_mutex_lock(&connections->lock);
    bool may = is_unlimited || count_of(connections, address) < connections->address_max;
    if (!may) {
        connections->refused++;
        connections->last_refused = *address;
    } else if (connections->count >= CONNECTIONS_CROWDED) {
        cut_oldest_unauthenticated(connections);
    }
    pthread_mutex_unlock(&connections->lock);
    if (!may)
        count(COUNT_CONNECTIONS_REFUSED, 1);
    return may;
}

struct connection *connections_add(struct connections *connections, const struct address *address,
                                   int fd, int64_t deadline_ms)
{
    struct connection *connection = must_calloc(1, sizeof *connection);
    connection->fd = fd;
    connection->address = *address;
    connection->deadline_ms = deadline_ms;
    pthread_mutex_lock(&connections->lock);
    connection->next = connections->first;
    if (connection->next)
        connection->next->previous = connection;
    connections->first = connection;
    connections->count++;
    pthread_mutex_unlock(&connections->lock);
    count(COUNT_CONNECTIONS_OPEN, 1);
    return connection;
}

void connections_remove(struct connections *connections, struct connection *connection)
{
    pthread_mutex_lock(&connections->lock);
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        connections->first = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    connections->count--;
    pthread_mutex_unlock(&connections->lock);
    free(connection);
    count(COUNT_CONNECTIONS_OPEN, -1);
}

void connection_set_deadline(struct connections *connections, struct connection *connection,
                             int64_t deadline_ms)
{
    pthread_mutex_lock(&connections->lock);
    connection->deadline_ms = deadline_ms;
    pthread_mutex_unlock(&connections->lock);
}

void connection_is_known(struct connections *connections, struct connection *connection)
{
    pthread_mutex_lock(&connections->lock);
    connection->is_known = true;
    pthread_mutex_unlock(&connections->lock);
}

static void log_refused(int64_t refused, const struct address *last)
{
    char text[ADDRESS_TEXT_BYTES];
    address_format(last, text);
    log_warning("connections.refused", LOG_INT("count", refused), LOG_TEXT("last_client", text),
                LOG_TEXT("reason", "listen.connections_per_address"));
}

void connections_cut(struct connections *connections, int64_t now_ms)
{
    pthread_mutex_lock(&connections->lock);
    for (struct connection *at = connections->first; at; at = at->next)
        if (at->deadline_ms < now_ms && !at->is_cut)
            cut(at);
    int64_t refused = connections->refused;
    struct address last = connections->last_refused;
    connections->refused = 0;
    pthread_mutex_unlock(&connections->lock);
    if (refused > 0)
        log_refused(refused, &last);
}

enum { BACKLOG = 512 };

static int bind_to(const struct addrinfo *address, struct error *err)
{
    int yes = 1;
    FD(fd) = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_errno(err, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) != 0)
        return error_errno(err, "cannot listen");
    return steal_fd(&fd);
}

static int bind_at(const char *address, int64_t port, struct error *err)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char service[8];
    snprintf(service, sizeof service, "%d", (int)port);
    if (getaddrinfo(address, service, &hints, &found) != 0)
        return error_set(err, ERROR_PERMANENT, EINVAL, "listen.address \"%s\" is not an IP address",
                         address);
    int fd = bind_to(found, err);
    freeaddrinfo(found);
    return fd < 0 ? error_wrap(err, "%s port %d", address, (int)port) : fd;
}

int connections_probe(const char *address, int64_t port, struct error *err)
{
    FD(fd) = bind_at(address, port, err);
    return fd < 0 ? -1 : 0;
}

int connections_listen(const char *address, int64_t port, struct error *err)
{
    FD(fd) = bind_at(address, port, err);
    if (fd < 0)
        return -1;
    if (listen(fd, BACKLOG) == 0)
        return steal_fd(&fd);
    error_errno(err, "cannot listen");
    return error_wrap(err, "%s port %d", address, (int)port);
}

int64_t connections_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    socklen_t size = sizeof address;
    if (getsockname(fd, &address.any, &size) != 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}
