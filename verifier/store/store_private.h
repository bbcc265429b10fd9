/* store_private: what the files of the store share. Nobody else includes this. */
#ifndef VERIFIER_STORE_PRIVATE_H
#define VERIFIER_STORE_PRIVATE_H

#include "verifier/store/store_operator.h"
#include "verifier/store/store_pool.h"

/* Hold the job's row until the transaction ends; no such row: nothing. What is decided about it is
 * then read by later statements: on PostgreSQL the locking statement itself would show joined rows
 * as they were before its wait. */
int store_lock_job(struct db *db, int64_t job_id, struct error *err);

/* Hold this until the transaction ends, against every verifier of the database. PostgreSQL only: a
 * transaction of SQLite is a lock of the whole file already. The numbers are arbitrary. */
enum { STORE_LOCK_SCHEMA = 331, STORE_LOCK_WORKER_NAMES = 332 };
int store_lock(struct db *db, int number, struct error *err);

int store_read_job(struct db *db, int64_t job_id, bool *found, struct store_job *job,
                   struct error *err);
int store_read_recorded(struct db *db, int64_t video_id, tailslate_quality_set *recorded,
                        struct error *err);

#define STORE_JOB_FROM                                                                             \
    " FROM transcoding_jobs j JOIN videos v ON v.id = j.video_id"                                  \
    " LEFT JOIN job_epochs e ON e.job_id = j.id LEFT JOIN job_queue q ON q.job_id = j.id"
#define STORE_JOB_SELECT                                                                           \
    "SELECT j.id, j.video_id, COALESCE(e.claim_epoch, 0), COALESCE(j.attempt_number, 1),"          \
    " COALESCE(j.max_attempts, 3), v.slug, v.title, v.status, j.current_step, v.deleted_at,"       \
    " j.progress_percent, j.worker_id,"                                                            \
    " COALESCE(j.processed_by_worker_id, j.worker_id), j.processed_by_worker_name, j.claimed_at,"  \
    " j.claim_expires_at, j.completed_at, v.created_at, j.last_error, v.streaming_format,"         \
    " v.primary_codec, v.duration, v.source_width, v.source_height, j.started_at,"                 \
    " CASE WHEN EXISTS (SELECT 1 FROM completions c WHERE c.job_id = j.id"                         \
    " AND c.committed_at = j.completed_at) THEN 1 ELSE 0 END, COALESCE(q.priority, 0),"            \
    " COALESCE(q.cancelled, 0), q.not_before, q.delayed_worker, q.waiting_reason,"                 \
    " q.waiting_since"
#define STORE_JOB_COLUMNS STORE_JOB_SELECT STORE_JOB_FROM
void store_job_from_row(struct db_rows *rows, struct store_job *job);

/* Of details->job.video_id. */
int store_read_renditions(struct db *db, struct store_details *details, struct error *err);
/* The job's video became ready or failed, in this transaction, whose writing is done: an event for
 * the webhook, if one is configured for it (store_event.h). */
int store_note_event(struct store *store, struct db *db, int64_t job_id, struct error *err);

int store_read_counts(struct db *db, struct store_counts *counts, struct error *err);
/* The recorded answer of a completion says that it was late. NULL: not. */
bool store_response_late(const char *response);
/* The recorded list of a completion's warnings. NULL: none. */
void store_parse_warnings(const char *text, struct tailslate_warnings *warnings);

#define STORE_WORKER_COLUMNS                                                                       \
    "SELECT w.id, w.worker_id, COALESCE(w.worker_name, ''), w.worker_type, w.status,"              \
    " w.registered_at, w.last_heartbeat, COALESCE(w.current_job_id, 0)"
void store_worker_from_row(struct db_rows *rows, struct store_worker *worker);
/* Its status is `offline` where its last heartbeat is older than the threshold. */
void store_mark_offline(const struct store *store, const char *now, struct store_worker *worker);

int store_find_worker(struct db *db, const char *worker, struct store_found_worker *found,
                      struct error *err);

/* store_key.c: a new key, and its row (worker: workers.id). */
void store_make_key(char key[64]);
int store_add_key(struct db *db, int64_t worker, const char *api_key, const char *now,
                  struct error *err);

/* store_job.c: who has ever held a job. Noted in the transaction of each claim. */
int store_note_holder(struct db *db, int64_t job_id, const char *worker_id, struct error *err);

