#include "verifier/store/store_source.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Nobody can finish it any more: it was never claimed, or its last claim has ended by a failure. A
 * holder whose claim was only released may still have the source, or the finished work. */
static int is_over(struct db *db, const struct store_job *job, struct error *err)
{
    int64_t one;
    if (!job->last_holder[0])
        return 1;
    return db_one_int(db, &one, err,
                      "SELECT 1 FROM failures WHERE job_id = $1 AND claim_epoch = $2",
                      DB_ARGS(db_int(job->id), db_int(job->claim_epoch)));
}

static int fail_for_good(struct db *db, const char *now, const struct store_job *job,
                         const char *reason, struct error *err)
{
    int64_t rows = 0;
    if (db_run(db, &rows, err,
               "UPDATE transcoding_jobs SET completed_at = $2, last_error = $3"
               " WHERE id = $1 AND completed_at IS NULL AND claimed_at IS NULL",
               DB_ARGS(db_int(job->id), db_text(now), db_text(reason))) != 0)
        return -1;
    if (rows != 1)
        return store_job_changed(job->id, err);
    if (store_queue_now(db, job->id, err) != 0)
        return -1;
    return db_run(db, NULL, err,
                  "UPDATE videos SET status = 'failed', error_message = $2 WHERE id = $1",
                  DB_ARGS(db_int(job->video_id), db_text(reason)));
}

static int let_wait(struct db *db, const char *now, const struct store_job *job, const char *reason,
                    struct error *err)
{
    char until[WALL_TEXT_BYTES];
    store_time_add(now, STORE_SOURCE_WAIT_MS, until);
    return db_run(db, NULL, err,
                  "INSERT INTO job_queue (job_id, not_before, waiting_reason, waiting_since)"
                  " VALUES ($1, $2, $3, $4) ON CONFLICT (job_id) DO UPDATE SET"
                  " not_before = excluded.not_before, delayed_worker = NULL,"
                  " waiting_since = CASE WHEN job_queue.waiting_reason = excluded.waiting_reason"
                  " THEN job_queue.waiting_since ELSE excluded.waiting_since END,"
                  " waiting_reason = excluded.waiting_reason",
                  DB_ARGS(db_int(job->id), db_text(until), db_text(reason), db_text(now)));
}

/* A video that can be watched stays as it is, although it cannot be transcoded again. */
static int settle_missing(struct db *db, const char *now, const struct store_job *job,
                          enum store_source *source, char reason[STORE_REASON_BYTES],
                          struct error *err)
{
    snprintf(reason, STORE_REASON_BYTES, "its source file %lld.* is gone from uploads_dir",
             (long long)job->video_id);
    int over = strcmp(job->video_status, "pending") == 0 ? is_over(db, job, err) : 0;
    if (over < 0)
        return -1;
    *source = over ? STORE_SOURCE_GONE : STORE_SOURCE_WAITS;
    return over ? fail_for_good(db, now, job, reason, err) : let_wait(db, now, job, reason, err);
}

int store_check_source(struct store *store, struct db *db, const char *now, int64_t job_id,
                       enum store_source *source, char reason[STORE_REASON_BYTES],
                       struct error *err)
{
    const struct store_files *files = &store->settings.files;
    struct store_job job;
    struct error why;
    bool found;
    *source = STORE_SOURCE_THERE;
    if (store_read_job(db, job_id, &found, &job, err) != 0)
        return -1;
    must(found);
    if (!files->find_source || files->find_source(files->ctx, job.video_id, &why) == 0)
        return 0;
    if (why.code == ENOENT) {
        if (settle_missing(db, now, &job, source, reason, err) != 0)
            return -1;
        return *source == STORE_SOURCE_GONE ? store_note_event(store, db, job_id, err) : 0;
    }
    if (why.code == ESTALE) {
        *source = STORE_SOURCE_AWAY;
        return 0;
    }
    *source = STORE_SOURCE_WAITS;
    snprintf(reason, STORE_REASON_BYTES, "its source cannot be read: %.200s", why.message);
    return let_wait(db, now, &job, reason, err);
}

void store_announce_source(int64_t job_id, enum store_source source, const char *reason)
{
    log_warning(source == STORE_SOURCE_GONE ? "job.source_gone" : "job.source_waits",
                LOG_INT("job", job_id), LOG_TEXT("reason", reason));
}
