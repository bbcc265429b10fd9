#!/usr/bin/env bash
# Run every command of README.md's `sh` blocks as printed: readme.sh SCRATCH PORT README, with the two
# programs in PATH and video.mp4 in SCRATCH. Only the port and /srv/tailslate are replaced, in all blocks
# alike; behind a command that goes into the background we wait until it says that it is ready.
set -euo pipefail
scratch=$1 port=$2 readme=$3

block() { # the fenced blocks of that name, one after the other
    awk -v fence='```'"$1" '$0 == fence { on = 1; next } /^```/ { on = 0 } on' "$readme" |
        sed -e "s|/srv/tailslate|$scratch|g" -e "s|:9002|:$port|g" -e "s|port = 9002|port = $port|"
}

cd "$scratch"
# shellcheck disable=SC2094 # what is written is a file, what is named is a block
for name in verifier.cfg agent.cfg; do block "$name" >"$name"; done
block sh | sed -E 's/^(tailslate-([a-z]+) .*) &$/\1 2>\2.log \& ready \2/' >commands.sh
[ -s verifier.cfg ] && [ -s agent.cfg ] && [ -s commands.sh ]
mkdir -m 700 uploads videos agent

ready() {
    timeout 30 grep -q -m 1 "event=$1.ready" <(tail -n +1 --pid=$! -F "$1.log" 2>/dev/null)
}
stop() {
    jobs -p | xargs -r kill -TERM 2>/dev/null || true
    wait || true
}
trap stop EXIT
set -x # shows which command failed
# shellcheck source=/dev/null
. ./commands.sh
timeout 60 grep -q -m 1 "event=job.final.*outcome=completed" <(tail -n +1 -F agent.log 2>/dev/null)
