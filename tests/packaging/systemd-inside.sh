#!/usr/bin/env bash
# shellcheck disable=SC2016 # within evaluates a condition each time
# What systemd.sh runs in the booted system.
set -uo pipefail
cd /root || exit
# shellcheck source=tests/support/within.sh
. ./within.sh
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin

fail() {
    echo "FAILED: $*"
    systemctl --no-pager -l status tailslate-agent tailslate-verifier
    journalctl --no-pager -n 60 -o cat -u tailslate-agent -u tailslate-verifier
    ls -l /var/lib/tailslate-agent/spool/*
    tail -n 20 /var/lib/tailslate-agent/spool/*/transcoder.log
    exit 1
}
ok() { echo "ok: $*"; }
show() { systemctl show -P "$2" "tailslate-$1"; }
active() { [ "$(show "$1" ActiveState)/$(show "$1" SubState)" = active/running ]; }
sql() { sqlite3 -cmd '.timeout 10000' /var/lib/tailslate/verifier.db "$1"; }
transcoder() { # pid and start of the ffmpeg that makes the renditions
    local directory
    for directory in /proc/[0-9]*; do
        if [ "$(cat "$directory/comm" 2>/dev/null)" = ffmpeg ] &&
            grep -qa stream.m3u8 "$directory/cmdline"; then
            echo "${directory#/proc/} $(cut -d' ' -f22 "$directory/stat")"
        fi
    done
}
transcodes() { [ -n "$(transcoder)" ]; }
said() { journalctl -q --no-pager -o cat -u "tailslate-$1" | grep -cE "$2" || true; }
new_agent() { [ "$(show agent MainPID)" != "$1" ] && active agent; }
adopted() { [ "$(said agent event=step.adopted)" = "$1" ]; }
same_transcoder() { [ "$(transcoder)" = "$film" ] || fail "$1: the transcoder was $film, is $(transcoder)"; }

