/* http_message: a request and its answer as data; needs no HTTP library. */
#ifndef AGENT_HTTP_MESSAGE_H
#define AGENT_HTTP_MESSAGE_H

#include "base/message.h"
#include "lib/error.h"

#include "tailslate/answer.h"

#include <stdbool.h>
#include <stdint.h>

struct http_client;

enum {
    HTTP_HEADERS_MAX = 8,
    HTTP_CALL_MS = 30 * 1000, /* the deadline of an ordinary request */
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
    bool closes_connection;                /* afterwards: the next request is far away */
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

char *http_escape(const char *component); /* percent-encoded, owned */

/* Why there is no answer, where that can be told. */
enum http_trouble {
    HTTP_TROUBLE_OTHER,
    HTTP_CERTIFICATE_OVER,      /* or not valid yet, by this node's clock */
    HTTP_CERTIFICATE_HOST,      /* is another host's */
    HTTP_CERTIFICATE_AUTHORITY, /* is not known to this node */
    HTTP_NO_TLS,                /* the handshake failed: perhaps it speaks HTTP */
    HTTP_NO_BYTE,               /* the server ended the connection without one */
    HTTP_TROUBLE_COUNT,
};

struct http_answer {
    enum tailslate_reach reach;
    enum http_trouble trouble; /* of an answer that was not reached */
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

/* Sets what depends on the Content-Type: is_json, and the problem in a JSON body.
 */
void http_answer_read(struct http_answer *answer, const char *content_type);

/* Synchronous: returns when the answer is complete or its deadline has passed. */
void http_perform(struct http_client *client, const struct http_request *request,
                  struct http_answer *answer);

#endif
