#!/usr/bin/env bash
# Run what docs/BESIDE_VLOG.md says, as printed: beside_vlog.sh SCRATCH VERIFIER_PORT NGINX_PORT DATABASE_URL DOCUMENT,
# with the programs in PATH and nginx running. The SQL block is run by the caller. Only ports, the database's address
# and /srv are replaced. Then a failure and a completion of $JOB ($BODY) with $KEY, which must be taken.
set -euo pipefail
scratch=$1 verifier=$2 nginx=$3 database=$4 document=$5

block() { # the fenced blocks of that name, one after the other
    awk -v fence='```'"$1" '$0 == fence { on = 1; next } /^```/ { on = 0 } on' "$document" |
        sed -e "s|/srv/tailslate|$scratch|g" -e "s|/srv/vlog|$scratch|g" -e "s|port = 9003|port = $verifier|" \
            -e "s|:8080|:$nginx|g" -e "s|postgresql://tailslate_verifier@127.0.0.1:5432/vlog|$database|"
}

cd "$scratch"
block verifier.cfg >beside.cfg
block sh | sed -E 's/verifier\.cfg/beside.cfg/; s/^(.* serve) &$/\1 2>beside.log \& ready/' >commands.sh
[ -s beside.cfg ] && [ "$(wc -l <commands.sh)" -ge 4 ]
(umask 077 && echo password >vlog.password)

ready() {
    timeout 30 grep -q -m 1 "event=verifier.ready" <(tail -n +1 --pid=$! -F beside.log 2>/dev/null)
}
stop() {
    jobs -p | xargs -r kill -TERM 2>/dev/null || true
    wait || true
}
trap stop EXIT
set -x # shows which command failed
# shellcheck source=/dev/null
. ./commands.sh >said.txt
[ "$(grep -o '"code":"unauthorized"' said.txt | wc -l)" = 3 ]
grep -q '"from":"stock"' said.txt
curl -sS -H "X-Worker-API-Key: $KEY" -d '{"error_message":"it broke"}' \
    "http://127.0.0.1:$nginx/api/worker/$JOB/fail" >failed.txt
grep -q '"will_retry":true' failed.txt || { cat failed.txt beside.log >&2; exit 1; }
curl -sS -H "X-Worker-API-Key: $KEY" -d "$BODY" "http://127.0.0.1:$nginx/api/worker/$JOB/complete" >done.txt
grep -q 'Job completed successfully' done.txt || { cat done.txt beside.log >&2; exit 1; }
