#include "few_lines.h"

#include "lib/cleanup.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool wait_for(const struct server *server, int fd)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = server->stop[0], .events = POLLIN}};
    return poll(fds, 2, PATIENCE_MS) > 0 && fds[1].revents == 0;
}

static bool is_whole(const struct server *server)
{
    const char *end = strstr(server->request, "\r\n\r\n");
    return end && server->request_size - (size_t)(end + 4 - server->request) >= server->body;
}

static void answer(struct server *server, int fd)
{
    server->request_size = 0;
    memset(server->request, 0, sizeof server->request);
    while (!is_whole(server) && wait_for(server, fd)) {
        ssize_t got = read(fd, server->request + server->request_size,
                           sizeof server->request - 1 - server->request_size);
        if (got <= 0)
            return;
        server->request_size += (size_t)got;
    }
    for (size_t sent = 0; sent < server->reply_size;) {
        ssize_t wrote = send(fd, server->reply + sent, server->reply_size - sent, MSG_NOSIGNAL);
        if (wrote <= 0)
            return;
        sent += (size_t)wrote;
    }
    if (server->hangs)
        wait_for(server, server->stop[0]);
}

static void *serve(void *ctx)
{
    struct server *server = ctx;
    while (wait_for(server, server->listener)) {
        FD(fd) = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            break;
        server->connections++;
        answer(server, fd);
        shutdown(fd, SHUT_WR);
    }
    return NULL;
}

struct server *server_start(const char *reply)
{
    struct server *server = must_calloc(1, sizeof *server);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server->reply = reply;
    server->reply_size = strlen(reply);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(pipe2(server->stop, O_CLOEXEC), 0);
    cr_assert_eq(bind(server->listener, (struct sockaddr *)&address, size), 0);
    cr_assert_eq(listen(server->listener, 8), 0);
    cr_assert_eq(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
    snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    return server;
}

struct http_client *server_connect(struct server *server)
{
    struct error err;
    cr_assert_eq(http_global_init(&err), 0);
    cr_assert_eq(pthread_create(&server->thread, NULL, serve, server), 0);
    struct http_settings settings = {.url = server->url, .api_key = "the-key"};
    struct http_client *client = http_client_new(&settings, &err);
    cr_assert(client, "%s", err.message);
    return client;
}

void server_end(struct server *server, struct http_client *client)
{
    http_client_free(client);
    close(server->stop[1]);
    pthread_join(server->thread, NULL);
    close(server->stop[0]);
    close(server->listener);
    free(server);
}

struct http_request server_get(void)
{
    struct http_request request = http_get("/api/worker/x");
    request.deadline_ms = PATIENCE_MS;
    return request;
}

struct http_answer server_once(const char *reply)
{
    struct server *server = server_start(reply);
    struct http_client *client = server_connect(server);
    struct http_request request = server_get();
    struct http_answer answer = {0};
    http_perform(client, &request, &answer);
    server_end(server, client);
    return answer;
}
