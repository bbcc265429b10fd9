/* http: one attempt -> one answer (libcurl stands behind it, and nowhere else in the agent).
 *
 * Knows nothing of jobs and retries nothing. Each attempt has a deadline of its own that is kept to
 * (CURLOPT_TIMEOUT_MS overshot by the poll's timeout: 31 s for 1 s asked), redirects are not
 * followed, bodies are bounded, the key goes into a header and never into a log. Two ways to run:
 * started on the agent's event loop with a callback, or performed, blocking, in a step. */
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
    HTTP_CALL_MS = 30 * 1000, /* the deadline of an ordinary call */
};

struct http_client; /* one server: its URL, key, TLS files; a connection pool */

struct http_settings {
    const char *url;                            /* http(s)://host[:port][/prefix] */
    const char *api_key;                        /* sent as X-Worker-API-Key */
    const char *ca_file, *cert_file, *key_file; /* "" = unset */
};

/* http_start copies it: path, headers and a text body may go as soon as it returns. Descriptors and
 * what sink_ctx points at are borrowed until the call is done or cancelled. */
struct http_request {
    const char *method;  /* "GET", "POST" */
    const char *path;    /* "/api/worker/claim?wait=30", already escaped (http_escape) */
    int64_t deadline_ms; /* from the start; 0 = HTTP_CALL_MS */
    int64_t stall_ms;    /* no byte for so long ends it; 0 = only the deadline counts */
    const char *headers[HTTP_HEADERS_MAX]; /* "Name: value", NULL-terminated */
    int64_t claim_epoch;                   /* >= 0: sent as X-Claim-Epoch */
    /* At most one kind of body: text (JSON), or a file descriptor from offset 0 (raw octets, or as
     * the multipart field `file` where multipart_name is set). */
    const char *body;
    size_t body_size;
    int body_fd; /* -1 = none */
    int64_t body_fd_size;
    const char *multipart_name; /* the part's file name */
    /* Where a 2xx body goes: sink_fd >= 0 writes it there (206 or 200, see answer.status), at the
     * descriptor's own offset. on_sink may be NULL; a false from it ends the transfer. */
    int sink_fd;
    bool (*on_sink)(void *ctx, int64_t received, int64_t total);
    void *sink_ctx;
};
/* The two ways to begin one: no descriptor is 0 by mistake, and no epoch. */
struct http_request http_get(const char *path);
/* body: a JSON text; NULL: none, or a descriptor that is set afterwards. */
struct http_request http_post(const char *path, const char *body);

enum http_result {
    HTTP_ANSWERED,    /* a whole HTTP answer came: status, body */
    HTTP_UNREACHED,   /* refused, resolved to nothing, timed out, reset, cut: `error` says */
    HTTP_NOT_TRUSTED, /* TLS verification failed */
    HTTP_LOCAL,       /* our side: the sink or the source file failed */
};

struct http_answer {
    enum http_result result;
    long status;
    bool is_json; /* Content-Type application/json or +json */
    char *body;   /* NUL-terminated; "" never NULL; owned by the answer */
    size_t body_size;
    int64_t date_us;        /* of its Date header, wall clock of the server; -1 = none */
    int64_t retry_after_ms; /* from seconds or an HTTP date, -1 = none; bounded by 1 h */
    char etag[128];         /* "" = none */
    char request_id[64];
    int64_t claim_epoch; /* that the request was sent with; TAILSLATE_ABSENT_INT = none */
    struct message_problem problem; /* parsed where the status is not 2xx */
    struct error error;             /* for the other results */
};
/* How long a claim that this answer says to end at expires_at lasts from now on, by the server's
 * own clock (its Date): ours may be wrong by hours. 0: it does not say, or what it says makes no
 * sense. By our clock where there is no Date. */
enum { HTTP_LEASE_MAX_MS = 24 * 3600 * 1000 };
int64_t http_lease_ms(const struct http_answer *answer, const char *expires_at);
struct tailslate_answer http_answer_facts(const struct http_answer *answer);
enum tailslate_answer_class http_answer_class(const struct http_answer *answer);
/* The same, but one of our codes is believed under any status. */
enum tailslate_answer_class http_answer_class_by_code(const struct http_answer *answer);
void http_answer_fini(struct http_answer *answer);

int http_global_init(struct error *err); /* before any thread; signals are to be blocked already */
struct http_client *http_client_new(const struct http_settings *settings, struct error *err);
/* For the calls that start from now on. False: it is the one that is in use. */
bool http_client_set_key(struct http_client *client, const char *api_key);
void http_client_free(struct http_client *client); /* cancels what runs, without callbacks */

/* Blocking: returns when the answer is there, or its deadline has passed. */
void http_perform(struct http_client *client, const struct http_request *request,
                  struct http_answer *answer);

/* On an event loop. The callback owns nothing: it copies what it wants to keep. It may start and
 * cancel other calls; it must not free the client. It is called once, never from http_start. */
typedef void http_done(void *ctx, const struct http_answer *answer);
struct http_call;
struct http_call *http_start(struct http_client *client, const struct http_request *request,
                             http_done *done, void *ctx);
void http_cancel(struct http_call *call); /* no callback */

/* Poll: waits at most timeout_ms for transfers or for extra descriptors (their revents are filled),
 * runs callbacks. The loop calls nothing else to wait. Returns the number of extra descriptors
 * ready. */
enum { HTTP_WAIT_FDS_MAX = 8 }; /* more of them go behind one epoll descriptor */
struct http_wait_fd {
    int fd;
    short events, revents; /* POLLIN, POLLOUT */
};
int http_wait(struct http_client *client, struct http_wait_fd *extra, unsigned count,
              int64_t timeout_ms);

char *http_escape(const char *component); /* percent-encoded, owned */

#endif
