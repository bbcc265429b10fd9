#!/usr/bin/env bash
# What takes longer than packaging/check.sh may: minutes of outage, a thousand jobs, a real film.
#
#   tests/long.sh [TEST...]      all of them without arguments; --list names them
#
# Works on a release build (build/release; built if need be). SOAK_JOBS (1000) and FILM (a file;
# else 60 s of full HD are made) can be set. Ends with `N passed, N failed`, exit status to match.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-$PWD/build/release}
# shellcheck source=tests/support/rig.sh
. tests/support/rig.sh
# shellcheck source=tests/support/fleet.sh
. tests/support/fleet.sh

clip() { # clip FILE SIZE SECONDS
    [ -f "$1" ] && return
    mkdir -p "$(dirname "$1")"
    ffmpeg -nostdin -v error -y -f lavfi -i "testsrc2=size=$2:rate=25:duration=$3" \
        -f lavfi -i "sine=frequency=440:sample_rate=48000:duration=$3" \
        -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac "$1.making.mp4"
    mv "$1.making.mp4" "$1"
}

completed() { [ "$(rig_sql 'SELECT count(*) FROM completions')" = "$1" ]; }
spool_is_empty() { [ -z "$(ls -A "$rig/agent/spool")" ]; }
record_has() { compgen -G "$rig/agent/spool/*/$1" >/dev/null; }
fail() { echo "    $*" >&2; return 1; }

# The outage of the issue, in real time and with the default backoff (cap 300 s).
verifier_down_for_three_minutes() {
    clip build/media/minute.mp4 640x360 20
    rig_start
    rig_verifier
    rig_add build/media/minute.mp4 >/dev/null
    rig_agent TAILSLATE_TRANSCODE_THREADS=1
    within 60 record_has transcoder.log || fail "no transcoder was started"
    kill -TERM "$verifier_pid"
    wait "$verifier_pid" || fail "the verifier ended with $?"
    within 300 record_has outcome.json || fail "the transcode did not end"
    sleep 180
    rig_verifier
    local up=$SECONDS
    within 310 completed 1 || fail "it was not delivered within the cap"
    echo "    delivered $((SECONDS - up)) s after the start"
    within 30 spool_is_empty || fail "the spool is not empty"
    [ "$(grep -c 'event=job.final' "$rig/agent.log")" = 1 ] || fail "not one job.final"
}

# Many small jobs, the agent killed every few seconds, the verifier now and then.
a_thousand_jobs_with_kills() {
    local jobs=${SOAK_JOBS:-1000} added=0 round=0
    clip build/media/tiny.mp4 320x180 1
    rig_start
    # A claim whose answer died with the agent is nobody's until it has expired: soon, here.
    export TAILSLATE_CLAIMS_DURATION_MINUTES=0.5 TAILSLATE_SWEEPER_GRACE_SECONDS=5
    rig_verifier
    while [ "$added" -lt "$jobs" ]; do
        rig_add build/media/tiny.mp4 >/dev/null
        added=$((added + 1))
    done
    local settings=(TAILSLATE_NODE_SLOTS=2 TAILSLATE_TRANSCODE_PRESET=ultrafast
        TAILSLATE_TRANSCODE_ORIGINAL=false TAILSLATE_RETRY_CAP_SECONDS=2
        TAILSLATE_RETRY_RATE_PER_SECOND=50 TAILSLATE_CLAIM_WAIT_SECONDS=5)
    rig_agent "${settings[@]}"
    local started=$SECONDS
    until completed "$jobs"; do
        [ $((SECONDS - started)) -lt $((jobs * 5 + 300)) ] ||
            fail "$(rig_sql 'SELECT count(*) FROM completions') of $jobs after $((SECONDS - started)) s"
        sleep 7
        round=$((round + 1))
        kill -9 "$agent_pid" 2>/dev/null || true
        wait "$agent_pid" 2>/dev/null || true
        if [ $((round % 5)) = 0 ]; then
            kill -9 "$verifier_pid"
            wait "$verifier_pid" 2>/dev/null || true
            rig_verifier
        fi
        rig_agent "${settings[@]}"
    done
    within 60 spool_is_empty || fail "the spool is not empty"
    [ "$(rig_sql 'SELECT count(*) FROM (SELECT 1 FROM video_qualities GROUP BY video_id, quality HAVING count(*) > 1)')" = 0 ] ||
        fail "a rendition is on record twice"
    [ "$(rig_sql "SELECT count(*) FROM videos WHERE status <> 'ready'")" = 0 ] || fail "not all are ready"
    echo "    $jobs jobs in $((SECONDS - started)) s, agent killed $round times"
}

