/* connections: the listening socket; the open connections with their deadlines, and the limit for
 * each address. libmicrohttpd's own timeout restarts with every byte, so a client that sends one
 * byte a minute could stay for ever.
 *
 * Authenticated connections have priority. When three quarters of the places are in use, each new
 * connection cuts the oldest unauthenticated one. A client with a key sends it within milliseconds,
 * so a flood from many addresses cuts unauthenticated clients and not nodes. The rest is for
 * connections that are being closed, and for those that come while authenticated ones alone take
 * three quarters (connections_occupancy). */
#ifndef VERIFIER_CONNECTIONS_H
#define VERIFIER_CONNECTIONS_H

#include "lib/error.h"
#include "verifier/base/address.h"

#include <stdint.h>

struct connections;
struct connection;

struct connections *connections_new(int64_t max, int64_t address_max); /* of one address */
void connections_free(struct connections *connections);                /* none may be open */
void connections_set_address_max(struct connections *connections, int64_t address_max);

/* True: this address may have one more connection. Counts refusals; may cut an unauthenticated
 * connection to make space. */
bool connections_admit(struct connections *connections, const struct address *address,
                       bool is_unlimited);
struct connection *connections_add(struct connections *connections, const struct address *address,
                                   int fd, int64_t deadline_ms);
void connections_remove(struct connections *connections, struct connection *connection);
void connection_set_deadline(struct connections *connections, struct connection *connection,
                             int64_t deadline_ms);
/* A request on it had a valid key. */
void connection_is_known(struct connections *connections, struct connection *connection);
/* How many places authenticated ones take. An idle node polls on one connection and needs a second
 * one for a moment, for each heartbeat. */
enum occupancy {
    OCCUPANCY_LOW,
    OCCUPANCY_HALF, /* half the places are taken: a connection that rests is soon closed */
    OCCUPANCY_FULL, /* three quarters: none is kept open, and no request waits */
};
enum occupancy connections_occupancy(struct connections *connections);
/* Shuts down connections past their deadline. Logs how many were refused since the last call. */
void connections_cut(struct connections *connections, int64_t now_ms);

/* Raises this process's limit of open files as far as it may, of which three quarters are for
 * connections. Returns how many of the wanted ones it allows. */
int64_t connections_raise_limit(int64_t wanted);
/* The socket to listen on. address: numeric IPv4 or IPv6. */
int connections_listen(const char *address, int64_t port, struct error *err);
/* Could it listen there now? Nobody can connect meanwhile. */
int connections_probe(const char *address, int64_t port, struct error *err);
int64_t connections_port(int fd);

#endif
