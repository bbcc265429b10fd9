/* A job for a worker. */
#include "verifier/store/store_claim.h"

#include "lib/json.h"
#include "verifier/store/store_release.h"
#include "verifier/store/store_source.h"

#include <stdlib.h>
#include <string.h>

#define WANTED                                                                                     \
    " (v.status = 'pending' OR (v.status = 'ready' AND j.retranscode_metadata IS NOT NULL))"
#define CLAIMABLE                                                                                  \
    " j.completed_at IS NULL AND j.claimed_at IS NULL AND v.deleted_at IS NULL AND" WANTED

#define CLAIM_FROM                                                                                 \
    " FROM transcoding_jobs j JOIN videos v ON v.id = j.video_id"                                  \
    " LEFT JOIN job_queue q ON q.job_id = j.id"
/* $1 the worker, $2 now. */
#define RIPE " (q.not_before IS NULL OR q.not_before <= $2 OR q.delayed_worker <> $1)"
/* Its opposite; NOT would be null where a column is. */
#define NOT_RIPE " (q.not_before > $2 AND (q.delayed_worker IS NULL OR q.delayed_worker = $1))"

struct claiming {
    const struct store_worker *worker;
    int64_t job_id;
    struct message_claim *claim;
    char now[WALL_TEXT_BYTES];
    /* Claims of others that may be released, and those that were. */
    struct store_candidates candidates;
    struct store_sweep released;
};

/* By the sweeper's own predicate and decision: /claim does not get around the grace. */
static int find_releasable(struct store *store, struct db *db, struct claiming *claiming,
                           struct error *err)
{
    struct fleet fleet;
    enum grace_verdict verdict;
    if (fleet_read(store, db, false, &fleet, err) != 0 ||
        release_choose(store, db, &fleet, claiming->job_id, 0, &claiming->candidates, err) != 0)
        return -1;
    memcpy(claiming->now, fleet.now, sizeof claiming->now);
    if (claiming->candidates.count == 0)
        return 0;
    if (fleet_judge(store, db, &fleet, 0, false, &verdict, err) != 0)
        return -1;
    if (verdict != GRACE_RELEASE)
        claiming->candidates.count = 0;
    return 0;
}

/* A transaction of its own: it takes other rows than the grant does, in the store's lock order. */
static int release(struct store *store, struct claiming *claiming, struct error *err)
{
    struct fleet fleet;
    enum grace_verdict verdict;
    TRANSACTION(tx);
    if (store_begin(store, &tx, err) != 0 || fleet_read(store, tx.db, true, &fleet, err) != 0 ||
        fleet_judge(store, tx.db, &fleet, 0, true, &verdict, err) != 0)
        return -1;
    if (verdict == GRACE_RELEASE &&
        release_all(store, tx.db, &fleet, &claiming->candidates, &claiming->released, err) != 0)
        return -1;
    return store_commit(&tx, err);
}

static int release_candidates(struct store *store, struct claiming *claiming, struct error *err)
{
    if (claiming->candidates.count == 0)
        return 0;
    int result = release(store, claiming, err);
    if (result == 0)
        sweep_announce(&claiming->released, 0);
    store_sweep_fini(&claiming->released);
    return result;
}

/* The key was checked when the request arrived, which may have waited for a minute since. 1: yes.
 */
static int may_claim(struct store *store, struct db *db, const char *worker_id, struct error *err)
{
    struct error ignored;
    const char *version = "";
    DB_ROWS(rows) = db_query(db,
                             "SELECT metadata FROM workers WHERE worker_id = $1"
                             " AND status <> 'disabled'",
                             DB_ARGS(db_text(worker_id)), err);
    int got = rows ? db_next(rows, err) : -1;
    const char *metadata = got == 1 ? db_get_text(rows, 0) : NULL;
    if (!metadata)
        return got;
    JSON(root) = json_parse(metadata, strlen(metadata), &ignored);
    json_get_text(root, "code_version", CODE_VERSION_BYTES, &version);
    return store_version_fits(store, version);
}

