-- The tables of a stock vlog server, as an installation has them that was made by its start-up and has
-- been upgraded since: int4 ids, varchar, timestamptz, more columns than Tailslate knows. Our own words;
-- what is of no concern to a completion (playlists, analytics, webhooks) is left out.

CREATE TABLE categories (
    id serial PRIMARY KEY,
    name varchar(100) NOT NULL,
    slug varchar(100) NOT NULL UNIQUE,
    description text DEFAULT '',
    created_at timestamptz
);

CREATE TABLE videos (
    id serial PRIMARY KEY,
    title varchar(255) NOT NULL,
    slug varchar(255) NOT NULL UNIQUE,
    description text DEFAULT '',
    category_id integer REFERENCES categories (id),
    duration double precision DEFAULT 0,
    source_width integer DEFAULT 0,
    source_height integer DEFAULT 0,
    status varchar(20) DEFAULT 'pending'
        CONSTRAINT ck_videos_status CHECK (status IN ('pending', 'processing', 'ready', 'failed')),
    error_message text,
    created_at timestamptz,
    published_at timestamptz,
    deleted_at timestamptz,
    thumbnail_source varchar(20) NOT NULL DEFAULT 'auto'
        CONSTRAINT ck_videos_thumbnail_source CHECK (thumbnail_source IN ('auto', 'selected', 'custom')),
    thumbnail_timestamp double precision,
    streaming_format varchar(20) NOT NULL DEFAULT 'hls_ts'
        CONSTRAINT ck_videos_streaming_format CHECK (streaming_format IN ('hls_ts', 'cmaf')),
    primary_codec varchar(10) NOT NULL DEFAULT 'h264'
        CONSTRAINT ck_videos_primary_codec CHECK (primary_codec IN ('h264', 'hevc', 'av1')),
    is_featured boolean NOT NULL DEFAULT false,
    featured_at timestamptz,
    has_chapters boolean NOT NULL DEFAULT false,
    sprite_sheet_status varchar(20)
        CONSTRAINT ck_videos_sprite_sheet_status
        CHECK (sprite_sheet_status IS NULL OR sprite_sheet_status IN ('pending', 'generating', 'ready', 'failed')),
    sprite_sheet_error text,
    sprite_sheet_count integer DEFAULT 0,
    sprite_sheet_interval integer,
    sprite_sheet_tile_size integer,
    sprite_sheet_frame_width integer,
    sprite_sheet_frame_height integer
);
CREATE INDEX ix_videos_status ON videos (status);
CREATE INDEX ix_videos_created_at ON videos (created_at);
CREATE INDEX ix_videos_deleted_at ON videos (deleted_at);

-- No key on (video_id, quality): a stock server looks before it inserts.
CREATE TABLE video_qualities (
    id serial PRIMARY KEY,
    video_id integer REFERENCES videos (id) ON DELETE CASCADE,
    quality varchar(10) CONSTRAINT ck_video_qualities_quality
        CHECK (quality IN ('2160p', '1440p', '1080p', '720p', '480p', '360p', 'original')),
    width integer,
    height integer,
    bitrate integer,
    codec varchar(10) NOT NULL DEFAULT 'h264'
        CONSTRAINT ck_video_qualities_codec CHECK (codec IN ('h264', 'hevc', 'av1')),
    segment_format varchar(10) NOT NULL DEFAULT 'ts'
        CONSTRAINT ck_video_qualities_segment_format CHECK (segment_format IN ('ts', 'fmp4'))
);
CREATE INDEX ix_video_qualities_video_id ON video_qualities (video_id);

