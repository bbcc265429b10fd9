#!/usr/bin/env bash
# A busy fleet for the verifier's page: screenshots of it, and what a refresh costs.
#
#   screenshots.sh BUILD DIR     page-desk.png, page-phone.png and page-dark.png in DIR
#   screenshots.sh BUILD         5,000 jobs and 50 workers: bytes and time of the overview
set -euo pipefail
case ${1-} in -h | --help | "") sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
top=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
# shellcheck source=tests/support/rig.sh
. "$top/tests/support/rig.sh"
rig_start
rig_verifier

# Workers: NAME STATUS SLOTS USED ENCODER GIGABYTES [REASON]. Each has just sent a heartbeat.
add_worker() {
    local reason=
    [ -z "${7-}" ] || reason=", 'waiting_reason', '$7'"
    rig_sql "INSERT INTO workers (worker_id, worker_name, registered_at, last_heartbeat, status, metadata) VALUES
        ('id-of-$1', '$1', strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now'), strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now'), '$2',
        json_object('slots', $3, 'slots_used', $4, 'encoder', '$5', 'disk_free_bytes', $6 * 1000000000, 'agent_version', '0.1.0'
        $reason))"
}
# Jobs: TITLE SETTINGS of transcoding_jobs [STATUS of the video].
add_job() {
    rig_sql "INSERT INTO videos (title, slug, duration, status, created_at) VALUES ('$1', 'v' || lower(hex(randomblob(6))), 1440, '${3:-pending}',
            strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now', '-2 hours'));
        INSERT INTO transcoding_jobs (video_id) SELECT max(id) FROM videos;
        INSERT INTO job_epochs (job_id, claim_epoch) SELECT max(id), 1 FROM transcoding_jobs;
        UPDATE transcoding_jobs SET $2 WHERE id = (SELECT max(id) FROM transcoding_jobs)"
}
ago() { echo "strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now', '-$1 seconds')"; }
claimed() { # claimed WORKER SECONDS PERCENT STEP
    echo "worker_id = 'id-of-$1', processed_by_worker_id = 'id-of-$1', processed_by_worker_name = '$1', claimed_at = $(ago "$2"),
        started_at = $(ago "$2"), claim_expires_at = $(ago -1800), progress_percent = $3, current_step = '$4'"
}
qualities() { # qualities NAME=PERCENT...
    local pair
    for pair in "$@"; do
        rig_sql "INSERT INTO quality_progress (job_id, quality, status, progress_percent) SELECT max(id), '${pair%=*}',
            '$([ "${pair#*=}" = 100 ] && echo completed || echo in_progress)', ${pair#*=} FROM transcoding_jobs"
    done
}
completed() { # completed TITLE WORKER SECONDS REPLAYS LATE
    add_job "$1" "completed_at = $(ago "$3")" ready
    rig_sql "INSERT INTO completions (job_id, claim_epoch, fingerprint, worker_id, response, committed_at, replays)
        SELECT max(id), 1, '', 'id-of-$2', '{\"late\":$5}', $(ago "$3"), $4 FROM transcoding_jobs"
}

if [ -n "${2-}" ]; then
    add_worker attic busy 2 2 libx264 412
    add_worker basement busy 2 1 h264_nvenc 96
    add_worker workshop idle 1 0 h264_vaapi 18 'the disk is nearly full'
    add_job 'Harbor at dawn' "$(claimed attic 610 64 transcode)"
    qualities 1080p=58 720p=71 480p=100
    add_job 'Night train to Lisbon, part 2' "$(claimed basement 95 22 transcode)"
    qualities 2160p=12 1080p=31 720p=40
    add_job 'Interview with the harbor pilot' "$(claimed attic 1310 97 upload)"
    qualities 1080p=100 720p=100 360p=100
    add_job 'Evening news, November 26' "attempt_number = 2, last_error = 'the node was restarted'"
    add_job 'Lighthouse keepers' 'attempt_number = 1'
    add_job 'Choir rehearsal' "$(claimed attic 900 0 probe), worker_id = NULL, claimed_at = NULL, claim_expires_at = NULL,
        attempt_number = 3, completed_at = $(ago 840), last_error = 'the source has no video stream'" failed
    completed 'Market day' basement 260 0 false
    completed 'Storm over the bay' attic 1500 2 true
    completed 'Bridge opening, 1987' attic 4000 0 false
    rig_sql "DELETE FROM workers WHERE worker_name = 'rig'"
    node "$top/tests/browser/page.mjs" "$url/" --screenshots "$2"
    exit
fi

rig_sql "PRAGMA synchronous = OFF;
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
    INSERT INTO videos (title, slug, status, created_at, duration) SELECT 'A video with a title of ordinary length, number ' || i, 'video-' || i,
        CASE WHEN i <= 100 THEN 'processing' WHEN i <= 200 THEN 'failed' WHEN i <= 2000 THEN 'pending' ELSE 'ready' END, $(ago 9000), 1440 FROM n;
    INSERT INTO transcoding_jobs (video_id) SELECT id FROM videos ORDER BY id;
    INSERT INTO job_epochs (job_id, claim_epoch) SELECT id, 1 FROM transcoding_jobs;
    UPDATE transcoding_jobs SET $(claimed w-1 600 64 transcode) WHERE id <= 100;
    UPDATE transcoding_jobs SET completed_at = $(ago 800), last_error = 'the source has no video stream' WHERE id > 100 AND id <= 200;
    UPDATE transcoding_jobs SET completed_at = $(ago 800) WHERE id > 2000;
    INSERT INTO quality_progress (job_id, quality, status, progress_percent) SELECT j.id, q.value, 'in_progress', 50
        FROM transcoding_jobs j, json_each('[\"1080p\",\"720p\",\"480p\",\"360p\"]') q WHERE j.id <= 100;
    INSERT INTO completions (job_id, claim_epoch, fingerprint, worker_id, response, committed_at)
        SELECT id, 1, '', 'id-of-w-1', '{\"late\":false}', $(ago 800) FROM transcoding_jobs WHERE id > 2000"
for i in $(seq 50); do add_worker "w-$i" busy 2 2 libx264 100; done
ask() { curl -fsS -o "$rig/overview.json" -w '%{size_download} bytes in %{time_total} s\n' "$url/api/overview"; }
for _ in 1 2 3 4 5; do
    sleep 1.1 # it is built again after a second
    echo "built: $(ask); again at once: $(ask)"
done
jq -r '"running \(.running | length), waiting \(.waiting | length), failed \(.failed | length), workers \(.workers | length), jobs \(.jobs)"' "$rig/overview.json"