/* Without the write lock: is there anything for this worker at all? 1, 0 or -1. */
static int anything(struct store *store, struct claiming *claiming, struct error *err)
{
    int64_t there;
    TRANSACTION(tx);
    if (store_begin_reading(store, &tx, err) != 0)
        return -1;
    struct db *db = tx.db;
    int got = may_claim(store, db, claiming->worker->worker_id, err);
    if (got <= 0)
        return got;
    if (find_releasable(store, db, claiming, err) != 0)
        return -1;
    got = claiming->candidates.count > 0;
    if (got == 0)
        got = db_one_int(db, &there, err,
                         "SELECT 1" CLAIM_FROM " WHERE" CLAIMABLE
                         " AND (j.id = $3 OR ($3 = 0 AND" RIPE ")) LIMIT 1",
                         DB_ARGS(db_text(claiming->worker->worker_id), db_text(claiming->now),
                                 db_int(claiming->job_id)));
    if (got == 0 && claiming->job_id != 0)
        got = db_one_int(db, &there, err,
                         "SELECT 1 FROM transcoding_jobs WHERE id = $1 AND worker_id = $2"
                         " AND completed_at IS NULL AND claimed_at IS NOT NULL",
                         DB_ARGS(db_int(claiming->job_id), db_text(claiming->worker->worker_id)));
    return got;
}

/* ---- the next job ----
 *
 * The greatest priority; then what this worker has not failed, because another node may succeed at
 * the rest; then the oldest. A backlog is long and a claim takes one of it, so nothing sorts it:
 * each kind of job is read in the order of an index, as many as other claims may hold at this
 * moment. In the kinds that are rare, the oldest is the one with the lowest id. CROSS JOIN: SQLite
 * reads the tables in this order. NOT EXISTS: PostgreSQL knows that few jobs are left out, and so
 * that the first rows of the index will do. $1 the worker, $2 now. */
enum { NEXT_MAX = 64 };
#define NEXT_LIMIT " LIMIT 64"
#define OPEN       " j.completed_at IS NULL AND j.claimed_at IS NULL AND v.deleted_at IS NULL"
#define UNRANKED                                                                                   \
    " AND NOT EXISTS (SELECT 1 FROM job_queue q WHERE q.job_id = j.id"                             \
    " AND (q.priority <> 0 OR" NOT_RIPE "))"
#define NOT_FAILED                                                                                 \
    " AND NOT EXISTS (SELECT 1 FROM failures f WHERE f.job_id = j.id AND f.worker_id = $1)"

/* Columns: the job, its priority, whether this worker has failed it, the video's age and ID. */
static const char next_usual[] =
    "SELECT j.id, 0, 0, v.created_at, v.id FROM videos v CROSS JOIN transcoding_jobs j"
    " WHERE v.status = 'pending' AND j.video_id = v.id AND" OPEN UNRANKED NOT_FAILED
    " ORDER BY v.created_at, v.id" NEXT_LIMIT;

/* COALESCE: not by the index on these two columns, which leads to all that wait. */
static const char next_again[] =
    "SELECT j.id, 0, 0, v.created_at, v.id FROM transcoding_jobs j CROSS JOIN videos v"
    " WHERE j.retranscode_metadata IS NOT NULL AND v.id = j.video_id AND v.status = 'ready'"
    " AND COALESCE(j.completed_at, j.claimed_at) IS NULL"
    " AND v.deleted_at IS NULL" UNRANKED NOT_FAILED " ORDER BY j.id" NEXT_LIMIT;

static const char next_ranked[] =
    "SELECT j.id, q.priority, 0, v.created_at, v.id FROM job_queue q"
    " CROSS JOIN transcoding_jobs j CROSS JOIN videos v"
    " WHERE q.priority <> 0 AND j.id = q.job_id AND v.id = j.video_id AND" OPEN " AND" WANTED
    " AND" RIPE NOT_FAILED " ORDER BY q.priority DESC, q.job_id" NEXT_LIMIT;

static const char next_failed[] =
    "SELECT j.id, COALESCE(q.priority, 0), 1, v.created_at, v.id FROM failures f"
    " CROSS JOIN transcoding_jobs j CROSS JOIN videos v LEFT JOIN job_queue q ON q.job_id = j.id"
    " WHERE f.worker_id = $1 AND j.id = f.job_id AND v.id = j.video_id AND" OPEN " AND" WANTED
    " AND" RIPE " ORDER BY COALESCE(q.priority, 0) DESC, f.job_id" NEXT_LIMIT;

static const char *const next_of_kind[] = {next_usual, next_again, next_ranked, next_failed};
enum { NEXT_KINDS = sizeof next_of_kind / sizeof *next_of_kind };

struct next {
    int64_t job_id, priority, failed, video_id;
    char created_at[WALL_TEXT_BYTES];
};
struct next_list {
    struct next all[NEXT_KINDS * NEXT_MAX];
    size_t count;
};

