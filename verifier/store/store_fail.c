/* The failure of a claim: recorded per claim, so that its replay charges no second attempt. */
#include "verifier/store/store_fail.h"

#include "verifier/store/store_private.h"

#include <stdio.h>
#include <string.h>

struct failing {
    const struct store_caller *caller;
    int64_t job_id;
    const struct message_failure *failure;
    struct store_failed *result;
    char now[WALL_TEXT_BYTES];
    struct store_job job;
};

/* 1 where this claim's failure is on record: then the answer is filled from it. */
static int read_recorded_failure(struct db *db, struct failing *failing, struct error *err)
{
    DB_ROWS(rows) = db_query(
        db, "SELECT will_retry, attempt_number FROM failures WHERE" STORE_FAILURE_OF_CLAIM,
        STORE_FAILURE_ARGS(&failing->job, failing->caller), err);
    int got = rows ? db_next(rows, err) : -1;
    if (got == 1) {
        failing->result->replayed = true;
        failing->result->will_retry = db_get_int(rows, 0) != 0;
        failing->result->attempt_number = db_get_int(rows, 1);
    }
    return got;
}

/* The delay of the first retry, four times as long for each attempt after it. */
static int64_t delay_ms(const struct store *store, int64_t attempt)
{
    int64_t delay = store->settings.retry_delay_ms;
    for (int64_t i = 1; i < attempt && delay < STORE_RETRY_DELAY_MAX_MS; i++)
        delay *= 4;
    return delay < STORE_RETRY_DELAY_MAX_MS ? delay : STORE_RETRY_DELAY_MAX_MS;
}

/* The delay is for the worker that failed: another one may find nothing wrong. */
static int delay_retry(struct store *store, struct db *db, const struct failing *failing,
                       struct error *err)
{
    char until[WALL_TEXT_BYTES], reason[STORE_REASON_BYTES];
    const struct store_worker *worker = failing->caller->worker;
    int64_t delay = delay_ms(store, failing->job.attempt_number);
    if (delay == 0)
        return 0;
    store_time_add(failing->now, delay, until);
    snprintf(reason, sizeof reason,
             "attempt %lld of %lld failed on worker %s, which waits before it tries again; another "
             "worker may claim it now",
             (long long)failing->job.attempt_number, (long long)failing->job.max_attempts,
             worker->name);
    return db_run(db, NULL, err,
                  "INSERT INTO job_queue (job_id, not_before, delayed_worker, waiting_reason,"
                  " waiting_since) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (job_id) DO UPDATE SET"
                  " not_before = excluded.not_before, delayed_worker = excluded.delayed_worker,"
                  " waiting_reason = excluded.waiting_reason,"
                  " waiting_since = excluded.waiting_since",
                  DB_ARGS(db_int(failing->job_id), db_text(until), db_text(worker->worker_id),
                          db_text(reason), db_text(failing->now)));
}

static int reopen_job(struct store *store, struct db *db, struct failing *failing, int64_t *rows,
                      struct error *err)
{
    if (db_run(db, rows, err,
               "UPDATE transcoding_jobs SET worker_id = NULL, processed_by_worker_id = $2,"
               " claimed_at = NULL, claim_expires_at = NULL, current_step = NULL,"
               " attempt_number = COALESCE(attempt_number, 1) + 1, last_error = $4"
               " WHERE" STORE_HOLDER_GUARD,
               DB_ARGS(db_int(failing->job_id), db_text(failing->caller->worker->worker_id),
                       db_int(failing->job.claim_epoch), db_text(failing->failure->reason))) != 0)
        return -1;
    /* The next attempt must not start with the progress of this one. */
    if (db_run(db, NULL, err, "DELETE FROM quality_progress WHERE job_id = $1",
               DB_ARGS(db_int(failing->job_id))) != 0 ||
        delay_retry(store, db, failing, err) != 0)
        return -1;
    return store_wait_again(db, failing->job.video_id, err);
}

