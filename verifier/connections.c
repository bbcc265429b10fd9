#include "connections.h"

#include "tailslate/error.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

struct connection {
    int fd; /* borrowed; open as long as it is in the list */
    int64_t deadline_ms;
    struct connection *previous, *next;
};

struct connections {
    pthread_mutex_t lock;
    struct connection *first;
};

struct connections *connections_new(void)
{
    struct connections *connections = must_calloc(1, sizeof *connections);
    must(pthread_mutex_init(&connections->lock, NULL) == 0);
    return connections;
}

void connections_free(struct connections *connections)
{
    must(!connections->first);
    pthread_mutex_destroy(&connections->lock);
    free(connections);
}

struct connection *connections_add(struct connections *connections, int fd, int64_t deadline_ms)
{
    struct connection *connection = must_calloc(1, sizeof *connection);
    connection->fd = fd;
    connection->deadline_ms = deadline_ms;
    pthread_mutex_lock(&connections->lock);
    connection->next = connections->first;
    if (connection->next)
        connection->next->previous = connection;
    connections->first = connection;
    pthread_mutex_unlock(&connections->lock);
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
    pthread_mutex_unlock(&connections->lock);
    free(connection);
}

void connection_set_deadline(struct connections *connections, struct connection *connection,
                             int64_t deadline_ms)
{
    pthread_mutex_lock(&connections->lock);
    connection->deadline_ms = deadline_ms;
    pthread_mutex_unlock(&connections->lock);
}

void connections_cut(struct connections *connections, int64_t now_ms)
{
    pthread_mutex_lock(&connections->lock);
    for (struct connection *at = connections->first; at; at = at->next)
        if (at->deadline_ms < now_ms)
            shutdown(at->fd, SHUT_RDWR); /* its thread sees the end and closes it */
    pthread_mutex_unlock(&connections->lock);
}
