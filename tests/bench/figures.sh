#!/usr/bin/env bash
# The figures that the notes quote, measured on this machine with a release build.
#
#   tests/bench/figures.sh
#
# Time from `run` to the first heartbeat; RssAnon and CPU of the idle agent over IDLE_SECONDS (120);
# RssAnon of a step, at most, from its first segment to the end of its job.
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
ticks() { awk '{ print $14 + $15 }' "/proc/$agent_pid/stat"; }
idle=${IDLE_SECONDS:-120} before=$(ticks)
sleep "$idle"
awk -v ticks=$(($(ticks) - before)) -v hz="$(getconf CLK_TCK)" -v idle="$idle" \
    'BEGIN { printf "idle agent, CPU over %d s: %d ticks, %.3f %%\n", idle, ticks, 100 * ticks / hz / idle }'
echo "idle agent, RssAnon: $(rss "$agent_pid")"
echo "idle verifier, RssAnon: $(rss "$verifier_pid")"

ffmpeg -nostdin -v error -y -f lavfi -i testsrc2=size=1280x720:rate=25:duration=30 \
    -c:v libx264 -preset ultrafast -pix_fmt yuv420p "$rig/film.mp4"
rig_add "$rig/film.mp4" >/dev/null
within 60 has_step && within 60 encodes
step=$(step_pid)
echo "agent with one job, RssAnon: $(rss "$agent_pid")"
# Sampled every 50 ms: it is largest while it uploads.
(most=0
while kib=$(awk '/^RssAnon:/ { print $2 }' "/proc/$step/status" 2>/dev/null) && [ -n "$kib" ]; do
    [ "$kib" -le "$most" ] || most=$kib
    sleep 0.05
done
echo "step, RssAnon at most: $most kB") &
most=$!
within 300 completed || { echo "the job did not complete" >&2; exit 1; }
wait "$most"
