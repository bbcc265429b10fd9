#!/usr/bin/env bash
# Run every command of README.md's `sh` blocks as printed, in a scratch folder given as $1, with the two
# programs' folders first in PATH. Only the port and /srv/tailslate are replaced, in all blocks alike.
set -euo pipefail
scratch=$1 port=$2 readme=$3

block() { # the fenced blocks of that name, one after the other
    awk -v fence='```'"$1" '$0 == fence { on = 1; next } /^```/ { on = 0 } on' "$readme" |
        sed -e "s|/srv/tailslate|$scratch|g" -e "s|:9002|:$port|g" -e "s|port = 9002|port = $port|"
}

cd "$scratch"
block verifier.cfg >verifier.cfg
block agent.cfg >agent.cfg
mkdir -m 700 uploads videos agent
block sh >commands.sh
[ -s verifier.cfg ] && [ -s agent.cfg ] && [ -s commands.sh ]
# -x shows which command failed; the jobs in the background are stopped by whoever called us.
bash -euxo pipefail commands.sh