# ---- install
dpkg -i packages/*.deb || fail "dpkg -i"
port=$((20000 + RANDOM % 10000))
printf 'listen: { port = %d; };\n' "$port" >/etc/tailslate/verifier.cfg
printf 'server: { url = "http://127.0.0.1:%d"; };\nnode: { min_free_disk_gb = 0; };\ntranscode: { preset = "ultrafast"; stall_seconds = 3600.0; };\n' \
    "$port" >/etc/tailslate/agent.cfg
systemctl restart tailslate-verifier
within 20 active verifier || fail "the verifier does not run"
within 20 curl -fsS "http://127.0.0.1:$port/api/health" || fail "the verifier is not healthy"
[ "$(show agent ActiveState)" = inactive ] && [ "$(show agent ConditionResult)" = no ] ||
    fail "without a key the agent should wait, and not fail"
[ "$(systemctl is-enabled tailslate-agent)" = enabled ] || fail "the agent is not enabled"
ok "a fresh install: the verifier runs, the agent waits for its key"

runuser -u tailslate-verifier -- tailslate-verifier worker add node --key-file /var/lib/tailslate/node.key ||
    fail "worker add"
install -o tailslate-agent -m 600 /var/lib/tailslate/node.key /etc/tailslate/agent.key
systemctl start tailslate-agent || fail "the agent does not start"
active agent || fail "the agent does not run"
runuser -u tailslate-agent -- tailslate-agent check || fail "check"
ok "with its key it starts, and check finds nothing"

# ---- a job, hardened
tailslate-verifier job add film.mp4 --slug film || fail "job add"
within 60 transcodes || fail "no transcode"
film=$(transcoder)
# Held still, so that it cannot be over before all of this has been done to the agent.
kill -STOP "${film% *}"
grep -q '^NoNewPrivs:.*1' "/proc/${film% *}/status" && grep -q '^Seccomp:.*2' "/proc/${film% *}/status" &&
    grep -q '^CapBnd:.*0000000000000000' "/proc/${film% *}/status" || fail "the transcoder is not confined"
[ "$(ps -o ni= -p "${film% *}" | tr -d ' ')" = 10 ] || fail "the transcoder is not nice"
ok "the transcoder is confined (no new privileges, seccomp, no capability) and nice"

# ---- stop, start, crash, upgrade, hang
pid=$(show agent MainPID)
systemctl restart tailslate-agent
within 20 new_agent "$pid" && within 20 adopted 1 || fail "restart"
same_transcoder restart
systemctl stop tailslate-agent
[ "$(show agent ActiveState)" = inactive ] || fail "after a stop it is $(show agent ActiveState)"
same_transcoder stop
systemctl start tailslate-agent
within 20 adopted 2 || fail "start after stop"
same_transcoder "stop and start"
ok "restart, stop and start cost no running transcode"

pid=$(show agent MainPID)
kill -9 "$pid"
within 20 new_agent "$pid" && within 20 adopted 3 || fail "kill -9"
same_transcoder "kill -9"
ok "after kill -9 it is started again, and adopts"

pid=$(show agent MainPID)
for package in packages/*.deb; do bash next-version.sh "$package" . || fail "next version"; done
dpkg -i ./*+next1*.deb || fail "upgrade"
within 20 new_agent "$pid" && within 20 adopted 4 || fail "upgrade"
same_transcoder upgrade
within 20 active verifier || fail "the verifier after the upgrade"
ok "the upgrade of both packages costs no running transcode"

if [ "$(show agent Type)" = notify ]; then
    mkdir -p /etc/systemd/system/tailslate-agent.service.d
    printf '[Service]\nWatchdogSec=3\n' >/etc/systemd/system/tailslate-agent.service.d/test.conf
    systemctl daemon-reload
    systemctl restart tailslate-agent
    pid=$(show agent MainPID)
    kill -STOP "$pid"
    within 30 new_agent "$pid" && within 20 adopted 6 || fail "watchdog"
    same_transcoder watchdog
    rm /etc/systemd/system/tailslate-agent.service.d/test.conf
    systemctl daemon-reload
    ok "an agent that hangs is replaced, and its transcode goes on"
fi

pid=$(show agent MainPID)
systemctl reload tailslate-agent || fail "reload"
within 20 eval '[ "$(said agent event=agent.reloaded)" = 1 ]' || fail "it did not reload"
[ "$(show agent MainPID)" = "$pid" ] || fail "a reload restarted it"
ok "reload"

kill -CONT "${film% *}"
within 240 eval '[ "$(sql "SELECT count(*) FROM completions")" = 1 ]' || fail "not completed"
within 20 eval '[ -z "$(ls /var/lib/tailslate-agent/spool)" ]' || fail "the spool is not empty"
[ "$(said agent event=job.final)" = 1 ] || fail "not one job.final"
[ "$(journalctl -q -o cat -u tailslate-agent | grep -c 'event=step.started')" = 1 ] || fail "more than one step"
runuser -u nobody -- cat /var/lib/tailslate/videos/film/master.m3u8 >/dev/null ||
    fail "a web server cannot read the renditions"
! runuser -u nobody -- cat /var/lib/tailslate/verifier.db >/dev/null 2>&1 || fail "anybody can read the database"
ok "completed once; a web server can read the renditions, and not the database"

# ---- what another start would not help
echo 'nonsense: 1;' >>/etc/tailslate/agent.cfg
systemctl restart tailslate-agent
within 20 eval '[ "$(show agent ActiveState)/$(show agent ExecMainStatus)" = failed/78 ]' || fail "a wrong configuration"
sed -i '/^nonsense/d' /etc/tailslate/agent.cfg
systemctl start tailslate-agent && within 10 active agent || fail "the configuration put right"
ok "a wrong configuration is not started again and again"

sed -i 's|^server: {|& api_key_file = "agent.key";|' /etc/tailslate/agent.cfg
chown root: /etc/tailslate/agent.key
systemctl restart tailslate-agent && within 10 active agent || fail "the credential"
within 20 eval '[ "$(said agent event=agent.ready)" -ge 1 ]' || fail "the credential"
ok "the key as a credential"

started=$SECONDS
systemctl stop tailslate-verifier || fail "stop of the verifier"
[ $((SECONDS - started)) -le 12 ] && [ "$(show verifier Result)" = success ] || fail "the verifier did not end well"
systemctl start tailslate-verifier && within 10 active verifier || fail "start of the verifier"
ok "the verifier ends within its time, long polls included"

# ---- a reload of the verifier, with a certificate and a long poll
certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" \
        -addext subjectAltName=IP:127.0.0.1 -keyout /etc/tailslate/server.key -out /etc/tailslate/server.pem 2>/dev/null &&
        chown tailslate-verifier /etc/tailslate/server.key || fail "no certificate"
}
served() { [ "$(echo | openssl s_client -connect "127.0.0.1:$port" 2>/dev/null | openssl x509 -noout -subject)" = "subject=CN = $1" ]; }
reload() { # reload EVENT: systemctl reload, and what the verifier says of it
    local before
    before=$(said verifier "event=verifier.$1")
    systemctl reload tailslate-verifier || fail "reload"
    within 20 eval "[ \"\$(said verifier event=verifier.$1)\" -gt $before ]" || fail "no verifier.$1"
    [ "$(show verifier MainPID)" = "$pid" ] && active verifier || fail "the reload restarted it"
}
cp /etc/tailslate/verifier.cfg plain.cfg
systemctl stop tailslate-agent
certificate first
printf 'listen: { port = %d; tls_cert_file = "/etc/tailslate/server.pem"; tls_key_file = "/etc/tailslate/server.key"; };\n' \
    "$port" >/etc/tailslate/verifier.cfg
systemctl restart tailslate-verifier && within 20 served first || fail "HTTPS"
pid=$(show verifier MainPID)
curl -sSk -X POST -H "X-Worker-API-Key: $(cat /var/lib/tailslate/node.key)" -d '' \
    "https://127.0.0.1:$port/api/worker/claim?wait=60" >polled &
poll=$!
within 20 eval 'curl -fsSk "https://127.0.0.1:$port/metrics" | grep -q "^tailslate_long_polls 1"' || fail "no long poll"
certificate second
echo 'claims: { duration_minutes = 7; };' >>/etc/tailslate/verifier.cfg
reload reloaded
served second || fail "it still has the old certificate"
echo 'nonsense: 1;' >>/etc/tailslate/verifier.cfg
certificate third
reload not_reloaded
served second || fail "a refused reload changed the certificate"
show verifier StatusText | grep -q '^not reloaded: .*nonsense' || fail "its status does not say why: $(show verifier StatusText)"
kill -0 "$poll" || fail "the long poll has ended"
runuser -u tailslate-verifier -- tailslate-verifier job add /srv/short.mp4 --slug polled >/dev/null 2>&1 &&
    fail "a command takes the wrong configuration"
sed -i '/^nonsense/d' /etc/tailslate/verifier.cfg
runuser -u tailslate-verifier -- tailslate-verifier job add /srv/short.mp4 --slug polled >/dev/null || fail "job add"
wait "$poll" && grep -q '"video_slug":"polled"' polled || fail "the long poll was answered: $(cat polled)"
runuser -u tailslate-verifier -- tailslate-verifier job cancel 2 || fail "job cancel"
ok "systemctl reload: a new certificate and new times, a long poll that goes on, a wrong configuration refused with words"

# ---- 75 is tried again, 78 is not
cp plain.cfg /etc/tailslate/verifier.cfg
systemctl stop tailslate-verifier
python3 -m http.server --bind 127.0.0.1 "$port" >/dev/null 2>&1 &
other=$!
within 20 curl -fsS -o /dev/null "http://127.0.0.1:$port/" || fail "nobody has taken the port"
systemctl start --no-block tailslate-verifier
within 20 eval '[ "$(show verifier NRestarts)" -ge 2 ] && [ "$(show verifier ExecMainStatus)" = 75 ]' || fail "a port in use: $(show verifier ExecMainStatus)"
kill "$other"
within 20 active verifier || fail "the port is free and it does not run"
echo 'nonsense: 1;' >>/etc/tailslate/verifier.cfg
systemctl restart tailslate-verifier
within 20 eval '[ "$(show verifier ActiveState)/$(show verifier ExecMainStatus)" = failed/78 ]' || fail "a wrong configuration"
[ "$(show verifier NRestarts)" = 0 ] || fail "a wrong configuration was tried again"
cp plain.cfg /etc/tailslate/verifier.cfg
systemctl restart tailslate-verifier && within 20 active verifier || fail "the configuration put right"
systemctl start tailslate-agent
ok "a port in use is tried again until it is free (75), a wrong configuration is not (78)"


# ---- a fleet's store: PostgreSQL by its socket, and Redis
programs=$(echo /usr/lib/postgresql/*/bin)
as_postgres() { runuser -u postgres -- "$@" >>postgres.log 2>&1 || fail "$*: $(tail -n 5 postgres.log)"; }
install -d -o postgres /run/postgresql /var/lib/postgresql/test
as_postgres "${programs##* }/initdb" -A peer -D /var/lib/postgresql/test
as_postgres "${programs##* }/pg_ctl" -D /var/lib/postgresql/test -w -l /var/lib/postgresql/test.log \
    -o "-c listen_addresses='' -c unix_socket_directories=/run/postgresql" start
