/* exchange: one request from its first line to the end of its answer, independent of the HTTP
 * library: what is refused before the body is read, where the body goes, what is logged.
 *
 * One thread at a time uses an exchange (work.h says which). What may block is said so below; the
 * rest is for the event threads. exchange_finish is the only place that runs a route's handler, and
 * the request owns all that the handler reads. */
#ifndef VERIFIER_EXCHANGE_H
#define VERIFIER_EXCHANGE_H

#include "verifier/http/framing.h"
#include "verifier/http/routes.h"

enum {
    DRAIN_MAX_BYTES = 64 << 20,
    EARLY_BODY_MAX_BYTES = 4096, /* received before the caller is known */
};

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

/* After all headers were noted in framing and request: finds the route, or refuses. path is
 * borrowed. */
void exchange_begin(struct exchange *exchange, const char *method, const char *path);
/* May the body be received before exchange_admit? True for none and a small one in memory. */
bool exchange_may_wait_for_body(const struct exchange *exchange);
/* Authenticates, and opens what the body goes to. Blocks. */
void exchange_admit(struct exchange *exchange);
/* True: answer before the body is read; the connection ends then. */
bool exchange_answers_at_once(const struct exchange *exchange);
/* True: the body is a form, and only its field `file` is used. */
bool exchange_wants_form(const struct exchange *exchange);
/* A part of the form before it is parsed. False: the form is too large. */
bool exchange_count_form(struct exchange *exchange, size_t size);
/* A part of a form's field. False: stop parsing. Blocks. */
bool exchange_take_field(struct exchange *exchange, const char *key, const char *data,
                         uint64_t offset, size_t size);
/* Does exchange_take write to a file now, and so block? */
bool exchange_writes(const struct exchange *exchange);
/* A part of the body. False: the drain limit is reached, cut the connection. */
bool exchange_take(struct exchange *exchange, const char *data, size_t size);
/* The body is complete: run the route's handler, unless the request is answered already. The
 * answer's status may still be 0 afterwards: the handler waits (request.h). Blocks. */
void exchange_finish(struct exchange *exchange);
/* The answer is queued: log and count it. */
void exchange_note_answer(const struct exchange *exchange);
/* Will exchange_note_sent or exchange_fini block? */
bool exchange_has_rest(const struct exchange *exchange);
/* The answer was sent, or the connection was lost: does what the client need not wait for. */
void exchange_note_sent(const struct exchange *exchange);

#endif
