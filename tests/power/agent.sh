#!/usr/bin/env bash
# Cuts the power of an agent at random moments, and counts its jobs.
#
#   tests/power/agent.sh [--cuts N] [--seed S]
#
# A release build's agent with two slots has its state directory on an ext4 file system of its own (a
# loop device; root's work); the verifier is elsewhere. While it claims, transcodes and delivers small
# videos, the file system is shut down (EXT4_IOC_SHUTDOWN) at a moment that the seed decides, everything
# on it is killed, it is mounted again, and the agent starts. After N (50) cuts all of 2 N jobs must end:
# each completed once, in its first attempt; a record left over, or a job given up, fails.
# Ends with `N passed, N failed`.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-$PWD/build/release}
# shellcheck source=tests/support/rig.sh
. tests/support/rig.sh
# shellcheck source=tests/power/disk.sh
. tests/power/disk.sh

cuts=50 seed=1
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --cuts) cuts=$2 ;;
    --seed) seed=$2 ;;
    *) echo "agent.sh: unknown option '$1'; see --help" >&2; exit 64 ;;
    esac
    shift 2
done
[ "$(id -u)" = 0 ] || { echo "agent.sh: mounting takes root" >&2; exit 69; }
RANDOM=$seed

power_end() {
    disk_kill
    umount "$disk" 2>/dev/null || true
    rig_end
}

start_agent() {
    "$build/agent/tailslate-agent" -c "$rig/agent.cfg" run 2>>"$rig/agent.log" &
    agent_pid=$!
}

stop_at_once() {
    { kill -9 "$agent_pid"; disk_kill; wait "$agent_pid"; } 2>/dev/null || true
}

completed() { rig_sql 'SELECT count(*) FROM completions'; }
all_are_completed() { [ "$(completed)" = "$jobs" ]; }
spool_is_empty() { [ -z "$(ls -A "$disk/state/spool")" ]; }

rig_start
trap power_end EXIT
disk_make 256
mkdir "$disk/state"
jobs=$((2 * cuts))
# A claim whose answer was lost with the power is nobody's until it has expired: soon, here.
export TAILSLATE_CLAIMS_DURATION_MINUTES=0.5 TAILSLATE_SWEEPER_GRACE_SECONDS=5
rig_verifier >/dev/null
ffmpeg -nostdin -v error -y -f lavfi -i testsrc2=size=320x180:rate=25:duration=1 -c:v libx264 -preset ultrafast \
    -pix_fmt yuv420p "$rig/clip.mp4"
mkdir "$rig/jobs"
for number in $(seq "$jobs"); do ln "$rig/clip.mp4" "$rig/jobs/c$number.mp4"; done
"$build/verifier/tailslate-verifier" -c "$rig/verifier.cfg" job add "$rig/jobs" --link >/dev/null 2>>"$rig/verifier.log"
cat >"$rig/agent.cfg" <<CONFIG
server: { url = "$url"; api_key_file = "$rig/rig.key"; };
node: { state_dir = "$disk/state"; min_free_disk_gb = 0; slots = 2; };
transcode: { preset = "ultrafast"; original = false; };
retry: { cap_seconds = 2; rate_per_second = 50; };
claim: { wait_seconds = 5; };
CONFIG

for cut in $(seq "$cuts"); do
    start_agent
    before=$(completed)
    sleep "$((RANDOM % 3)).$((RANDOM % 1000 + 1000))"
    "$build/tests/power_cut" --disk "$disk"
    stop_at_once
    disk_again
    [ $((cut % 10)) != 0 ] || echo "  $cut of $cuts cuts, $(completed) of $jobs jobs completed ($before before the last cut)"
done
start_agent
failed=0
within $((60 + 5 * jobs)) all_are_completed || { echo "$(completed) of $jobs jobs were completed" >&2; failed=1; }
within 60 spool_is_empty || { echo "left in the spool: $(ls "$disk/state/spool")" >&2; failed=1; }
for breach in "jobs completed twice|SELECT count(*) FROM (SELECT 1 FROM completions GROUP BY job_id HAVING count(*) > 1)" \
    "videos that are not ready|SELECT count(*) FROM videos WHERE status <> 'ready'" \
    "attempts that were charged|SELECT count(*) FROM transcoding_jobs WHERE attempt_number > 1" \
    "failures that were reported|SELECT count(*) FROM failures"; do
    count=$(rig_sql "${breach#*|}")
    [ "$count" = 0 ] || { echo "${breach%%|*}: $count" >&2; failed=1; }
done
grep -hE 'level=error' "$rig/agent.log" | head -n 5 >&2 || true
stop_at_once
disk_is_sound || { echo "the file system is not sound" >&2; failed=1; }
echo "$cuts cuts, seed $seed: $(completed) of $jobs jobs completed, $(grep -c event=step.started "$rig/agent.log") transcodes started"
echo "$((1 - failed)) passed, $failed failed"
[ "$failed" = 0 ]
