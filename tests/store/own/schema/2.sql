ALTER TABLE completions ADD COLUMN replays {int} NOT NULL DEFAULT 0;
CREATE TABLE fleet ( id {int} PRIMARY KEY CHECK (id = 1), alive_at {time}, up_since {time}, leader TEXT, leader_until {time}, last_sweep_at {time}, suspicious_since {time}, last_cleanup_at {time});
INSERT INTO fleet (id) VALUES (1);
CREATE TABLE sweeps ( id {id}, swept_at {time} NOT NULL, instance TEXT NOT NULL, outcome TEXT NOT NULL, released_count {int} NOT NULL, released TEXT NOT NULL);
UPDATE schema_version SET version = 2;
