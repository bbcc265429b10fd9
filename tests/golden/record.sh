#!/usr/bin/env bash
# Record what people and programs outside see of the two programs: help, samples, the schema, keys of
# the JSON output, names of metrics, the wire's answers.
#
#   record.sh BUILD DIRECTORY        BUILD: a build directory; DIRECTORY: where the files are written
#
# What changes from run to run (times, random identifiers, sizes, ports) is replaced by a placeholder.
set -euo pipefail
case ${1-} in -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
[ $# = 2 ] || { echo "usage: record.sh BUILD DIRECTORY" >&2; exit 64; }
build=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
cd "$(dirname "$0")/../.."
# shellcheck source=tests/support/rig.sh
. tests/support/rig.sh
agent=$build/agent/tailslate-agent verifier=$build/verifier/tailslate-verifier
export LANG=C.UTF-8 TZ=UTC COLUMNS=100

# Every path in a JSON document, with the type of what is there; a list's members are one path.
json_keys() {
    jq -r '[paths(true) as $p | {key: ($p | map(if type == "number" then "[]" else . end) | join(".")),
            type: (getpath($p) | type)}] | unique | .[] | "\(.key) \(.type)"' | LC_ALL=C sort -u
}
settle() { # what differs between two runs
    sed -E -e "s#$rig#RIG#g; s/127\.0\.0\.1:$port/SERVER/g" \
        -e 's/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/UUID/g' \
        -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|\+00:00)/TIME/g' \
        -e 's/^(Date|Content-Length|ETag): .*/\1: VALUE/' -e 's/"(sha256|etag)":"[^"]*"/"\1":"VALUE"/g' \
        -e 's/"(server_time|uptime_seconds|bytes|size|size_bytes|file_size|source_size)":[0-9.]+/"\1":NUMBER/g'
}
metric_names() { grep -E '^# (HELP|TYPE)' | LC_ALL=C sort; }

help() { # help PROGRAM: all of it, with that of each command
    local command
    "$1" --help
    "$1" --help | sed -nE 's/^  ([a-z]+( [a-z]+)?)( [A-Z].*)?  .*/\1/p' | while read -r command; do
        echo "=== $command"
        # shellcheck disable=SC2086 # two words
        "$1" $command --help
    done
}
help "$agent" >"$out/agent-help.txt"
help "$verifier" >"$out/verifier-help.txt"
"$agent" check --sample >"$out/agent-sample.cfg"
"$verifier" check --sample >"$out/verifier-sample.cfg"
find . -name crash.h -not -path "./build/*" -exec grep -hoE "X\([0-9]+, [A-Z_]+" {} + | sed "s/X(//" | sort -n >"$out/crash-points.txt"

rig_start
ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=320x180:rate=25:duration=1 -c:v libx264 \
    -preset ultrafast -pix_fmt yuv420p "$rig/video.mp4"
secret=$rig/admin.secret
(umask 077 && echo the-admin-secret-of-a-test >"$secret")
export TAILSLATE_AUTH_ADMIN_SECRET_FILE=$secret
rig_verifier
rig_sql .schema >"$out/schema.sql"

# ---- the wire: one line a call, its answer below it
key=$(cat "$rig/rig.key")
call() { # call METHOD PATH [CURL OPTION...]
    local method=$1 path=$2
    shift 2
    echo "=== $method $path ${*//$key/KEY}"
    curl -sS -i -X "$method" "$url$path" "$@" | tr -d '\r' |
        sed -E '/^X-Request-I[dD]:/s/: .*/: VALUE/' | settle
    echo
}
as_worker=(-H "X-Worker-API-Key: $key")
json=(-H "Content-Type: application/json")
rig_add "$rig/video.mp4" >/dev/null
{
    call GET /api/nothing
    call POST /api/worker/heartbeat "${json[@]}" -d '{}'
    call POST /api/worker/heartbeat -H "X-Worker-API-Key: wrong" "${json[@]}" -d '{}'
    call POST /api/worker/heartbeat "${as_worker[@]}" "${json[@]}" -d '{"status":"idle"}'
    call POST /api/worker/heartbeat "${as_worker[@]}" "${json[@]}" -d 'nonsense'
    call GET /api/workers
    call GET /api/workers -H "X-Admin-Secret: the-admin-secret-of-a-test"
    call POST /api/worker/1/progress "${as_worker[@]}" "${json[@]}" -d '{"current_step":"transcode","progress_percent":1}'
    call POST /api/worker/claim "${as_worker[@]}"
    call POST /api/worker/claim "${as_worker[@]}"
    call POST /api/worker/1/progress "${as_worker[@]}" "${json[@]}" -d '{"current_step":"transcode","progress_percent":1}'
    call GET /api/worker/source/1 "${as_worker[@]}" -o /dev/null
    call GET /api/worker/source/9 "${as_worker[@]}"
    call GET /api/worker/upload/1/segments/status?quality=360p "${as_worker[@]}"
    call POST /api/worker/upload/1/segment/360p/..%2f "${as_worker[@]}" -d x
    call POST /api/worker/upload/1/segment/999p/init.mp4 "${as_worker[@]}" -d x
    call POST /api/worker/1/complete "${as_worker[@]}" "${json[@]}" -d '{"qualities":[],"duration":1,"source_width":320,"source_height":180}'
    call POST /api/worker/1/complete "${as_worker[@]}" "${json[@]}" -d '{"completion_token":"1-0f8fad5b-d9cb-469f-a165-70867728950e","qualities":[{"name":"360p","width":320,"height":180,"bitrate":600}],"duration":1,"source_width":320,"source_height":180}'
    call GET /api/worker/1/verify-complete "${as_worker[@]}"
    call POST /api/worker/1/fail "${as_worker[@]}" "${json[@]}" -d '{"error_message":"broken","retry":false}'
    call POST /api/worker/9/fail "${as_worker[@]}" "${json[@]}" -d '{"error_message":"broken","retry":false}'
    call GET /api/health
    call GET /healthz
    call GET /readyz
} >"$out/wire.txt"
curl -fsS "$url/metrics" | metric_names >"$out/verifier-metrics.txt"

# ---- a job of the agent's, completed, and one that is being transcoded
rig_add "$rig/video.mp4" >/dev/null
health=$((port + 1))
rig_agent TAILSLATE_HEALTH_PORT=$health
status() { "$agent" -c "$rig/agent.cfg" status --json; }
delivered() { [ "$(rig_sql 'SELECT count(*) FROM completions')" = 1 ] && status | jq -e '.jobs == []' >/dev/null; }
within 120 delivered
curl -fsS "http://127.0.0.1:$health/metrics" | metric_names >"$out/agent-metrics.txt"
find "$rig/videos" -type f -printf '%P\n' | LC_ALL=C sort >"$out/published-files.txt"
kill "$agent_pid" && wait "$agent_pid"
rig_add "$rig/video.mp4" >/dev/null
rig_agent TAILSLATE_TRANSCODE_RECIPE=command TAILSLATE_TRANSCODE_COMMAND='sleep 600'
transcoding() { status | jq -e '.jobs[0].step == "transcode" and (.agent.records | length) == 1' >/dev/null; }
within 120 transcoding
status | json_keys >"$out/agent-status.keys"
"$agent" -c "$rig/agent.cfg" spool ls --json | json_keys >"$out/agent-spool.keys"
for command in "status" "worker list" "job list" "job show 1" "job show 2"; do
    # shellcheck disable=SC2086
    "$verifier" -c "$rig/verifier.cfg" $command --json 2>/dev/null | json_keys | sed "s/^/$command: /"
done >"$out/verifier-json.keys"
