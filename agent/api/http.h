/* http: one attempt, one answer. The only module of the agent that uses libcurl.
 *
 * Knows nothing about jobs and retries nothing. Enforces its own deadline for each attempt
 * (CURLOPT_TIMEOUT_MS overshot by the poll timeout: 31 s instead of 1 s), does not follow
 * redirects, limits body sizes, and sends the key in a header that is never logged. A request can
 * be started on the agent's event loop with a callback, or performed synchronously in a step. */
#ifndef AGENT_HTTP_H
#define AGENT_HTTP_H

#include "agent/api/http_message.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    HTTP_ANSWER_MAX_BYTES = 256 * 1024,
    HTTP_CONNECT_MS = 10 * 1000,
};

struct http_client; /* one server: its URL, key, TLS files; a connection pool */

struct http_settings {
    const char *url;                            /* http(s)://host[:port][/prefix] */
    const char *api_key;                        /* sent as X-Worker-API-Key */
    const char *ca_file, *cert_file, *key_file; /* "" = unset */
};

int http_global_init(
    struct error *err); /* call before any thread starts and after signals are blocked */
struct http_client *http_client_new(const struct http_settings *settings, struct error *err);
/* For requests that start from now on. False: this key is already in use. */
bool http_client_set_key(struct http_client *client, const char *api_key);
void http_client_free(struct http_client *client); /* cancels running requests, without callbacks */

/* On an event loop. The callback owns nothing and must copy what it keeps. It may start and cancel
 * other requests but must not free the client. It is called once, and never from http_start. */
typedef void http_done(void *ctx, const struct http_answer *answer);
struct http_call;
struct http_call *http_start(struct http_client *client, const struct http_request *request,
                             http_done *done, void *ctx);
void http_cancel(struct http_call *call); /* no callback */

/* Poll: waits at most timeout_ms for transfers or for the extra descriptors (their revents are
 * filled in) and runs callbacks. The loop waits nowhere else. Returns how many extra descriptors
 * are ready. */
enum { HTTP_WAIT_FDS_MAX = 8 }; /* more descriptors fit behind one epoll descriptor */
struct http_wait_fd {
    int fd;
    short events, revents; /* POLLIN, POLLOUT */
};
int http_wait(struct http_client *client, struct http_wait_fd *extra, unsigned count,
              int64_t timeout_ms);

#endif
