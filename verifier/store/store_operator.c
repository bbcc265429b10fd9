/* What an operator does: add, release, list and inspect jobs. */
#include "verifier/store/store_operator.h"

#include "lib/json.h"
#include "lib/message_fields.h"
#include "verifier/base/slug.h"
#include "verifier/store/store_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SLUG_NUMBER_MAX = 10000, SLUG_TRIES_MAX = 10 };

static bool directory_exists(const struct store *store, const char *slug)
{
    const struct store_files *files = &store->settings.files;
    return files->directory_exists && files->directory_exists(files->ctx, slug);
}

/* Counts from *number until no video has the name, in one question however many are taken. */
static int count_slugs(struct db *db, const char *base, int64_t *number, struct store_new_job *job,
                       struct error *err)
{
    DB_ROWS(rows) = db_query(
        db,
        "WITH RECURSIVE tried (number, slug) AS (SELECT $3, CASE WHEN $3 = 1"
        " THEN CAST($1 AS TEXT) ELSE CAST($1 AS TEXT) || '-' || $3 END UNION ALL"
        " SELECT number + 1, CAST($1 AS TEXT) || '-' || (number + 1) FROM tried WHERE number < $2"
        " AND EXISTS (SELECT 1 FROM videos WHERE videos.slug = tried.slug))"
        " SELECT slug, number FROM tried ORDER BY number DESC LIMIT 1",
        DB_ARGS(db_text(base), db_int(SLUG_NUMBER_MAX), db_int(*number)), err);
    if (!rows || db_next(rows, err) != 1)
        return -1;
    db_copy_text(rows, 0, job->chosen_slug, sizeof job->chosen_slug);
    *number = db_get_int(rows, 1);
    return 0;
}

static int choose_slug(struct store *store, struct db *db, struct store_new_job *job,
                       struct error *err)
{
    char base[SLUG_BYTES];
    int64_t number = 1;
    slug_from_name(job->title ? job->title : job->base, base);
    if (count_slugs(db, base, &number, job, err) != 0)
        return -1;
    while (directory_exists(store, job->chosen_slug) && number < SLUG_NUMBER_MAX) {
        number++;
        if (count_slugs(db, base, &number, job, err) != 0)
            return -1;
    }
    return 0;
}

static int insert_video(struct db *db, const char *now, struct store_new_job *job,
                        struct error *err)
{
    return db_one_int(db, &job->video_id, err,
                      "INSERT INTO videos (title, slug, status, created_at)"
                      " VALUES ($1, $2, 'pending', $3) ON CONFLICT (slug) DO NOTHING"
                      " RETURNING id",
                      DB_ARGS(db_text(job->title ? job->title : job->base),
                              db_text(job->chosen_slug), db_text(now)));
}

/* Another job may take the slug between our SELECT and our INSERT: the unique key decides. */
static int insert_with_a_slug(struct store *store, struct db *db, const char *now,
                              struct store_new_job *job, struct error *err)
{
    int tries = job->slug ? 1 : SLUG_TRIES_MAX, got = 0;
    for (int i = 0; i < tries && got == 0; i++) {
        if (job->slug)
            snprintf(job->chosen_slug, sizeof job->chosen_slug, "%s", job->slug);
        else if (choose_slug(store, db, job, err) != 0)
            return -1;
        got = insert_video(db, now, job, err);
    }
    if (got == 0)
        return error_set(err, ERROR_PERMANENT, DB_CONFLICT, "the slug %s is already in use",
                         job->chosen_slug);
    if (got == 1 && directory_exists(store, job->chosen_slug))
        return error_set(err, ERROR_PERMANENT, DB_CONFLICT,
                         "videos_dir already has a directory %s, of a video that was deleted: "
                         "choose another slug, or remove it",
                         job->chosen_slug);
    return got == 1 ? 0 : -1;
}

static int add_job(struct store *store, struct db *db, struct store_new_job *job, struct error *err)
{
    char now[WALL_TEXT_BYTES];
    if (store_now(store, db, now, err) != 0 || insert_with_a_slug(store, db, now, job, err) != 0)
        return -1;
    if (db_one_int(db, &job->job_id, err,
                   "INSERT INTO transcoding_jobs (video_id) VALUES ($1) RETURNING id",
                   DB_ARGS(db_int(job->video_id))) != 1)
        return -1;
    if (db_run(db, NULL, err, "INSERT INTO job_epochs (job_id, claim_epoch) VALUES ($1, 0)",
               DB_ARGS(db_int(job->job_id))) != 0)
        return -1;
    if (job->priority != 0 && store_write_priority(db, job->job_id, job->priority, err) != 0)
        return -1;
    return job->place(job->ctx, job->video_id, err);
}

