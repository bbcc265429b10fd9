#include "verifier/store/store_schema.h"

#include "lib/cleanup.h"
#include "verifier/store/store_private.h"
#include "verifier/store/store_schema_vlog.h"

#include <stdio.h>
#include <string.h>

/* {id}, {time}, {int} and {real} stand for types that databases name differently. */

/* The tables that a stock server has, too: beside one they are not created. For an IN of more than
 * two values SQLite makes a table of its own each time that it checks a row. */
static const char stock_tables[] =
    "CREATE TABLE videos ("
    " id {id}, title TEXT NOT NULL, slug TEXT NOT NULL UNIQUE,"
    " description TEXT NOT NULL DEFAULT '', duration {real}, source_width {int},"
    " source_height {int}, status TEXT NOT NULL DEFAULT 'pending'"
    " CHECK (status IN ('pending','processing') OR status IN ('ready','failed')), error_message "
    "TEXT,"
    " created_at {time} NOT NULL, published_at {time}, deleted_at {time},"
    " streaming_format TEXT CHECK (streaming_format IN ('hls_ts','cmaf')),"
    " primary_codec TEXT CHECK (primary_codec IN ('h264','hevc') OR primary_codec = 'av1'));"

    "CREATE TABLE video_qualities ("
    " id {id}, video_id {int} NOT NULL REFERENCES videos (id)"
    " ON DELETE CASCADE, quality TEXT NOT NULL, width {int} NOT NULL, height {int} NOT NULL,"
    " bitrate {int} NOT NULL, UNIQUE (video_id, quality));"

    "CREATE TABLE workers ("
    " id {id}, worker_id TEXT NOT NULL UNIQUE, worker_name TEXT,"
    " worker_type TEXT NOT NULL DEFAULT 'remote' CHECK (worker_type IN ('local','remote')),"
    " registered_at {time} NOT NULL, last_heartbeat {time}, status TEXT NOT NULL DEFAULT 'active'"
    " CHECK (status IN ('active','idle') OR status IN ('busy','offline') OR status = 'disabled'),"
    " current_job_id {int},"
    " capabilities TEXT, metadata TEXT);"

    "CREATE TABLE worker_api_keys ("
    " id {id}, worker_id {int} NOT NULL REFERENCES workers (id)"
    " ON DELETE CASCADE, key_hash TEXT NOT NULL, hash_version {int} NOT NULL DEFAULT 1,"
    " key_prefix TEXT NOT NULL, created_at {time} NOT NULL, expires_at {time}, revoked_at {time},"
    " last_used_at {time});"
    "CREATE INDEX worker_api_keys_prefix ON worker_api_keys (key_prefix);"

    "CREATE TABLE transcoding_jobs ("
    " id {id}, video_id {int} NOT NULL UNIQUE REFERENCES videos (id)"
    " ON DELETE CASCADE, worker_id TEXT, current_step TEXT,"
    " progress_percent {int} NOT NULL DEFAULT 0 CHECK (progress_percent BETWEEN 0 AND 100),"
    " started_at {time}, last_checkpoint {time}, completed_at {time}, claimed_at {time},"
    " claim_expires_at {time}, attempt_number {int} NOT NULL DEFAULT 1,"
    " max_attempts {int} NOT NULL DEFAULT 3, last_error TEXT, processed_by_worker_id TEXT,"
    " processed_by_worker_name TEXT, retranscode_metadata TEXT);"
    "CREATE INDEX transcoding_jobs_open ON transcoding_jobs (completed_at, claimed_at);"

    "CREATE TABLE quality_progress ("
    " id {id}, job_id {int} NOT NULL REFERENCES transcoding_jobs"
    " (id) ON DELETE CASCADE, quality TEXT NOT NULL, status TEXT NOT NULL, segments_total {int},"
    " segments_completed {int}, progress_percent {int} NOT NULL DEFAULT 0, started_at {time},"
    " completed_at {time}, error_message TEXT, UNIQUE (job_id, quality));";

