ALTER TABLE failures ADD COLUMN started_at {time};
UPDATE schema_version SET version = 3;