int store_job_may_be_added(const struct store *store, struct error *err)
{
    switch (store->settings.schema) {
    case STORE_SCHEMA_OWN:
        return 0;
    case STORE_SCHEMA_VLOG:
        break;
    }
    return error_set(err, ERROR_PERMANENT, EPERM,
                     "store.schema is \"vlog\": the stock vlog server manages videos "
                     "and their jobs, so upload the video there");
}

int store_job_add(struct store *store, struct store_new_job *job, struct error *err)
{
    TRANSACTION(tx);
    if (store_job_may_be_added(store, err) != 0 || store_begin(store, &tx, err) != 0 ||
        add_job(store, tx.db, job, err) != 0)
        return -1;
    return store_commit(&tx, err);
}

static int release_job(struct db *db, const struct store_job *job, struct error *err)
{
    int64_t rows = 0;
    if (db_run(db, &rows, err,
               "UPDATE transcoding_jobs SET worker_id = NULL, claimed_at = NULL,"
               " claim_expires_at = NULL, current_step = NULL,"
               " processed_by_worker_id = COALESCE(processed_by_worker_id, worker_id)"
               " WHERE id = $1 AND completed_at IS NULL AND" STORE_CLAIM_EPOCH " = $2",
               DB_ARGS(db_int(job->id), db_int(job->claim_epoch))) != 0)
        return -1;
    if (rows != 1)
        return store_job_changed(job->id, err);
    if (store_wait_again(db, job->video_id, err) != 0)
        return -1;
    return store_leave_all(db, job->id, err);
}

int store_job_release(struct store *store, int64_t job_id, enum store_release *result,
                      struct error *err)
{
    struct store_job job;
    bool found;
    TRANSACTION(tx);
    if (store_begin(store, &tx, err) != 0 || store_lock_job(tx.db, job_id, err) != 0 ||
        store_read_job(tx.db, job_id, &found, &job, err) != 0)
        return -1;
    *result = !found                ? STORE_RELEASE_NO_JOB
              : job.completed_at[0] ? STORE_RELEASE_COMPLETED
              : !job.claimed_at[0]  ? STORE_RELEASE_UNCLAIMED
                                    : STORE_RELEASED;
    if (*result != STORE_RELEASED)
        return 0;
    return release_job(tx.db, &job, err) == 0 ? store_commit(&tx, err) : -1;
}

int store_read_renditions(struct db *db, struct store_details *details, struct error *err)
{
    DB_ROWS(rows) = db_query(db,
                             "SELECT quality, width, height, bitrate FROM video_qualities"
                             " WHERE video_id = $1 ORDER BY height DESC, bitrate DESC",
                             DB_ARGS(db_int(details->job.video_id)), err);
    if (!rows)
        return -1;
    int got;
    while ((got = db_next(rows, err)) == 1 && details->rendition_count < TAILSLATE_QUALITY_COUNT) {
        struct store_rendition *rendition = &details->renditions[details->rendition_count];
        const char *name = db_get_text(rows, 0);
        if (!name || !tailslate_quality_parse(name, &rendition->quality))
            continue;
        rendition->width = db_get_int(rows, 1);
        rendition->height = db_get_int(rows, 2);
        rendition->bitrate = db_get_int(rows, 3);
        details->rendition_count++;
    }
    return got < 0 ? -1 : 0;
}

static bool status_from_name(const char *name, enum quality_status *status)
{
    for (int i = QUALITY_STATUS_PENDING; i <= QUALITY_STATUS_SKIPPED; i++) {
        if (strcmp(quality_status_name((enum quality_status)i), name) == 0) {
            *status = (enum quality_status)i;
            return true;
        }
    }
    return false;
}

static int read_progress(struct db *db, struct store_details *details, struct error *err)
{
    DB_ROWS(rows) = db_query(db,
                             "SELECT quality, status, progress_percent, segments_total,"
                             " segments_completed FROM quality_progress WHERE job_id = $1"
                             " ORDER BY id",
                             DB_ARGS(db_int(details->job.id)), err);
    if (!rows)
        return -1;
    int got;
    while ((got = db_next(rows, err)) == 1 && details->progress_count < TAILSLATE_QUALITY_COUNT) {
        struct message_quality_progress *progress = &details->progress[details->progress_count];
        const char *name = db_get_text(rows, 0), *status = db_get_text(rows, 1);
        if (!name || !status || !tailslate_quality_parse(name, &progress->quality) ||
            !status_from_name(status, &progress->status))
            continue;
        progress->percent = db_get_int(rows, 2);
        progress->segments_total = db_is_null(rows, 3) ? TAILSLATE_ABSENT_INT : db_get_int(rows, 3);
        progress->segments_completed = db_is_null(rows, 4) ? TAILSLATE_ABSENT_INT
                                                           : db_get_int(rows, 4);
        details->progress_count++;
    }
    return got < 0 ? -1 : 0;
}

