#include "verifier/http/body.h"

#include "lib/durable.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 4096 };

static void keep(struct body *body, const char *data, size_t size)
{
    size_t used = (size_t)body->taken_bytes;
    if (used + size + 1 > body->capacity) {
        while (used + size + 1 > body->capacity)
            body->capacity = body->capacity ? body->capacity * 2 : FIRST_CAPACITY;
        body->text = must_realloc(body->text, body->capacity);
    }
    memcpy(body->text + used, data, size);
    body->text[used + size] = '\0';
}

static bool stream(struct request *request, struct answer *answer, const char *data, size_t size)
{
    struct error err;
    if (durable_append(request->body_fd, data, size, &err) != 0) {
        answer_error(answer, request, &err);
        return false;
    }
    hash_update(request->body_hash, data, size);
    request->streamed_bytes += (int64_t)size;
    return true;
}

bool body_take(struct body *body, struct request *request, struct answer *answer, const char *data,
               size_t size)
{
    if ((int64_t)size > body->max_bytes - body->taken_bytes) {
        answer_problem(answer, TAILSLATE_PROBLEM_PAYLOAD_TOO_LARGE,
                       "The body is larger than this route allows.");
        return false;
    }
    switch (body->sink) {
    case BODY_TO_NOWHERE:
        break;
    case BODY_TO_MEMORY:
        keep(body, data, size);
        break;
    case BODY_TO_FILE:
        if (!stream(request, answer, data, size))
            return false;
        break;
    }
    body->taken_bytes += (int64_t)size;
    return true;
}

bool body_drain(struct body *body, size_t size)
{
    body->drained_bytes += (int64_t)size;
    return body->drained_bytes <= DRAIN_MAX_BYTES;
}

void body_fini(struct body *body)
{
    free(body->text);
}
