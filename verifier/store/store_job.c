/* Reading a job, and what decides about it. */
#include "verifier/store/store_job.h"

#include "verifier/store/store_private.h"

#include <string.h>

#define COPY(rows, column, field) db_copy_text(rows, column, field, sizeof(field))

void store_job_from_row(struct db_rows *rows, struct store_job *job)
{
    *job = (struct store_job){.id = db_get_int(rows, 0),
                              .video_id = db_get_int(rows, 1),
                              .claim_epoch = db_get_int(rows, 2),
                              .attempt_number = db_get_int(rows, 3),
                              .max_attempts = db_get_int(rows, 4),
                              .deleted = !db_is_null(rows, 9),
                              .progress_percent = db_get_int(rows, 10),
                              .duration = db_get_real(rows, 21),
                              .source_width = db_get_int(rows, 22),
                              .source_height = db_get_int(rows, 23)};
    COPY(rows, 5, job->slug);
    COPY(rows, 6, job->title);
    COPY(rows, 7, job->video_status);
    COPY(rows, 8, job->current_step);
    COPY(rows, 12, job->last_holder);
    COPY(rows, 13, job->last_holder_name);
    COPY(rows, 14, job->claimed_at);
    COPY(rows, 15, job->claim_expires_at);
    COPY(rows, 16, job->completed_at);
    COPY(rows, 17, job->created_at);
    COPY(rows, 18, job->last_error);
    COPY(rows, 19, job->format);
    COPY(rows, 20, job->codec);
    COPY(rows, 24, job->started_at);
    job->priority = db_get_int(rows, 26);
    job->cancelled = db_get_int(rows, 27) != 0;
    if (!job->completed_at[0] && !job->claimed_at[0]) {
        COPY(rows, 28, job->not_before);
        COPY(rows, 29, job->delayed_worker);
        COPY(rows, 30, job->waiting_reason);
        COPY(rows, 31, job->waiting_since);
    }
    job->reopened = !job->completed_at[0] && job->last_holder[0] && !job->started_at[0];
    job->requeued = job->completed_at[0] && strcmp(job->video_status, "ready") != 0 &&
                    strcmp(job->video_status, "failed") != 0 && db_get_int(rows, 25) == 0;
    /* worker_id outlives the claim in a completed row. */
    if (job->claimed_at[0] || !job->completed_at[0])
        COPY(rows, 11, job->holder);
}

static const char lock_job[] = "SELECT id FROM transcoding_jobs WHERE id = $1" DB_FOR_UPDATE;

int store_lock_job(struct db *db, int64_t job_id, struct error *err)
{
    return db_run(db, NULL, err, lock_job, DB_ARGS(db_int(job_id)));
}

void store_add_lock(struct db_steps *steps, int64_t job_id)
{
    db_add_step(steps, lock_job, DB_ARGS(db_int(job_id)));
}

int store_read_job(struct db *db, int64_t job_id, bool *found, struct store_job *job,
                   struct error *err)
{
    DB_ROWS(rows) = db_query(db, STORE_JOB_COLUMNS " WHERE j.id = $1", DB_ARGS(db_int(job_id)),
                             err);
    int got = rows ? db_next(rows, err) : -1;
    if (got == -1)
        return -1;
    *found = got == 1;
    if (*found)
        store_job_from_row(rows, job);
    return 0;
}

int store_read_recorded(struct db *db, int64_t video_id, tailslate_quality_set *recorded,
                        struct error *err)
{
    DB_ROWS(rows) = db_query(db, "SELECT quality FROM video_qualities WHERE video_id = $1",
                             DB_ARGS(db_int(video_id)), err);
    if (!rows)
        return -1;
    *recorded = 0;
    int got;
    while ((got = db_next(rows, err)) == 1) {
        enum tailslate_quality quality;
        const char *name = db_get_text(rows, 0);
        if (name && tailslate_quality_parse(name, &quality))
            *recorded |= 1u << quality;
    }
    return got;
}

int store_note_holder(struct db *db, int64_t job_id, const char *worker_id, struct error *err)
{
    return db_run(db, NULL, err,
                  "INSERT INTO job_holders (job_id, worker_id) VALUES ($1, $2)"
                  " ON CONFLICT (job_id, worker_id) DO NOTHING",
                  DB_ARGS(db_int(job_id), db_text(worker_id)));
}

/* A stock server notes only its last claim. A worker registered after it began has held no earlier
 * claim; any other worker probably has lost one. */
static bool may_have_held(const struct store_worker *worker, const struct store_job *job)
{
    return !job->started_at[0] || strcmp(worker->registered_at, job->started_at) <= 0;
}

static enum tailslate_holder holder_of(const char *worker_id, const struct store_caller *caller)
{
    if (!worker_id[0])
        return TAILSLATE_HOLDER_NOBODY;
    return strcmp(worker_id, caller->worker->worker_id) == 0 ? TAILSLATE_HOLDER_CALLER
                                                             : TAILSLATE_HOLDER_OTHER;
}

/* Columns of STORE_FACTS_COLUMNS. */
enum { HELD = STORE_FACTS_END - 3, FAILURE_RECORDED, CLOCK };

