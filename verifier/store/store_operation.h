/* store_operation: what an operator orders about a job that is in trouble, or not wanted, or wanted
 * sooner: retry, cancel, delete, re-transcode, priority.
 *
 * Each is one transaction under the lock of the job's row, so that it happens before or after any
 * request of a worker about the job and never beside it. What the job's state does not permit is
 * refused with a sentence. A job that is opened again forgets no claim: reports of the claims
 * before are superseded (PROMISES, row 6), and a cancelled claim's are answered that the job is
 * gone (row 7). */
#ifndef VERIFIER_STORE_OPERATION_H
#define VERIFIER_STORE_OPERATION_H

#include "verifier/store/store_job.h"

enum {
    STORE_PRIORITY_MAX = 1000, /* and -1000 */
    STORE_RETRY_BATCH = 100,   /* jobs of one transaction */
};
#define STORE_CANCELLED "cancelled by an operator" /* the last error of a cancelled job */

enum store_job_state {
    STORE_JOB_NONE,      /* there is no such job */
    STORE_JOB_WAITING,   /* open, and nobody holds it */
    STORE_JOB_CLAIMED,   /* open, and a worker holds it */
    STORE_JOB_COMPLETED, /* its video is ready */
    STORE_JOB_FAILED,    /* for good, or cancelled */
    STORE_JOB_DELETED,   /* its video was deleted by a stock server */
    STORE_JOB_STATES,
};
enum store_job_state store_job_state(const struct store_job *job);
/* "none", "waiting", "claimed", "completed", "failed", "deleted" */
const char *store_job_state_name(enum store_job_state state);
/* Its video was finished before, and plays until a worker claims the job. */
bool store_job_awaits_retranscode(const struct store_job *job);

struct store_operated {
    enum store_job_state was;
    const char *refused; /* why nothing was changed: ends "job 7: "; NULL: it was done */
    /* Of the job as it was. */
    char slug[SLUG_BYTES], worker_name[STORE_NAME_BYTES];
};

/* A failed or cancelled job waits again, with all its attempts. */
int store_job_retry(struct store *store, int64_t job_id, struct store_operated *result,
                    struct error *err);
/* The same for the first STORE_RETRY_BATCH failed jobs above *after, which becomes the last one's
 * ID; *count of them were retried, and 0 ends the loop. Cancelled ones are left out. */
int store_job_retry_failed(struct store *store, int64_t *after, int64_t *count, struct error *err);
/* How many of them there are above `after`. */
int store_job_count_failed(struct store *store, int64_t after, int64_t *count, struct error *err);

/* An open job ends as failed for good. Its holder is told so at its next request. A re-transcode
 * that nobody has claimed yet is taken back, and the video stays as it is. */
int store_job_cancel(struct store *store, int64_t job_id, struct store_operated *result,
                     struct error *err);

/* The job, its video and all their rows go. with_files: the source and the output to the trash. */
int store_job_delete(struct store *store, int64_t job_id, bool with_files,
                     struct store_operated *result, struct error *err);

/* A completed job waits again; the claim replaces these renditions (0: all), and until then the
 * video plays as before. */
int store_job_retranscode(struct store *store, int64_t job_id, tailslate_quality_set qualities,
                          struct store_operated *result, struct error *err);

/* -STORE_PRIORITY_MAX to STORE_PRIORITY_MAX; jobs have 0, and those with more are claimed first. */
int store_job_set_priority(struct store *store, int64_t job_id, int64_t priority,
                           struct store_operated *result, struct error *err);

#endif
