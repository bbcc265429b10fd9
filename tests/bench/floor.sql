BEGIN;
UPDATE transcoding_jobs SET completed_at = '2026-01-01T00:00:00.000000Z', progress_percent = 100, current_step = 'finalize', worker_id = 'floor', claimed_at = NULL, claim_expires_at = NULL, last_checkpoint = '2026-01-01T00:00:00.000000Z' WHERE id = :id AND completed_at IS NULL;
INSERT INTO completions (job_id, claim_epoch, token, fingerprint, worker_id, response, committed_at) VALUES (:id, 1, 'token-00000000-0000-4000-8000-' || :id, '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef', 'floor', '{"status":"ok","message":"Job completed successfully","token":"1-00000000-0000-4000-8000-000000000000","completed_at":"2026-01-01T00:00:00.000000Z"}', '2026-01-01T00:00:00.000000Z');
UPDATE videos SET status = 'ready', error_message = NULL, duration = 6.0, source_width = 1920, source_height = 1080, streaming_format = 'cmaf', primary_codec = 'h264', published_at = '2026-01-01T00:00:00.000000Z' WHERE id = :id;
INSERT INTO video_qualities (video_id, quality, width, height, bitrate) VALUES (:id, '1080p', 1920, 1080, 5000), (:id, '720p', 1280, 720, 2500), (:id, '360p', 640, 360, 600);
UPDATE job_epochs SET replaces = 0 WHERE job_id = :id;
UPDATE workers SET status = 'idle', current_job_id = NULL WHERE worker_id = 'floor' AND current_job_id = :id;
COMMIT;
