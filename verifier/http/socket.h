/* socket: the listening socket. */
#ifndef VERIFIER_SOCKET_H
#define VERIFIER_SOCKET_H

#include "lib/error.h"

#include <stdint.h>

/* address: numeric IPv4 or IPv6. */
int socket_listen(const char *address, int64_t port, struct error *err);
int64_t socket_port(int fd);

#endif
