/* connect: what server.* and retry.* of the configuration mean for calls to the server.
 *
 * The key is read from its file when a client is made, and again when the server has refused it: a
 * key that was rotated in its file is taken up without a restart. Refuses a key file that others
 * can read. The secret's copies are wiped; it never reaches a log or an error. */
#ifndef AGENT_CONNECT_H
#define AGENT_CONNECT_H

#include "agent/api/http.h"
#include "agent/base/config.h"

#include "tailslate/backoff.h"

/* Owned: http_client_free. NULL (err filled): the key file or the URL is wrong. */
struct http_client *connect_client(const struct config *config, struct error *err);
/* For calls from now on. 1: the file holds another key than before; 0: the same; -1: unreadable,
 * the client goes on with the key that it has. */
int connect_renew_key(const struct config *config, struct http_client *client, struct error *err);

struct tailslate_backoff connect_backoff(const struct config *config);

/* Of the calls by which the server sees that we live, heartbeat and progress: no patience that it
 * asks for silences them for longer than CONNECT_LIFE_CAP_MS, or it would give our jobs away. */
enum { CONNECT_LIFE_CAP_MS = 60 * 1000 };
int64_t connect_life_delay_ms(struct tailslate_backoff policy, unsigned attempt,
                              int64_t retry_after_ms, uint64_t random);

#endif
