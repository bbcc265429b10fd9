/* connections: every open connection with the time at which it is cut, and how many one address may
 * have. libmicrohttpd's own timeout starts anew with every byte, so that a client which drips one
 * byte a minute would stay for ever.
 *
 * A connection on which nobody has shown a key yet is worth less than one on which somebody has:
 * once most places are taken, each that comes costs the oldest such stranger his. Who has a key
 * shows it within milliseconds, so that a flood from everywhere shortens the strangers' stay and
 * not theirs. The places above the mark are for those who are on their way out. */
#ifndef VERIFIER_CONNECTIONS_H
#define VERIFIER_CONNECTIONS_H

#include "verifier/base/address.h"

#include <stdint.h>

enum {
    CONNECTIONS_MAX = 512,
    CONNECTIONS_CROWDED = CONNECTIONS_MAX * 3 / 4,
};

struct connections;
struct connection;

struct connections *connections_new(int64_t address_max); /* of one address */
void connections_free(struct connections *connections);   /* none may be open */

/* May this address have one more? False is counted. True may cut a stranger to make room. */
bool connections_admit(struct connections *connections, const struct address *address,
                       bool is_unlimited);
struct connection *connections_add(struct connections *connections, const struct address *address,
                                   int fd, int64_t deadline_ms);
void connections_remove(struct connections *connections, struct connection *connection);
void connection_set_deadline(struct connections *connections, struct connection *connection,
                             int64_t deadline_ms);
/* Somebody has shown a good key on it. */
void connection_is_known(struct connections *connections, struct connection *connection);
/* Shut down those whose deadline is before now. Logs how many were not admitted since last time. */
void connections_cut(struct connections *connections, int64_t now_ms);

#endif
