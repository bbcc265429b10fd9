CREATE TABLE job_queue ( job_id {int} PRIMARY KEY REFERENCES transcoding_jobs (id) ON DELETE CASCADE, priority {int} NOT NULL DEFAULT 0, not_before {time}, delayed_worker TEXT, waiting_reason TEXT, waiting_since {time}, cancelled {int} NOT NULL DEFAULT 0);
UPDATE schema_version SET version = 6;
