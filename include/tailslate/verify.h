/* verify: what a request about a job says, what the database says -> what is answered. Pure.
 *
 * The rows are those of docs/PROMISES.md#the-verdicts: every call about a job is classified here
 * and nowhere else, so that completion, progress, upload and failure cannot disagree about who
 * holds a claim. Knows no clock, descriptor, log or SQL.
 *
 * The last holder decides who a caller is, and whether another one has ever held the job what is
 * said to it: that its claim is lost, or that it had none. An epoch, where it is given, decides
 * which of its claims it speaks for. A higher epoch than the database's is a claim that the
 * database has forgotten (a restored backup): not yours, so that the caller holds on to its result.
 */
#ifndef VERIFIER_VERIFY_H
#define VERIFIER_VERIFY_H

#include "tailslate/problem.h"

#include <stdbool.h>
#include <stdint.h>

enum verify_holder { HOLDER_NOBODY, HOLDER_CALLER, HOLDER_OTHER };

struct verify_request {
    bool epoch_given;
    int64_t epoch;
    bool qualities_empty; /* a completion that names no rendition */
};

struct verify_facts {
    bool job_found;
    bool video_failed, video_deleted;
    bool closed;                            /* completed_at is set */
    bool requeued;                          /* by a failure, and the video waits again */
    enum verify_holder holder, last_holder; /* holder: of the claim that stands, expired or not */
    bool held;                              /* the caller has claimed it at some time */
    bool claim_expired;
    bool reopened;         /* open, and nobody has claimed it since: a re-transcode was ordered */
    bool failure_recorded; /* the caller has failed this very claim */
    int64_t epoch;
    /* For completions only. */
    bool token_known, fingerprint_same; /* a completion with the request's token is recorded */
    bool qualities_recorded;            /* the video has renditions on record */
    bool files_missing;                 /* of a rendition that the completion names */
};

/* Where the caller stands; the comments give the row. */
enum verify_standing {
    STANDING_HELD,       /* 1: claimed by the caller, open */
    STANDING_LATE,       /* 5: expired or released, the caller is the last holder */
    STANDING_FAILED,     /* 5, but the caller itself has ended this claim by a failure */
    STANDING_COMPLETED,  /* 2-4: completed, and by this caller's claim */
    STANDING_SUPERSEDED, /* 6: by another's claim, or by the order to do it again */
    STANDING_GONE,       /* 7 */
    STANDING_NO_JOB,     /* 10 */
    STANDING_NOT_YOURS,  /* 11 */
    STANDING_COUNT,
};

enum verify_verdict {
    VERIFY_COMMIT,        /* 1 */
    VERIFY_COMMIT_LATE,   /* 5 */
    VERIFY_REPLAY,        /* 2, 4 */
    VERIFY_TOKEN_REUSED,  /* 3 */
    VERIFY_SUPERSEDED,    /* 6 */
    VERIFY_GONE,          /* 7 */
    VERIFY_NO_JOB,        /* 10 */
    VERIFY_NOT_YOURS,     /* 11 */
    VERIFY_NO_QUALITIES,  /* 13 */
    VERIFY_FILES_MISSING, /* 14 */
    VERIFY_COUNT,
};

enum verify_standing verify_standing(const struct verify_request *request,
                                     const struct verify_facts *facts);
enum verify_verdict verify_completion(const struct verify_request *request,
                                      const struct verify_facts *facts);

/* The verdict is one that changes the database. */
static inline bool verify_commits(enum verify_verdict verdict)
{
    return verdict == VERIFY_COMMIT || verdict == VERIFY_COMMIT_LATE;
}

/* PROBLEM_NONE where the answer is a 2xx. */
enum problem verify_problem(enum verify_verdict verdict);

/* What refuses a call that needs the claim (progress, upload): COMPLETED and FAILED are a lost
 * claim there, because nothing may change any more through it. */
enum problem verify_standing_problem(enum verify_standing standing);

/* A sentence for `detail`. */
const char *verify_detail(enum problem problem);

#endif