void store_facts_from_row(struct db_rows *rows, struct store_facts *facts)
{
    struct store_job *job = &facts->job;
    const struct store_caller *caller = facts->caller;
    store_job_from_row(rows, job);
    store_now_from(facts->store, rows, CLOCK, facts->now);
    bool is_vlog = facts->store->settings.schema == STORE_SCHEMA_VLOG;
    facts->claim = (struct tailslate_verify_facts){
        .job_found = true,
        .video_failed = strcmp(job->video_status, "failed") == 0,
        .video_deleted = job->deleted,
        .closed = job->completed_at[0] != '\0',
        .requeued = job->requeued,
        .holder = holder_of(job->holder, caller),
        .last_holder = holder_of(job->last_holder, caller),
        .reopened = job->reopened,
        .claim_expired = strcmp(job->claim_expires_at, facts->now) < 0,
        .epoch = job->claim_epoch,
        .held = db_get_int(rows, HELD) != 0 || (is_vlog && may_have_held(caller->worker, job)),
        .failure_recorded = db_get_int(rows, FAILURE_RECORDED) != 0,
    };
}

static void read_facts(struct db_step *step, struct db_rows *rows)
{
    store_facts_from_row(rows, step->ctx);
}

void store_add_facts(struct db_steps *steps, int64_t job_id, struct store_facts *facts)
{
    struct db_step *step = db_add_step(
        steps, STORE_JOB_SELECT STORE_FACTS_COLUMNS STORE_JOB_FROM " WHERE j.id = $1",
        DB_ARGS(db_int(job_id), db_text(facts->caller->worker->worker_id)));
    step->row = read_facts;
    step->ctx = facts;
}

static enum tailslate_standing standing_of(const struct store_facts *facts)
{
    int64_t epoch = facts->caller->claim_epoch;
    struct tailslate_verify_request request = {.epoch_given = epoch != TAILSLATE_ABSENT_INT,
                                               .epoch = epoch};
    return tailslate_verify_standing(&request, &facts->claim);
}

int store_begin_held(struct store_facts *facts, enum db_sharing sharing, int64_t job_id,
                     struct store_transaction *tx, enum tailslate_standing *standing,
                     struct error *err)
{
    struct db_steps steps = {0};
    store_add_lock(&steps, job_id);
    store_add_facts(&steps, job_id, facts);
    if ((sharing == DB_TOGETHER ? store_begin_together : store_begin_with)(
            facts->store, steps.all, steps.count, tx, err) != 0)
        return -1;
    facts->claim.job_found = steps.all[1].rows > 0;
    *standing = standing_of(facts);
    return 0;
}

int store_queue_now(struct db *db, int64_t job_id, struct error *err)
{
    return db_run(db, NULL, err,
                  "UPDATE job_queue SET not_before = NULL, delayed_worker = NULL,"
                  " waiting_reason = NULL, waiting_since = NULL, cancelled = 0 WHERE job_id = $1",
                  DB_ARGS(db_int(job_id)));
}

int store_write_priority(struct db *db, int64_t job_id, int64_t priority, struct error *err)
{
    return db_run(db, NULL, err,
                  "INSERT INTO job_queue (job_id, priority) VALUES ($1, $2)"
                  " ON CONFLICT (job_id) DO UPDATE SET priority = excluded.priority",
                  DB_ARGS(db_int(job_id), db_int(priority)));
}

int store_job_changed(int64_t job_id, struct error *err)
{
    return error_set(err, ERROR_TEMPORARY, DB_BUSY, "job %lld changed while it was being read",
                     (long long)job_id);
}

int store_wait_again(struct db *db, int64_t video_id, struct error *err)
{
    return db_run(db, NULL, err,
                  "UPDATE videos SET status = 'pending' WHERE id = $1 AND status = 'processing'",
                  DB_ARGS(db_int(video_id)));
}

static const char leave[] = "UPDATE workers SET current_job_id = NULL WHERE worker_id = $1"
                            " AND current_job_id = $2";

int store_leave(struct db *db, const char *worker_id, int64_t job_id, struct error *err)
{
    return db_run(db, NULL, err, leave, DB_ARGS(db_text(worker_id), db_int(job_id)));
}

void store_add_leave(struct db_steps *steps, const char *worker_id, int64_t job_id)
{
    db_add_step(steps, leave, DB_ARGS(db_text(worker_id), db_int(job_id)));
}

int store_leave_all(struct db *db, int64_t job_id, struct error *err)
{
    return db_run(db, NULL, err,
                  "UPDATE workers SET current_job_id = NULL WHERE current_job_id = $1",
                  DB_ARGS(db_int(job_id)));
}

int store_caller_standing(struct store *store, const struct store_caller *caller, int64_t job_id,
                          enum tailslate_standing *standing, struct store_job *job,
                          struct error *err)
{
    struct store_facts facts = {.store = store, .caller = caller};
    struct db_steps steps = {0};
    store_add_facts(&steps, job_id, &facts);
    if (store_read(store, steps.all, steps.count, err) != 0)
        return -1;
    *standing = standing_of(&facts);
    *job = facts.job;
    return 0;
}

int store_job_of_video(struct store *store, int64_t video_id, int64_t *job_id, struct error *err)
{
    *job_id = 0;
    TRANSACTION(tx);
    if (store_begin_reading(store, &tx, err) != 0)
        return -1;
    return db_one_int(tx.db, job_id, err, "SELECT id FROM transcoding_jobs WHERE video_id = $1",
                      DB_ARGS(db_int(video_id))) < 0
               ? -1
               : 0;
}

int store_recorded_qualities(struct store *store, int64_t video_id, tailslate_quality_set *recorded,
                             struct error *err)
{
    TRANSACTION(tx);
    if (store_begin_reading(store, &tx, err) != 0)
        return -1;
    return store_read_recorded(tx.db, video_id, recorded, err);
}
