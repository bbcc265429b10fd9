/* The calls of a worker that keep its claim: progress and uploads. */
#include "verifier/store/store_job.h"
#include "verifier/store/store_private.h"

#include <string.h>

/* ---- the claim is the caller's (again) ---- */

/* A released claim that its last holder takes back: the rows of the video and the worker show it
 * again. */
static void take_back(struct db_steps *steps, const struct store_facts *facts)
{
    db_add_step(steps,
                "UPDATE videos SET status = 'processing' WHERE id = $1 AND status = 'pending'",
                DB_ARGS(db_int(facts->job.video_id)));
    db_add_step(steps,
                "UPDATE workers SET current_job_id = $1 WHERE worker_id = $2"
                " AND current_job_id IS NULL",
                DB_ARGS(db_int(facts->job.id), db_text(facts->caller->worker->worker_id)));
}

/* Its guards decide whether anything takes effect. expires: as long as the steps. */
static void extend(struct db_steps *steps, const struct store_facts *facts,
                   char expires[WALL_TEXT_BYTES])
{
    store_time_add(facts->now, facts->store->settings.claim_ms, expires);
    db_add_step(steps,
                "UPDATE transcoding_jobs SET worker_id = $2, processed_by_worker_id = $2,"
                " claimed_at = COALESCE(claimed_at, $4), claim_expires_at = $5,"
                " last_checkpoint = $4 WHERE" STORE_HOLDER_GUARD " RETURNING id",
                DB_ARGS(db_int(facts->job.id), db_text(facts->caller->worker->worker_id),
                        db_int(facts->job.claim_epoch), db_text(facts->now), db_text(expires)))
        ->needs_row = true;
    if (!facts->job.claimed_at[0])
        take_back(steps, facts);
}

/* 1: the claim may be extended. 0: the standing says why not. */
static int begin_extension(struct store_facts *facts, enum db_sharing sharing, int64_t job_id,
                           struct store_transaction *tx, enum tailslate_standing *standing,
                           struct error *err)
{
    if (store_begin_held(facts, sharing, job_id, tx, standing, err) != 0)
        return -1;
    return tailslate_verify_standing_problem(*standing) == TAILSLATE_PROBLEM_NONE;
}

static int explain(int done, int64_t job_id, struct error *err)
{
    return done != 0 && err->code == DB_REFUSED ? store_job_changed(job_id, err) : done;
}

/* ---- progress ---- */

static void write_progress(struct db_steps *steps, const char *now, const struct store_job *job,
                           const struct message_progress *progress)
{
    db_add_step(
        steps,
        "UPDATE transcoding_jobs SET current_step = COALESCE($2, current_step),"
        " progress_percent = COALESCE($3, progress_percent), last_checkpoint = $4"
        " WHERE id = $1",
        DB_ARGS(db_int(job->id), db_text(work_step_name(progress->step)),
                progress->percent == TAILSLATE_ABSENT_INT ? db_null() : db_int(progress->percent),
                db_text(now)));
}

static struct db_value known(int64_t value)
{
    return value == TAILSLATE_ABSENT_INT ? db_null() : db_int(value);
}

static void write_quality(struct db_steps *steps, const char *now, const struct store_job *job,
                          const struct message_quality_progress *quality)
{
    bool done = quality->status == QUALITY_STATUS_COMPLETED ||
                quality->status == QUALITY_STATUS_UPLOADED;
    db_add_step(
        steps,
        "INSERT INTO quality_progress (job_id, quality, status, segments_total,"
        " segments_completed, progress_percent, started_at, completed_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
        " ON CONFLICT (job_id, quality) DO UPDATE SET status = excluded.status,"
        " segments_total = COALESCE(excluded.segments_total, quality_progress.segments_total),"
        " segments_completed = COALESCE(excluded.segments_completed,"
        " quality_progress.segments_completed),"
        " progress_percent = excluded.progress_percent,"
        " completed_at = COALESCE(quality_progress.completed_at, excluded.completed_at)",
        DB_ARGS(db_int(job->id), db_text(tailslate_quality_name(quality->quality)),
                db_text(quality_status_name(quality->status)), known(quality->segments_total),
                known(quality->segments_completed),
                db_int(quality->percent == TAILSLATE_ABSENT_INT ? 0 : quality->percent),
                db_text(now), done ? db_text(now) : db_null()));
}

/* What the worker has measured, only where it is not set. */
static void write_source(struct db_steps *steps, const struct store_job *job,
                         const struct message_progress *progress)
{
    if (progress->duration < 0 && progress->source_width < 0 && progress->source_height < 0)
        return;
    db_add_step(steps,
                "UPDATE videos SET duration = COALESCE(NULLIF(duration, 0), $2, duration),"
                " source_width = COALESCE(NULLIF(source_width, 0), $3, source_width),"
                " source_height = COALESCE(NULLIF(source_height, 0), $4, source_height)"
                " WHERE id = $1",
                DB_ARGS(db_int(job->video_id),
                        progress->duration < 0 ? db_null() : db_real(progress->duration),
                        known(progress->source_width), known(progress->source_height)));
}

int store_progress(struct store *store, const struct store_caller *caller, int64_t job_id,
                   const struct message_progress *progress, enum tailslate_standing *standing,
                   char expires[WALL_TEXT_BYTES], struct error *err)
{
    struct store_facts facts = {.store = store, .caller = caller};
    struct db_steps steps = {0};
    expires[0] = '\0';
    TRANSACTION(tx);
    int may = begin_extension(&facts, DB_TOGETHER, job_id, &tx, standing, err);
    if (may <= 0)
        return may == 0 ? store_end(&tx, err) : -1;
    extend(&steps, &facts, expires);
    write_progress(&steps, facts.now, &facts.job, progress);
    for (size_t i = 0; i < progress->quality_count; i++)
        write_quality(&steps, facts.now, &facts.job, &progress->qualities[i]);
    write_source(&steps, &facts.job, progress);
    return explain(store_commit_with(&tx, steps.all, steps.count, err), job_id, err);
}

/* ---- uploads ---- */

int store_upload(struct store *store, const struct store_caller *caller, int64_t job_id,
                 store_publish *publish, void *publish_ctx, enum tailslate_standing *standing,
                 struct error *err)
{
    struct store_facts facts = {.store = store, .caller = caller};
    struct db_steps steps = {0};
    char expires[WALL_TEXT_BYTES];
    TRANSACTION(tx);
    int may = begin_extension(&facts, DB_ALONE, job_id, &tx, standing, err);
    if (may <= 0)
        return may;
    extend(&steps, &facts, expires);
    if (db_batch(tx.db, DB_PLAIN, steps.all, steps.count, err) != 0)
        return explain(-1, job_id, err);
    return publish(publish_ctx, err) == 0 ? store_commit(&tx, err) : -1;
}
