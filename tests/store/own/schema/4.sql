ALTER TABLE completions ADD COLUMN warnings TEXT;
UPDATE schema_version SET version = 4;
