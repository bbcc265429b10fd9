/* Retry, cancel, delete, re-transcode, priority. */
#include "verifier/store/store_operation.h"

#include "lib/json.h"
#include "verifier/store/store_private.h"

#include <errno.h>
#include <string.h>

enum operation_kind { RETRY, CANCEL, DELETE, RETRANSCODE, PRIORITY, OPERATIONS };

/* The rule and its words: no sentence means that it is permitted. */
static const char *const refusals[OPERATIONS][STORE_JOB_STATES] = {
    [RETRY] = {[STORE_JOB_WAITING] = "it has not failed; it waits for a worker",
               [STORE_JOB_CLAIMED] = "it has not failed; a worker is transcoding it",
               [STORE_JOB_COMPLETED] = "it has completed; use retranscode to transcode it again",
               [STORE_JOB_DELETED] = "its video was deleted"},
    [CANCEL] = {[STORE_JOB_COMPLETED] = "it has completed",
                [STORE_JOB_FAILED] = "it has failed or was cancelled already",
                [STORE_JOB_DELETED] = "its video was deleted"},
    [DELETE] = {[STORE_JOB_CLAIMED] = "a worker is transcoding it; cancel it first"},
    [RETRANSCODE] = {[STORE_JOB_WAITING] = "it waits for a worker already",
                     [STORE_JOB_CLAIMED] = "a worker is transcoding it",
                     [STORE_JOB_FAILED] = "it has failed; use retry",
                     [STORE_JOB_DELETED] = "its video was deleted"},
    [PRIORITY] =
        {[STORE_JOB_COMPLETED] = "it has completed", [STORE_JOB_DELETED] = "its video was deleted"},
};

/* One operation, from its first statement to its last. */
struct operation {
    enum operation_kind kind;
    struct store_transaction tx;
    struct store_job job;
    char now[WALL_TEXT_BYTES];
};

enum store_job_state store_job_state(const struct store_job *job)
{
    bool failed = strcmp(job->video_status, "failed") == 0 || job->requeued;
    if (job->completed_at[0] && !failed)
        return STORE_JOB_COMPLETED;
    if (job->deleted)
        return STORE_JOB_DELETED;
    if (failed)
        return STORE_JOB_FAILED;
    return job->claimed_at[0] || job->holder[0] ? STORE_JOB_CLAIMED : STORE_JOB_WAITING;
}

const char *store_job_state_name(enum store_job_state state)
{
    static const char *const names[STORE_JOB_STATES] = {
        [STORE_JOB_NONE] = "none",       [STORE_JOB_WAITING] = "waiting",
        [STORE_JOB_CLAIMED] = "claimed", [STORE_JOB_COMPLETED] = "completed",
        [STORE_JOB_FAILED] = "failed",   [STORE_JOB_DELETED] = "deleted"};
    must(state < STORE_JOB_STATES);
    return names[state];
}

bool store_job_awaits_retranscode(const struct store_job *job)
{
    return store_job_state(job) == STORE_JOB_WAITING && strcmp(job->video_status, "ready") == 0;
}

/* 1: permitted, and the job's row is locked. 0: the result says why not. */
static int begin(struct store *store, struct operation *operation, int64_t job_id,
                 struct store_operated *result, struct error *err)
{
    struct store_job *job = &operation->job;
    bool found;
    *result = (struct store_operated){.was = STORE_JOB_NONE, .refused = "there is no such job"};
    if (store_begin(store, &operation->tx, err) != 0 ||
        store_lock_job(operation->tx.db, job_id, err) != 0 ||
        store_now(store, operation->tx.db, operation->now, err) != 0 ||
        store_read_job(operation->tx.db, job_id, &found, job, err) != 0)
        return -1;
    if (!found)
        return 0;
    result->was = store_job_state(job);
    result->refused = refusals[operation->kind][result->was];
    memcpy(result->slug, job->slug, sizeof result->slug);
    memcpy(result->worker_name, job->last_holder_name, sizeof result->worker_name);
    return result->refused ? 0 : 1;
}

#define OPERATION(name, kind_) CLEANUP(operation_end) struct operation name = {.kind = (kind_)}

