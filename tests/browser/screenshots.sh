#!/usr/bin/env bash
# The verifier's page before a fleet at work: screenshots, and what a refresh costs.
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
ago() { echo "strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now', '-$1 seconds')"; }
claimed() { # claimed WORKER SECONDS PERCENT STEP
    echo "worker_id = 'id-of-$1', processed_by_worker_id = 'id-of-$1', processed_by_worker_name = '$1', claimed_at = $(ago "$2"),
        started_at = $(ago "$2"), claim_expires_at = $(ago -1800), progress_percent = $3, current_step = '$4'"
}

# ---- a fleet at work, for the pictures: real agents, videos and failures, at twice the speed they play with
clip() { # clip NAME SECONDS: a video with that title
    ffmpeg -nostdin -v error -f lavfi -i "testsrc2=size=1280x720:rate=25:duration=$2" -c:v libx264 -preset ultrafast \
        -pix_fmt yuv420p "$rig/$1.mp4"
}
add() { # add TITLE FILE
    "$build/verifier/tailslate-verifier" -c "$rig/verifier.cfg" job add "$rig/$2" --title "$1" >/dev/null 2>>"$rig/verifier.log"
}
node() { # node NAME SLOTS FREE_GB
    mkdir "$rig/$1"
    "$build/verifier/tailslate-verifier" -c "$rig/verifier.cfg" worker add "$1" --key-file "$rig/$1.key" >/dev/null 2>>"$rig/verifier.log"
    cat >"$rig/$1.cfg" <<CONFIG
server: { url = "$url"; api_key_file = "$rig/$1.key"; };
node: { state_dir = "$rig/$1"; slots = $2; min_free_disk_gb = $3; };
heartbeat: { interval_seconds = 2; };
transcode: { ffmpeg = "$rig/ffmpeg"; preset = "ultrafast"; encoder = "cpu"; original = false; };
CONFIG
    "$build/agent/tailslate-agent" -c "$rig/$1.cfg" run 2>>"$rig/$1.log" &
}
at_work() { [ "$(rig_sql "SELECT count(*) FROM transcoding_jobs WHERE claimed_at NOT NULL AND progress_percent > 12")" = 3 ]; }
counts() { [ "$(rig_sql "SELECT count(*) FROM videos WHERE status = '$1'")" = "$2" ]; }

fleet() {
    printf '#!/bin/sh\ncase "$*" in *libx264*hls*) exec ffmpeg -readrate 2 "$@";; esac\nexec ffmpeg "$@"\n' >"$rig/ffmpeg"
    chmod 755 "$rig/ffmpeg"
    clip brief 2 && clip short 40 && clip middle 80 && clip long 150
    ffmpeg -nostdin -v error -f lavfi -i sine=duration=3 -c:a aac "$rig/sound.mp4"
    rig_sql "DELETE FROM workers WHERE worker_name = 'rig'"
    add 'Market day' brief.mp4
    add 'Storm over the bay' brief.mp4
    add 'Bridge opening, 1987' brief.mp4
    add 'Choir rehearsal' sound.mp4
    node attic 2 0
    node basement 1 0
    node workshop 1 1000000
    for name in attic basement workshop; do within 120 grep -q event=encoders.found "$rig/$name.log"; done
    within 120 counts ready 3 && within 120 counts failed 1
    add 'Night train to Lisbon, part 2' long.mp4
    add 'Harbor at dawn' middle.mp4
    add 'Interview with the harbor pilot' short.mp4
    add 'Evening news, November 26' middle.mp4
    add 'Lighthouse keepers' middle.mp4
    within 120 at_work
}

if [ -n "${2-}" ]; then
    fleet
    command node "$top/tests/browser/page.mjs" "$url/" --screenshots "$2"
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
