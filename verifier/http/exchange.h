/* exchange: one request from its first line to the end of its answer, independent of the HTTP
 * library: what is refused before the body is read, where the body goes, what is logged.
 *
 * exchange_finish is the only place that runs a route's handler, and the request owns all that the
 * handler reads. A handler that is to answer later needs a change there and in server.c's
 * on_access only: leave the answer's status 0, suspend the connection, and finish once more. */
#ifndef VERIFIER_EXCHANGE_H
#define VERIFIER_EXCHANGE_H

#include "verifier/http/framing.h"
#include "verifier/http/routes.h"

enum { DRAIN_MAX_BYTES = 64 << 20 };

enum body_sink { BODY_TO_NOWHERE, BODY_TO_MEMORY, BODY_TO_FILE };

struct body {
    enum body_sink sink;
    int64_t max_bytes, taken_bytes, drained_bytes;
    char *text; /* owned; ends in NUL */
    size_t capacity;
};

struct exchange {
    struct request request;
    struct answer answer;
    struct body body;
    const struct route *route;
    struct framing framing;
    const char *client_problem; /* why its certificate is refused; NULL: it is accepted */
    int64_t form_bytes, begun_ms;
    bool is_unauthenticated; /* no valid credential was presented */
};

/* uri: as received, not decoded. */
void exchange_init(struct exchange *exchange, struct app *app, const char *uri);
void exchange_fini(struct exchange *exchange);

/* After all headers were noted in framing and request: authenticates, finds the route, decides
 * whether the body is read. path is borrowed. */
void exchange_begin(struct exchange *exchange, const char *method, const char *path);
/* True: answer before the body is read; the connection ends then. */
bool exchange_answers_at_once(const struct exchange *exchange);
/* True: the body is a form, and only its field `file` is used. */
bool exchange_wants_form(const struct exchange *exchange);
/* A part of the form before it is parsed. False: the form is too large. */
bool exchange_count_form(struct exchange *exchange, size_t size);
/* A part of a form's field. False: stop parsing. */
bool exchange_take_field(struct exchange *exchange, const char *key, const char *data,
                         uint64_t offset, size_t size);
/* A part of the body. False: the drain limit is reached, cut the connection. */
bool exchange_take(struct exchange *exchange, const char *data, size_t size);
/* The body is complete: run the route's handler, unless the request is answered already. */
void exchange_finish(struct exchange *exchange);
/* The answer is queued: log and count it. */
void exchange_note_answer(const struct exchange *exchange);
/* The answer was sent, or the connection was lost: does what the client need not wait for. */
void exchange_note_sent(const struct exchange *exchange);

#endif
