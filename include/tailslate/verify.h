/* verify: from a request about a job and the database's state to the verdict. Pure.
 *
 * The rows are those of docs/PROMISES.md#the-verdicts. Every request about a job is classified here
 * and nowhere else, so that completion, progress, upload and failure cannot disagree about who
 * holds a claim. Knows no clock, descriptor, log or SQL.
 *
 * The last holder decides the caller's standing, and whether the caller ever held the job decides
 * the answer: that its claim is lost, or that it never had one. An epoch, if given, decides which
 * claim the caller speaks for. An epoch higher than the database's is a claim that the database has
 * forgotten (a restored backup): not yours, so that the caller keeps its result. */
#ifndef TAILSLATE_VERIFY_H
#define TAILSLATE_VERIFY_H

#include "tailslate/problem.h"

#include <stdbool.h>
#include <stdint.h>

enum tailslate_holder { TAILSLATE_HOLDER_NOBODY, TAILSLATE_HOLDER_CALLER, TAILSLATE_HOLDER_OTHER };

struct tailslate_verify_request {
    bool epoch_given;
    int64_t epoch;
    bool qualities_empty; /* a completion that names no rendition */
};

struct tailslate_verify_facts {
    bool job_found;
    bool video_failed, video_deleted;
    bool closed;                               /* completed_at is set */
    bool requeued;                             /* by a failure, and the video is queued again */
    enum tailslate_holder holder, last_holder; /* holder: of the current claim, expired or not */
    bool held;                                 /* the caller has claimed it before */
    bool claim_expired;
    bool reopened;         /* open, and not claimed since: a re-transcode was requested */
    bool failure_recorded; /* the caller reported a failure for this very claim */
    int64_t epoch;
    /* For completions only. */
    bool token_known, fingerprint_same; /* a completion with the request's token is recorded */
    bool qualities_recorded;            /* the video has renditions on record */
    bool files_missing;                 /* of a rendition that the completion names */
};

/* The caller's standing; the comments give the row. */
enum tailslate_standing {
    TAILSLATE_STANDING_HELD,      /* 1: claimed by the caller, open */
    TAILSLATE_STANDING_LATE,      /* 5: expired or released, the caller is the last holder */
    TAILSLATE_STANDING_FAILED,    /* 5, but the caller itself has ended this claim with a failure */
    TAILSLATE_STANDING_COMPLETED, /* 2-4: completed, and by this caller's claim */
    TAILSLATE_STANDING_SUPERSEDED, /* 6: by another worker's claim, or superseded by a re-transcode
                                    */
    TAILSLATE_STANDING_GONE,       /* 7 */
    TAILSLATE_STANDING_NO_JOB,     /* 10 */
    TAILSLATE_STANDING_NOT_YOURS,  /* 11 */
    TAILSLATE_STANDING_COUNT,
};

enum tailslate_verdict {
    TAILSLATE_VERDICT_COMMIT,        /* 1 */
    TAILSLATE_VERDICT_COMMIT_LATE,   /* 5 */
    TAILSLATE_VERDICT_REPLAY,        /* 2, 4 */
    TAILSLATE_VERDICT_TOKEN_REUSED,  /* 3 */
    TAILSLATE_VERDICT_SUPERSEDED,    /* 6 */
    TAILSLATE_VERDICT_GONE,          /* 7 */
    TAILSLATE_VERDICT_NO_JOB,        /* 10 */
    TAILSLATE_VERDICT_NOT_YOURS,     /* 11 */
    TAILSLATE_VERDICT_NO_QUALITIES,  /* 13 */
    TAILSLATE_VERDICT_FILES_MISSING, /* 14 */
    TAILSLATE_VERDICT_COUNT,
};

enum tailslate_standing tailslate_verify_standing(const struct tailslate_verify_request *request,
                                                  const struct tailslate_verify_facts *facts);
enum tailslate_verdict tailslate_verify_completion(const struct tailslate_verify_request *request,
                                                   const struct tailslate_verify_facts *facts);

/* The verdict changes the database. */
static inline bool tailslate_verify_commits(enum tailslate_verdict verdict)
{
    return verdict == TAILSLATE_VERDICT_COMMIT || verdict == TAILSLATE_VERDICT_COMMIT_LATE;
}

/* TAILSLATE_PROBLEM_NONE if the answer is a 2xx. */
enum tailslate_problem tailslate_verify_problem(enum tailslate_verdict verdict);

/* Why a request that needs the claim (progress, upload) is refused: for COMPLETED and FAILED the
 * claim is lost, because it may not change anything any more. */
enum tailslate_problem tailslate_verify_standing_problem(enum tailslate_standing standing);

/* A sentence for `detail`. */
const char *tailslate_verify_detail(enum tailslate_problem problem);

#endif
