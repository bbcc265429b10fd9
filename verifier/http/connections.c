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
#include <sys/resource.h>
#include <sys/socket.h>

/* In which list it is. The newest is first in each. */
enum standing { UNKNOWN, KNOWN, CUT, STANDINGS };

struct connection {
    int fd; /* borrowed; open as long as it is in a list */
    struct place *place;
    int64_t deadline_ms;
    enum standing standing;
    struct connection *previous, *next;
};

/* How many there are of an address. */
struct place {
    struct address address;
    int64_t count;
    struct place *next;
};

struct list {
    struct connection *first, *last;
    int64_t count;
};

enum { BUCKETS = 4096 };

struct connections {
    pthread_mutex_t lock;
    struct list lists[STANDINGS];
    struct place *places[BUCKETS];
    int64_t max, address_max;
    int64_t refused; /* since the last cut */
    struct address last_refused;
};

struct connections *connections_new(int64_t max, int64_t address_max)
{
    struct connections *connections = must_calloc(1, sizeof *connections);
    connections->max = max;
    connections->address_max = address_max;
    must(pthread_mutex_init(&connections->lock, NULL) == 0);
    return connections;
}

static int64_t count_all(const struct connections *connections)
{
    int64_t count = 0;
    for (int i = 0; i < STANDINGS; i++)
        count += connections->lists[i].count;
    return count;
}

void connections_free(struct connections *connections)
{
    must(count_all(connections) == 0);
    pthread_mutex_destroy(&connections->lock);
    free(connections);
}

void connections_set_address_max(struct connections *connections, int64_t address_max)
{
    pthread_mutex_lock(&connections->lock);
    connections->address_max = address_max;
    pthread_mutex_unlock(&connections->lock);
}

static int64_t crowd_of(const struct connections *connections)
{
    return connections->max * 3 / 4;
}

/* ---- addresses ---- */

/* Where the place of this address is, or would be. FNV-1a: whoever makes many share a bucket makes
 * as many connections. */
static struct place **find_place(struct connections *connections, const struct address *address)
{
    uint32_t hash = 2166136261u;
    for (int i = 0; i < ADDRESS_BYTES; i++)
        hash = (hash ^ address->bytes[i]) * 16777619u;
    struct place **at = &connections->places[hash % BUCKETS];
    while (*at && !address_is_same(&(*at)->address, address))
        at = &(*at)->next;
    return at;
}

static struct place *enter_place(struct connections *connections, const struct address *address)
{
    struct place **at = find_place(connections, address);
    if (!*at) {
        *at = must_calloc(1, sizeof **at);
        (*at)->address = *address;
    }
    (*at)->count++;
    return *at;
}

static void leave_place(struct connections *connections, struct place *place)
{
    struct place **at = find_place(connections, &place->address);
    if (--place->count > 0)
        return;
    *at = place->next;
    free(place);
}

/* ---- lists ---- */

static void append(struct connections *connections, struct connection *connection,
                   enum standing standing)
{
    struct list *list = &connections->lists[standing];
    connection->standing = standing;
    connection->previous = NULL;
    connection->next = list->first;
    if (list->first)
        list->first->previous = connection;
    else
        list->last = connection;
    list->first = connection;
    list->count++;
}

static void detach(struct connections *connections, struct connection *connection)
{
    struct list *list = &connections->lists[connection->standing];
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        list->first = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    else
        list->last = connection->previous;
    list->count--;
}

static void move(struct connections *connections, struct connection *connection,
                 enum standing standing)
{
    detach(connections, connection);
    append(connections, connection, standing);
}

/* Its event thread then closes it, or, if it is with the pool, whoever looks next. */
static void cut(struct connections *connections, struct connection *connection)
{
    shutdown(connection->fd, SHUT_RDWR);
    move(connections, connection, CUT);
    count(COUNT_CONNECTIONS_CUT, 1);
}

/* ---- what is called ---- */

bool connections_admit(struct connections *connections, const struct address *address,
                       bool is_unlimited)
{
    pthread_mutex_lock(&connections->lock);
    const struct place *place = *find_place(connections, address);
    bool may = is_unlimited || !place || place->count < connections->address_max;
    struct connection *oldest = connections->lists[UNKNOWN].last;
    if (!may) {
        connections->refused++;
        connections->last_refused = *address;
    } else if (oldest && count_all(connections) >= crowd_of(connections)) {
        cut(connections, oldest);
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
    connection->deadline_ms = deadline_ms;
    pthread_mutex_lock(&connections->lock);
    connection->place = enter_place(connections, address);
    append(connections, connection, UNKNOWN);
    pthread_mutex_unlock(&connections->lock);
    count(COUNT_CONNECTIONS_OPEN, 1);
    return connection;
}

void connections_remove(struct connections *connections, struct connection *connection)
{
    pthread_mutex_lock(&connections->lock);
    detach(connections, connection);
    leave_place(connections, connection->place);
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
    if (connection->standing == UNKNOWN)
        move(connections, connection, KNOWN);
    pthread_mutex_unlock(&connections->lock);
}

enum occupancy connections_occupancy(struct connections *connections)
{
    pthread_mutex_lock(&connections->lock);
    int64_t known = connections->lists[KNOWN].count;
    enum occupancy occupancy = known > crowd_of(connections)  ? OCCUPANCY_FULL
                               : known > connections->max / 2 ? OCCUPANCY_HALF
                                                              : OCCUPANCY_LOW;
    pthread_mutex_unlock(&connections->lock);
    return occupancy;
}

static void log_refused(int64_t refused, const struct address *last)
{
    char text[ADDRESS_TEXT_BYTES];
    address_format(last, text);
    log_warning("connections.refused", LOG_INT("count", refused), LOG_TEXT("last_client", text),
                LOG_TEXT("reason", "listen.connections_per_address"));
}

static void cut_late(struct connections *connections, enum standing standing, int64_t now_ms)
{
    for (struct connection *next, *at = connections->lists[standing].first; at; at = next) {
        next = at->next;
        if (at->deadline_ms < now_ms)
            cut(connections, at);
    }
}

void connections_cut(struct connections *connections, int64_t now_ms)
{
    pthread_mutex_lock(&connections->lock);
    cut_late(connections, UNKNOWN, now_ms);
    cut_late(connections, KNOWN, now_ms);
    int64_t refused = connections->refused;
    struct address last = connections->last_refused;
    connections->refused = 0;
    pthread_mutex_unlock(&connections->lock);
    if (refused > 0)
        log_refused(refused, &last);
}

/* ---- descriptors ---- */

int64_t connections_raise_limit(int64_t wanted)
{
    struct rlimit limit;
    must(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    must(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    int64_t files = limit.rlim_cur > INT32_MAX ? INT32_MAX : (int64_t)limit.rlim_cur;
    return files * 3 / 4 < wanted ? files * 3 / 4 : wanted;
}

/* ---- the listening socket ---- */

enum { BACKLOG = 4096 };

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
