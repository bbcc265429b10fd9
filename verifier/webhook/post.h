/* post: one HTTP POST and its answer. The only module of the verifier that uses libcurl.
 *
 * Retries nothing and follows no redirect. HTTPS is verified. Of the answer the status and
 * Retry-After count; its body is ignored, and not read beyond POST_ANSWER_MAX_BYTES. */
#ifndef VERIFIER_POST_H
#define VERIFIER_POST_H

#include "lib/error.h"

#include <stdatomic.h>
#include <stdint.h>

enum {
    POST_HEADERS_MAX = 8,
    POST_ANSWER_MAX_BYTES = 64 * 1024,
    POST_REASON_BYTES = 256,
};

struct post {
    const char *url, *ca_file;             /* ca_file "": the system's authorities */
    const char *headers[POST_HEADERS_MAX]; /* lines; NULL ends them */
    const char *body;
    int64_t timeout_ms;               /* for all of it */
    const atomic_bool *is_broken_off; /* becomes true: it ends within a second; NULL: never */
};
struct post_answer {
    long status;                    /* 0: none */
    int64_t retry_after_ms;         /* -1: not given */
    char reason[POST_REASON_BYTES]; /* why there is none */
};
void post_send(const struct post *post, struct post_answer *answer);

#endif
