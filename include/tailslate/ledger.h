/* ledger: what makes a completion take effect at most once, for any server that keeps jobs.
 *
 * A server describes where it keeps its jobs by the functions of `struct tailslate_ledger`;
 * tailslate_complete then does the rest, in the order that the promises need: lock the job, read
 * what is on record, judge (verify.h), check the files, write, commit. It never says that a
 * completion took effect, or had taken effect before, unless that is committed.
 *
 * Knows no HTTP and no SQL. A ledger belongs to one request at a time: its ctx holds the
 * connection, the transaction, and the words of the last error, which a caller reads there after a
 * -1. */
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
    char fingerprint[TAILSLATE_FINGERPRINT_BYTES]; /* filled by tailslate_look and
                                                      tailslate_complete */
};

/* What is on record about the job, all of it as of one moment. */
struct tailslate_facts {
    /* The ledger fills everything but the members "for completions only". */
    struct tailslate_verify_facts claim;
    tailslate_quality_set renditions; /* the video's, on record */
    bool replaces;                    /* a re-transcode was ordered: what is set is replaced */
    char completed_at[TAILSLATE_TIME_BYTES]; /* of the job; "" = open */
    char now[TAILSLATE_TIME_BYTES];          /* the ledger's clock, which stamps what is written */
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
    tailslate_quality_set missing; /* TAILSLATE_VERDICT_FILES_MISSING: of these renditions */
    bool late;
    int64_t claim_epoch;
    char completed_at[TAILSLATE_TIME_BYTES];
};

/* What a completion that takes effect changes. `written` renditions are new on record; the others
 * keep what they have. A member of the video is set where it is unset, or where `replaces`. */
struct tailslate_effect {
    const struct tailslate_request *request;
    const struct tailslate_facts *facts;
    const struct tailslate_result *result;
    bool replaces;
    /* No rendition was ever recorded: format and codec are still the defaults of the row's creation
     * until the video is published. */
    bool format_is_default;
    tailslate_quality_set written;
};

enum tailslate_access { TAILSLATE_READ, TAILSLATE_WRITE };
enum tailslate_outcome {
    TAILSLATE_COMMITTED,
    TAILSLATE_FAILED,  /* nothing of it took effect */
    TAILSLATE_UNKNOWN, /* the connection broke before the answer: either */
};

/* Functions return 0, or -1 with the reason kept in ctx, unless said otherwise. Between a begin
 * that succeeded and its commit or rollback, all calls belong to one transaction. */
struct tailslate_ledger {
    void *ctx;
    /* TAILSLATE_READ: a snapshot, in which all reads see one moment. */
    int (*begin)(void *ctx, enum tailslate_access access);
    /* Keep everybody else from changing the job until the transaction ends. No such job: 0. */
    int (*lock)(void *ctx, const struct tailslate_request *request);
    /* No such job: claim.job_found stays false, and nothing else is read. */
    int (*facts)(void *ctx, const struct tailslate_request *request, struct tailslate_facts *facts);
    /* The completion on record with the request's token, else the newest. 1, or 0: there is none.
     */
    int (*recorded)(void *ctx, const struct tailslate_request *request,
                    struct tailslate_recorded *recorded);
    /* Which renditions of the request are not there, with all their files. */
    int (*missing)(void *ctx, const struct tailslate_request *request,
                   tailslate_quality_set *missing);
    /* Write all of the effect. 1, or 0: nothing was written, because the job is not as `facts` say.
     */
    int (*write)(void *ctx, const struct tailslate_effect *effect);
    enum tailslate_outcome (*commit)(void *ctx);
    void (*rollback)(void *ctx);
};

/* What is on record, without lock and files: a verdict that does not commit is the answer, one that
 * does (verify_commits) is worth tailslate_complete. 0, or -1. */
int tailslate_look(const struct tailslate_ledger *ledger, struct tailslate_request *request,
                   struct tailslate_result *result);

/* Take effect, once. 0: *result is the truth, and committed. -1: try again later; nothing is known.
 */
int tailslate_complete(const struct tailslate_ledger *ledger, struct tailslate_request *request,
                       struct tailslate_result *result);

#endif