static void operation_end(struct operation *operation)
{
    store_rollback(&operation->tx);
}

#define SAME_CLAIM           " id = $1 AND" STORE_CLAIM_EPOCH " = $2"
#define SAME_CLAIM_ARGS(job) db_int((job)->id), db_int((job)->claim_epoch)

/* The row waits for a claim as if it had never been claimed, but for its last holder and its epoch:
 * without started_at the reports of that holder are superseded. */
#define OPENED                                                                                     \
    " completed_at = NULL, worker_id = NULL, claimed_at = NULL, claim_expires_at = NULL,"          \
    " started_at = NULL, current_step = NULL, progress_percent = 0, attempt_number = 1,"           \
    " last_error = NULL, processed_by_worker_id = COALESCE(processed_by_worker_id, worker_id)"

static int forget_progress(struct db *db, int64_t job_id, struct error *err)
{
    if (db_run(db, NULL, err, "DELETE FROM quality_progress WHERE job_id = $1",
               DB_ARGS(db_int(job_id))) != 0)
        return -1;
    return store_queue_now(db, job_id, err);
}

/* ---- retry ---- */

static int reopen_failed(struct db *db, const struct store_job *job, struct error *err)
{
    int64_t rows = 0;
    if (db_run(db, &rows, err,
               "UPDATE transcoding_jobs SET" OPENED " WHERE" SAME_CLAIM
               " AND EXISTS (SELECT 1 FROM videos v WHERE v.id = transcoding_jobs.video_id"
               " AND v.status <> 'ready' AND v.deleted_at IS NULL)",
               DB_ARGS(SAME_CLAIM_ARGS(job))) != 0)
        return -1;
    if (rows != 1)
        return store_job_changed(job->id, err);
    if (db_run(db, NULL, err,
               "UPDATE videos SET status = 'pending', error_message = NULL WHERE id = $1",
               DB_ARGS(db_int(job->video_id))) != 0 ||
        store_leave_all(db, job->id, err) != 0)
        return -1;
    return forget_progress(db, job->id, err);
}

int store_job_retry(struct store *store, int64_t job_id, struct store_operated *result,
                    struct error *err)
{
    OPERATION(operation, RETRY);
    int may = begin(store, &operation, job_id, result, err);
    if (may <= 0)
        return may;
    return reopen_failed(operation.tx.db, &operation.job, err) == 0
               ? store_commit(&operation.tx, err)
               : -1;
}

/* $1: above this ID. */
#define FROM_FAILED                                                                                \
    " FROM videos v JOIN transcoding_jobs j ON j.video_id = v.id"                                  \
    " LEFT JOIN job_queue q ON q.job_id = j.id WHERE v.status = 'failed'"                          \
    " AND v.deleted_at IS NULL AND COALESCE(q.cancelled, 0) = 0 AND j.id > $1"

static int choose_failed(struct db *db, int64_t after, int64_t ids[STORE_RETRY_BATCH],
                         size_t *count, struct error *err)
{
    DB_ROWS(rows) = db_query(db, "SELECT j.id" FROM_FAILED " ORDER BY j.id LIMIT $2",
                             DB_ARGS(db_int(after), db_int(STORE_RETRY_BATCH)), err);
    if (!rows)
        return -1;
    int got;
    *count = 0;
    while ((got = db_next(rows, err)) == 1 && *count < STORE_RETRY_BATCH)
        ids[(*count)++] = db_get_int(rows, 0);
    return got < 0 ? -1 : 0;
}

/* Locked, and then read again: it may have been retried or deleted since it was chosen. */
static int retry_one(struct db *db, int64_t job_id, int64_t *count, struct error *err)
{
    struct store_job job;
    bool found;
    if (store_lock_job(db, job_id, err) != 0 || store_read_job(db, job_id, &found, &job, err) != 0)
        return -1;
    if (!found || store_job_state(&job) != STORE_JOB_FAILED || job.cancelled)
        return 0;
    ++*count;
    return reopen_failed(db, &job, err);
}

