#!/usr/bin/env bash
# The Debian packages of HEAD: built, looked at by lintian, installed, upgraded while a job runs,
# removed and purged, with undelivered work and without.
#
#   packages.sh [FOLDER]      FOLDER: packages that packaging/build-deb.sh has made already
#
# systemd is not pid 1 here: the test starts and stops the programs as the installed units say
# (program, user, environment, notification, SIGTERM to the main process only). systemd.sh has the
# real one.
# shellcheck disable=SC2016 # ${…} is dpkg-query's
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/packaging/room.sh
. "$here/room.sh"
# shellcheck source=tests/support/within.sh
. "$here/../support/within.sh"
room_enter "$0" "$@"
room_mount

fail() {
    echo "packages.sh: $*" >&2
    tail -n 30 "$room"/tmp/*.log >&2
    exit 1
}
room_mode() { room_run stat -c '%a %U' "$1"; }
expect() { [ "$2" = "$3" ] || fail "$1: $2, it should be $3"; }

install_packages() { room_run sh -c "dpkg -i /tmp/$1.deb" >>"$room/tmp/dpkg.log" 2>&1 </dev/null; }

# ---- build
if [ $# -gt 0 ]; then
    cp "$1"/*.deb "$1"/*.changes "$room/tmp/"
else
    "$here/../../packaging/build-deb.sh" "$layers/built" >/dev/null
    lintian --allow-root --fail-on error,warning "$layers"/built/*.changes || fail "lintian"
    cp "$layers"/built/*.deb "$room/tmp/"
fi
version=$(dpkg-deb -f "$(echo "$room"/tmp/tailslate-agent_*.deb)" Version)
for name in agent verifier; do
    [ -f "$(echo "$room"/tmp/tailslate-$name-dbgsym_*.deb)" ] || fail "tailslate-$name-dbgsym is missing"
    "$here/next-version.sh" "$room/tmp/tailslate-${name}_${version}"_*.deb "$room/tmp"
    mkdir -p "$room/tmp/first" && mv "$room/tmp/tailslate-${name}_${version}"_*.deb "$room/tmp/first"
done

# ---- the unit, played
agent_pid="" # start fills it in
unit() { # of the installed unit, one value: unit agent User
    sed -n "s/^$2=//p" "$room/usr/lib/systemd/system/tailslate-$1.service" | head -n 1
}
start() { # start agent: as its unit says; $agent_pid
    local side=$1 user environment
    user=$(unit "$side" User)
    environment=$(unit "$side" Environment)
    local condition
    condition=$(unit "$side" ConditionPathExists)
    [ -z "$condition" ] || room_run test -e "$condition" || return 1
    # shellcheck disable=SC2046,SC2086 # several words each
    room_exec NOTIFY_SOCKET=/tmp/notify.socket $environment setpriv --reuid "$user" --regid "$user" \
        --init-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
        $(unit "$side" ExecStart) >>"$room/tmp/$side.log" 2>&1 &
    declare -g "${side}_pid=$!"
    within 30 grep -q "event=$side.ready.*pid=$!" "$room/tmp/$side.log" || fail "the $side does not start"
    if [ "$(unit "$side" Type)" = notify ]; then
        within 30 grep -q '^READY=1' "$room/tmp/notified" || fail "the $side does not say that it is ready"
    fi
}
stop() { # stop agent: SIGTERM to the main process, its time, an end with status 0
    local pid=${1}_pid status=0
    [ "$(unit "$1" KillMode)" = process ] || [ "$1" = verifier ] || fail "$1: KillMode"
    kill -TERM "${!pid}"
    timeout 30 tail --pid="${!pid}" -f /dev/null || fail "the $1 does not end"
    wait "${!pid}" || status=$?
    expect "the $1's end" "$status" 0
}
perl "$here/notify.pl" "$room/tmp/notify.socket" "$room/tmp/notified" &
notify_pid=$!
within 10 test -S "$room/tmp/notify.socket" || fail "no notification socket"

# ---- install
install_packages 'first/*' || fail "dpkg -i"
expect "the agent's folder" "$(room_mode /var/lib/tailslate-agent)" "700 tailslate-agent"
expect "the verifier's folder" "$(room_mode /var/lib/tailslate)" "755 tailslate-verifier"
expect "the sources' folder" "$(room_mode /var/lib/tailslate/uploads)" "750 tailslate-verifier"
for side in agent verifier; do
    room_run cmp "/etc/tailslate/$side.cfg" "/usr/share/doc/tailslate-$side/examples/$side.cfg.sample" ||
        fail "$side.cfg is not the sample"
    room_run dpkg-query -W -f '${Conffiles}\n' "tailslate-$side" | grep -q "/etc/tailslate/$side.cfg" ||
        fail "$side.cfg is no conffile"
    room_run man -l "/usr/share/man/man8/tailslate-$side.8.gz" >/dev/null || fail "the man page"
    [ -L "$room/etc/systemd/system/multi-user.target.wants/tailslate-$side.service" ] ||
        fail "tailslate-$side.service is not enabled"
done
start agent && fail "the agent starts without a key"

# ---- the upgrade while a job runs
cat >"$room/etc/tailslate/verifier.cfg" <<'CFG'
listen: { port = 0; };
CFG
start verifier
port=$(sed -n 's/.*event=verifier.ready port=\([0-9]*\).*/\1/p' "$room/tmp/verifier.log" | tail -n 1)
sed -i "s/port = 0/port = $port/" "$room/etc/tailslate/verifier.cfg"
cat >"$room/etc/tailslate/agent.cfg" <<CFG
server: { url = "http://127.0.0.1:$port"; };
node: { min_free_disk_gb = 0; };
transcode: { original = false; preset = "ultrafast"; threads = 1; };
CFG
room_run runuser -u tailslate-verifier -- tailslate-verifier worker add node \
    --key-file /var/lib/tailslate/node.key >/dev/null 2>>"$room/tmp/verifier.log" || fail "worker add"
room_run install -o tailslate-agent -m 600 /var/lib/tailslate/node.key /etc/tailslate/agent.key
start agent
ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=640x360:rate=25:duration=20 -c:v libx264 \
    -preset ultrafast -pix_fmt yuv420p "$room/tmp/film.mp4"
room_run tailslate-verifier job add /tmp/film.mp4 >/dev/null 2>>"$room/tmp/verifier.log" || fail "job add"
# Held still while we look, so that it cannot be over before the upgrade is.
transcoder=
hold() { # the ffmpeg that makes the renditions; the room's /proc is of our processes
    local cmdline pid
    cmdline=$(grep -las stream.m3u8 "$room"/proc/[0-9]*/cmdline | grep -v "/$$/" | head -n 1)
    pid=$(basename "$(dirname "$cmdline")")
    [ "$(cat "$room/proc/$pid/comm")" = ffmpeg ] && kill -STOP "$pid" && transcoder=$pid
}
within 60 hold || fail "no transcode"
old_pid=$agent_pid
stop agent
kill -0 "$transcoder" || fail "the transcoder went with the agent"
install_packages '*+next1_*' || fail "the upgrade"
expect "the version" "$(room_run dpkg-query -W -f '${Version}' tailslate-agent)" "$version+next1"
grep -q "127.0.0.1:$port" "$room/etc/tailslate/agent.cfg" || fail "the upgrade took the configuration"
kill -0 "$transcoder" || fail "the transcoder went with the upgrade"
start agent
within 30 grep -q "event=step.adopted job=1 .*" "$room/tmp/agent.log" || fail "the step was not adopted"
kill -CONT "$transcoder"
within 120 grep -q 'event=job.final.*outcome=completed' "$room/tmp/agent.log" || fail "not completed"
expect "steps" "$(grep -c event=step.started "$room/tmp/agent.log")" 1
expect "transcoders" "$(grep -c event=step.transcoder_started "$room/tmp/agent.log")" 1
expect "completions" "$(sqlite3 "$room/var/lib/tailslate/verifier.db" 'SELECT count(*) FROM completions')" 1
expect "the spool" "$(ls -A "$room/var/lib/tailslate-agent/spool")" ""
room_run setpriv --reuid nobody --clear-groups cat /var/lib/tailslate/videos/film/master.m3u8 >/dev/null ||
    fail "a web server cannot read the renditions"
echo "ok: upgraded while pid $transcoder encoded (agent $old_pid, then $agent_pid); completed once"

# ---- remove and purge
stop agent
stop verifier
dpkg_says() { room_run dpkg "$@" >"$room/tmp/said" 2>&1 || fail "dpkg $*: $(cat "$room/tmp/said")"; }
record=$room/var/lib/tailslate-agent/spool/7.1
install -d "$record" && echo '{}' >"$record/completion.json"
dpkg_says -r tailslate-agent
grep -q '1 record(s) of undelivered work' "$room/tmp/said" || fail "remove does not say what waits"
[ -f "$room/etc/tailslate/agent.cfg" ] || fail "remove took the configuration"
dpkg_says -P tailslate-agent
grep -q '1 record(s) of undelivered work' "$room/tmp/said" && [ -f "$record/completion.json" ] ||
    fail "purge: $(cat "$room/tmp/said")"
[ ! -e "$room/etc/tailslate/agent.cfg" ] || fail "purge left the configuration"
install_packages 'tailslate-agent_*+next1_*' || fail "installed again"
[ -f "$record/completion.json" ] || fail "the installation took undelivered work"
rm -r "$record"
dpkg_says -P tailslate-agent
[ ! -e "$room/var/lib/tailslate-agent" ] || fail "purge leaves an empty spool"
dpkg_says -P tailslate-verifier
grep -q 'keeping' "$room/tmp/said" && [ -f "$room/var/lib/tailslate/verifier.db" ] ||
    fail "purge of the verifier: $(cat "$room/tmp/said")"
echo "ok: purge keeps undelivered work, and removes what is empty"
kill "$notify_pid"
