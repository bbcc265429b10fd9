/* connect: builds the HTTP client for server.* and retry.* of the configuration.
 *
 * Reads the key from its file when the client is created, and again after the server has refused
 * it, so that a key rotated in its file is used without a restart. Refuses a key file that others
 * can read. Copies of the secret are wiped; the key never reaches a log or an error message. */
#ifndef AGENT_CONNECT_H
#define AGENT_CONNECT_H

#include "agent/api/http.h"
#include "agent/base/config.h"

#include "tailslate/backoff.h"

/* Owned by the caller (http_client_free). NULL (err filled): the key file or the URL is invalid. */
struct http_client *connect_client(const struct config *config, struct error *err);
/* For requests that start from now on. 1: the file holds a different key; 0: the same key; -1: the
 * file cannot be read, and the client keeps its key. */
int connect_renew_key(const struct config *config, struct http_client *client, struct error *err);

struct tailslate_backoff connect_backoff(const struct config *config);

/* For heartbeat and progress, which tell the server that we are alive: a Retry-After delays them by
 * CONNECT_LIFE_CAP_MS at most, because the server would otherwise give our jobs away. */
enum { CONNECT_LIFE_CAP_MS = 60 * 1000 };
int64_t connect_life_delay_ms(struct tailslate_backoff policy, unsigned attempt,
                              int64_t retry_after_ms, uint64_t random);

#endif
