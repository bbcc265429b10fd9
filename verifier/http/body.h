/* body: a request's body on its way in: collected in memory, or streamed to a file and hashed, and
 * bounded either way. What is refused is still read, up to a limit, so that the client gets to see
 * the answer instead of a reset. */
#ifndef VERIFIER_BODY_H
#define VERIFIER_BODY_H

#include "verifier/http/request.h"

enum { DRAIN_MAX_BYTES = 64 << 20 };

enum body_sink { BODY_TO_NOWHERE, BODY_TO_MEMORY, BODY_TO_FILE };

struct body {
    enum body_sink sink;
    int64_t max_bytes, taken_bytes, drained_bytes;
    char *text; /* owned; NUL behind it */
    size_t capacity;
};

/* Take these bytes. False: an answer is written (too large, disk full); the rest is to be drained.
 */
bool body_take(struct body *body, struct request *request, struct answer *answer, const char *data,
               size_t size);
/* False: too much has been drained; cut the connection. */
bool body_drain(struct body *body, size_t size);
void body_fini(struct body *body);

#endif