as_postgres "${programs##* }/createuser" -h /run/postgresql tailslate-verifier
as_postgres "${programs##* }/createdb" -h /run/postgresql -O tailslate-verifier tailslate
redis-server --port $((port + 1)) --bind 127.0.0.1 --save '' --daemonize yes >/dev/null || fail "Redis"
cat >>/etc/tailslate/verifier.cfg <<CFG
store: { url = "postgresql:///tailslate"; };
redis: { url = "redis://127.0.0.1:$((port + 1))/0"; };
CFG
systemctl restart tailslate-verifier && within 20 active verifier || fail "the verifier on PostgreSQL"
rm /var/lib/tailslate/node.key
runuser -u tailslate-verifier -- tailslate-verifier worker add node --key-file /var/lib/tailslate/node.key ||
    fail "worker add on PostgreSQL"
install -m 600 /var/lib/tailslate/node.key /etc/tailslate/agent.key
systemctl restart tailslate-agent
runuser -u tailslate-verifier -- tailslate-verifier job add /srv/short.mp4 --slug short || fail "job add on PostgreSQL"
finals() { [ "$(said agent 'event=job.final.*outcome=completed')" = "$1" ]; }
within 120 finals 2 || fail "not completed on PostgreSQL"
curl -fsS "http://127.0.0.1:$port/metrics" -o metrics
grep -qE 'tailslate_gate_total\{outcome="entered"\} [1-9]' metrics ||
    fail "the gate in Redis was not used"