CREATE TABLE transcoding_jobs (
    id serial PRIMARY KEY,
    video_id integer NOT NULL UNIQUE REFERENCES videos (id) ON DELETE CASCADE,
    worker_id varchar(36),
    current_step varchar(50),
    progress_percent integer DEFAULT 0 CONSTRAINT ck_transcoding_jobs_progress_percent_range
        CHECK (progress_percent >= 0 AND progress_percent <= 100),
    started_at timestamptz,
    last_checkpoint timestamptz,
    completed_at timestamptz,
    claimed_at timestamptz,
    claim_expires_at timestamptz,
    attempt_number integer DEFAULT 1,
    max_attempts integer DEFAULT 3,
    last_error text,
    processed_by_worker_id varchar(36),
    processed_by_worker_name varchar(100),
    retranscode_metadata text
);
CREATE INDEX ix_transcoding_jobs_claim_expires ON transcoding_jobs (claim_expires_at);
CREATE INDEX ix_transcoding_jobs_claim_search ON transcoding_jobs (claimed_at, completed_at)
    WHERE claimed_at IS NULL AND completed_at IS NULL;

CREATE TABLE quality_progress (
    id serial PRIMARY KEY,
    job_id integer NOT NULL REFERENCES transcoding_jobs (id) ON DELETE CASCADE,
    quality varchar(10) NOT NULL CONSTRAINT ck_quality_progress_quality
        CHECK (quality IN ('2160p', '1440p', '1080p', '720p', '480p', '360p', 'original')),
    status varchar(20) NOT NULL DEFAULT 'pending' CONSTRAINT ck_quality_progress_status
        CHECK (status IN ('pending', 'in_progress', 'uploading', 'completed', 'failed', 'skipped', 'uploaded')),
    segments_total integer,
    segments_completed integer DEFAULT 0,
    progress_percent integer DEFAULT 0 CONSTRAINT ck_quality_progress_percent_range
        CHECK (progress_percent >= 0 AND progress_percent <= 100),
    started_at timestamptz,
    completed_at timestamptz,
    error_message text,
    CONSTRAINT uq_job_quality UNIQUE (job_id, quality)
);

CREATE TABLE transcriptions (
    id serial PRIMARY KEY,
    video_id integer NOT NULL UNIQUE REFERENCES videos (id) ON DELETE CASCADE,
    status varchar(20) NOT NULL DEFAULT 'pending',
    transcript_text text
);

CREATE TABLE workers (
    id serial PRIMARY KEY,
    worker_id varchar(36) NOT NULL UNIQUE,
    worker_name varchar(100),
    worker_type varchar(20) DEFAULT 'remote'
        CONSTRAINT ck_workers_worker_type CHECK (worker_type IN ('local', 'remote')),
    registered_at timestamptz NOT NULL,
    last_heartbeat timestamptz,
    status varchar(20) DEFAULT 'active'
        CONSTRAINT ck_workers_status CHECK (status IN ('active', 'idle', 'busy', 'offline', 'disabled')),
    current_job_id integer REFERENCES transcoding_jobs (id) ON DELETE SET NULL,
    capabilities text,
    metadata text
);
CREATE INDEX ix_workers_status ON workers (status);
CREATE INDEX ix_workers_last_heartbeat ON workers (last_heartbeat);

CREATE TABLE worker_api_keys (
    id serial PRIMARY KEY,
    worker_id integer NOT NULL REFERENCES workers (id) ON DELETE CASCADE,
    key_hash varchar(255) NOT NULL,
    hash_version integer NOT NULL DEFAULT 2,
    key_prefix varchar(8) NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);
CREATE INDEX ix_worker_api_keys_key_prefix ON worker_api_keys (key_prefix);
CREATE INDEX ix_worker_api_keys_worker_id ON worker_api_keys (worker_id);

-- As they are where vlog's migrations alone have made them: 003 declares its times without a zone.
CREATE FUNCTION stock_tables_as_migrated() RETURNS void LANGUAGE sql AS $$
    ALTER TABLE workers ALTER COLUMN registered_at TYPE timestamp, ALTER COLUMN last_heartbeat TYPE timestamp;
    ALTER TABLE worker_api_keys ALTER COLUMN created_at TYPE timestamp, ALTER COLUMN expires_at TYPE timestamp,
        ALTER COLUMN revoked_at TYPE timestamp, ALTER COLUMN last_used_at TYPE timestamp;
    ALTER TABLE transcoding_jobs ALTER COLUMN claimed_at TYPE timestamp,
        ALTER COLUMN claim_expires_at TYPE timestamp;
