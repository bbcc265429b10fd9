CREATE TABLE webhook_events (id {id}, delivery TEXT NOT NULL UNIQUE, event TEXT NOT NULL, job_id {int} NOT NULL, payload TEXT NOT NULL, occurred_at {time} NOT NULL, attempts {int} NOT NULL DEFAULT 0, next_attempt_at {time} NOT NULL, last_error TEXT, ended_at {time}, outcome TEXT CHECK (outcome IN ('delivered','given_up')));
CREATE INDEX webhook_events_waiting ON webhook_events (next_attempt_at) WHERE ended_at IS NULL;
UPDATE schema_version SET version = 8;
