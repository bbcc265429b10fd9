#!/usr/bin/env bash
# Draws docs/outage.svg: how 200 agents come back after a week without the server.
#
#   tests/bench/outage.sh [BUILD]
#
# The numbers are those of tests/unit/agent/test_outage.c, which runs the pacing of courier and
# heartbeat on a clock of its own, the same on every machine.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:-build/dev}
numbers=$(mktemp)
trap 'rm -f "$numbers"' EXIT
TAILSLATE_OUTAGE_CSV=$numbers "$build/tests/unit_agent" --filter 'outage/two_hundred*' >/dev/null
awk -F, '
/^#/ { note = substr($0, 3); next }
/^second/ { next }
{ back[$1] = $2; done[$1] = $3; calls[$1] = $4; agents += $2; reports += $3
  if ($4 > 0 && $3 > 0) last = $1; if ($4 > most) most = $4 }
END {
    seconds = 60; left = 46; base = 250; height = 190; step = 10; scale = height / (int(most / 10) + 1) / 10
    print "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"680\" height=\"310\" font-family=\"sans-serif\" font-size=\"12\">"
    print "<rect width=\"680\" height=\"310\" fill=\"#fff\"/>"
    printf "<text x=\"%d\" y=\"20\" font-size=\"14\">%d agents with %d finished jobs, after a week without the server</text>\n", left, agents, reports
    printf "<text x=\"%d\" y=\"38\" fill=\"#555\">calls a second from the moment it is back (at most %d); the last report was in after %d s</text>\n", left, most, last + 1
    for (y = 0; y <= most + 9; y += 10) {
        printf "<line x1=\"%d\" x2=\"660\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>", left, base - y * scale, base - y * scale
        printf "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\" fill=\"#555\">%d</text>\n", left - 6, base - y * scale + 4, y
    }
    for (s = 0; s < seconds; s++) {
        x = left + 4 + s * step
        printf "<rect x=\"%d\" y=\"%.1f\" width=\"8\" height=\"%.1f\" fill=\"#c8c8c8\"/>", x, base - calls[s] * scale, calls[s] * scale
        printf "<rect x=\"%d\" y=\"%.1f\" width=\"8\" height=\"%.1f\" fill=\"#2a78b8\"/>\n", x, base - done[s] * scale, done[s] * scale
    }
    for (s = 0; s <= seconds; s += 10)
        printf "<text x=\"%d\" y=\"268\" text-anchor=\"middle\" fill=\"#555\">%d s</text>\n", left + 4 + s * step, s
    printf "<rect x=\"%d\" y=\"284\" width=\"10\" height=\"10\" fill=\"#2a78b8\"/><text x=\"%d\" y=\"293\">reports delivered</text>", left, left + 16
    printf "<rect x=\"%d\" y=\"284\" width=\"10\" height=\"10\" fill=\"#c8c8c8\"/><text x=\"%d\" y=\"293\">heartbeats</text>\n", left + 150, left + 166
    print "</svg>"
    print note > "/dev/stderr"
    printf "busiest second: %d calls; last report after %d s\n", most, last + 1 > "/dev/stderr"
}' "$numbers" >docs/outage.svg