/* The facts by which every request about a job is decided. */
struct store_facts {
    struct store *store;
    const struct store_caller *caller;
    char now[WALL_TEXT_BYTES];
    struct store_job job;
    struct tailslate_verify_facts claim; /* job_found false: nothing else is set, nor is `now` */
};
/* Columns after STORE_JOB_SELECT, with $1 the job and $2 the worker_id. */
enum { STORE_FACTS_END = 35 };
#define STORE_FACTS_COLUMNS                                                                        \
    ", CASE WHEN EXISTS (SELECT 1 FROM job_holders h WHERE h.job_id = j.id"                        \
    " AND h.worker_id = $2) THEN 1 ELSE 0 END,"                                                    \
    " CASE WHEN EXISTS (SELECT 1 FROM failures f WHERE f.job_id = j.id"                            \
    " AND f.claim_epoch = COALESCE(e.claim_epoch, 0) AND f.worker_id = $2"                         \
    " AND (f.started_at IS NULL OR f.started_at = j.started_at)) THEN 1 ELSE 0 END," DB_CLOCK
void store_facts_from_row(struct db_rows *rows, struct store_facts *facts);
/* As the first steps of a transaction: hold the job, then read its facts. */
void store_add_lock(struct db_steps *steps, int64_t job_id);
void store_add_facts(struct db_steps *steps, int64_t job_id, struct store_facts *facts);

/* As store_begin, with the time of the begin. */
int store_begin_at(struct store *store, enum db_sharing sharing, struct store_transaction *tx,
                   char now[WALL_TEXT_BYTES], struct error *err);
/* A transaction with the job's row, and the caller's standing in it. */
int store_begin_held(struct store_facts *facts, enum db_sharing sharing, int64_t job_id,
                     struct store_transaction *tx, enum tailslate_standing *standing,
                     struct error *err);

/* Nothing delays the job any more, nor does a cancellation stand; its priority stays. */
int store_queue_now(struct db *db, int64_t job_id, struct error *err);

int store_write_priority(struct db *db, int64_t job_id, int64_t priority, struct error *err);

/* -1: a guard refused what was decided a moment ago. */
int store_job_changed(int64_t job_id, struct error *err);

/* The video waits for a worker again, unless it is something else than processing by now. */
int store_wait_again(struct db *db, int64_t video_id, struct error *err);
/* The worker is not at this job any more. */
int store_leave(struct db *db, const char *worker_id, int64_t job_id, struct error *err);
void store_add_leave(struct db_steps *steps, const char *worker_id, int64_t job_id);
/* The same of whoever has it. */
int store_leave_all(struct db *db, int64_t job_id, struct error *err);

/* The database's clock, which decides about every claim; a test may have moved it. */
int store_now(struct store *store, struct db *db, char now[WALL_TEXT_BYTES], struct error *err);
/* The same of what DB_CLOCK gave in this column. */
void store_now_from(const struct store *store, struct db_rows *rows, int column,
                    char now[WALL_TEXT_BYTES]);
/* `now` plus so many milliseconds (may be negative). */
void store_time_add(const char *now, int64_t ms, char text[WALL_TEXT_BYTES]);

/* The failure that this claim has recorded: `WHERE` STORE_FAILURE_OF_CLAIM. Whoever hands out the
 * claims beside a stock server counts none of them: there the time at which a claim began tells it
 * from an earlier one of the same worker. */
#define STORE_FAILURE_OF_CLAIM                                                                     \
    " job_id = $1 AND claim_epoch = $2 AND worker_id = $3"                                         \
    " AND (started_at IS NULL OR started_at = $4)"
#define STORE_FAILURE_ARGS(job, caller)                                                            \
    DB_ARGS(db_int((job)->id), db_int((job)->claim_epoch), db_text((caller)->worker->worker_id),   \
            db_text((job)->started_at[0] ? (job)->started_at : NULL))

/* The number of the job's last claim; 0: it was never claimed. The row is transcoding_jobs without
 * an alias. */
#define STORE_CLAIM_EPOCH                                                                          \
    " COALESCE((SELECT e.claim_epoch FROM job_epochs e WHERE e.job_id = transcoding_jobs.id), 0)"

/* Every guard that a change by the holder of a claim carries in its WHERE: $1 job, $2 worker,
 * $3 epoch. The row is transcoding_jobs without an alias. An open row's worker_id is its holder,
 * whatever claimed_at says: a stock server's own transcoder leaves either without the other. */
#define STORE_HOLDER_GUARD                                                                         \
    " id = $1 AND completed_at IS NULL"                                                            \
    " AND COALESCE(processed_by_worker_id, worker_id) = $2"                                        \
    " AND (worker_id IS NULL OR worker_id = $2) AND started_at IS NOT NULL"                        \
    " AND" STORE_CLAIM_EPOCH " = $3"                                                               \
    " AND EXISTS (SELECT 1 FROM videos v WHERE v.id = transcoding_jobs.video_id"                   \
    " AND v.deleted_at IS NULL AND v.status <> 'failed')"

#endif
