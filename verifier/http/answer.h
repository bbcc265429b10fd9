/* answer: what a request is answered with: JSON, text, a problem or a part of a file. */
#ifndef VERIFIER_ANSWER_H
#define VERIFIER_ANSWER_H

#include "lib/json.h"
#include "verifier/http/request.h"

#include "tailslate/problem.h"

enum { ANSWER_HEADERS_MAX = 8 };

struct answer_header {
    const char *name;
    char *value; /* owned */
};
struct answer {
    int status; /* 0: not answered yet */
    enum tailslate_problem problem;
    const char *content_type;
    char *body; /* owned; "" where a file is sent */
    struct answer_header headers[ANSWER_HEADERS_MAX];
    size_t header_count;
    int fd; /* -1, or what is sent instead of the body; owned */
    int64_t fd_offset, fd_length;
};

void answer_json(struct answer *answer, int status, char *owned_body);
void answer_object(struct answer *answer, struct json *object); /* 200; frees object */
void answer_text(struct answer *answer, const char *content_type, char *owned_body);
void answer_problem(struct answer *answer, enum tailslate_problem problem, const char *detail);
void answer_missing(struct answer *answer, tailslate_quality_set missing);
/* 200 or 206 of an open file; takes fd. */
void answer_file(struct answer *answer, int fd, int status, int64_t offset, int64_t length);
/* The store or the disk failed: 503 with Retry-After, or 500 for a bug; logged here, once. */
void answer_error(struct answer *answer, const struct request *request, const struct error *err);
/* The same for a completion: a lock that was not acquired is `completion_in_progress`. */
void answer_completion_error(struct answer *answer, const struct request *request,
                             const struct error *err);
void answer_add_header(struct answer *answer, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void answer_fini(struct answer *answer);

#endif
