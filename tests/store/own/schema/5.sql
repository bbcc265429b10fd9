CREATE TABLE job_holders ( job_id {int} NOT NULL REFERENCES transcoding_jobs (id) ON DELETE CASCADE, worker_id TEXT NOT NULL, PRIMARY KEY (job_id, worker_id));
INSERT INTO job_holders (job_id, worker_id) SELECT id, COALESCE(processed_by_worker_id, worker_id) FROM transcoding_jobs WHERE COALESCE(processed_by_worker_id, worker_id) IS NOT NULL UNION SELECT job_id, worker_id FROM completions UNION SELECT job_id, worker_id FROM failures;
UPDATE schema_version SET version = 5;