/* Versions of the tables that only the verifier has, one after the other. */
static const char version_1[] =
    "CREATE TABLE schema_version (version {int} NOT NULL);"

    "CREATE TABLE job_epochs (job_id {int} PRIMARY KEY REFERENCES transcoding_jobs (id)"
    " ON DELETE CASCADE, claim_epoch {int} NOT NULL,"
    /* 1 from the claim of a re-transcode to its completion, which then replaces the metadata. */
    " replaces {int} NOT NULL DEFAULT 0);"

    "CREATE TABLE completions ("
    " job_id {int} NOT NULL REFERENCES transcoding_jobs (id) ON DELETE CASCADE,"
    " claim_epoch {int} NOT NULL, token TEXT UNIQUE, fingerprint TEXT NOT NULL,"
    " worker_id TEXT NOT NULL, response TEXT NOT NULL, committed_at {time} NOT NULL,"
    " PRIMARY KEY (job_id, claim_epoch));"

    "CREATE TABLE failures ("
    " job_id {int} NOT NULL REFERENCES transcoding_jobs (id) ON DELETE CASCADE,"
    " claim_epoch {int} NOT NULL, worker_id TEXT NOT NULL, error_message TEXT NOT NULL,"
    " will_retry {int} NOT NULL, attempt_number {int} NOT NULL, recorded_at {time} NOT NULL,"
    " PRIMARY KEY (job_id, claim_epoch));"

    /* Which jobs a worker's last heartbeat named. job_id 0 says that it named its jobs at all. */
    "CREATE TABLE held_jobs (worker_id TEXT NOT NULL, job_id {int} NOT NULL,"
    " reported_at {time} NOT NULL, PRIMARY KEY (worker_id, job_id));"

    "INSERT INTO schema_version (version) VALUES (1);";

static const char version_2[] =
    /* How often a completion was presented again after it was committed; a statistic. */
    "ALTER TABLE completions ADD COLUMN replays {int} NOT NULL DEFAULT 0;"

    /* The server side as a whole, one row: since when it is up, who sweeps, what was done when. */
    "CREATE TABLE fleet ("
    " id {int} PRIMARY KEY CHECK (id = 1), alive_at {time}, up_since {time}, leader TEXT,"
    " leader_until {time}, last_sweep_at {time}, suspicious_since {time}, last_cleanup_at {time});"
    "INSERT INTO fleet (id) VALUES (1);"

    /* What each sweep did and why; released is JSON: [{"job":,"epoch":,"worker":,"reason":}]. */
    "CREATE TABLE sweeps ("
    " id {id}, swept_at {time} NOT NULL, instance TEXT NOT NULL, outcome TEXT NOT NULL,"
    " released_count {int} NOT NULL, released TEXT NOT NULL);"
    "UPDATE schema_version SET version = 2;";

/* Of the claim that failed, as the job's row has it: beside a stock server, which counts no claims,
 * it tells the claims of one worker apart. */
static const char version_3[] = "ALTER TABLE failures ADD COLUMN started_at {time};"
                                "UPDATE schema_version SET version = 3;";

/* What people should know about the work, as JSON: ["...", ...]; null: nothing. */
static const char version_4[] = "ALTER TABLE completions ADD COLUMN warnings TEXT;"
                                "UPDATE schema_version SET version = 4;";

/* Who has ever claimed a job. Of the claims before this version only the last one of each job is
 * known, and those that have ended by a completion or a failure. */
static const char version_5[] =
    "CREATE TABLE job_holders ("
    " job_id {int} NOT NULL REFERENCES transcoding_jobs (id) ON DELETE CASCADE,"
    " worker_id TEXT NOT NULL, PRIMARY KEY (job_id, worker_id));"
    "INSERT INTO job_holders (job_id, worker_id)"
    " SELECT id, COALESCE(processed_by_worker_id, worker_id) FROM transcoding_jobs"
    " WHERE COALESCE(processed_by_worker_id, worker_id) IS NOT NULL"
    " UNION SELECT job_id, worker_id FROM completions UNION SELECT job_id, worker_id FROM failures;"
    "UPDATE schema_version SET version = 5;";

/* How a job is queued, where that is not as usual; no row: priority 0, and it may be claimed now.
 * not_before is for delayed_worker alone, or for everybody where that is null. cancelled: an
 * operator ended the job. */
static const char version_6[] =
    "CREATE TABLE job_queue ("
    " job_id {int} PRIMARY KEY REFERENCES transcoding_jobs (id) ON DELETE CASCADE,"
    " priority {int} NOT NULL DEFAULT 0, not_before {time}, delayed_worker TEXT,"
    " waiting_reason TEXT, waiting_since {time}, cancelled {int} NOT NULL DEFAULT 0);"
    "UPDATE schema_version SET version = 6;";

/* Which marker file uploads_dir and videos_dir have (verifier/files/files_watch.h). */
static const char version_7[] =
    "CREATE TABLE directories (name TEXT PRIMARY KEY, marker TEXT NOT NULL);"
    "UPDATE schema_version SET version = 7;";

/* The outbox of webhooks: what is to be told to a receiver (store_event.h). next_attempt_at is also
 * the end of the lease of the verifier that is sending it. ended_at null: it waits. The job may be
 * deleted before its event is delivered. */