int store_job_retry_failed(struct store *store, int64_t *after, int64_t *count, struct error *err)
{
    int64_t ids[STORE_RETRY_BATCH], retried = 0;
    size_t chosen;
    TRANSACTION(tx);
    *count = 0;
    if (store_begin(store, &tx, err) != 0 || choose_failed(tx.db, *after, ids, &chosen, err) != 0)
        return -1;
    for (size_t i = 0; i < chosen; i++)
        if (retry_one(tx.db, ids[i], &retried, err) != 0)
            return -1;
    if (store_commit(&tx, err) != 0)
        return -1;
    if (chosen > 0)
        *after = ids[chosen - 1];
    *count = retried;
    return 0;
}

int store_job_count_failed(struct store *store, int64_t after, int64_t *count, struct error *err)
{
    TRANSACTION(tx);
    if (store_begin_reading(store, &tx, err) != 0)
        return -1;
    int got = db_one_int(tx.db, count, err, "SELECT COUNT(*)" FROM_FAILED, DB_ARGS(db_int(after)));
    return got == 1 ? 0 : -1;
}

/* ---- cancel ---- */

static int mark_cancelled(struct db *db, int64_t job_id, struct error *err)
{
    return db_run(db, NULL, err,
                  "INSERT INTO job_queue (job_id, cancelled) VALUES ($1, 1) ON CONFLICT (job_id)"
                  " DO UPDATE SET cancelled = 1, not_before = NULL, delayed_worker = NULL,"
                  " waiting_reason = NULL, waiting_since = NULL",
                  DB_ARGS(db_int(job_id)));
}

/* Closed as by a final failure. */
static int close_cancelled(struct store *store, struct operation *operation, struct error *err)
{
    struct db *db = operation->tx.db;
    const struct store_job *job = &operation->job;
    int64_t rows = 0;
    if (db_run(db, &rows, err,
               "UPDATE transcoding_jobs SET completed_at = $3, claimed_at = NULL,"
               " claim_expires_at = NULL, current_step = NULL, last_error = $4,"
               " processed_by_worker_id = COALESCE(processed_by_worker_id, worker_id)"
               " WHERE" SAME_CLAIM " AND completed_at IS NULL",
               DB_ARGS(SAME_CLAIM_ARGS(job), db_text(operation->now), db_text(STORE_CANCELLED))) !=
        0)
        return -1;
    if (rows != 1)
        return store_job_changed(job->id, err);
    if (db_run(db, NULL, err,
               "UPDATE videos SET status = 'failed', error_message = $2 WHERE id = $1",
               DB_ARGS(db_int(job->video_id), db_text(STORE_CANCELLED))) != 0 ||
        store_leave_all(db, job->id, err) != 0 || mark_cancelled(db, job->id, err) != 0)
        return -1;
    return store_note_event(store, db, job->id, err);
}

/* The video is what its last completion made, and nothing of it was replaced yet. */
static int take_back_retranscode(struct operation *operation, struct error *err)
{
    const struct store_job *job = &operation->job;
    int64_t rows = 0;
    if (db_run(operation->tx.db, &rows, err,
               "UPDATE transcoding_jobs SET completed_at = COALESCE((SELECT MAX(c.committed_at)"
               " FROM completions c WHERE c.job_id = transcoding_jobs.id), $3),"
               " progress_percent = 100, current_step = 'finalize', retranscode_metadata = NULL"
               " WHERE" SAME_CLAIM " AND completed_at IS NULL AND claimed_at IS NULL",
               DB_ARGS(SAME_CLAIM_ARGS(job), db_text(operation->now))) != 0)
        return -1;
    return rows == 1 ? store_queue_now(operation->tx.db, job->id, err)
                     : store_job_changed(job->id, err);
}

int store_job_cancel(struct store *store, int64_t job_id, struct store_operated *result,
                     struct error *err)
{
    OPERATION(operation, CANCEL);
    int may = begin(store, &operation, job_id, result, err);
    if (may <= 0)
        return may;
    bool is_retranscode = store_job_awaits_retranscode(&operation.job);
    if ((is_retranscode ? take_back_retranscode(&operation, err)
                        : close_cancelled(store, &operation, err)) != 0)
        return -1;
    return store_commit(&operation.tx, err);
}

