/* address: a client address for limits. An IPv4 address counts by itself, IPv6 by its /64, because
 * the owner of one address of such a network has all 2^64. IPv4-mapped IPv6 is IPv4. Pure. */
#ifndef VERIFIER_ADDRESS_H
#define VERIFIER_ADDRESS_H

#include <stdbool.h>

enum { ADDRESS_BYTES = 16, ADDRESS_TEXT_BYTES = 64 };

struct address {
    unsigned char bytes[ADDRESS_BYTES];
};

struct sockaddr;
struct address address_of_socket(const struct sockaddr *socket);
/* "192.0.2.1", "2001:db8::1"; all other strings (from a proxy) are one address. */
struct address address_of_text(const char *text);
bool address_is_same(const struct address *left, const struct address *right);
bool address_is_text(const char *text); /* an IPv4 or IPv6 address */
/* The same host, not only the same network. */
bool address_is_one_host(const char *left, const char *right);
/* "192.0.2.1", "2001:db8:0:1::/64" */
void address_format(const struct address *address, char text[ADDRESS_TEXT_BYTES]);

#endif
