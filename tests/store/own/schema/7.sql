CREATE TABLE directories (name TEXT PRIMARY KEY, marker TEXT NOT NULL);
UPDATE schema_version SET version = 7;
