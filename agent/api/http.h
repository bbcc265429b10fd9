/* http: one attempt, one answer. The only module of the agent that uses libcurl.
 *
 * Knows nothing about jobs and retries nothing. Enforces its own deadline for each attempt
 * (CURLOPT_TIMEOUT_MS overshot by the poll timeout: 31 s instead of 1 s), does not follow
 * redirects, limits body sizes, and sends the key in a header that is never logged. A request can
 * be started on the agent's event loop with a callback, or performed synchronously in a step. */
#ifndef AGENT_HTTP_H
#define AGENT_HTTP_H

#include "base/message.h"
#include "lib/error.h"

#include "tailslate/answer.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    HTTP_ANSWER_MAX_BYTES = 256 * 1024,
    HTTP_HEADERS_MAX = 8,
    HTTP_CONNECT_MS = 10 * 1000,
    HTTP_CALL_MS = 30 * 1000, /* the deadline of an ordinary request */
};

struct http_client; /* one server: its URL, key, TLS files; a connection pool */

struct http_settings {
    const char *url;                            /* http(s)://host[:port][/prefix] */
    const char *api_key;                        /* sent as X-Worker-API-Key */
    const char *ca_file, *cert_file, *key_file; /* "" = unset */
};

/* http_start copies path, headers and text body, so the caller can free them when it returns.
 * Descriptors and whatever sink_ctx points at are borrowed until the request is done or cancelled.
 */
struct http_request {
    const char *method;  /* "GET", "POST" */
    const char *path;    /* "/api/worker/claim?wait=30", already escaped (http_escape) */
    int64_t deadline_ms; /* total, from the start; 0 = HTTP_CALL_MS */
    int64_t stall_ms;    /* longest time without a transferred byte; 0 = only the deadline counts */
    const char *headers[HTTP_HEADERS_MAX]; /* "Name: value", NULL-terminated */
    int64_t claim_epoch;                   /* >= 0: sent as X-Claim-Epoch */
    /* At most one kind of body: text (JSON), or a file descriptor read from offset 0 (sent as raw
     * octets, or as the multipart field `file` if multipart_name is set). */
    const char *body;
    size_t body_size;
    int body_fd; /* -1 = none */
    int64_t body_fd_size;
    const char *multipart_name; /* the part's file name */
    /* Where a 2xx body goes: to sink_fd if >= 0 (206 or 200, see answer.status), at the
     * descriptor's current offset. on_sink may be NULL; if it returns false, the transfer ends. */
    int sink_fd;
    bool (*on_sink)(void *ctx, int64_t received, int64_t total);
    void *sink_ctx;
};
/* Initialize a request with one of these: they set "no descriptor" and "no epoch". */
struct http_request http_get(const char *path);
/* body: a JSON text; NULL: no body, or a descriptor that is set later. */
struct http_request http_post(const char *path, const char *body);

struct http_answer {
    enum tailslate_reach reach;
    long status;
    bool is_json; /* Content-Type application/json or +json */
    char *body;   /* NUL-terminated; "" never NULL; owned by the answer */
    size_t body_size;
    int64_t date_us;        /* from its Date header, the server's wall clock; -1 = none */
    int64_t retry_after_ms; /* from seconds or an HTTP date, -1 = none; at most 1 h */
    char etag[128];         /* "" = none */
    char request_id[64];
    int64_t claim_epoch;            /* the epoch that was sent; TAILSLATE_ABSENT_INT = none */
    struct message_problem problem; /* parsed if the status is not 2xx */
    struct error error;             /* unless reach is TAILSLATE_REACH_ANSWERED */
};
/* How long a claim that expires at expires_at, according to this answer, lasts from now. Uses the
 * server's own clock (its Date header), because ours may be off by hours; without a Date header,
 * our clock. 0: unknown or implausible. */
enum { HTTP_LEASE_MAX_MS = 24 * 3600 * 1000 };
int64_t http_lease_ms(const struct http_answer *answer, const char *expires_at);
struct tailslate_answer http_answer_facts(const struct http_answer *answer);
enum tailslate_answer_class http_answer_class(const struct http_answer *answer);
void http_answer_fini(struct http_answer *answer);

int http_global_init(
    struct error *err); /* call before any thread starts and after signals are blocked */
struct http_client *http_client_new(const struct http_settings *settings, struct error *err);
/* For requests that start from now on. False: this key is already in use. */
bool http_client_set_key(struct http_client *client, const char *api_key);
void http_client_free(struct http_client *client); /* cancels running requests, without callbacks */

/* Synchronous: returns when the answer is complete or its deadline has passed. */
void http_perform(struct http_client *client, const struct http_request *request,
                  struct http_answer *answer);

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

char *http_escape(const char *component); /* percent-encoded, owned */

#endif