static void note_next(struct db_step *step, struct db_rows *rows)
{
    struct next_list *list = step->ctx;
    if (list->count == NEXT_KINDS * NEXT_MAX)
        return;
    struct next *next = &list->all[list->count++];
    next->job_id = db_get_int(rows, 0);
    next->priority = db_get_int(rows, 1);
    next->failed = db_get_int(rows, 2);
    db_copy_text(rows, 3, next->created_at, sizeof next->created_at);
    next->video_id = db_get_int(rows, 4);
}

static int compare_next(const void *left, const void *right)
{
    const struct next *a = left, *b = right;
    int by_age = strcmp(a->created_at, b->created_at);
    return a->priority != b->priority ? (a->priority < b->priority ? 1 : -1)
           : a->failed != b->failed   ? (a->failed > b->failed ? 1 : -1)
           : by_age != 0              ? by_age
                                      : (a->video_id > b->video_id) - (a->video_id < b->video_id);
}

/* The first of them that no other claim holds, and that may still be claimed. 1, 0 or -1. */
static int lock_first(struct db *db, const struct next_list *list, int64_t *job_id,
                      struct error *err)
{
    int got = 0;
    for (size_t i = 0; i < list->count && got == 0; i++)
        got = db_one_int(db, job_id, err,
                         "SELECT j.id FROM transcoding_jobs j JOIN videos v ON v.id = j.video_id"
                         " WHERE j.id = $1 AND" CLAIMABLE DB_FOR_UPDATE_OF_J_SKIP,
                         DB_ARGS(db_int(list->all[i].job_id)));
    return got;
}

static int choose_next(struct db *db, const struct claiming *claiming, int64_t *job_id,
                       struct error *err)
{
    struct next_list list = {.count = 0};
    struct db_steps steps = {0};
    for (int kind = 0; kind < NEXT_KINDS; kind++) {
        struct db_step *step = db_add_step(
            &steps, next_of_kind[kind],
            DB_ARGS(db_text(claiming->worker->worker_id), db_text(claiming->now)));
        step->row = note_next;
        step->ctx = &list;
    }
    if (db_batch(db, DB_PLAIN, steps.all, steps.count, err) != 0)
        return -1;
    qsort(list.all, list.count, sizeof *list.all, compare_next);
    return lock_first(db, &list, job_id, err);
}

static int choose(struct db *db, const struct claiming *claiming, int64_t *job_id,
                  struct error *err)
{
    if (claiming->job_id == 0)
        return choose_next(db, claiming, job_id, err);
    /* Asked for by name, a job is given again to the worker that holds it: its first answer may
     * have been lost. It has no delay: who asks for it has work for it. */
    return db_one_int(db, job_id, err,
                      "SELECT j.id FROM transcoding_jobs j JOIN videos v ON v.id = j.video_id"
                      " WHERE j.id = $1 AND ((" CLAIMABLE ") OR (j.completed_at IS NULL"
                      " AND v.deleted_at IS NULL AND v.status = 'processing'"
                      " AND j.claimed_at IS NOT NULL AND j.worker_id = $2))" DB_FOR_UPDATE_OF_J,
                      DB_ARGS(db_int(claiming->job_id), db_text(claiming->worker->worker_id)));
}

static tailslate_quality_set qualities_in(const struct json *list)
{
    tailslate_quality_set set = 0;
    for (int i = 0; i < json_count(list); i++) {
        enum tailslate_quality quality;
        const char *name = json_text(json_at(list, i));
        if (name && tailslate_quality_parse(name, &quality))
            set |= 1u << quality;
    }
    return set;
}

/* Which renditions a re-transcode replaces. Never a path: the slug says where the files are. */
static tailslate_quality_set replaced_by(const char *metadata)
{
    struct error ignored;
    JSON(root) = json_parse(metadata, strlen(metadata), &ignored);
    bool all = false;
    json_get_bool(root, "retranscode_all", &all);
    if (all)
        return (1u << TAILSLATE_QUALITY_COUNT) - 1;
    const struct json *list = json_get(root, "qualities_to_delete");
    return list && json_is_array(list) ? qualities_in(list) : 0;
}

static int read_replaced(struct db *db, int64_t job_id, bool *replaces,
                         tailslate_quality_set *replaced, struct error *err)
{
    DB_ROWS(rows) = db_query(db, "SELECT retranscode_metadata FROM transcoding_jobs WHERE id = $1",
                             DB_ARGS(db_int(job_id)), err);
    if (!rows || db_next(rows, err) != 1)
        return -1;
    const char *metadata = db_get_text(rows, 0);
    *replaces = metadata != NULL;
    *replaced = metadata ? replaced_by(metadata) : 0;
    return 0;
}

