/* ledger: makes a completion take effect at most once, for any server that stores jobs.
 *
 * A server describes how it stores its jobs with the functions of `struct tailslate_ledger`;
 * tailslate_complete then does the rest, in the order that the promises require: lock the job, read
 * what is on record, judge (verify.h), check the files, write, commit. It never says that a
 * completion took effect, or had taken effect before, unless that is committed.
 *
 * Knows no HTTP and no SQL. A ledger serves one request at a time: its ctx holds the connection,
 * the transaction and the text of the last error, which a caller reads there after -1. */
#ifndef TAILSLATE_LEDGER_H
#define TAILSLATE_LEDGER_H

#include "tailslate/completion.h"
#include "tailslate/verify.h"

#include <stdbool.h>
#include <stdint.h>

struct tailslate_request {
    int64_t job_id;
    int64_t claim_epoch; /* TAILSLATE_ABSENT_INT: not given */
    const struct tailslate_completion *completion;
    char fingerprint[TAILSLATE_FINGERPRINT_BYTES]; /* filled by tailslate_inspect and
                                                      tailslate_complete */
};

/* What is on record about the job, all read at the same moment. */
struct tailslate_facts {
    /* The ledger fills everything but the members "for completions only". */
    struct tailslate_verify_facts claim;
    tailslate_quality_set renditions; /* the video's, on record */
    bool replaces; /* a re-transcode was requested: existing values are replaced */
    char completed_at[TAILSLATE_TIME_BYTES]; /* of the job; "" = open */
    char now[TAILSLATE_TIME_BYTES]; /* the ledger's clock, which timestamps what is written */
};

/* A completion on record. */
struct tailslate_recorded {
    char token[TAILSLATE_TOKEN_BYTES], fingerprint[TAILSLATE_FINGERPRINT_BYTES];
    int64_t claim_epoch;
    bool late;
    char completed_at[TAILSLATE_TIME_BYTES];
};

struct tailslate_result {
    enum tailslate_verdict verdict;
    tailslate_quality_set missing; /* TAILSLATE_VERDICT_FILES_MISSING: for these renditions */
    bool late;
    int64_t claim_epoch;
    char completed_at[TAILSLATE_TIME_BYTES];
};

/* What a completion that takes effect changes. The `written` renditions are new on record; the
 * others keep their values. A member of the video is set if it is unset, or if `replaces`. */
struct tailslate_effect {
    const struct tailslate_request *request;
    const struct tailslate_facts *facts;
    const struct tailslate_result *result;
    bool replaces;
    /* No rendition was ever recorded: until the video is published, format and codec are the row's
     * defaults. */
    bool format_is_default;
    tailslate_quality_set written;
};

enum tailslate_access { TAILSLATE_READ, TAILSLATE_WRITE };
enum tailslate_outcome {
    TAILSLATE_COMMITTED,
    TAILSLATE_FAILED,  /* nothing took effect */
    TAILSLATE_UNKNOWN, /* the connection broke before the answer: unknown */
};

/* Functions return 0, or -1 with the reason stored in ctx, unless stated otherwise. From a
 * successful begin to its commit or rollback, all calls belong to one transaction. */
struct tailslate_ledger {
    void *ctx;
    /* TAILSLATE_READ: a snapshot, in which all reads see the same moment. */
    int (*begin)(void *ctx, enum tailslate_access access);
    /* Prevent all other changes to the job until the transaction ends. No such job: 0. */
    int (*lock)(void *ctx, const struct tailslate_request *request);
    /* No such job: claim.job_found stays false, and nothing else is read. */
    int (*facts)(void *ctx, const struct tailslate_request *request, struct tailslate_facts *facts);
    /* The completion on record with the request's token, otherwise the newest one. 1, or 0: none.
     */
    int (*recorded)(void *ctx, const struct tailslate_request *request,
                    struct tailslate_recorded *recorded);
    /* Which renditions of the request are missing or have missing files. */
    int (*missing)(void *ctx, const struct tailslate_request *request,
                   tailslate_quality_set *missing);
    /* Write the whole effect. 1, or 0: nothing was written, because the job no longer matches
     * `facts`. */
    int (*write)(void *ctx, const struct tailslate_effect *effect);
    enum tailslate_outcome (*commit)(void *ctx);
    void (*rollback)(void *ctx);
};

/* What is on record, without locking and without checking files. A verdict that does not commit is
 * the answer; for one that does (verify_commits) call tailslate_complete. 0, or -1. */
int tailslate_inspect(const struct tailslate_ledger *ledger, struct tailslate_request *request,
                      struct tailslate_result *result);

/* Take effect, once. 0: *result is true and committed. -1: try again later; nothing is known. */
int tailslate_complete(const struct tailslate_ledger *ledger, struct tailslate_request *request,
                       struct tailslate_result *result);

#endif
