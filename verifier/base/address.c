#include "verifier/base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { NETWORK_BYTES = 8, MAPPED_BYTES = 12 };

static const unsigned char mapped[MAPPED_BYTES] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static struct address of_v4(const struct in_addr *v4)
{
    struct address address = {{0}};
    memcpy(address.bytes, mapped, MAPPED_BYTES);
    memcpy(address.bytes + MAPPED_BYTES, v4, sizeof *v4);
    return address;
}

static bool is_v4(const unsigned char bytes[ADDRESS_BYTES])
{
    return memcmp(bytes, mapped, MAPPED_BYTES) == 0;
}

static struct address of_v6(const struct in6_addr *v6)
{
    struct address address = {{0}};
    memcpy(address.bytes, v6, is_v4(v6->s6_addr) ? ADDRESS_BYTES : NETWORK_BYTES);
    return address;
}

struct address address_of_socket(const struct sockaddr *socket)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (socket->sa_family == AF_INET6) {
        memcpy(&v6, socket, sizeof v6);
        return of_v6(&v6.sin6_addr);
    }
    if (socket->sa_family != AF_INET)
        return (struct address){{0}};
    memcpy(&v4, socket, sizeof v4);
    return of_v4(&v4.sin_addr);
}

struct address address_of_text(const char *text)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, text, &v4) == 1)
        return of_v4(&v4);
    return inet_pton(AF_INET6, text, &v6) == 1 ? of_v6(&v6) : (struct address){{0}};
}

bool address_is_same(const struct address *left, const struct address *right)
{
    return memcmp(left->bytes, right->bytes, ADDRESS_BYTES) == 0;
}

static bool parse_whole(const char *text, struct address *whole)
{
    struct in_addr v4;
    bool is_v4_text = inet_pton(AF_INET, text, &v4) == 1;
    if (is_v4_text)
        *whole = of_v4(&v4);
    return is_v4_text || inet_pton(AF_INET6, text, whole->bytes) == 1;
}

bool address_is_text(const char *text)
{
    struct address whole;
    return parse_whole(text, &whole);
}

bool address_is_one_host(const char *left, const char *right)
{
    struct address one, other;
    return parse_whole(left, &one) && parse_whole(right, &other) && address_is_same(&one, &other);
}

void address_format(const struct address *address, char text[ADDRESS_TEXT_BYTES])
{
    bool v4 = is_v4(address->bytes);
    char number[INET6_ADDRSTRLEN];
    inet_ntop(v4 ? AF_INET : AF_INET6, address->bytes + (v4 ? MAPPED_BYTES : 0), number,
              sizeof number);
    snprintf(text, ADDRESS_TEXT_BYTES, v4 ? "%s" : "%s/64", number);
}