static int delete_renditions(struct db *db, int64_t video_id, tailslate_quality_set replaced,
                             struct error *err)
{
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++) {
        if (!(replaced & 1u << quality))
            continue;
        if (db_run(db, NULL, err,
                   "DELETE FROM video_qualities WHERE video_id = $1 AND quality = $2",
                   DB_ARGS(db_int(video_id), db_text(tailslate_quality_name(quality)))) != 0)
            return -1;
    }
    return 0;
}

/* A new holder starts clean, so that two encodes are never mixed; a re-transcode removes what it
 * replaces. Files are moved inside the transaction: if it fails afterwards, the former holder is
 * answered output_missing and uploads again. */
static int discard_old_output(struct store *store, struct db *db, const struct claiming *claiming,
                              const struct store_job *job, tailslate_quality_set *recorded,
                              struct error *err)
{
    bool replaces;
    tailslate_quality_set discarded;
    bool new_holder = job->last_holder[0] &&
                      strcmp(job->last_holder, claiming->worker->worker_id) != 0;
    if (read_replaced(db, job->id, &replaces, &discarded, err) != 0 ||
        delete_renditions(db, job->video_id, discarded, err) != 0 ||
        store_read_recorded(db, job->video_id, recorded, err) != 0)
        return -1;
    if (new_holder) {
        discarded |= ((1u << TAILSLATE_QUALITY_COUNT) - 1) & ~*recorded;
        if (db_run(db, NULL, err, "DELETE FROM quality_progress WHERE job_id = $1",
                   DB_ARGS(db_int(job->id))) != 0)
            return -1;
    }
    if (discarded &&
        store->settings.files.discard(store->settings.files.ctx, job->slug, discarded, err) != 0)
        return -1;
    if (!replaces)
        return 0;
    return db_run(db, NULL, err,
                  "INSERT INTO job_epochs (job_id, claim_epoch, replaces, retranscodes)"
                  " VALUES ($1, 0, 1, 1) ON CONFLICT (job_id) DO UPDATE SET replaces = 1,"
                  " retranscodes = job_epochs.retranscodes + 1",
                  DB_ARGS(db_int(job->id)));
}

static int take(struct db *db, const struct claiming *claiming, const struct store_job *job,
                const char *expires, struct error *err)
{
    int64_t rows = 0;
    if (db_run(db, &rows, err,
               "UPDATE transcoding_jobs SET worker_id = $2, claimed_at = $3,"
               " claim_expires_at = $4, started_at = COALESCE(started_at, $3),"
               " last_checkpoint = $3, current_step = NULL, progress_percent = 0,"
               " processed_by_worker_id = $2, processed_by_worker_name = $5,"
               " retranscode_metadata = NULL"
               " WHERE id = $1 AND completed_at IS NULL"
               " AND (claimed_at IS NULL OR worker_id = $2)",
               DB_ARGS(db_int(job->id), db_text(claiming->worker->worker_id),
                       db_text(claiming->now), db_text(expires),
                       db_text(claiming->worker->name))) != 0)
        return -1;
    if (rows != 1)
        return error_set(err, ERROR_TEMPORARY, DB_BUSY, "job %lld was taken by another",
                         (long long)job->id);
    if (db_run(db, NULL, err, "UPDATE videos SET status = 'processing' WHERE id = $1",
               DB_ARGS(db_int(job->video_id))) != 0 ||
        store_queue_now(db, job->id, err) != 0)
        return -1;
    return db_run(db, NULL, err,
                  "UPDATE workers SET current_job_id = $1, status = 'busy' WHERE worker_id = $2"
                  " AND status <> 'disabled'",
                  DB_ARGS(db_int(job->id), db_text(claiming->worker->worker_id)));
}

static int number_claim(struct db *db, int64_t job_id, struct message_claim *claim,
                        struct error *err)
{
    DB_ROWS(rows) = db_query(db,
                             "INSERT INTO job_epochs (job_id, claim_epoch) VALUES ($1, 1)"
                             " ON CONFLICT (job_id) DO UPDATE SET claim_epoch ="
                             " job_epochs.claim_epoch + 1 RETURNING claim_epoch, retranscodes",
                             DB_ARGS(db_int(job_id)), err);
    if (!rows || db_next(rows, err) != 1)
        return -1;
    claim->claim_epoch = db_get_int(rows, 0);
    claim->retranscodes = db_get_int(rows, 1);
    return 0;
}