void store_parse_warnings(const char *text, struct tailslate_warnings *warnings)
{
    struct error ignored;
    JSON(list) = text ? json_parse(text, strlen(text), &ignored) : NULL;
    warnings_read(list, warnings);
}

/* Only a completed job's: the older row of a job that was opened again does not apply to it. */
static int read_completion(struct db *db, struct store_details *details, struct error *err)
{
    if (!details->job.completed_at[0] || strcmp(details->job.video_status, "failed") == 0)
        return 0;
    DB_ROWS(rows) = db_query(
        db,
        "SELECT token, claim_epoch, worker_id, committed_at, response, replays,"
        " warnings"
        " FROM completions WHERE job_id = $1"
        " ORDER BY claim_epoch DESC LIMIT 1",
        DB_ARGS(db_int(details->job.id)), err);
    int got = rows ? db_next(rows, err) : -1;
    if (got <= 0)
        return got;
    details->completed = true;
    db_copy_text(rows, 0, details->token, sizeof details->token);
    details->claim_epoch = db_get_int(rows, 1);
    db_copy_text(rows, 2, details->worker_id, sizeof details->worker_id);
    db_copy_text(rows, 3, details->committed_at, sizeof details->committed_at);
    details->late = store_response_late(db_get_text(rows, 4));
    details->replays = db_get_int(rows, 5);
    store_parse_warnings(db_get_text(rows, 6), &details->warnings);
    return 0;
}

int store_job_details(struct store *store, int64_t job_id, struct store_details *details,
                      struct error *err)
{
    *details = (struct store_details){0};
    TRANSACTION(tx);
    if (store_begin_reading(store, &tx, err) != 0 ||
        store_read_job(tx.db, job_id, &details->found, &details->job, err) != 0)
        return -1;
    if (!details->found)
        return 0;
    if (store_read_renditions(tx.db, details, err) != 0 || read_progress(tx.db, details, err) != 0)
        return -1;
    return read_completion(tx.db, details, err);
}

int store_read_counts(struct db *db, struct store_counts *counts, struct error *err)
{
    DB_ROWS(rows) = db_query(
        db,
        "SELECT COALESCE(SUM(CASE WHEN j.completed_at IS NULL AND j.claimed_at IS NULL"
        " THEN 1 ELSE 0 END), 0),"
        " COALESCE(SUM(CASE WHEN j.completed_at IS NULL AND j.claimed_at IS NOT NULL"
        " THEN 1 ELSE 0 END), 0),"
        " COALESCE(SUM(CASE WHEN j.completed_at IS NOT NULL AND v.status <> 'failed'"
        " THEN 1 ELSE 0 END), 0),"
        " COALESCE(SUM(CASE WHEN j.completed_at IS NOT NULL AND v.status = 'failed'"
        " THEN 1 ELSE 0 END), 0)"
        " FROM transcoding_jobs j JOIN videos v ON v.id = j.video_id",
        DB_NO_ARGS, err);
    int got = rows ? db_next(rows, err) : -1;
    if (got != 1)
        return -1;
    *counts = (struct store_counts){.pending = db_get_int(rows, 0),
                                    .processing = db_get_int(rows, 1),
                                    .completed = db_get_int(rows, 2),
                                    .failed = db_get_int(rows, 3)};
    return 0;
}

int store_count(struct store *store, struct store_counts *counts, struct error *err)
{
    TRANSACTION(tx);
    if (store_begin_reading(store, &tx, err) != 0)
        return -1;
    return store_read_counts(tx.db, counts, err);
}

int store_jobs_running(struct store *store, struct store_job **jobs, size_t *count,
                       struct error *err)
{
    TRANSACTION(tx);
    if (store_begin_reading(store, &tx, err) != 0)
        return -1;
    DB_ROWS(rows) = db_query(tx.db,
                             STORE_JOB_COLUMNS
                             " WHERE j.completed_at IS NULL AND j.claimed_at IS NOT NULL"
                             " ORDER BY j.claim_expires_at, j.id LIMIT $1",
                             DB_ARGS(db_int(STORE_LIST_MAX)), err);
    if (!rows)
        return -1;
    *jobs = must_calloc(STORE_LIST_MAX, sizeof **jobs);
    *count = 0;
    int got;
    while ((got = db_next(rows, err)) == 1 && *count < STORE_LIST_MAX)
        store_job_from_row(rows, &(*jobs)[(*count)++]);
    return got < 0 ? -1 : 0;
}
