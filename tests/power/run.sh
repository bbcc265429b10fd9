#!/usr/bin/env bash
# Cuts the power of a verifier at random moments, and looks for what it had acknowledged.
#
#   tests/power/run.sh [--cuts N] [--seed S] [--jobs J] [--store sqlite|postgres]
#
# A release build's verifier has its database, its uploads and its videos on an ext4 file system of its
# own (a loop device; root's work). It answers claims, segments and completions; at a moment that the
# seed decides the file system is shut down (EXT4_IOC_SHUTDOWN), as if the machine had lost its power:
# what was not flushed is gone. Then everything is killed, the file system is mounted again, and checked:
#   - a completion that was acknowledged before the cut is on record, with its renditions, its video ready
#   - a segment that was acknowledged before the cut is there, whole
#   - the database is sound; every claim's completion, presented again, is acknowledged, once
# Only answers that were there before the cut began count. N (100) cuts follow one another on the same file
# system, with J (40) jobs each; a run continues at any --seed. Ends with `N passed, N failed`.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-$PWD/build/release}
# shellcheck source=tests/support/rig.sh
. tests/support/rig.sh
# shellcheck source=tests/support/fleet.sh
. tests/support/fleet.sh
# shellcheck source=tests/power/disk.sh
. tests/power/disk.sh

cuts=100 first=1 jobs=40 store=sqlite
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help) sed -n '2,16s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --cuts) cuts=$2 ;;
    --seed) first=$2 ;;
    --jobs) jobs=$2 ;;
    --store) store=$2 ;;
    *) echo "run.sh: unknown option '$1'; see --help" >&2; exit 64 ;;
    esac
    shift 2
done
[ "$(id -u)" = 0 ] || { echo "run.sh: mounting takes root" >&2; exit 69; }

power_end() {
    kill_all
    umount "$disk" 2>/dev/null || true
    rig_end
}

sql() {
    if [ "$store" = sqlite ]; then
        sqlite3 -cmd '.timeout 10000' "$disk/verifier.db" "$1"
    else
        psql -h 127.0.0.1 -p "$fleet_pg_port" -U tailslate -d fleet -qAtc "$1"
    fi
}

database() {
    [ "$store" != sqlite ] || return 0
    (cd "$rig" && exec setpriv --reuid=nobody --regid=nogroup --clear-groups "$fleet_postgres_bin/postgres" \
        -D "$disk/pg" -p "$fleet_pg_port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
        2>>"$rig/postgres.log") &
    disown # it aborts by itself when its files are gone, which the shell would report
    within 60 psql -h 127.0.0.1 -p "$fleet_pg_port" -U tailslate -d postgres -qc 'SELECT 1' >/dev/null 2>&1
}
kill_all() { # at once: nobody says goodbye
    {
        [ -z "${verifier_pid-}" ] || kill -9 "$verifier_pid"
        [ "$store" = sqlite ] || pkill -9 -f "$disk/pg"
        wait
    } 2>/dev/null || true
    verifier_pid=
}

set_up() {
    rig=$(mktemp -d "${TMPDIR:-/tmp}/tailslate-power-XXXXXX")
    trap power_end EXIT
    chmod 755 "$rig"
    port=$(fleet_port) url=http://127.0.0.1:$port
    disk_make 512
    mkdir "$disk/uploads" "$disk/videos"
    local database_url="sqlite:$disk/verifier.db"
    if [ "$store" = postgres ]; then
        fleet_pg_port=$(fleet_port)
        mkdir "$disk/pg"
        chown nobody:nogroup "$disk/pg"
        (cd "$rig" && fleet_as_nobody "$fleet_postgres_bin/initdb" -D "$disk/pg" -U tailslate -A trust -E UTF8 \
            >"$rig/initdb.log" 2>&1)
        database
        psql -h 127.0.0.1 -p "$fleet_pg_port" -U tailslate -d postgres -qc 'CREATE DATABASE fleet'
        database_url="postgresql://tailslate@127.0.0.1:$fleet_pg_port/fleet"
    fi
    cat >"$rig/verifier.cfg" <<CONFIG
listen: { address = "127.0.0.1"; port = $port; };
store: { url = "$database_url"; };
files: { uploads_dir = "$disk/uploads"; videos_dir = "$disk/videos"; };
claims: { retry_delay_seconds = 0; };
log: { level = "warning"; };
CONFIG
    "$build/verifier/tailslate-verifier" -c "$rig/verifier.cfg" worker add rig --key-file "$rig/rig.key" \
        >/dev/null 2>>"$rig/verifier.log"
    prepare_files
    rig_verifier
}

