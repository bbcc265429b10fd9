/* connections: every open connection with the time at which it is cut. libmicrohttpd's own timeout
 * starts anew with every byte, so that a client which drips one byte a minute would stay for ever.
 */
#ifndef VERIFIER_CONNECTIONS_H
#define VERIFIER_CONNECTIONS_H

#include <stdint.h>

struct connections;
struct connection;

struct connections *connections_new(void);
void connections_free(struct connections *connections); /* none may be open */

struct connection *connections_add(struct connections *connections, int fd, int64_t deadline_ms);
void connections_remove(struct connections *connections, struct connection *connection);
void connection_set_deadline(struct connections *connections, struct connection *connection,
                             int64_t deadline_ms);
/* Shut down those whose deadline is before now. */
void connections_cut(struct connections *connections, int64_t now_ms);

#endif
