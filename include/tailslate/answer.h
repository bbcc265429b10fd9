/* answer: what an HTTP answer of a server means, by its status and code (docs/WIRE.md#errors).
 *
 * One table for our verifier, a stock server and anything in between; what a caller does about a
 * class is up to the caller. Pure, and independent of any HTTP library: fill in `answer_facts` from
 * yours. Does not judge the body of a 2xx: whether a completion is acknowledged depends on its
 * token.
 *
 * A code counts only in JSON and under its own status. A proxy's page, or a status that was changed
 * on the way, says nothing about jobs and claims. */
#ifndef TAILSLATE_ANSWER_H
#define TAILSLATE_ANSWER_H

#include "tailslate/problem.h"

#include <stdbool.h>

enum tailslate_reach {
    TAILSLATE_REACH_ANSWERED,      /* a complete HTTP answer: status and body */
    TAILSLATE_REACH_UNREACHED,     /* refused, not resolved, timed out, reset, truncated */
    TAILSLATE_REACH_UNTRUSTED,     /* TLS verification failed */
    TAILSLATE_REACH_LOCAL_FAILURE, /* our side: the file that is sent or received into failed */
};

struct tailslate_answer {
    enum tailslate_reach reach;
    long status;
    bool is_json;                   /* by its Content-Type */
    enum tailslate_problem problem; /* problem_from_code of member `code`; TAILSLATE_PROBLEM_NONE
                                       where there is none */
};

enum tailslate_answer_class {
    /* no answer */
    TAILSLATE_ANSWER_UNREACHED,
    TAILSLATE_ANSWER_UNTRUSTED,
    TAILSLATE_ANSWER_LOCAL_FAILURE,
    /* success */
    TAILSLATE_ANSWER_OK,            /* 200 in JSON */
    TAILSLATE_ANSWER_OTHER_SUCCESS, /* another 2xx, or not JSON: a file's bytes, or a captive portal
                                     */
    /* with one of our codes; for the key also 401 from anybody */
    TAILSLATE_ANSWER_KEY_REFUSED, /* the key as such, whatever it is used for */
    TAILSLATE_ANSWER_NOT_YOURS,   /* this worker never held the job */
    TAILSLATE_ANSWER_JOB_UNKNOWN,
    TAILSLATE_ANSWER_CLAIM_LOST,
    TAILSLATE_ANSWER_JOB_GONE,
    TAILSLATE_ANSWER_INVALID,       /* the request or its token */
    TAILSLATE_ANSWER_INVALID_FIELD, /* a value; also a checksum */
    TAILSLATE_ANSWER_OUTPUT_MISSING,
    TAILSLATE_ANSWER_NO_SUCH_RANGE,
    TAILSLATE_ANSWER_WRONG_URL, /* no such path, file or method */
    /* in JSON without a code, as a stock server does */
    TAILSLATE_ANSWER_STOCK_NOT_YOURS,  /* 403: the claim is over */
    TAILSLATE_ANSWER_STOCK_CLAIM_LOST, /* 409: the claim is over */
    TAILSLATE_ANSWER_STOCK_JOB_UNKNOWN,
    TAILSLATE_ANSWER_STOCK_REFUSED, /* another 4xx */
    /* not from the server itself */
    TAILSLATE_ANSWER_PROXY_FORBIDDEN, /* 403 */
    TAILSLATE_ANSWER_PROXY_REFUSED,   /* another 4xx; 407 in any form */
    /* by status alone */
    TAILSLATE_ANSWER_LIMITED,   /* 429 */
    TAILSLATE_ANSWER_TIMED_OUT, /* 408, 425 */
    TAILSLATE_ANSWER_SERVER_FULL,
    TAILSLATE_ANSWER_SERVER_FAILING,
    TAILSLATE_ANSWER_UNEXPECTED, /* 1xx, 3xx */
    TAILSLATE_ANSWER_CLASS_COUNT,
};

enum tailslate_answer_class tailslate_answer_classify(const struct tailslate_answer *facts);

/* For is_json, by the value of a Content-Type: application/json, or a type that ends in +json. */
bool tailslate_answer_is_json(const char *content_type);

/* The code if it counts, otherwise TAILSLATE_PROBLEM_NONE. */
enum tailslate_problem tailslate_answer_known_problem(const struct tailslate_answer *facts);

/* Another key may help: the key is refused, or belongs to another worker. Then the key file is
 * worth reading again. For a request about no job (heartbeat) it means that the key is refused. */
bool tailslate_answer_concerns_key(enum tailslate_answer_class class);
/* A refusal of this one job by a server that is otherwise fine with us. */
bool tailslate_answer_concerns_job(enum tailslate_answer_class class);

#endif