static void describe(struct store *store, const struct store_job *job,
                     tailslate_quality_set recorded, struct message_claim *claim)
{
    claim->job_id = job->id;
    claim->video_id = job->video_id;
    memcpy(claim->video_slug, job->slug, sizeof claim->video_slug);
    claim->duration = job->duration;
    claim->source_width = job->source_width;
    claim->source_height = job->source_height;
    claim->existing_known = recorded != 0;
    claim->existing = recorded;
    claim->attempt_number = job->attempt_number;
    store->settings.files.source_name(store->settings.files.ctx, job->video_id,
                                      claim->source_filename);
}

static int grant_job(struct store *store, struct db *db, struct claiming *claiming, int64_t job_id,
                     struct error *err)
{
    struct store_job job;
    bool found = false;
    tailslate_quality_set recorded;
    char *expires = claiming->claim->claim_expires_at;
    if (store_read_job(db, job_id, &found, &job, err) != 0)
        return -1;
    must(found);
    store_time_add(claiming->now, store->settings.claim_ms, expires);
    if (discard_old_output(store, db, claiming, &job, &recorded, err) != 0 ||
        take(db, claiming, &job, expires, err) != 0 ||
        number_claim(db, job.id, claiming->claim, err) != 0 ||
        store_note_holder(db, job.id, claiming->worker->worker_id, err) != 0)
        return -1;
    describe(store, &job, recorded, claiming->claim);
    return 0;
}

/* Who asks for a job by name may have its source, or the finished work. */
static int check_source(struct store *store, struct db *db, const struct claiming *claiming,
                        int64_t job_id, enum store_source *source, char reason[STORE_REASON_BYTES],
                        struct error *err)
{
    *source = STORE_SOURCE_THERE;
    return claiming->job_id
               ? 0
               : store_check_source(store, db, claiming->now, job_id, source, reason, err);
}

/* 1: a job was passed over, and another may be there. */
static int grant(struct store *store, struct claiming *claiming, struct error *err)
{
    int64_t job_id;
    enum store_source source;
    char reason[STORE_REASON_BYTES];
    TRANSACTION(tx);
    claiming->claim->job_id = 0;
    if (store_begin_at(store, DB_ALONE, &tx, claiming->now, err) != 0)
        return -1;
    int got = choose(tx.db, claiming, &job_id, err);
    if (got <= 0)
        return got;
    if (check_source(store, tx.db, claiming, job_id, &source, reason, err) != 0)
        return -1;
    switch (source) {
    case STORE_SOURCE_THERE:
        return grant_job(store, tx.db, claiming, job_id, err) == 0 ? store_commit(&tx, err) : -1;
    case STORE_SOURCE_AWAY:
        return 0;
    case STORE_SOURCE_GONE:
    case STORE_SOURCE_WAITS:
        break;
    }
    if (store_commit(&tx, err) != 0)
        return -1;
    store_announce_source(job_id, source, reason);
    return 1;
}

int store_claim(struct store *store, const struct store_worker *worker, int64_t job_id,
                struct message_claim *claim, struct error *err)
{
    *claim = (struct message_claim){.duration = TAILSLATE_ABSENT_NUMBER,
                                    .claim_epoch = TAILSLATE_ABSENT_INT,
                                    .attempt_number = TAILSLATE_ABSENT_INT};
    struct claiming claiming = {.worker = worker, .job_id = job_id, .claim = claim};
    int got = anything(store, &claiming, err);
    if (got <= 0)
        return got;
    if (release_candidates(store, &claiming, err) != 0)
        return -1;
    for (int i = 0; i < STORE_SOURCES_MAX && (got = grant(store, &claiming, err)) > 0; i++)
        ;
    return got < 0 ? -1 : 0;
}

int store_count_claimable(struct store *store, int max, int *count, struct error *err)
{
    struct claiming claiming = {.job_id = 0};
    int64_t waiting = 0;
    TRANSACTION(tx);
    if (store_begin_reading(store, &tx, err) != 0 ||
        find_releasable(store, tx.db, &claiming, err) != 0 ||
        db_one_int(tx.db, &waiting, err,
                   "SELECT COUNT(*) FROM (SELECT 1" CLAIM_FROM " WHERE" CLAIMABLE
                   " LIMIT $1) AS claimable",
                   DB_ARGS(db_int(max))) < 0)
        return -1;
    int64_t sum = waiting + (int64_t)claiming.candidates.count;
    *count = sum < max ? (int)sum : max;
    return 0;
}