static const char version_8[] =
    "CREATE TABLE webhook_events ("
    " id {id}, delivery TEXT NOT NULL UNIQUE, event TEXT NOT NULL, job_id {int} NOT NULL,"
    " payload TEXT NOT NULL, occurred_at {time} NOT NULL, attempts {int} NOT NULL DEFAULT 0,"
    " next_attempt_at {time} NOT NULL, last_error TEXT, ended_at {time},"
    " outcome TEXT CHECK (outcome IN ('delivered','given_up')));"
    "CREATE INDEX webhook_events_waiting ON webhook_events (next_attempt_at)"
    " WHERE ended_at IS NULL;"
    "UPDATE schema_version SET version = 8;";

/* How many re-transcodes of the job were claimed, since this version: work that was made under a
 * lower number is not for the job's last claim. */
static const char version_9[] =
    "ALTER TABLE job_epochs ADD COLUMN retranscodes {int} NOT NULL DEFAULT 0;"
    "UPDATE schema_version SET version = 9;";

/* Indexes for what is read again and again beside many jobs: what a claim takes next
 * (store_claim.c), the latest completions. */
static const char version_10[] =
    "CREATE INDEX job_queue_ranked ON job_queue (priority DESC, job_id) WHERE priority <> 0;"
    "CREATE INDEX failures_worker ON failures (worker_id, job_id);"
    "CREATE INDEX completions_latest ON completions (committed_at);"
    "UPDATE schema_version SET version = 10;";

static const char *const versions[] = {version_1, version_2, version_3, version_4, version_5,
                                       version_6, version_7, version_8, version_9, version_10};

/* The same for the stock tables, which are not ours to change beside a stock server. */
static const char stock_indexes[] =
    "DROP INDEX IF EXISTS videos_status;"
    "CREATE INDEX IF NOT EXISTS videos_by_age ON videos (status, created_at, id);"
    "CREATE INDEX IF NOT EXISTS transcoding_jobs_again ON transcoding_jobs (id)"
    " WHERE retranscode_metadata IS NOT NULL;";

static const struct {
    const char *placeholder, *type[2]; /* by enum db_kind */
} types[] = {
    {"{id}",
     {[DB_SQLITE] = "INTEGER PRIMARY KEY AUTOINCREMENT",
      [DB_POSTGRESQL] = "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"}},
    {"{time}", {[DB_SQLITE] = "TEXT", [DB_POSTGRESQL] = "TIMESTAMPTZ"}},
    {"{int}", {[DB_SQLITE] = "INTEGER", [DB_POSTGRESQL] = "BIGINT"}},
    {"{real}", {[DB_SQLITE] = "REAL", [DB_POSTGRESQL] = "DOUBLE PRECISION"}},
};
enum { TYPE_COUNT = sizeof types / sizeof *types };

/* The statements with this database's types. Owned. */
static char *adapted(const char *sql, enum db_kind kind)
{
    TEXT(text) = NULL;
    size_t size;
    STREAM(out) = open_memstream(&text, &size);
    must(out);
    while (*sql) {
        size_t i = 0;
        while (i < TYPE_COUNT &&
               strncmp(sql, types[i].placeholder, strlen(types[i].placeholder)) != 0)
            i++;
        fputs(i < TYPE_COUNT ? types[i].type[kind] : (char[]){*sql, '\0'}, out);
        sql += i < TYPE_COUNT ? strlen(types[i].placeholder) : 1;
    }
    must(fflush(out) == 0);
    return must_strdup(text);
}

static int count_version_tables(struct db *db, int64_t *there, struct error *err)
{
    if (db_kind(db) == DB_POSTGRESQL)
        return db_one_int(db, there, err,
                          "SELECT COUNT(*) FROM pg_catalog.pg_class"
                          " WHERE oid = pg_catalog.to_regclass('schema_version')",
                          DB_NO_ARGS);
    return db_one_int(db, there, err,
                      "SELECT COUNT(*) FROM sqlite_master WHERE name = 'schema_version'",
                      DB_NO_ARGS);
}

/* 0 if the tables do not exist: the caller creates them then. */
static int version_of(struct db *db, int64_t *version, struct error *err)
{
    int64_t there = 0;
    *version = 0;
    if (count_version_tables(db, &there, err) < 0)
        return -1;
    if (!there)
        return 0;
    return db_one_int(db, version, err, "SELECT MAX(version) FROM schema_version", DB_NO_ARGS) < 0
               ? -1
               : 0;
}

static int run_adapted(struct db *db, const char *sql, struct error *err)
{
    TEXT(text) = adapted(sql, db_kind(db));
    return db_script(db, text, err);
}

