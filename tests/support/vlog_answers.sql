-- A stock vlog server's answers to the calls of a worker, on the tables of vlog_tables.sql and by its
-- functions: stock_answer('POST', '/api/worker/7/fail', key, body) -> '403 {"detail":"Not your job"}'.
-- Our own words. It knows no token (as without Redis), and believes who calls without asking twice.

CREATE FUNCTION stock_refuse(status integer, why text) RETURNS text LANGUAGE sql AS $$
    SELECT status || ' ' || json_build_object('detail', why)
$$;

CREATE FUNCTION stock_whose(the_key text) RETURNS text LANGUAGE sql AS $$
    SELECT w.worker_id FROM workers w JOIN worker_api_keys k ON k.worker_id = w.id
        WHERE k.key_prefix = left(the_key, 8) AND k.revoked_at IS NULL
        AND (k.hash_version = 2 OR k.key_hash = encode(sha256(the_key::bytea), 'hex')) LIMIT 1
$$;

-- Any job that waits, or this one; NULL: none.
CREATE FUNCTION stock_answer_claim(me text, wanted integer) RETURNS json LANGUAGE plpgsql AS $$
DECLARE found integer;
BEGIN
    UPDATE videos SET status = 'pending' WHERE status = 'processing' AND id IN (SELECT video_id
        FROM transcoding_jobs WHERE claim_expires_at < clock_timestamp() AND completed_at IS NULL);
    UPDATE transcoding_jobs SET worker_id = NULL, claimed_at = NULL, claim_expires_at = NULL
        WHERE claim_expires_at < clock_timestamp() AND completed_at IS NULL;
    SELECT j.id INTO found FROM transcoding_jobs j JOIN videos v ON v.id = j.video_id
        WHERE (v.status = 'pending' OR (v.status = 'ready' AND j.retranscode_metadata IS NOT NULL))
        AND v.deleted_at IS NULL AND j.claimed_at IS NULL AND j.completed_at IS NULL
        AND (wanted IS NULL OR j.id = wanted) ORDER BY v.created_at LIMIT 1 FOR UPDATE OF j SKIP LOCKED;
    IF found IS NULL THEN
        RETURN json_build_object('job_id', NULL, 'message', 'No jobs available');
    END IF;
    PERFORM stock_claim(found, me);
    RETURN (SELECT json_build_object('job_id', j.id, 'video_id', v.id, 'video_slug', v.slug,
        'claim_expires_at', j.claim_expires_at, 'message', 'Job claimed successfully')
        FROM transcoding_jobs j JOIN videos v ON v.id = j.video_id WHERE j.id = found);
END $$;

CREATE FUNCTION stock_answer_job(call text, job transcoding_jobs, body json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE again boolean;
BEGIN
    IF call = 'progress' THEN
        UPDATE transcoding_jobs SET progress_percent = (body ->> 'progress_percent')::integer,
            last_checkpoint = clock_timestamp(),
            claim_expires_at = clock_timestamp() + interval '30 minutes' WHERE id = job.id;
        RETURN json_build_object('status', 'ok');
    ELSIF call = 'fail' THEN
        again := COALESCE((body ->> 'retry')::boolean, true) AND job.attempt_number < job.max_attempts;
        PERFORM stock_fail(job.id, again);
        RETURN json_build_object('status', 'ok', 'will_retry', again, 'attempt_number', job.attempt_number + 1);
    ELSIF job.completed_at IS NULL THEN
        UPDATE transcoding_jobs SET completed_at = clock_timestamp(), progress_percent = 100,
            current_step = 'finalize', claimed_at = NULL, claim_expires_at = NULL WHERE id = job.id;
        UPDATE videos SET status = 'ready' WHERE id = job.video_id;
    END IF;
    RETURN json_build_object('status', 'ok', 'message', 'Job already completed');
END $$;

CREATE FUNCTION stock_answer(method text, path text, the_key text, body text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    me text := stock_whose(the_key);
    call text[] := regexp_match(path, '^/api/worker/([0-9]+)/(progress|fail|complete)$');
    job transcoding_jobs;
BEGIN
    IF me IS NULL THEN
        RETURN stock_refuse(401, 'Invalid API key');
    ELSIF path LIKE '/api/worker/claim%' THEN
        RETURN '200 ' || stock_answer_claim(me, substring(path FROM 'job_id=([0-9]+)')::integer);
    ELSIF path = '/api/worker/heartbeat' THEN
        UPDATE workers SET last_heartbeat = clock_timestamp() WHERE worker_id = me;
        RETURN '200 {"status":"ok"}';
    ELSIF method <> 'POST' OR call IS NULL THEN
        RETURN stock_refuse(404, 'Not Found');
    END IF;
    SELECT * INTO job FROM transcoding_jobs WHERE id = call[1]::integer;
    IF job.id IS NULL THEN
        RETURN stock_refuse(404, 'Job not found');
    ELSIF job.worker_id IS DISTINCT FROM me THEN
        RETURN stock_refuse(403, 'Not your job');
    ELSIF job.claim_expires_at < clock_timestamp() THEN
        RETURN stock_refuse(409, 'Claim expired - job may have been reassigned');
    END IF;
    RETURN '200 ' || stock_answer_job(call[2], job, body::json);
END $$;
