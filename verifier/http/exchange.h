/* exchange: one request from its first line to the end of its answer, without the library that
 * carries it: what is refused when the headers are here, where the body goes, what is logged.
 *
 * Refuses: a body whose length is said twice or in an unknown way (what one server takes for a body
 * another takes for the next request); header names with blanks and values with NUL (where C and
 * HTTP disagree about the end of a text), lines that end in a bare LF or are folded (where servers
 * disagree about the end of a line); what is believed once and given twice; a slash, NUL or percent
 * sign hidden in the path. */
#ifndef VERIFIER_EXCHANGE_H
#define VERIFIER_EXCHANGE_H

#include "verifier/http/routes.h"

enum { DRAIN_MAX_BYTES = 64 << 20 };

enum body_sink { BODY_TO_NOWHERE, BODY_TO_MEMORY, BODY_TO_FILE };

struct body {
    enum body_sink sink;
    int64_t max_bytes, taken_bytes, drained_bytes;
    char *text; /* owned; NUL behind it */
    size_t capacity;
};

struct exchange {
    struct request request;
    struct answer answer;
    struct body body;
    const struct route *route;
    bool path_is_hidden;
    const char
        *client_trouble; /* why its certificate is none of ours; NULL: it is, or needs none */
    /* Of the headers: */
    int lengths, encodings;
    const char *length, *encoding;
    bool header_is_bad, framing_is_bad;
    bool twice;                               /* a header that may appear only once */
    const char *target_end, *line, *head_end; /* of exchange_note_head */
    int64_t content_length;                   /* -1: none given */
    int64_t form_bytes, begun_ms;
    bool is_unauthenticated; /* nobody has shown a good credential */
};

/* uri: as it came, not decoded. */
void exchange_init(struct exchange *exchange, struct app *app, const char *uri);
void exchange_fini(struct exchange *exchange);

/* Before the headers: the request's head as it lies in memory, where each CRLF was overwritten by
 * two NUL; version: the last word of its first line. Then each line must begin where the one before
 * has ended. Not for a library that refuses bare LF and NUL by itself. */
void exchange_note_head(struct exchange *exchange, const char *start, size_t size,
                        const char *version);
/* Each header once and in its order, before exchange_begin. */
void exchange_note_header(struct exchange *exchange, const char *name, size_t name_size,
                          const char *value, size_t value_size);
/* The headers are here: who is it, what is asked, and will the body be taken? path is borrowed. */
void exchange_begin(struct exchange *exchange, const char *method, const char *path);
/* Refused before its body came, and to be told at once: the connection ends then. */
bool exchange_answers_at_once(const struct exchange *exchange);
/* Is the body a form, of which only the field `file` is wanted? */
bool exchange_wants_form(const struct exchange *exchange);
/* A piece of the form's text, before it is taken apart. False: too much of it. */
bool exchange_count_form(struct exchange *exchange, size_t size);
/* A piece of a form's field. False: no more is wanted. */
bool exchange_take_field(struct exchange *exchange, const char *key, const char *data,
                         uint64_t offset, size_t size);
/* A piece of the body. False: too much was sent for nothing, the connection is to be cut. */
bool exchange_take(struct exchange *exchange, const char *data, size_t size);
/* The body is here: let the route answer, unless there is an answer already. */
void exchange_finish(struct exchange *exchange);
/* The answer is queued: log and count it. */
void exchange_note_answer(const struct exchange *exchange);
/* The answer was sent, or the connection is lost: what the client need not wait for. */
void exchange_note_sent(const struct exchange *exchange);

#endif