/* completed_at with a failed video: closed for good, and not a completion. */
static int close_job_failed(struct db *db, struct failing *failing, int64_t *rows,
                            struct error *err)
{
    if (db_run(db, rows, err,
               "UPDATE transcoding_jobs SET completed_at = $5, worker_id = $2,"
               " processed_by_worker_id = $2, claimed_at = NULL, claim_expires_at = NULL,"
               " last_error = $4 WHERE" STORE_HOLDER_GUARD,
               DB_ARGS(db_int(failing->job_id), db_text(failing->caller->worker->worker_id),
                       db_int(failing->job.claim_epoch), db_text(failing->failure->reason),
                       db_text(failing->now))) != 0)
        return -1;
    return db_run(db, NULL, err,
                  "UPDATE videos SET status = 'failed', error_message = $2 WHERE id = $1",
                  DB_ARGS(db_int(failing->job.video_id), db_text(failing->failure->reason)));
}

static int record_failure(struct db *db, struct failing *failing, struct error *err)
{
    const struct store_failed *result = failing->result;
    if (db_run(db, NULL, err,
               "INSERT INTO failures (job_id, claim_epoch, worker_id, error_message, will_retry,"
               " attempt_number, recorded_at, started_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
               " ON CONFLICT (job_id, claim_epoch) DO UPDATE SET worker_id = excluded.worker_id,"
               " error_message = excluded.error_message, will_retry = excluded.will_retry,"
               " attempt_number = excluded.attempt_number, recorded_at = excluded.recorded_at,"
               " started_at = excluded.started_at",
               DB_ARGS(db_int(failing->job_id), db_int(failing->job.claim_epoch),
                       db_text(failing->caller->worker->worker_id),
                       db_text(failing->failure->reason), db_int(result->will_retry ? 1 : 0),
                       db_int(result->attempt_number), db_text(failing->now),
                       db_text(failing->job.started_at))) != 0)
        return -1;
    return store_leave(db, failing->caller->worker->worker_id, failing->job_id, err);
}

static int write_failure(struct store *store, struct db *db, struct failing *failing,
                         struct error *err)
{
    struct store_failed *result = failing->result;
    int64_t rows = 0;
    result->attempt_number = failing->job.attempt_number;
    result->will_retry = failing->failure->retry &&
                         failing->job.attempt_number < failing->job.max_attempts;
    if ((result->will_retry ? reopen_job(store, db, failing, &rows, err)
                            : close_job_failed(db, failing, &rows, err)) != 0)
        return -1;
    if (rows != 1)
        return store_job_changed(failing->job_id, err);
    if (record_failure(db, failing, err) != 0)
        return -1;
    return result->will_retry ? 0 : store_note_event(store, db, failing->job_id, err);
}

static int fail(struct store *store, struct failing *failing, struct error *err)
{
    struct store_facts facts = {.store = store, .caller = failing->caller};
    TRANSACTION(tx);
    if (store_begin_held(&facts, DB_ALONE, failing->job_id, &tx, &failing->result->standing, err) !=
        0)
        return -1;
    failing->job = facts.job;
    memcpy(failing->now, facts.now, sizeof failing->now);
    switch (failing->result->standing) {
    case TAILSLATE_STANDING_HELD:
    case TAILSLATE_STANDING_LATE:
        return write_failure(store, tx.db, failing, err) == 0 ? store_commit(&tx, err) : -1;
    case TAILSLATE_STANDING_FAILED:
    case TAILSLATE_STANDING_GONE: /* perhaps by this very failure */
        return read_recorded_failure(tx.db, failing, err) < 0 ? -1 : 0;
    case TAILSLATE_STANDING_COMPLETED: /* absorbing */
        failing->result->attempt_number = failing->job.attempt_number;
        return 0;
    case TAILSLATE_STANDING_SUPERSEDED:
    case TAILSLATE_STANDING_NO_JOB:
    case TAILSLATE_STANDING_NOT_YOURS:
    case TAILSLATE_STANDING_COUNT:
        break;
    }
    return 0;
}

int store_fail(struct store *store, const struct store_caller *caller, int64_t job_id,
               const struct message_failure *failure, struct store_failed *result,
               struct error *err)
{
    struct failing failing = {
        .caller = caller, .job_id = job_id, .failure = failure, .result = result};
    *result = (struct store_failed){0};
    return fail(store, &failing, err);
}