prepare_files() {
    local quality
    mkdir "$disk/renditions"
    for quality in 1080p 720p 360p; do
        mkdir "$disk/renditions/$quality"
        printf '\0\0\0\030moof0123456789' | tee "$disk/renditions/$quality/init.mp4" >"$disk/renditions/$quality/seg_0000.m4s"
        printf '#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MAP:URI="init.mp4"\n#EXTINF:6,\nseg_0000.m4s\n#EXT-X-ENDLIST\n' \
            >"$disk/renditions/$quality/stream.m3u8"
    done
    sync -f "$disk"
}

add_jobs() { # add_jobs CUT: with the renditions in place, and flushed
    local number sources=$disk/sources$1
    mkdir "$sources"
    for number in $(seq "$jobs"); do echo "$1 $number" >"$sources/c$1-$number.mp4"; done
    "$build/verifier/tailslate-verifier" -c "$rig/verifier.cfg" job add "$sources" --link >/dev/null 2>>"$rig/verifier.log"
    for number in $(seq "$jobs"); do cp -al "$disk/renditions" "$disk/videos/c$1-$number"; done
    sync -f "$disk"
}

complain() {
    echo "cut $cut: $*" >&2
    is_well=no
}

# What was acknowledged before the cut, and is not there now.
look_for() {
    local job video epoch token uploaded acknowledged segment
    while IFS=$'\t' read -r job video epoch token uploaded acknowledged; do
        segment=$disk/videos/$(sql "SELECT slug FROM videos WHERE id = $video")/360p/seg_0001.m4s
        [ "$uploaded" = 0 ] || [ "$(stat -c %s "$segment" 2>/dev/null)" = 16384 ] ||
            complain "job $job: the acknowledged segment $segment is not there, or not whole"
        [ "$acknowledged" = 0 ] || [ "$(sql "SELECT COUNT(*) FROM completions c JOIN transcoding_jobs j ON j.id = c.job_id
            JOIN videos v ON v.id = j.video_id WHERE c.job_id = $job AND c.claim_epoch = $epoch AND c.token = '$token'
            AND j.completed_at IS NOT NULL AND v.status = 'ready'
            AND (SELECT COUNT(*) FROM video_qualities q WHERE q.video_id = v.id) = 3")" = 1 ] ||
            complain "job $job: its completion was acknowledged and is not on record"
    done <"$rig/cut.tsv"
}

one_cut() { # one_cut SEED
    add_jobs "$1"
    "$build/tests/power_cut" --url "$url" --key "$rig/rig.key" --disk "$disk" --jobs "$jobs" --seed "$1" \
        >"$rig/cut.tsv" || complain "the work before the cut"
    kill_all
    disk_again
    database
    rig_verifier
    look_for
    [ "$store" != sqlite ] || [ "$(sql 'PRAGMA integrity_check')" = ok ] || complain "the database is not sound"
    "$build/tests/power_cut" --url "$url" --key "$rig/rig.key" --again "$rig/cut.tsv" || complain "presented again"
    [ "$(sql "SELECT COUNT(*) FROM completions c JOIN transcoding_jobs j ON j.id = c.job_id JOIN videos v ON v.id = j.video_id
        WHERE v.slug LIKE 'c$1-%' AND v.status = 'ready'")" = "$jobs" ] || complain "not one completion for each job"
    rm -rf "$disk/sources$1" "$disk/videos/c$1-"*
}

set_up
passed=0 failed=0 uploads=0 acknowledged=0
for cut in $(seq "$first" $((first + cuts - 1))); do
    is_well=yes
    one_cut "$cut"
    read -r u a < <(awk -F '\t' '{ u += $5; a += $6 } END { print u + 0, a + 0 }' "$rig/cut.tsv")
    uploads=$((uploads + u)) acknowledged=$((acknowledged + a))
    if [ "$is_well" = yes ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    [ $(((passed + failed) % 20)) != 0 ] || echo "  $((passed + failed)) of $cuts cuts, $failed failed; $uploads segments and $acknowledged completions acknowledged before them"
done
kill_all
disk_is_sound || { echo "the file system is not sound" >&2; failed=$((failed + 1)); }
echo "$cuts cuts, seeds $first to $((first + cuts - 1)), $store: $uploads segments and $acknowledged completions were acknowledged before them"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