#define OWN_TABLES "'job_epochs', 'completions', 'failures', 'held_jobs'"
#define STOCK_TABLES                                                                               \
    "'videos', 'video_qualities', 'workers', 'worker_api_keys', 'transcoding_jobs', "              \
    "'quality_progress'"
#define FIND_SQLITE(names)                                                                         \
    "SELECT name FROM sqlite_master WHERE name IN (" names ") ORDER BY name LIMIT 1"
#define FIND_POSTGRESQL(names)                                                                     \
    "SELECT relname FROM pg_catalog.pg_class WHERE pg_catalog.pg_table_is_visible(oid)"            \
    " AND relname IN (" names ") ORDER BY relname LIMIT 1"

/* Tables without a version are not ours to change: another program's, or an incomplete restore. */
static int refuse_unknown_tables(struct db *db, enum store_schema schema, struct error *err)
{
    static const char *const find[][2] = {
        [STORE_SCHEMA_OWN] = {[DB_SQLITE] = FIND_SQLITE(OWN_TABLES ", " STOCK_TABLES),
                              [DB_POSTGRESQL] = FIND_POSTGRESQL(OWN_TABLES ", " STOCK_TABLES)},
        [STORE_SCHEMA_VLOG] =
            {[DB_SQLITE] = FIND_SQLITE(OWN_TABLES), [DB_POSTGRESQL] = FIND_POSTGRESQL(OWN_TABLES)},
    };
    DB_ROWS(rows) = db_query(db, find[schema][db_kind(db)], DB_NO_ARGS, err);
    int got = rows ? db_next(rows, err) : -1;
    if (got <= 0)
        return got;
    return error_set(err, ERROR_PERMANENT, DB_NO_SCHEMA,
                     "the database has a table %s but no table schema_version: it belongs to "
                     "another program, or only a part of a backup was restored; use an empty "
                     "database, or restore the whole backup",
                     db_get_text(rows, 0));
}

static int make_tables(struct db *db, enum store_schema schema, struct error *err)
{
    if (db_begin(db, err) != 0)
        return -1;
    /* Two verifiers that start at once on an empty database: one makes the tables, the other waits
     * and finds them. */
    int64_t version = 0;
    int result = store_lock(db, STORE_LOCK_SCHEMA, err);
    if (result == 0)
        result = version_of(db, &version, err);
    if (result == 0 && version == 0)
        result = refuse_unknown_tables(db, schema, err);
    if (result == 0 && version == 0 && schema == STORE_SCHEMA_OWN)
        result = run_adapted(db, stock_tables, err);
    for (; result == 0 && version < STORE_SCHEMA_VERSION; version++)
        result = run_adapted(db, versions[version], err);
    if (result == 0 && schema == STORE_SCHEMA_OWN)
        result = run_adapted(db, stock_indexes, err);
    if (result == 0)
        result = db_commit(db, err);
    if (result != 0)
        db_rollback(db);
    return result;
}

static int check_schema(struct db *db, enum store_schema schema, struct error *err)
{
    bool is_stock;
    if (schema == STORE_SCHEMA_VLOG)
        return store_schema_check_stock(db, err);
    if (store_schema_is_stock(db, &is_stock, err) != 0)
        return -1;
    return is_stock ? error_set(err, ERROR_PERMANENT, DB_NO_SCHEMA,
                                "this is a stock vlog server's database: set store.schema to "
                                "\"vlog\" to work beside it; \"own\" needs its own database")
                    : 0;
}

static int refuse_newer(int64_t version, struct error *err)
{
    return error_set(err, ERROR_PERMANENT, DB_NO_SCHEMA,
                     "the database has schema version %lld, but this program supports up "
                     "to %d: upgrade this program",
                     (long long)version, STORE_SCHEMA_VERSION);
}

int store_schema_check(struct db *db, struct error *err)
{
    int64_t version;
    if (version_of(db, &version, err) != 0)
        return -1;
    if (version > STORE_SCHEMA_VERSION)
        return refuse_newer(version, err);
    if (version == STORE_SCHEMA_VERSION)
        return 0;
    return error_set(err, ERROR_PERMANENT, DB_NO_SCHEMA,
                     version == 0
                         ? "the database has no tables yet: `serve` makes them when it starts"
                         : "the database has an older schema: `serve` migrates it when it "
                           "starts");
}

int store_schema_prepare(struct db *db, enum store_schema schema, struct error *err)
{
    int64_t version;
    if (check_schema(db, schema, err) != 0 || version_of(db, &version, err) != 0)
        return -1;
    if (version > STORE_SCHEMA_VERSION)
        return refuse_newer(version, err);
    return version < STORE_SCHEMA_VERSION ? make_tables(db, schema, err) : 0;
}
