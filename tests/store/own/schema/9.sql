ALTER TABLE job_epochs ADD COLUMN retranscodes {int} NOT NULL DEFAULT 0;
UPDATE schema_version SET version = 9;