ok "a job on PostgreSQL, by its socket, with the gate in Redis"

# ---- the end of everything, on purpose
runuser -u tailslate-verifier -- tailslate-verifier job add /srv/short.mp4 --slug never >/dev/null || fail "job add"
sed -i 's|preset = "ultrafast"|preset = "veryslow"|' /etc/tailslate/agent.cfg
systemctl restart tailslate-agent
within 60 eval '[ -n "$(ls /var/lib/tailslate-agent/spool)" ]' || fail "no record"
systemctl kill --kill-whom=all tailslate-agent
none_left() { [ -z "$(pgrep -u tailslate-agent)" ] && [ "$(show agent ActiveState)" = inactive ]; }
within 30 none_left || fail "left after kill --kill-whom=all: $(pgrep -au tailslate-agent)"
ok "kill --kill-whom=all ends the agent, its steps and its transcoders"

# ---- purge, with undelivered work
systemctl stop tailslate-verifier
record=$(echo /var/lib/tailslate-agent/spool/*)
[ -f "$record/claim.json" ] || fail "its record is gone: $record"
dpkg -P tailslate-agent >purge.log 2>&1 || fail "purge"
grep -q '1 record' purge.log && [ -f "$record/claim.json" ] || fail "purge: $(cat purge.log)"
systemctl daemon-reload
[ "$(systemctl is-enabled tailslate-agent 2>&1)" != enabled ] || fail "it is still enabled"
ok "purge keeps undelivered work"
systemd-analyze --no-pager security tailslate-verifier | tail -n 1
echo "all is well"
