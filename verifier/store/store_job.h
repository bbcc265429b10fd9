/* store_job: what the database says of a job, and the calls that keep its claim: progress and
 * uploads. */
#ifndef VERIFIER_STORE_JOB_H
#define VERIFIER_STORE_JOB_H

#include "base/message.h"
#include "verifier/store/store_worker.h"

#include "tailslate/verify.h"

struct store_job {
    int64_t id, video_id, claim_epoch, attempt_number, max_attempts;
    char slug[SLUG_BYTES], title[STORE_TITLE_BYTES];
    char video_status[16], current_step[32];
    bool deleted;
    int64_t progress_percent;
    char holder[WORKER_ID_BYTES];      /* "" = unclaimed */
    char last_holder[WORKER_ID_BYTES]; /* "" = never claimed */
    char last_holder_name[STORE_NAME_BYTES];
    char claimed_at[WALL_TEXT_BYTES], claim_expires_at[WALL_TEXT_BYTES];
    char started_at[WALL_TEXT_BYTES]; /* "" = never, or re-opened since */
    char completed_at[WALL_TEXT_BYTES], created_at[WALL_TEXT_BYTES];
    char last_error[REASON_BYTES];
    char format[8], codec[8];
    double duration;
    int64_t source_width, source_height;
    bool reopened; /* open, was claimed, and not since it was opened */
    bool requeued; /* closed without a completion: a failed video that an operator queued again */
    int64_t priority; /* greater is claimed first */
    /* While it waits: it is not given away before this time, to delayed_worker ("": to anybody),
     * and why. "" = not known. */
    char not_before[WALL_TEXT_BYTES], delayed_worker[WORKER_ID_BYTES];
    char waiting_reason[STORE_REASON_BYTES], waiting_since[WALL_TEXT_BYTES];
    bool cancelled; /* by an operator */
};

struct store_caller {
    const struct store_worker *worker;
    int64_t claim_epoch; /* TAILSLATE_ABSENT_INT: not given */
};

/* The caller's standing, and the job; changes nothing. */
int store_caller_standing(struct store *store, const struct store_caller *caller, int64_t job_id,
                          enum tailslate_standing *standing, struct store_job *job,
                          struct error *err);
int store_job_of_video(struct store *store, int64_t video_id, int64_t *job_id, struct error *err);
int store_recorded_qualities(struct store *store, int64_t video_id, tailslate_quality_set *recorded,
                             struct error *err);

/* expires: the extended claim's end; "" where the job is completed (nothing is changed then). */
int store_progress(struct store *store, const struct store_caller *caller, int64_t job_id,
                   const struct message_progress *progress, enum tailslate_standing *standing,
                   char expires[WALL_TEXT_BYTES], struct error *err);

/* An upload: classify, extend the claim, then publish(ctx) inside the transaction (it renames),
 * then commit; so that no file of a superseded holder appears after the claim went. */
typedef int store_publish(void *ctx, struct error *err);
int store_upload(struct store *store, const struct store_caller *caller, int64_t job_id,
                 store_publish *publish, void *ctx, enum tailslate_standing *standing,
                 struct error *err);

#endif
