#!/usr/bin/env bash
# The figures that the notes quote, measured on this machine with a release build.
#
#   tests/bench/figures.sh
#
# RssAnon of the idle agent and of a step in mid-transcode; time from `run` to the first heartbeat.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-$PWD/build/release}
# shellcheck source=tests/support/rig.sh
. tests/support/rig.sh
[ -x "$build/agent/tailslate-agent" ] || { cmake --preset release >/dev/null && cmake --build --preset release; }

rss() { awk '/^RssAnon:/ { print $2 " " $3 }' "/proc/$1/status"; }
heard() { [ "$(rig_sql 'SELECT count(*) FROM workers WHERE last_heartbeat NOT NULL')" = 1 ]; }
completed() { [ "$(rig_sql 'SELECT count(*) FROM completions')" = 1 ]; }
step_pid() { pgrep -f "tailslate-agent -c $rig/agent.cfg step" | head -n 1; }
has_step() { [ -n "$(step_pid)" ]; }
encodes() { compgen -G "$rig/agent/spool/*/output/360p/seg_*" >/dev/null; }

rig_start
rig_verifier
started=$(date +%s%3N)
rig_agent TAILSLATE_LOG_LEVEL=debug
within 20 heard || { echo "no heartbeat" >&2; exit 1; }
recorded=$(rig_sql "SELECT CAST(round((julianday(last_heartbeat) - 2440587.5) * 86400000) AS INTEGER) FROM workers")
echo "first heartbeat recorded after: $((recorded - started)) ms"
sleep 2
echo "idle agent, RssAnon: $(rss "$agent_pid")"
echo "idle verifier, RssAnon: $(rss "$verifier_pid")"

ffmpeg -nostdin -v error -y -f lavfi -i testsrc2=size=1280x720:rate=25:duration=30 \
    -c:v libx264 -preset ultrafast -pix_fmt yuv420p "$rig/film.mp4"
rig_add "$rig/film.mp4" >/dev/null
within 60 has_step && within 60 encodes
echo "step in mid-transcode, RssAnon: $(rss "$(step_pid)")"
echo "agent with one job, RssAnon: $(rss "$agent_pid")"
within 300 completed || { echo "the job did not complete" >&2; exit 1; }