a_full_hd_film_through_the_whole_ladder() {
    local film=${FILM:-build/media/hd60.mp4}
    [ -n "${FILM-}" ] || clip "$film" 1920x1080 60
    rig_start
    rig_verifier
    rig_add "$film" >/dev/null
    local started=$SECONDS
    rig_agent
    within 3600 completed 1 || fail "it was not completed within an hour"
    echo "    $((SECONDS - started)) s; renditions: $(rig_sql 'SELECT group_concat(quality) FROM video_qualities')"
    within 30 spool_is_empty || fail "the spool is not empty"
    local folder
    folder=$rig/videos/$(rig_sql 'SELECT slug FROM videos')
    for playlist in "$folder"/master.m3u8 "$folder"/*/stream.m3u8; do
        ffmpeg -nostdin -v error -xerror -allowed_extensions ALL -i "$playlist" -f null - ||
            fail "$playlist does not play"
    done
}

# Two transcodes of three minutes each, and an agent that never lives longer than five seconds.
an_agent_killed_every_five_seconds() {
    local film=build/media/three_minutes.mp4 round=0 log
    clip "$film" 320x180 180
    rig_start
    cat >"$rig/slow-ffmpeg" <<SCRIPT
#!/bin/sh
case "\$*" in *libx264*hls*) echo \$\$ >>"$rig/transcoders"; exec ffmpeg -readrate 1 "\$@";; esac
exec ffmpeg "\$@"
SCRIPT
    chmod +x "$rig/slow-ffmpeg"
    rig_verifier
    rig_add "$film" >/dev/null
    rig_add "$film" >/dev/null
    local settings=(TAILSLATE_NODE_SLOTS=2 TAILSLATE_TRANSCODE_FFMPEG="$rig/slow-ffmpeg"
        TAILSLATE_TRANSCODE_PRESET=ultrafast TAILSLATE_RETRY_CAP_SECONDS=2)
    local started=$SECONDS
    until completed 2; do
        [ $((SECONDS - started)) -lt 420 ] || fail "not completed after $((SECONDS - started)) s"
        rig_agent "${settings[@]}"
        sleep 5
        kill -9 "$agent_pid" 2>/dev/null || true
        wait "$agent_pid" 2>/dev/null || true
        round=$((round + 1))
    done
    rig_agent "${settings[@]}"
    within 60 spool_is_empty || fail "the spool is not empty"
    log=$(wc -l <"$rig/transcoders")
    [ "$log" = 2 ] || fail "ffmpeg was started $log times for two jobs"
    [ "$(rig_sql 'SELECT count(*) FROM completions')" = 2 ] || fail "not one completion each"
    [ "$(rig_sql 'SELECT max(attempt_number) FROM transcoding_jobs')" = 1 ] || fail "an attempt was charged"
    echo "    2 jobs in $((SECONDS - started)) s, agent killed $round times, ffmpeg started $log times"
}

# Crashes hit another instruction each time: chance finds what one sweep does not.
# Root's work: the record alone turns read-only, in the mounts of the agent only.
a_disk_that_is_read_only_for_a_while() {
    clip build/media/tiny.mp4 320x180 1
    rig_start
    rig_verifier
    rig_add build/media/tiny.mp4 >/dev/null
    rig_agent TAILSLATE_RETRY_CAP_SECONDS=2 unshare --mount --propagation private
    within 60 grep -q event=step.started "$rig/agent.log" || fail "no step was started"
    kill -STOP "$agent_pid"
    within 60 record_has completion.json || fail "the step did not seal it by itself"
    local record
    record=$(echo "$rig"/agent/spool/*)
    mounts() { nsenter --target "$agent_pid" --mount --root --wd=/ sh -c "$1"; }
    mounts "mount --bind '$record' '$record' && mount -o remount,bind,ro '$record'"
    kill -CONT "$agent_pid"
    within 60 grep -q 'event=delivery.refused.*Read-only' "$rig/agent.log" || fail "it did not say why it waits"
    [ "$(grep -c event=job.final "$rig/agent.log")" = 0 ] || fail "it was given up"
    mounts "umount '$record'"
    within 60 spool_is_empty || fail "the spool is not empty"
    completed 1 || fail "not completed once"
    [ "$(grep -c 'event=job.final.*outcome=completed' "$rig/agent.log")" = 1 ] || fail "not one job.final"
}

the_crash_sweep_ten_times() {
    local sweep=build/dev/tests/fault_crash_sweep
    [ -x "$sweep" ] || { cmake --preset dev >/dev/null && cmake --build --preset dev >/dev/null; }
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        "$sweep" -j1 --short-filename || fail "a sweep failed"
    done
}

# A hundred jobs each way, the first answer to every call swallowed.
a_stock_workers_three_ways() {
    local ways=build/dev/tests/e2e_stock_ways
    [ -x "$ways" ] || { cmake --preset dev >/dev/null && cmake --build --preset dev >/dev/null; }
    STOCK_JOBS=${STOCK_JOBS:-100} "$ways" -j2 --short-filename 2>&1 | sed 's/^/    /' ||
        fail "not every job was completed"
}

# systemd as pid 1 of a throw-away copy of this system, the units as shipped.
the_packages_installed_upgraded_and_purged() {
    packaging/dependencies.sh package
    tests/packaging/packages.sh
}

the_packages_under_a_real_systemd() {
    packaging/dependencies.sh package systemd
    packaging/build-deb.sh build/deb && tests/packaging/systemd.sh build/deb
}

# Two verifiers on one PostgreSQL and one Redis; each completion 64 times at once, over both.
is_dead() { ! [ -d "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }
load_the_fleet() { # load_the_fleet DEADLINE_SECONDS
    [ -x "$build/tests/bench_load" ] || {
        cmake -B "$build" -DTAILSLATE_TESTS=ON >/dev/null
        cmake --build "$build" --target bench_load tailslate-verifier >/dev/null
    }
    clip "$PWD/build/media/tiny.mp4" 320x180 1
    "$build/tests/bench_load" --url "${fleet_urls[0]}" --url "${fleet_urls[1]}" --key "$rig/loader.key" \
        --jobs "${FLEET_JOBS:-1000}" --copies 64 --parallel 2 --deadline "$1" \
        --verifier "$build/verifier/tailslate-verifier" --config "$rig/fleet0.cfg" \
        --source "$PWD/build/media/tiny.mp4" 2>"$rig/load.log" | sed 's/^/    /' ||
        { tail -n 5 "$rig/load.log" >&2; fail "the loader found a lie"; }
    [ "$(fleet_sql 'SELECT count(*) FROM completions')" = "${FLEET_JOBS:-1000}" ] || fail "not one row a job"
    [ "$(fleet_sql "SELECT count(*) FROM videos WHERE status <> 'ready'")" = 0 ] || fail "not all are ready"
    [ "$(fleet_sql 'SELECT count(*) FROM (SELECT 1 FROM video_qualities GROUP BY video_id, quality HAVING count(*) > 1) AS doubled')" = 0 ] ||
        fail "a rendition is on record twice"
}

a_fleet_of_two_under_a_crowd() {
    fleet_start
    load_the_fleet 120
}

a_fleet_of_two_of_which_one_is_killed_every_second() {
    fleet_start
    (
        victim=0
        while sleep 1; do
            kill -9 "${fleet_pids[victim]}" 2>/dev/null || true
            within 5 is_dead "${fleet_pids[victim]}"
            fleet_verifier "$victim"
            echo killed >>"$rig/kills"
            victim=$((1 - victim))
        done
    ) 2>/dev/null &
    # shellcheck disable=SC2064
    trap "kill $! 2>/dev/null; rig_end" EXIT
    load_the_fleet 300
    echo "    verifiers killed: $(wc -l <"$rig/kills")"
}

# hls.js and dash.js in headless Chromium: from the start, seeks, every level, to the end. dash.js refuses
# sound and pictures in one representation by design: it gets a silent video.
player_libraries() {
    packaging/dependencies.sh browser
    [ -d build/browser/node_modules/dashjs ] ||
        npm install --silent --no-audit --no-fund --prefix build/browser hls.js@1.7.4 dashjs@5.2.1
}
publish() { # publish FILM: its directory is then $folder
    rig_add "$1" >/dev/null
    published=$((${published-0} + 1))
    within 600 completed "$published" || fail "$1 was not completed"
    folder=$rig/videos/$(rig_sql 'SELECT slug FROM videos ORDER BY id DESC LIMIT 1')
}
browser_plays() { # browser_plays FOLDER hls|dash
    local library=hls.js/dist/hls.js
    [ "$2" = hls ] || library=dashjs/dist/modern/umd/dash.all.debug.js
    report=$(node tests/browser/play.mjs "$1" "$2" "$PWD/build/browser/node_modules/$library") ||
        fail "it does not play: $report"
    echo "    $report"
    case $report in *'"events":[]'*) ;; *) fail "the player complains" ;; esac
}

a_browser_plays_and_seeks() {
    player_libraries
    clip build/media/sound.mp4 854x480 20
    [ -f build/media/languages.mkv ] ||
        ffmpeg -nostdin -v error -y -i build/media/sound.mp4 -map 0 -map 0:a -c copy \
            -metadata:s:a:0 language=ger -metadata:s:a:1 language=fre build/media/languages.mkv
    [ -f build/media/silent.mp4 ] ||
        ffmpeg -nostdin -v error -y -i build/media/sound.mp4 -c copy -an build/media/silent.mp4
    rig_start
    rig_verifier
    rig_agent TAILSLATE_TRANSCODE_PRESET=ultrafast
    publish build/media/sound.mp4
    browser_plays "$folder" hls
    # As a stock worker's master playlist names the renditions.
    sed -i 's#/stream.m3u8#.m3u8#' "$folder/master.m3u8"
    browser_plays "$folder" hls
    publish build/media/languages.mkv
    browser_plays "$folder" hls
    case $report in *'"sounds":["de","fr"]'*) ;; *) fail "the languages are not there" ;; esac
    publish build/media/silent.mp4
    browser_plays "$folder" hls
    browser_plays "$folder" dash
    rm "$folder"/360p/seg_0001.m4s "$folder"/480p/seg_0001.m4s "$folder"/original/seg_0001.m4s
    ! (browser_plays "$folder" hls) || fail "it plays what is not there"
}

# What other programs read, judged by them.
the_alerts_and_the_compose_file_are_valid() {
    packaging/dependencies.sh monitoring
    promtool check rules packaging/prometheus/tailslate.rules.yaml || fail "promtool refuses the alerts"
    docker-compose -f packaging/container/compose.yaml config -q || fail "docker-compose refuses compose.yaml"
}

# Built twice from the same commit, at different paths: every package has the same bytes.
the_packages_are_reproducible() {
    packaging/dependencies.sh build package
    local twice
    twice=$(mktemp -d)
    export SOURCE_DATE_EPOCH
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
    packaging/build-deb.sh "$twice/first" >/dev/null
    packaging/build-deb.sh "$twice/second" >/dev/null
    (cd "$twice/first" && sha256sum -- *.deb) >"$twice/sums"
    (cd "$twice/second" && sha256sum --check --quiet "$twice/sums") || fail "the packages differ, see $twice"
    echo "    $(wc -l <"$twice/sums") packages, the same bytes twice"
    rm -rf "$twice"
}

the_mistakes_of_others_are_caught() {
    tests/mutants.sh
}

tests=(verifier_down_for_three_minutes a_full_hd_film_through_the_whole_ladder
    an_agent_killed_every_five_seconds a_disk_that_is_read_only_for_a_while a_thousand_jobs_with_kills the_crash_sweep_ten_times
    a_stock_workers_three_ways the_packages_installed_upgraded_and_purged
    the_packages_under_a_real_systemd
    a_fleet_of_two_under_a_crowd a_fleet_of_two_of_which_one_is_killed_every_second
    a_browser_plays_and_seeks the_alerts_and_the_compose_file_are_valid the_packages_are_reproducible
    the_mistakes_of_others_are_caught)
case ${1-} in
-h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
--list) printf '%s\n' "${tests[@]}"; exit 0 ;;
--one) "$2"; exit 0 ;;
esac

if [ ! -x "$build/agent/tailslate-agent" ]; then
    cmake --preset release >/dev/null && cmake --build --preset release
fi
[ $# -eq 0 ] || tests=("$@")
passed=0 failed=0
for name in "${tests[@]}"; do
    echo "== $name"
    # A process of its own: what it started ends with it, and the first error ends it.
    if "$0" --one "$name"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
