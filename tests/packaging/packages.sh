#!/usr/bin/env bash
# The Debian packages of HEAD: built, checked by lintian, installed, upgraded while a job runs,
# removed and purged, with undelivered work and without.
#
#   packages.sh [DIRECTORY]      DIRECTORY: packages that packaging/build-deb.sh has made already
#
# systemd is not pid 1 here: the test starts and stops the programs as the installed units say
# (program, user, environment, notification, SIGTERM to the main process only). systemd.sh has the
# real one.
# shellcheck disable=SC2016 # ${…} is dpkg-query's
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/packaging/overlay.sh
. "$here/overlay.sh"
# shellcheck source=tests/support/within.sh
. "$here/../support/within.sh"
overlay_enter "$0" "$@"
overlay_mount

fail() {
    echo "packages.sh: $*" >&2
    tail -n 30 "$overlay"/tmp/*.log >&2
    exit 1
}
overlay_mode() { overlay_run stat -c '%a %U' "$1"; }
expect() { [ "$2" = "$3" ] || fail "$1: $2, it should be $3"; }

install_packages() { overlay_run sh -c "dpkg -i /tmp/$1.deb" >>"$overlay/tmp/dpkg.log" 2>&1 </dev/null; }

# ---- build
if [ $# -gt 0 ]; then
    cp "$1"/*.deb "$1"/*.changes "$overlay/tmp/"
else
    "$here/../../packaging/build-deb.sh" "$layers/built" >/dev/null
    lintian --allow-root --fail-on error,warning "$layers"/built/*.changes || fail "lintian"
    cp "$layers"/built/*.deb "$overlay/tmp/"
fi
version=$(dpkg-deb -f "$(echo "$overlay"/tmp/tailslate-agent_*.deb)" Version)
for name in agent verifier; do
    [ -f "$(echo "$overlay"/tmp/tailslate-$name-dbgsym_*.deb)" ] || fail "tailslate-$name-dbgsym is missing"
    "$here/next-version.sh" "$overlay/tmp/tailslate-${name}_${version}"_*.deb "$overlay/tmp"
    mkdir -p "$overlay/tmp/first" && mv "$overlay/tmp/tailslate-${name}_${version}"_*.deb "$overlay/tmp/first"
done

# ---- the unit, played
agent_pid="" # start fills it in
unit() { # of the installed unit, one value: unit agent User
    sed -n "s/^$2=//p" "$overlay/usr/lib/systemd/system/tailslate-$1.service" | head -n 1
}
start() { # start agent: as its unit says; $agent_pid
    local side=$1 user environment
    user=$(unit "$side" User)
    environment=$(unit "$side" Environment)
    local condition
    condition=$(unit "$side" ConditionPathExists)
    [ -z "$condition" ] || overlay_run test -e "$condition" || return 1
    # shellcheck disable=SC2046,SC2086 # several words each
    overlay_exec NOTIFY_SOCKET=/tmp/notify.socket $environment setpriv --reuid "$user" --regid "$user" \
        --init-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
        $(unit "$side" ExecStart) >>"$overlay/tmp/$side.log" 2>&1 &
    declare -g "${side}_pid=$!"
    within 30 grep -q "event=$side.ready.*pid=$!" "$overlay/tmp/$side.log" || fail "the $side does not start"
    if [ "$(unit "$side" Type)" = notify ]; then
        within 30 grep -q '^READY=1' "$overlay/tmp/notified" || fail "the $side does not say that it is ready"
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
perl "$here/notify.pl" "$overlay/tmp/notify.socket" "$overlay/tmp/notified" &
notify_pid=$!
within 10 test -S "$overlay/tmp/notify.socket" || fail "no notification socket"

# ---- install
install_packages 'first/*' || fail "dpkg -i"
expect "the agent's directory" "$(overlay_mode /var/lib/tailslate-agent)" "700 tailslate-agent"
expect "the verifier's directory" "$(overlay_mode /var/lib/tailslate)" "755 tailslate-verifier"
expect "the sources' directory" "$(overlay_mode /var/lib/tailslate/uploads)" "750 tailslate-verifier"
for side in agent verifier; do
    overlay_run cmp "/etc/tailslate/$side.cfg" "/usr/share/doc/tailslate-$side/examples/$side.cfg.sample" ||
        fail "$side.cfg is not the sample"
    overlay_run dpkg-query -W -f '${Conffiles}\n' "tailslate-$side" | grep -q "/etc/tailslate/$side.cfg" ||
        fail "$side.cfg is no conffile"
    overlay_run man -l "/usr/share/man/man8/tailslate-$side.8.gz" >/dev/null || fail "the man page"
    [ -L "$overlay/etc/systemd/system/multi-user.target.wants/tailslate-$side.service" ] ||
        fail "tailslate-$side.service is not enabled"
done
start agent && fail "the agent starts without a key"

# ---- the upgrade while a job runs
cat >"$overlay/etc/tailslate/verifier.cfg" <<'CFG'
listen: { port = 0; };
CFG
start verifier
port=$(sed -n 's/.*event=verifier.ready port=\([0-9]*\).*/\1/p' "$overlay/tmp/verifier.log" | tail -n 1)
sed -i "s/port = 0/port = $port/" "$overlay/etc/tailslate/verifier.cfg"
cat >"$overlay/etc/tailslate/agent.cfg" <<CFG
server: { url = "http://127.0.0.1:$port"; };
node: { min_free_disk_gb = 0; };
transcode: { original = false; preset = "ultrafast"; threads = 1; };
CFG
overlay_run runuser -u tailslate-verifier -- tailslate-verifier worker add node \
    --key-file /var/lib/tailslate/node.key >/dev/null 2>>"$overlay/tmp/verifier.log" || fail "worker add"
overlay_run install -o tailslate-agent -m 600 /var/lib/tailslate/node.key /etc/tailslate/agent.key
start agent
ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=640x360:rate=25:duration=20 -c:v libx264 \
    -preset ultrafast -pix_fmt yuv420p "$overlay/tmp/film.mp4"
overlay_run tailslate-verifier job add /tmp/film.mp4 >/dev/null 2>>"$overlay/tmp/verifier.log" || fail "job add"
# Held still while we look, so that it cannot be over before the upgrade is.
transcoder=
hold() { # the ffmpeg that makes the renditions; the overlay's /proc has only our processes
    local cmdline pid
    cmdline=$(grep -las stream.m3u8 "$overlay"/proc/[0-9]*/cmdline | grep -v "/$$/" | head -n 1)
    pid=$(basename "$(dirname "$cmdline")")
    [ "$(cat "$overlay/proc/$pid/comm")" = ffmpeg ] && kill -STOP "$pid" && transcoder=$pid
}
within 60 hold || fail "no transcode"
old_pid=$agent_pid
stop agent
kill -0 "$transcoder" || fail "the transcoder went with the agent"
install_packages '*+next1_*' || fail "the upgrade"
expect "the version" "$(overlay_run dpkg-query -W -f '${Version}' tailslate-agent)" "$version+next1"
grep -q "127.0.0.1:$port" "$overlay/etc/tailslate/agent.cfg" || fail "the upgrade took the configuration"
kill -0 "$transcoder" || fail "the transcoder went with the upgrade"
start agent
within 30 grep -q "event=step.adopted job=1 .*" "$overlay/tmp/agent.log" || fail "the step was not adopted"
kill -CONT "$transcoder"
within 120 grep -q 'event=job.final.*outcome=completed' "$overlay/tmp/agent.log" || fail "not completed"
expect "steps" "$(grep -c event=step.started "$overlay/tmp/agent.log")" 1
expect "transcoders" "$(grep -c event=step.transcoder_started "$overlay/tmp/agent.log")" 1
expect "completions" "$(sqlite3 "$overlay/var/lib/tailslate/verifier.db" 'SELECT count(*) FROM completions')" 1
expect "the spool" "$(ls -A "$overlay/var/lib/tailslate-agent/spool")" ""
overlay_run setpriv --reuid nobody --clear-groups cat /var/lib/tailslate/videos/film/master.m3u8 >/dev/null ||
    fail "a web server cannot read the renditions"
echo "ok: upgraded while pid $transcoder encoded (agent $old_pid, then $agent_pid); completed once"

# ---- remove and purge
stop agent
stop verifier
dpkg_says() { overlay_run dpkg "$@" >"$overlay/tmp/said" 2>&1 || fail "dpkg $*: $(cat "$overlay/tmp/said")"; }
record=$overlay/var/lib/tailslate-agent/spool/7.1
install -d "$record" && echo '{}' >"$record/completion.json"
dpkg_says -r tailslate-agent
grep -q '1 record(s) of undelivered work' "$overlay/tmp/said" || fail "remove does not say what waits"
[ -f "$overlay/etc/tailslate/agent.cfg" ] || fail "remove took the configuration"
dpkg_says -P tailslate-agent
grep -q '1 record(s) of undelivered work' "$overlay/tmp/said" && [ -f "$record/completion.json" ] ||
    fail "purge: $(cat "$overlay/tmp/said")"
[ ! -e "$overlay/etc/tailslate/agent.cfg" ] || fail "purge left the configuration"
install_packages 'tailslate-agent_*+next1_*' || fail "installed again"
[ -f "$record/completion.json" ] || fail "the installation took undelivered work"
rm -r "$record"
dpkg_says -P tailslate-agent
[ ! -e "$overlay/var/lib/tailslate-agent" ] || fail "purge leaves an empty spool"
dpkg_says -P tailslate-verifier
grep -q 'keeping' "$overlay/tmp/said" && [ -f "$overlay/var/lib/tailslate/verifier.db" ] ||
    fail "purge of the verifier: $(cat "$overlay/tmp/said")"
echo "ok: purge keeps undelivered work, and removes what is empty"
kill "$notify_pid"
