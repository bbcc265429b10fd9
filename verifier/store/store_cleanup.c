/* What the database says about a video's directory, for the removal of orphans. */
#include "verifier/store/store_cleanup.h"

#include "verifier/store/store_release.h"

#include <string.h>

static int lock_job_of(struct db *db, const char *slug, struct error *err)
{
    int64_t job_id;
    int got = db_one_int(db, &job_id, err,
                         "SELECT j.id FROM transcoding_jobs j JOIN videos v ON v.id = j.video_id"
                         " WHERE v.slug = $1",
                         DB_ARGS(db_text(slug)));
    return got == 1 ? store_lock_job(db, job_id, err) : got;
}

/* Settled: nothing that a worker may still do concerns this directory. A final failure and a
 * deleted video are not: an operator may open them again. */
static int read_video(struct db *db, const char *slug, int64_t *video_id,
                      struct store_video_dir *dir, struct error *err)
{
    DB_ROWS(rows) = db_query(db,
                             "SELECT v.id, v.status, v.deleted_at, j.completed_at,"
                             " j.retranscode_metadata, COALESCE(e.replaces, 0) FROM videos v"
                             " LEFT JOIN transcoding_jobs j ON j.video_id = v.id"
                             " LEFT JOIN job_epochs e ON e.job_id = j.id WHERE v.slug = $1",
                             DB_ARGS(db_text(slug)), err);
    int got = rows ? db_next(rows, err) : -1;
    *dir = (struct store_video_dir){.known = got == 1};
    if (got <= 0)
        return got;
    const char *status = db_get_text(rows, 1);
    *video_id = db_get_int(rows, 0);
    dir->settled = status && strcmp(status, "ready") == 0 && db_is_null(rows, 2) &&
                   !db_is_null(rows, 3) && db_is_null(rows, 4) && db_get_int(rows, 5) == 0;
    return 0;
}

static int read_since(struct db *db, struct store_video_dir *dir, struct error *err)
{
    int64_t us;
    DB_ROWS(rows) = db_query(db, "SELECT MIN(created_at) FROM videos", DB_NO_ARGS, err);
    if (!rows || db_next(rows, err) != 1)
        return -1;
    const char *oldest = db_get_text(rows, 0);
    dir->since_ms = oldest && wall_parse(oldest, &us) ? us / 1000 : 0;
    return 0;
}

static int begin(struct store *store, const char *slug, bool preview, struct store_transaction *tx,
                 struct error *err)
{
    if (preview)
        return store_begin_reading(store, tx, err);
    return store_begin(store, tx, err) == 0 ? lock_job_of(tx->db, slug, err) : -1;
}

int store_with_video_dir(struct store *store, const char *slug, bool preview,
                         store_video_dir_act *act, void *ctx, struct error *err)
{
    struct store_video_dir dir;
    int64_t video_id = 0;
    TRANSACTION(tx);
    if (begin(store, slug, preview, &tx, err) != 0 ||
        read_video(tx.db, slug, &video_id, &dir, err) != 0)
        return -1;
    if ((dir.known ? store_read_recorded(tx.db, video_id, &dir.recorded, err)
                   : read_since(tx.db, &dir, err)) != 0)
        return -1;
    /* Only files are changed: there is nothing to commit. */
    return act(ctx, &dir, err) == 0 ? 0 : -1;
}

int store_note_cleanup(struct store *store, const char *instance, char now[WALL_TEXT_BYTES],
                       bool *noted, struct error *err)
{
    int64_t rows = 0;
    TRANSACTION(tx);
    if (store_begin(store, &tx, err) != 0 || store_now(store, tx.db, now, err) != 0 ||
        db_run(tx.db, &rows, err,
               "UPDATE fleet SET last_cleanup_at = $1 WHERE id = 1 AND leader = $2",
               DB_ARGS(db_text(now), db_text(instance))) != 0)
        return -1;
    *noted = rows == 1;
    return store_commit(&tx, err);
}

int store_clock(struct store *store, int64_t *now_ms, struct error *err)
{
    char now[WALL_TEXT_BYTES];
    TRANSACTION(tx);
    if (store_begin_reading(store, &tx, err) != 0 || store_now(store, tx.db, now, err) != 0)
        return -1;
    *now_ms = fleet_ms(now);
    return 0;
}
