/* problem: the error codes of the wire (docs/WIRE.md#errors), one table for both sides. An error
 * body is RFC 9457 problem details with `code` as the machine-readable word. Pure. */
#ifndef TAILSLATE_PROBLEM_H
#define TAILSLATE_PROBLEM_H

enum tailslate_problem {
    TAILSLATE_PROBLEM_NONE,
    TAILSLATE_PROBLEM_UNAUTHORIZED,
    TAILSLATE_PROBLEM_FORBIDDEN,
    TAILSLATE_PROBLEM_NOT_YOUR_JOB,
    TAILSLATE_PROBLEM_JOB_NOT_FOUND,
    TAILSLATE_PROBLEM_CLAIM_LOST,
    TAILSLATE_PROBLEM_JOB_GONE,
    TAILSLATE_PROBLEM_PAYLOAD_TOO_LARGE,
    TAILSLATE_PROBLEM_BAD_JSON,
    TAILSLATE_PROBLEM_INVALID_FIELD,
    TAILSLATE_PROBLEM_TOKEN_MALFORMED,
    TAILSLATE_PROBLEM_TOKEN_MISMATCH,
    TAILSLATE_PROBLEM_TOKEN_REUSED,
    TAILSLATE_PROBLEM_OUTPUT_MISSING,
    TAILSLATE_PROBLEM_RATE_LIMITED,
    TAILSLATE_PROBLEM_COMPLETION_IN_PROGRESS,
    TAILSLATE_PROBLEM_STORE_UNAVAILABLE,
    TAILSLATE_PROBLEM_NOT_FOUND, /* no such path or file; the code is `not_found` */
    TAILSLATE_PROBLEM_METHOD, /* the path exists, but not for this method; `method_not_allowed` */
    TAILSLATE_PROBLEM_RANGE,  /* a range beyond the end of the source; `range_not_satisfiable` */
    TAILSLATE_PROBLEM_INTERNAL,
    TAILSLATE_PROBLEM_SERVER_FULL, /* no space is left for the database or for files */
    TAILSLATE_PROBLEM_WRONG_STATE, /* of an operator: the job is not in a state for it */
    TAILSLATE_PROBLEM_COUNT,
};

const char *tailslate_problem_code(enum tailslate_problem problem);  /* "claim_lost"; "" for NONE */
int tailslate_problem_status(enum tailslate_problem problem);        /* 409 */
const char *tailslate_problem_title(enum tailslate_problem problem); /* a short sentence */
enum tailslate_problem
tailslate_problem_from_code(const char *code); /* NONE: not one of our codes */

#endif