$$;

-- What a stock server does to these rows, as functions, so that a test reads like what happens.
CREATE FUNCTION stock_add_job(the_slug text) RETURNS integer LANGUAGE sql AS $$
    WITH video AS (
        INSERT INTO videos (title, slug, status, created_at, duration, source_width, source_height)
        VALUES (the_slug, the_slug, 'pending', clock_timestamp(), 0, 0, 0) RETURNING id)
    INSERT INTO transcoding_jobs (video_id, current_step, progress_percent, attempt_number, max_attempts)
    SELECT id, 'pending', 0, 1, 3 FROM video RETURNING id
$$;

-- key: its first eight characters are all that is kept of it.
CREATE FUNCTION stock_add_worker(name text, key text, hash text, version integer) RETURNS text LANGUAGE sql AS $$
    WITH worker AS (
        INSERT INTO workers (worker_id, worker_name, worker_type, registered_at, last_heartbeat, status)
        VALUES (gen_random_uuid(), name, 'remote', clock_timestamp(), clock_timestamp(), 'active')
        RETURNING id, worker_id),
    its_key AS (
        INSERT INTO worker_api_keys (worker_id, key_hash, hash_version, key_prefix, created_at)
        SELECT id, hash, version, left(key, 8), clock_timestamp() FROM worker)
    SELECT worker_id FROM worker
$$;

-- Expired claims first, as its /claim does, whoever asks; then the one.
CREATE FUNCTION stock_claim(the_job integer, worker text) RETURNS void LANGUAGE sql AS $$
    UPDATE videos SET status = 'pending' WHERE status = 'processing' AND id IN (SELECT video_id
        FROM transcoding_jobs WHERE claim_expires_at < clock_timestamp() AND completed_at IS NULL);
    UPDATE transcoding_jobs SET worker_id = NULL, claimed_at = NULL, claim_expires_at = NULL
        WHERE claim_expires_at < clock_timestamp() AND completed_at IS NULL;
    UPDATE transcoding_jobs SET worker_id = worker, claimed_at = clock_timestamp(),
        claim_expires_at = clock_timestamp() + interval '30 minutes', started_at = clock_timestamp(),
        current_step = 'claimed', processed_by_worker_id = worker,
        processed_by_worker_name = (SELECT worker_name FROM workers w WHERE w.worker_id = worker)
        WHERE id = the_job AND claimed_at IS NULL AND completed_at IS NULL;
    UPDATE videos SET status = 'processing'
        WHERE id = (SELECT video_id FROM transcoding_jobs WHERE id = the_job);
    UPDATE workers SET current_job_id = the_job WHERE workers.worker_id = worker;
    -- What a re-transcode replaces goes now.
    DELETE FROM video_qualities WHERE video_id IN (SELECT video_id FROM transcoding_jobs
        WHERE id = the_job AND retranscode_metadata::json ->> 'retranscode_all' = 'true');
    UPDATE transcoding_jobs SET retranscode_metadata = NULL WHERE id = the_job;
$$;

CREATE FUNCTION stock_expire(the_job integer) RETURNS void LANGUAGE sql AS $$
    UPDATE transcoding_jobs SET claim_expires_at = clock_timestamp() - interval '1 minute' WHERE id = the_job;
$$;

-- Its stale-job check: the worker is offline, the expired claim goes, the last holder's name stays.
CREATE FUNCTION stock_release(the_job integer) RETURNS void LANGUAGE sql AS $$
    UPDATE workers SET status = 'offline', current_job_id = NULL
        WHERE worker_id = (SELECT worker_id FROM transcoding_jobs WHERE id = the_job);
    UPDATE transcoding_jobs SET claimed_at = NULL, claim_expires_at = NULL, worker_id = NULL,
        current_step = NULL WHERE id = the_job AND completed_at IS NULL;
    UPDATE videos SET status = 'pending' WHERE status = 'processing'
        AND id = (SELECT video_id FROM transcoding_jobs WHERE id = the_job);
$$;

