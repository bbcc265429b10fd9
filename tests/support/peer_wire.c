#include "peer_wire.h"

#include "lib/cleanup.h"
#include "lib/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024 };

/* Append what is there to read. False: the end, or a breach. */
static bool read_more(int fd, struct wire_bytes *bytes)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    if (bytes->size > WIRE_MESSAGE_MAX_BYTES || poll(&readable, 1, WIRE_IDLE_MS) <= 0)
        return false;
    bytes->data = must_realloc(bytes->data, bytes->size + READ_BYTES + 1);
    ssize_t got = read(fd, bytes->data + bytes->size, READ_BYTES);
    if (got > 0)
        bytes->size += (size_t)got;
    bytes->data[bytes->size] = '\0';
    return got > 0;
}

static const char *header_value(const struct wire_bytes *bytes, const char *name)
{
    size_t name_size = strlen(name);
    for (const char *at = bytes->data; (at = strstr(at, "\r\n")) != NULL;) {
        at += 2;
        if ((size_t)(at - bytes->data) >= bytes->head_size)
            break;
        if (strncasecmp(at, name, name_size) == 0 && at[name_size] == ':')
            return at + name_size + 1 + strspn(at + name_size + 1, " ");
    }
    return NULL;
}

/* Replace the chunked body by its plain bytes. */
static bool read_chunks(int fd, struct wire_bytes *request)
{
    size_t at = request->head_size, out = request->head_size;
    for (;;) {
        char *line_end;
        while ((line_end = strstr(request->data + at, "\r\n")) == NULL)
            if (!read_more(fd, request))
                return false;
        size_t size = strtoul(request->data + at, NULL, 16);
        size_t begin = (size_t)(line_end - request->data) + 2;
        while (request->size < begin + size + 2)
            if (!read_more(fd, request))
                return false;
        memmove(request->data + out, request->data + begin, size);
        out += size;
        at = begin + size + 2;
        if (size == 0)
            break;
    }
    request->size = out;
    request->data[out] = '\0';
    return true;
}

bool wire_read_request(int fd, struct wire_bytes *request)
{
    const char *end;
    request->data = must_strdup("");
    while ((end = strstr(request->data, "\r\n\r\n")) == NULL)
        if (!read_more(fd, request))
            return false;
    request->head_size = (size_t)(end - request->data) + 4;
    const char *expect = header_value(request, "Expect");
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (expect && !wire_send(fd, go_on, sizeof go_on - 1))
        return false;
    const char *encoding = header_value(request, "Transfer-Encoding");
    if (encoding && strncasecmp(encoding, "chunked", 7) == 0)
        return read_chunks(fd, request);
    const char *length = header_value(request, "Content-Length");
    size_t wanted = length ? strtoul(length, NULL, 10) : 0;
    while (request->size < request->head_size + wanted)
        if (!read_more(fd, request))
            return false;
    return true;
}

bool wire_send(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        data += sent;
        size -= (size_t)sent;
    }
    return true;
}

/* The head again, without what is said of this connection only. */
static char *forwarded_head(const struct wire_bytes *request)
{
    char *head = must_calloc(1, request->head_size + 128);
    size_t used = 0;
    const char *line = request->data, *end;
    while ((end = strstr(line, "\r\n")) != NULL && end != line) {
        bool is_hop = strncasecmp(line, "Connection:", 11) == 0 ||
                      strncasecmp(line, "Expect:", 7) == 0 ||
                      strncasecmp(line, "Content-Length:", 15) == 0 ||
                      strncasecmp(line, "Transfer-Encoding:", 18) == 0;
        if (!is_hop) {
            memcpy(head + used, line, (size_t)(end - line) + 2);
            used += (size_t)(end - line) + 2;
        }
        line = end + 2;
    }
    size_t body_size = request->size - request->head_size;
    bool is_get = strncmp(request->data, "GET ", 4) == 0;
    if (body_size > 0 || !is_get)
        used += (size_t)snprintf(head + used, 64, "Content-Length: %zu\r\n", body_size);
    snprintf(head + used, 32, "Connection: close\r\n\r\n");
    return head;
}

/* False: the client has gone first. */
static bool wait_for_answer(int fd, int client)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = client, .events = POLLRDHUP}};
    return poll(fds, 2, WIRE_IDLE_MS) > 0 && fds[1].revents == 0;
}

bool wire_forward(int port, const struct wire_bytes *request, struct wire_bytes *answer, int client)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    FD(fd) = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        return false;
    TEXT(head) = forwarded_head(request);
    if (!wire_send(fd, head, strlen(head)) ||
        !wire_send(fd, request->data + request->head_size, request->size - request->head_size))
        return false;
    answer->data = must_strdup("");
    while (wait_for_answer(fd, client) && read_more(fd, answer))
        ;
    return answer->size > 0;
}

void wire_reset(int fd)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}
