/* call: one HTTP call of a test to a real server, and its answer to look into. Safe from threads.
 *
 * Adds nothing of its own to a request: no retry, no redirect, no default key. A transport error
 * gives status 0, so that a test can ask for it. */
#ifndef SUPPORT_CALL_H
#define SUPPORT_CALL_H

#include "lib/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CALL_HEADERS_MAX = 8, CALL_TIMEOUT_MS = 70 * 1000 };

struct call {
    const char *method; /* NULL: POST where there is a body, GET otherwise */
    const char *url;
    const char *headers[CALL_HEADERS_MAX]; /* "Name: value" */
    const char *body;
    size_t body_size;      /* 0: strlen(body) */
    const char *part_file; /* multipart/form-data, field `file`: this file */
    bool keeps_path;       /* send `..` and the like as it stands */
    int64_t timeout_ms;    /* 0: CALL_TIMEOUT_MS */
};

struct reply {
    long status; /* 0: no answer */
    char *body;  /* owned, NUL-terminated behind size */
    size_t size;
    char *headers;     /* owned, as received */
    struct json *json; /* NULL: the body is none */
    int64_t took_ms;
};

struct reply call_make(const struct call *call);
void reply_fini(struct reply *reply);
/* unused: some calls are made for what they do, and nothing of their answer is looked at. */
#define REPLY(name) __attribute__((cleanup(reply_fini), unused)) struct reply name

/* Of the answer's JSON: "" / -1 / false where it is absent or of another type. */
const char *reply_text(const struct reply *reply, const char *member);
int64_t reply_int(const struct reply *reply, const char *member);
bool reply_bool(const struct reply *reply, const char *member);
bool reply_has(const struct reply *reply, const char *member); /* there and not null */
/* A header's value, case-insensitive name; "" if absent. */
void reply_header(const struct reply *reply, const char *name, char *value, size_t size);

/* Fails the test unless the answer is this status, and this `code` where one is given. */
void reply_is(const struct reply *reply, long status, const char *code);

#endif
