#include "store_schema.h"

/* The id column's type and the form of a time are what another driver will word differently. */
static const char tables[] =
    "CREATE TABLE schema_version (version INTEGER NOT NULL);"

    "CREATE TABLE videos ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, slug TEXT NOT NULL UNIQUE,"
    " description TEXT NOT NULL DEFAULT '', duration REAL, source_width INTEGER,"
    " source_height INTEGER, status TEXT NOT NULL DEFAULT 'pending'"
    " CHECK (status IN ('pending','processing','ready','failed')), error_message TEXT,"
    " created_at TEXT NOT NULL, published_at TEXT, deleted_at TEXT,"
    " streaming_format TEXT CHECK (streaming_format IN ('hls_ts','cmaf')),"
    " primary_codec TEXT CHECK (primary_codec IN ('h264','hevc','av1')));"
    "CREATE INDEX videos_status ON videos (status);"

    "CREATE TABLE video_qualities ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, video_id INTEGER NOT NULL REFERENCES videos (id)"
    " ON DELETE CASCADE, quality TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,"
    " bitrate INTEGER NOT NULL, UNIQUE (video_id, quality));"

    "CREATE TABLE workers ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, worker_id TEXT NOT NULL UNIQUE, worker_name TEXT,"
    " worker_type TEXT NOT NULL DEFAULT 'remote' CHECK (worker_type IN ('local','remote')),"
    " registered_at TEXT NOT NULL, last_heartbeat TEXT, status TEXT NOT NULL DEFAULT 'active'"
    " CHECK (status IN ('active','idle','busy','offline','disabled')), current_job_id INTEGER,"
    " capabilities TEXT, metadata TEXT);"

    "CREATE TABLE worker_api_keys ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, worker_id INTEGER NOT NULL REFERENCES workers (id)"
    " ON DELETE CASCADE, key_hash TEXT NOT NULL, hash_version INTEGER NOT NULL DEFAULT 1,"
    " key_prefix TEXT NOT NULL, created_at TEXT NOT NULL, expires_at TEXT, revoked_at TEXT,"
    " last_used_at TEXT);"
    "CREATE INDEX worker_api_keys_prefix ON worker_api_keys (key_prefix);"

    "CREATE TABLE transcoding_jobs ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, video_id INTEGER NOT NULL UNIQUE REFERENCES videos (id)"
    " ON DELETE CASCADE, worker_id TEXT, current_step TEXT,"
    " progress_percent INTEGER NOT NULL DEFAULT 0 CHECK (progress_percent BETWEEN 0 AND 100),"
    " started_at TEXT, last_checkpoint TEXT, completed_at TEXT, claimed_at TEXT,"
    " claim_expires_at TEXT, attempt_number INTEGER NOT NULL DEFAULT 1,"
    " max_attempts INTEGER NOT NULL DEFAULT 3, last_error TEXT, processed_by_worker_id TEXT,"
    " processed_by_worker_name TEXT, retranscode_metadata TEXT);"
    "CREATE INDEX transcoding_jobs_open ON transcoding_jobs (completed_at, claimed_at);"

    "CREATE TABLE quality_progress ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, job_id INTEGER NOT NULL REFERENCES transcoding_jobs"
    " (id) ON DELETE CASCADE, quality TEXT NOT NULL, status TEXT NOT NULL, segments_total INTEGER,"
    " segments_completed INTEGER, progress_percent INTEGER NOT NULL DEFAULT 0, started_at TEXT,"
    " completed_at TEXT, error_message TEXT, UNIQUE (job_id, quality));"

    "CREATE TABLE job_epochs (job_id INTEGER PRIMARY KEY REFERENCES transcoding_jobs (id)"
    " ON DELETE CASCADE, claim_epoch INTEGER NOT NULL,"
    /* 1 from the claim of a re-transcode to its completion, which then replaces the metadata. */
    " replaces INTEGER NOT NULL DEFAULT 0);"

    "CREATE TABLE completions ("
    " job_id INTEGER NOT NULL REFERENCES transcoding_jobs (id) ON DELETE CASCADE,"
    " claim_epoch INTEGER NOT NULL, token TEXT UNIQUE, fingerprint TEXT NOT NULL,"
    " worker_id TEXT NOT NULL, response TEXT NOT NULL, committed_at TEXT NOT NULL,"
    " PRIMARY KEY (job_id, claim_epoch));"

    "CREATE TABLE failures ("
    " job_id INTEGER NOT NULL REFERENCES transcoding_jobs (id) ON DELETE CASCADE,"
    " claim_epoch INTEGER NOT NULL, worker_id TEXT NOT NULL, error_message TEXT NOT NULL,"
    " will_retry INTEGER NOT NULL, attempt_number INTEGER NOT NULL, recorded_at TEXT NOT NULL,"
    " PRIMARY KEY (job_id, claim_epoch));"

    /* Which jobs a worker's last heartbeat named. job_id 0 says that it named its jobs at all. */
    "CREATE TABLE held_jobs (worker_id TEXT NOT NULL, job_id INTEGER NOT NULL,"
    " reported_at TEXT NOT NULL, PRIMARY KEY (worker_id, job_id));"

    "INSERT INTO schema_version (version) VALUES (1);";

/* 0 where the tables are not there: the caller makes them then. */
static int version_of(struct db *db, int64_t *version, struct error *err)
{
    int64_t there = 0;
    if (db_one_int(db, &there, err,
                   "SELECT COUNT(*) FROM sqlite_master WHERE name = 'schema_version'",
                   DB_NO_ARGS) < 0)
        return -1;
    *version = 0;
    if (!there)
        return 0;
    return db_one_int(db, version, err, "SELECT MAX(version) FROM schema_version", DB_NO_ARGS) < 0
               ? -1
               : 0;
}

static int make_tables(struct db *db, struct error *err)
{
    if (db_begin(db, err) != 0)
        return -1;
    /* Somebody else may have made them before the lock was ours. */
    int64_t version;
    int result = version_of(db, &version, err);
    if (result == 0 && version == 0)
        result = db_script(db, tables, err);
    if (result == 0)
        result = db_commit(db, err);
    if (result != 0)
        db_rollback(db);
    return result;
}

int store_schema_prepare(struct db *db, struct error *err)
{
    int64_t version;
    if (version_of(db, &version, err) != 0)
        return -1;
    if (version > STORE_SCHEMA_VERSION)
        return error_set(err, ERROR_PERMANENT, DB_NO_SCHEMA,
                         "the database has schema %lld, this program knows %d: it is older than "
                         "the one that made it",
                         (long long)version, STORE_SCHEMA_VERSION);
    return version == 0 ? make_tables(db, err) : 0;
}