-- Its /fail, which asks nothing about completed_at: a completed job's video waits again, or has failed.
CREATE FUNCTION stock_fail(the_job integer, will_retry boolean) RETURNS void LANGUAGE sql AS $$
    DELETE FROM quality_progress WHERE job_id = the_job AND will_retry;
    UPDATE workers SET current_job_id = NULL WHERE current_job_id = the_job;
    UPDATE transcoding_jobs SET last_error = 'it broke', claimed_at = NULL, claim_expires_at = NULL,
        worker_id = CASE WHEN will_retry THEN NULL ELSE worker_id END,
        current_step = CASE WHEN will_retry THEN NULL ELSE current_step END,
        attempt_number = attempt_number + CASE WHEN will_retry THEN 1 ELSE 0 END,
        completed_at = CASE WHEN will_retry THEN NULL ELSE clock_timestamp() END WHERE id = the_job;
    UPDATE videos SET status = CASE WHEN will_retry THEN 'pending' ELSE 'failed' END,
        error_message = CASE WHEN will_retry THEN error_message ELSE 'it broke' END
        WHERE id = (SELECT video_id FROM transcoding_jobs WHERE id = the_job);
$$;

-- An operator's "retry" of a failed video opens nothing: the job's row stays closed.
CREATE FUNCTION stock_retry(the_job integer) RETURNS void LANGUAGE sql AS $$
    UPDATE videos SET status = 'pending', error_message = NULL
        WHERE id = (SELECT video_id FROM transcoding_jobs WHERE id = the_job);
$$;

-- A re-transcode opens the same row again; the video stays ready until it is claimed. who did it last stays.
CREATE FUNCTION stock_retranscode(the_job integer) RETURNS void LANGUAGE sql AS $$
    UPDATE transcoding_jobs SET current_step = 'pending', progress_percent = 0,
        attempt_number = attempt_number + 1, worker_id = NULL, claimed_at = NULL, claim_expires_at = NULL,
        started_at = NULL, completed_at = NULL, last_error = NULL,
        retranscode_metadata = '{"retranscode_all": true, "qualities_to_delete": ["360p", "720p"],'
            ' "delete_transcription": true, "video_dir": "/srv/vlog/videos/film"}' WHERE id = the_job;
$$;

-- Its own transcoder beside the workers (worker/transcoder of a stock installation).
CREATE FUNCTION stock_local_claim(the_job integer) RETURNS void LANGUAGE sql AS $$
    UPDATE transcoding_jobs SET worker_id = 'LOCAL_WORKER', claimed_at = clock_timestamp(),
        claim_expires_at = clock_timestamp() + interval '30 minutes', processed_by_worker_id = 'LOCAL_WORKER',
        processed_by_worker_name = 'Local Worker' WHERE id = the_job;
$$;
-- … takes a job with old checkpoints for itself, without a claim of its own,
CREATE FUNCTION stock_local_takes_over(the_job integer) RETURNS void LANGUAGE sql AS $$
    UPDATE transcoding_jobs SET worker_id = '5f0c9d51-3f0e-4f6e-9a4e-27f0a9f3c111',
        attempt_number = attempt_number + 1, started_at = clock_timestamp(),
        last_checkpoint = clock_timestamp(), completed_at = NULL WHERE id = the_job;
    UPDATE videos SET status = 'pending'
        WHERE id = (SELECT video_id FROM transcoding_jobs WHERE id = the_job);
$$;
-- … and gives it back when it is stopped: the claim's times stay behind, without a name.
CREATE FUNCTION stock_local_gives_back(the_job integer) RETURNS void LANGUAGE sql AS $$
    UPDATE transcoding_jobs SET started_at = NULL, current_step = NULL, worker_id = NULL,
        progress_percent = 0 WHERE id = the_job;
$$;
-- Deleting a worker takes its name out of its jobs, and out of nothing else.
CREATE FUNCTION stock_forget_worker(worker text) RETURNS void LANGUAGE sql AS $$
    UPDATE transcoding_jobs SET worker_id = NULL WHERE worker_id = worker;
$$;
