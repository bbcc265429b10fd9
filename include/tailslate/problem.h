/* problem: the error codes of the wire (docs/WIRE.md#errors), one table for both sides. An error
 * body is RFC 9457 problem details with `code` as the machine-readable word. Pure. */
#ifndef TAILSLATE_PROBLEM_H
#define TAILSLATE_PROBLEM_H

enum problem {
    PROBLEM_NONE,
    PROBLEM_UNAUTHORIZED,
    PROBLEM_FORBIDDEN,
    PROBLEM_NOT_YOUR_JOB,
    PROBLEM_JOB_NOT_FOUND,
    PROBLEM_CLAIM_LOST,
    PROBLEM_JOB_GONE,
    PROBLEM_PAYLOAD_TOO_LARGE,
    PROBLEM_BAD_JSON,
    PROBLEM_INVALID_FIELD,
    PROBLEM_TOKEN_MALFORMED,
    PROBLEM_TOKEN_MISMATCH,
    PROBLEM_TOKEN_REUSED,
    PROBLEM_OUTPUT_MISSING,
    PROBLEM_RATE_LIMITED,
    PROBLEM_COMPLETION_IN_PROGRESS,
    PROBLEM_STORE_UNAVAILABLE,
    PROBLEM_NOT_FOUND, /* no such path or file; the word is `not_found` */
    PROBLEM_METHOD,    /* such a path, but not by this method; `method_not_allowed` */
    PROBLEM_RANGE,     /* a part behind the end of the source; `range_not_satisfiable` */
    PROBLEM_INTERNAL,
    PROBLEM_COUNT,
};

const char *problem_code(enum problem problem);   /* "claim_lost"; "" for NONE */
int problem_status(enum problem problem);         /* 409 */
const char *problem_title(enum problem problem);  /* a short sentence */
enum problem problem_from_code(const char *code); /* NONE: not one of ours */

#endif