/* ---- delete ---- */

int store_job_delete(struct store *store, int64_t job_id, bool with_files,
                     struct store_operated *result, struct error *err)
{
    const struct store_files *files = &store->settings.files;
    OPERATION(operation, DELETE);
    int may = begin(store, &operation, job_id, result, err);
    if (may <= 0)
        return may;
    if (store->settings.schema == STORE_SCHEMA_VLOG) {
        result->refused = "its video belongs to the stock vlog server; delete it there";
        return 0;
    }
    /* All other rows go with the video's. */
    if (store_leave_all(operation.tx.db, job_id, err) != 0 ||
        db_run(operation.tx.db, NULL, err, "DELETE FROM videos WHERE id = $1",
               DB_ARGS(db_int(operation.job.video_id))) != 0)
        return -1;
    if (with_files &&
        files->remove(files->ctx, operation.job.video_id, operation.job.slug, err) != 0)
        return -1;
    return store_commit(&operation.tx, err);
}

/* ---- re-transcode ---- */

static char *metadata_of(tailslate_quality_set qualities)
{
    JSON(root) = json_new_object();
    struct json *list = json_new_array();
    json_set_bool(root, "retranscode_all", qualities == 0);
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++)
        if (qualities & 1u << quality)
            json_append_text(list, tailslate_quality_name(quality));
    json_set(root, "qualities_to_delete", list);
    return json_print(root);
}

static int reopen_completed(struct db *db, const struct store_job *job, const char *metadata,
                            struct error *err)
{
    int64_t rows = 0;
    if (db_run(db, &rows, err,
               "UPDATE transcoding_jobs SET" OPENED ", retranscode_metadata = $3 WHERE" SAME_CLAIM
               " AND completed_at IS NOT NULL"
               " AND EXISTS (SELECT 1 FROM videos v WHERE v.id = transcoding_jobs.video_id"
               " AND v.status = 'ready' AND v.deleted_at IS NULL)",
               DB_ARGS(SAME_CLAIM_ARGS(job), db_text(metadata))) != 0)
        return -1;
    return rows == 1 ? forget_progress(db, job->id, err) : store_job_changed(job->id, err);
}

/* The claim will take away what plays today. */
static bool has_source(const struct store_files *files, int64_t video_id)
{
    char name[FILENAME_BYTES];
    files->source_name(files->ctx, video_id, name);
    return name[0] != '\0';
}

int store_job_retranscode(struct store *store, int64_t job_id, tailslate_quality_set qualities,
                          struct store_operated *result, struct error *err)
{
    OPERATION(operation, RETRANSCODE);
    int may = begin(store, &operation, job_id, result, err);
    if (may <= 0)
        return may;
    if (store->settings.schema == STORE_SCHEMA_VLOG)
        result->refused = "its video belongs to the stock vlog server; request it there";
    else if (operation.job.deleted)
        result->refused = refusals[RETRANSCODE][STORE_JOB_DELETED];
    else if (!has_source(&store->settings.files, operation.job.video_id))
        result->refused = "its source file is not in uploads_dir";
    if (result->refused)
        return 0;
    TEXT(metadata) = metadata_of(qualities);
    return reopen_completed(operation.tx.db, &operation.job, metadata, err) == 0
               ? store_commit(&operation.tx, err)
               : -1;
}

/* ---- priority ---- */

int store_job_set_priority(struct store *store, int64_t job_id, int64_t priority,
                           struct store_operated *result, struct error *err)
{
    if (priority < -STORE_PRIORITY_MAX || priority > STORE_PRIORITY_MAX)
        return error_set(err, ERROR_PERMANENT, EINVAL, "priority: must be %d to %d",
                         -STORE_PRIORITY_MAX, STORE_PRIORITY_MAX);
    OPERATION(operation, PRIORITY);
    int may = begin(store, &operation, job_id, result, err);
    if (may <= 0)
        return may;
    if (store_write_priority(operation.tx.db, job_id, priority, err) != 0)
        return -1;
    return store_commit(&operation.tx, err);
}
