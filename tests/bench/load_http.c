#include "load_http.h"

#include "lib/cleanup.h"
#include "lib/error.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

bool http_server_parse(const char *url, struct http_server *server)
{
    return sscanf(url, "http://%63[^:/]:%7[0-9]", server->host, server->port) == 2;
}

void http_client_init(struct http_client *client, const struct http_server *servers,
                      const char *key)
{
    client->servers = servers;
    client->key = key;
    for (int i = 0; i < SERVERS_MAX; i++)
        client->fds[i] = -1;
}

static void hang_up(struct http_client *client, int server)
{
    if (client->fds[server] >= 0)
        close(client->fds[server]);
    client->fds[server] = -1;
}

void http_client_fini(struct http_client *client)
{
    for (int i = 0; i < SERVERS_MAX; i++)
        hang_up(client, i);
}

static bool dial(struct http_client *client, int server)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    struct timeval wait = {.tv_sec = HTTP_WAIT_S};
    int yes = 1;
    if (getaddrinfo(client->servers[server].host, client->servers[server].port, &hints, &found))
        return false;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_up = fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0;
    freeaddrinfo(found);
    if (!is_up) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    client->fds[server] = fd;
    return true;
}

static bool send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data += sent;
        size -= (size_t)sent;
    }
    return true;
}

static bool send_request(struct http_client *client, int server, const char *path,
                         const char *headers, const void *body, size_t size)
{
    TEXT(head) = must_printf("%s %s HTTP/1.1\r\nHost: %s\r\nX-Worker-API-Key: %s\r\n"
                             "Content-Length: %zu\r\n%s\r\n",
                             body ? "POST" : "GET", path, client->servers[server].host, client->key,
                             size, headers);
    size_t length = strlen(head);
    TEXT(whole) = must_malloc(length + size + 1);
    memcpy(whole, head, length);
    if (size > 0)
        memcpy(whole + length, body, size);
    return send_all(client->fds[server], whole, length + size);
}

static const char *value_of(const char *head, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, length) == 0 && line[2 + length] == ':')
            return line + 3 + length + strspn(line + 3 + length, " ");
    return NULL;
}

/* Head and body, whole; the body is moved to the front. */
static bool read_answer(struct http_client *client, int server)
{
    char *buffer = client->answer;
    size_t used = 0, wanted = HTTP_ANSWER_BYTES;
    const char *end = NULL;
    while (used < wanted) {
        if (used == HTTP_ANSWER_BYTES - 1)
            return false;
        ssize_t got = recv(client->fds[server], buffer + used, HTTP_ANSWER_BYTES - 1 - used, 0);
        if (got <= 0)
            return false;
        used += (size_t)got;
        buffer[used] = '\0';
        if (end)
            continue;
        end = strstr(buffer, "\r\n\r\n");
        if (!end)
            continue;
        const char *length = value_of(buffer, "Content-Length");
        if (!length || sscanf(buffer, "HTTP/1.1 %d", &client->status) != 1)
            return false;
        wanted = (size_t)(end + 4 - buffer) + (size_t)strtoull(length, NULL, 10);
    }
    if (!end)
        return false;
    const char *connection = value_of(buffer, "Connection");
    bool ends = connection && strncasecmp(connection, "close", 5) == 0;
    memmove(buffer, end + 4, used - (size_t)(end + 4 - buffer) + 1);
    if (ends)
        hang_up(client, server);
    return true;
}

enum http_result http_call(struct http_client *client, int server, const char *path,
                           const char *headers, const void *body, size_t size)
{
    if (client->fds[server] < 0 && !dial(client, server))
        return HTTP_REFUSED;
    if (send_request(client, server, path, headers, body, size) && read_answer(client, server))
        return HTTP_DONE;
    hang_up(client, server);
    return HTTP_RESET;
}
