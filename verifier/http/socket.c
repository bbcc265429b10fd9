#include "verifier/http/socket.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum { BACKLOG = 512 };

static int listen_on(const struct addrinfo *address, struct error *err)
{
    int yes = 1;
    FD(fd) = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_errno(err, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)
        return error_errno(err, "cannot listen");
    return steal_fd(&fd);
}

int socket_listen(const char *address, int64_t port, struct error *err)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char service[8];
    snprintf(service, sizeof service, "%d", (int)port);
    if (getaddrinfo(address, service, &hints, &found) != 0)
        return error_set(err, ERROR_PERMANENT, EINVAL, "listen.address \"%s\" is not an IP address",
                         address);
    int fd = listen_on(found, err);
    freeaddrinfo(found);
    return fd < 0 ? error_wrap(err, "%s port %d", address, (int)port) : fd;
}

int64_t socket_port(int fd)
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
