/* answer: what one HTTP answer of a server says, by its status and its code (docs/WIRE.md#errors).
 *
 * One table for our verifier, for a stock server and for whatever stands in between; what a caller
 * does about a class is the caller's own table. Pure, and free of any HTTP library: fill in
 * `answer_facts` from yours. Does not judge the body of a 2xx: whether a completion is acknowledged
 * is decided by its token.
 *
 * A code counts only in JSON and under its own status. A page of a proxy, or a status that somebody
 * has changed on the way, says nothing about jobs and claims. */
#ifndef TAILSLATE_ANSWER_H
#define TAILSLATE_ANSWER_H

#include "tailslate/problem.h"

#include <stdbool.h>

enum answer_reach {
    ANSWER_CAME,          /* whole: status and body */
    ANSWER_CAME_NOT,      /* refused, timed out, reset, cut */
    ANSWER_NOT_BELIEVED,  /* TLS verification failed */
    ANSWER_LOCAL_TROUBLE, /* a file on this side failed */
};

struct answer_facts {
    enum answer_reach reach;
    long status;
    bool is_json;         /* by its Content-Type */
    enum problem problem; /* problem_from_code of member `code`; PROBLEM_NONE where there is none */
};

enum answer_class {
    /* no answer */
    ANSWER_UNREACHED,
    ANSWER_UNTRUSTED,
    ANSWER_LOCAL_FAILURE,
    /* success */
    ANSWER_OK,            /* 200 in JSON */
    ANSWER_OTHER_SUCCESS, /* another 2xx, or not JSON: a file's bytes, or a captive portal */
    /* by one of our codes; the key also by 401, whoever says it */
    ANSWER_KEY_REFUSED, /* the key as such, whatever it is used for */
    ANSWER_NOT_YOURS,   /* this worker never held the job */
    ANSWER_JOB_UNKNOWN,
    ANSWER_CLAIM_LOST,
    ANSWER_JOB_GONE,
    ANSWER_INVALID,       /* the request or its token */
    ANSWER_INVALID_FIELD, /* a value; also a checksum */
    ANSWER_OUTPUT_MISSING,
    ANSWER_NO_SUCH_RANGE,
    ANSWER_WRONG_URL, /* no such path, file or method */
    /* in JSON without a code, as a stock server says it */
    ANSWER_STOCK_NOT_YOURS,  /* 403: the claim is over */
    ANSWER_STOCK_CLAIM_LOST, /* 409: the claim is over */
    ANSWER_STOCK_JOB_UNKNOWN,
    ANSWER_STOCK_REFUSED, /* another 4xx */
    /* not by the server itself */
    ANSWER_PROXY_FORBIDDEN, /* 403 */
    ANSWER_PROXY_REFUSED,   /* another 4xx; 407 in any form */
    /* by status alone */
    ANSWER_LIMITED,   /* 429 */
    ANSWER_TIMED_OUT, /* 408, 425 */
    ANSWER_SERVER_FULL,
    ANSWER_SERVER_FAILING,
    ANSWER_UNEXPECTED, /* 1xx, 3xx */
    ANSWER_CLASS_COUNT,
};

enum answer_class answer_classify(const struct answer_facts *facts);

/* The code where it counts, else PROBLEM_NONE. */
enum problem answer_known_problem(const struct answer_facts *facts);

/* Another key may put it right: the key is refused, or it is another worker's. Then the key file is
 * worth reading again. On a call about no job (heartbeat) it is a refusal of the key. */
bool answer_concerns_key(enum answer_class class);
/* A refusal of this one job, by a server that is otherwise fine with us. */
bool answer_concerns_job(enum answer_class class);

#endif
