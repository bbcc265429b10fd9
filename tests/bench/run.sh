#!/usr/bin/env bash
# Measures a release build beside its floors, in the same run, and prints a table.
#
#   tests/bench/run.sh [--quick] [--publish] [PART...]     PART: sqlite postgres redis growth ladder
#
# Builds build/release, starts PostgreSQL and Redis privately, takes three rounds of each and reports
# medians (--quick: one short round). A floor is the least that the same durable work costs without us:
# the same writes pipelined by pgbench or in a C loop on SQLite, libmicrohttpd that answers at once,
# one `SET NX EX`, ffmpeg alone. The load generator shares the cores with what it measures.
#
# Results: build/bench/results.{tsv,json,txt}; --publish also puts the tables into docs/PERFORMANCE.md and
# draws docs/performance.svg, after a run of all parts on a quiet machine. JOBS (1500; quick: 300) is how
# many completions a round has.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-$PWD/build/release}
results=$PWD/build/bench
# shellcheck source=tests/support/rig.sh
. tests/support/rig.sh
# shellcheck source=tests/support/fleet.sh
. tests/support/fleet.sh

rounds=3 jobs=${JOBS:-1500} publish=no parts=()
for argument in "$@"; do
    case $argument in
    -h | --help) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --quick) rounds=1 jobs=${JOBS:-300} ;;
    --publish) publish=yes ;;
    sqlite | postgres | redis | growth | ladder) parts+=("$argument") ;;
    *) echo "run.sh: unknown part '$argument'; see --help" >&2; exit 64 ;;
    esac
done
[ ${#parts[@]} -gt 0 ] || parts=(sqlite postgres redis growth ladder)

# ---- what is measured: lines of results.tsv: PART, WHAT, VALUE, UNIT; several of the same are rounds ----

row() { printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" >>"$results/results.tsv"; }

# rate PART SUFFIX ARGUMENT...: runs bench_rate and notes what it prints.
rate() {
    local part=$1 suffix=$2 phase connections per_s p50 p99 p999
    shift 2
    "$build/tests/bench_rate" "$@" >"$rig/rate.tsv"
    while IFS=$'\t' read -r phase connections _ per_s p50 p99 p999; do
        [ "$suffix" != " at half the rate" ] || [ "$phase" = paced ] || continue
        local what="$phase$suffix, $connections connection"
        [ "$connections" = 1 ] || what+=s
        row "$part" "$what" "$per_s" 1/s
        row "$part" "$what, p50" "$p50" ms
        row "$part" "$what, p99" "$p99" ms
        row "$part" "$what, p99.9" "$p999" ms
    done <"$rig/rate.tsv"
}

# The last rate of a phase that bench_rate printed.
last_rate() { awk -F '\t' -v phase="$1" '$1 == phase { print int($4) }' "$rig/rate.tsv"; }

# add_jobs COUNT: jobs whose renditions are in place, so that nothing but completions is measured.
batch=0
add_jobs() {
    local number
    batch=$((batch + 1))
    mkdir -p "$rig/batch$batch"
    for number in $(seq "$1"); do
        ln "$rig/source.mp4" "$rig/batch$batch/b$batch-$number.mp4"
    done
    "$build/verifier/tailslate-verifier" -c "$config" job add "$rig/batch$batch" --link \
        >/dev/null 2>>"$rig/verifier.log"
    for number in $(seq "$1"); do # afterwards: a slug whose directory exists is not given out
        cp -al "$rig/renditions" "$rig/videos/b$batch-$number"
    done
}

prepare_files() {
    local quality
    echo source >"$rig/source.mp4"
    for quality in 1080p 720p 360p; do
        mkdir -p "$rig/renditions/$quality"
        printf '\0\0\0\030moof0123456789' >"$rig/renditions/$quality/init.mp4"
        cp "$rig/renditions/$quality/init.mp4" "$rig/renditions/$quality/seg_0000.m4s"
        printf '#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MAP:URI="init.mp4"\n#EXTINF:6,\nseg_0000.m4s\n#EXT-X-ENDLIST\n' \
            >"$rig/renditions/$quality/stream.m3u8"
    done
}

# completions PART KEY: closed loop with 1, 8 and 32 connections, then open loop at half the rate.
completions() {
    local connections
    for _ in $(seq "$rounds"); do
        for connections in 1 8 32; do
            add_jobs "$jobs"
            rate "$1" "" --url "$url" --key "$2" --connections "$connections" --jobs "$jobs"
        done
        local half=$(($(last_rate complete) / 2))
        add_jobs "$jobs"
        rate "$1" " at half the rate" --url "$url" --key "$2" --connections 32 --jobs "$jobs" \
            --rate "$half"
    done
}

# The same writes on rows of their own: floor_rows prints the SQL that makes COUNT jobs.
floor_rows() {
    echo "INSERT INTO workers (id, worker_id, registered_at) VALUES (999, 'floor', '2026-01-01T00:00:00.000000Z');"
    local n="WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)"
    echo "$n INSERT INTO videos (id, title, slug, status, created_at) SELECT i, 't', 's' || i, 'processing', '2026-01-01T00:00:00.000000Z' FROM n;"
    echo "$n INSERT INTO transcoding_jobs (id, video_id, worker_id, started_at) SELECT i, i, 'floor', '2026-01-01T00:00:00.000000Z' FROM n;"
    echo "$n INSERT INTO job_epochs (job_id, claim_epoch) SELECT i, 1 FROM n;"
}

http_floor() { # http_floor PART: the same requests against a server that only answers
    local port fifo=$rig/floor.fifo
    port=$(fleet_port)
    mkfifo "$fifo"
    "$build/tests/floor_http" "$port" <"$fifo" &
    exec 7>"$fifo"
    within 5 curl -s -o /dev/null "http://127.0.0.1:$port/"
    for _ in $(seq "$rounds"); do
        "$build/tests/bench_rate" --url "http://127.0.0.1:$port" --raw --connections 32 \
            --jobs $((jobs * 10)) >"$rig/rate.tsv"
        row "$1" "floor: libmicrohttpd alone, 32 connections" "$(last_rate raw)" 1/s
    done
    exec 7>&-
    wait $!
    rm "$fifo"
}

# ---- the parts; each runs in a subshell with a scratch directory of its own ----

part_sqlite() {
    rig_start
    prepare_files
    config=$rig/verifier.cfg
    rig_verifier
    completions sqlite "$rig/rig.key"
    kill "$verifier_pid"
    wait "$verifier_pid"
    for round in $(seq "$rounds"); do
        sed "s|verifier.db|floor$round.db|" "$config" >"$rig/floor.cfg"
        "$build/verifier/tailslate-verifier" -c "$rig/floor.cfg" worker add other --key-file "$rig/other$round.key" >/dev/null 2>&1
        floor_rows "$jobs" | sqlite3 "$rig/floor$round.db"
        row sqlite "floor: the same writes, one commit each" \
            "$("$build/tests/floor_sqlite" "$rig/floor$round.db" tests/bench/floor.sql "$jobs")" 1/s
    done
    http_floor sqlite
}

part_postgres() {
    fleet_start
    prepare_files
    config=$rig/fleet0.cfg
    url=${fleet_urls[0]}
    kill "${fleet_pids[@]}"
    wait "${fleet_pids[@]}"
    TAILSLATE_REDIS_URL='' fleet_verifier 0
    within 20 fleet_is_up 0
    completions postgres "$rig/loader.key"
    kill "${fleet_pids[0]}"
    wait "${fleet_pids[0]}"
    {
        printf '%s\n' '\set n :n + 1' "\\set id :client_id * $jobs + :n" '\startpipeline'
        cat tests/bench/floor.sql
        printf '%s\n' '\endpipeline'
    } >"$rig/floor.pgbench"
    for round in $(seq "$rounds"); do
        for connections in 1 8 32; do
            local noun=connections name=floor${round}_$connections per=$((jobs / connections))
            [ "$connections" -gt 1 ] || noun=connection
            psql -h 127.0.0.1 -p "$fleet_pg_port" -U tailslate -d postgres -qc "CREATE DATABASE $name"
            sed "s|/fleet\"|/$name\"|" "$config" >"$rig/floor.cfg"
            "$build/verifier/tailslate-verifier" -c "$rig/floor.cfg" worker add other --key-file "$rig/$name.key" >/dev/null 2>&1
            floor_rows $((jobs * connections)) | psql -h 127.0.0.1 -p "$fleet_pg_port" -U tailslate -d "$name" -q
            row postgres "floor: the same writes pipelined, $connections $noun" "$(
                "$fleet_postgres_bin/pgbench" -h 127.0.0.1 -p "$fleet_pg_port" -U tailslate -n -M prepared \
                    -c "$connections" -j 2 -t "$per" -D n=0 -f "$rig/floor.pgbench" "$name" 2>>"$rig/pgbench.log" |
                    awk '/^tps/ { printf "%.0f", $3 }'
            )" 1/s
        done
    done
    http_floor postgres
}

part_redis() { # what the gate costs
    fleet_start
    prepare_files
    config=$rig/fleet0.cfg
    url=${fleet_urls[0]}
    for _ in $(seq "$rounds"); do
        add_jobs "$jobs"
        rate redis " with the gate" --url "$url" --key "$rig/loader.key" --connections 8 --jobs "$jobs"
        row redis "floor: SET NX EX, 1 connection" "$(
            redis-benchmark -p "$fleet_redis_port" -c 1 -n 20000 -r 1000000 --csv SET __rand_int__ v NX EX 10 |
                awk -F '"' 'END { printf "%.0f", $4 }'
        )" 1/s
    done
}

part_growth() { # the same work beside 10^3 and 10^5 finished jobs, and beside 10^5 that wait
    local size n
    rig_start
    prepare_files
    config=$rig/verifier.cfg
    rig_verifier
    floor_rows 1000 | sqlite3 "$rig/verifier.db"
    local finish="UPDATE transcoding_jobs SET completed_at = '2026-01-01T00:00:00.000000Z' WHERE completed_at IS NULL AND id <= "
    for size in 1000 100000; do
        if [ "$size" -gt 1000 ]; then
            n="WITH RECURSIVE n(i) AS (SELECT 10000001 UNION ALL SELECT i + 1 FROM n WHERE i < 10000000 + $size)"
            rig_sql "BEGIN;
                $n INSERT INTO videos (id, title, slug, status, created_at) SELECT i, 't', 'g' || i, 'ready', '2026-01-01T00:00:00.000000Z' FROM n;
                $n INSERT INTO transcoding_jobs (id, video_id, worker_id, started_at, completed_at) SELECT i, i, 'floor', '2026-01-01T00:00:00.000000Z', '2026-01-01T00:00:00.000000Z' FROM n;
                $n INSERT INTO job_epochs (job_id, claim_epoch) SELECT i, 1 FROM n; COMMIT;"
        else
            rig_sql "$finish 1000"
        fi
        for _ in $(seq "$rounds"); do
            add_jobs "$jobs"
            rate growth " beside $size jobs" --url "$url" --key "$rig/rig.key" --connections 8 --jobs "$jobs"
        done
        local started=${EPOCHREALTIME/./}
        "$build/verifier/tailslate-verifier" -c "$config" job list >/dev/null
        row growth "job list beside $size jobs" "$(awk -v us=$((${EPOCHREALTIME/./} - started)) 'BEGIN { printf "%.0f", us / 1000 }')" ms
    done
    # Younger than those that are claimed here.
    n="WITH RECURSIVE n(i) AS (SELECT 20000001 UNION ALL SELECT i + 1 FROM n WHERE i < 20000000 + $size)"
    rig_sql "BEGIN;
        $n INSERT INTO videos (id, title, slug, status, created_at) SELECT i, 't', 'w' || i, 'pending', '2999-01-01T00:00:00.000000Z' FROM n;
        $n INSERT INTO transcoding_jobs (id, video_id) SELECT i, i FROM n; COMMIT;"
    for _ in $(seq "$rounds"); do
        add_jobs "$jobs"
        rate growth " beside $size waiting jobs" --url "$url" --key "$rig/rig.key" --connections 8 --jobs "$jobs"
    done
}

at_ms() { # at_ms EVENT: when the agent logged it
    date -u -d "$(grep -o "^time=[^ ]* .*event=$1 " "$rig/agent.log" | tail -n 1 | sed 's/^time=\([^ ]*\).*/\1/')" +%s%3N
}

# encoded_ms DIRECTORY COMMAND...: wall time of ffmpeg in a directory of its own beside the source.
encoded_ms() {
    local directory=$rig/$1 started
    shift
    mkdir -p "$directory"/output/{original,1080p,720p,480p,360p}
    ln -f "$rig/film.mp4" "$directory/source"
    started=${EPOCHREALTIME/./}
    (cd "$directory" && "$@" >/dev/null 2>"$directory/log")
    echo $(((${EPOCHREALTIME/./} - started) / 1000))
}

one_rendition() { # one_rendition QUALITY SCALE BITRATE MAXRATE BUFSIZE: as a script would encode it
    ffmpeg -nostdin -v error -y -i file:source -map 0:v -map 0:a -vf "scale=$2:flags=bicubic,format=yuv420p" \
        -c:v libx264 -preset veryfast -profile:v high -b:v "$3" -maxrate:v "$4" -bufsize:v "$5" \
        -force_key_frames 'expr:gte(t,n_forced*2)' -sc_threshold 0 -c:a aac -ac 2 -b:a 128k -f hls \
        -hls_segment_type fmp4 -hls_playlist_type vod -hls_list_size 0 -hls_time 6 \
        -hls_segment_filename "output/$1/seg_%04d.m4s" "output/$1/stream.m3u8"
}
separately() {
    one_rendition 720p 1280:720 2500k 3750k 5000k
    one_rendition 480p 854:480 1000k 1500k 2000k
    one_rendition 360p 640:360 600k 900k 1200k
    ffmpeg -nostdin -v error -y -i file:source -c copy -f hls -hls_segment_type fmp4 -hls_playlist_type vod \
        -hls_list_size 0 -hls_time 6 -hls_segment_filename output/original/seg_%04d.m4s output/original/stream.m3u8
}
encodes() { encoder_pid=$(pgrep -n -f '^ffmpeg .*output/720p') && tr '\0' '\n' <"/proc/$encoder_pid/cmdline" >"$rig/argv"; }

part_ladder() {
    local seconds=60
    [ "$rounds" -gt 1 ] || seconds=10
    rig_start
    ffmpeg -nostdin -v error -y -f lavfi -i "testsrc2=size=1280x720:rate=25:duration=$seconds" \
        -f lavfi -i "sine=frequency=440:sample_rate=48000:duration=$seconds" \
        -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac "$rig/film.mp4"
    rig_verifier
    rig_agent TAILSLATE_LOG_LEVEL=info
    for round in $(seq "$rounds"); do
        rig_add "$rig/film.mp4" >/dev/null
        within 60 encodes
        within 600 grep -q "event=job.final job=$round " "$rig/agent.log"
        row ladder "our ffmpeg under the agent" $(($(at_ms step.transcoder_ended) - $(at_ms step.transcoder_started))) ms
        row ladder "ffmpeg's exit to the acknowledged completion" $(($(at_ms job.acknowledged) - $(at_ms step.transcoder_ended))) ms
        row ladder "the whole job, claim to acknowledgment" $(($(at_ms job.acknowledged) - $(at_ms job.claimed))) ms
        row ladder "floor: bare ffmpeg with the same arguments" "$(encoded_ms "bare$round" xargs -a "$rig/argv" -d '\n' env)" ms
        row ladder "floor: one ffmpeg for each rendition" "$(encoded_ms "separate$round" separately)" ms
    done
}

# ---- the report ----

# What is held against which floor: PART|WHAT|FLOOR|how|goal. `share` is what/floor; `times` the same of
# two durations.
goals() {
    cat <<'GOALS'
postgres|complete, 1 connection|floor: the same writes pipelined, 1 connection|share|
postgres|complete, 8 connections|floor: the same writes pipelined, 8 connections|share|>= 0.6
postgres|complete, 32 connections|floor: the same writes pipelined, 32 connections|share|>= 0.6
postgres|complete, 8 connections, p99|complete, 8 connections, p50|times|<= 5
postgres|replay, 32 connections|floor: libmicrohttpd alone, 32 connections|share|>= 0.5
sqlite|complete, 1 connection|floor: the same writes, one commit each|share|>= 0.8
sqlite|complete, 8 connections|floor: the same writes, one commit each|share|
sqlite|complete, 32 connections|floor: the same writes, one commit each|share|>= 1.5
sqlite|complete, 8 connections, p99|complete, 8 connections, p50|times|<= 5
sqlite|replay, 32 connections|floor: libmicrohttpd alone, 32 connections|share|
growth|complete beside 100000 jobs, 8 connections, p99|complete beside 1000 jobs, 8 connections, p99|times|<= 2
growth|claim beside 100000 jobs, 8 connections, p99|claim beside 1000 jobs, 8 connections, p99|times|<= 2
growth|claim beside 100000 waiting jobs, 8 connections, p99|claim beside 1000 jobs, 8 connections, p99|times|<= 2
ladder|our ffmpeg under the agent|floor: bare ffmpeg with the same arguments|times|<= 1.01
ladder|our ffmpeg under the agent|floor: one ffmpeg for each rendition|times|<= 0.9
ladder|ffmpeg's exit to the acknowledged completion|||<= 300 ms
GOALS
}

# Both tables, and results.json. Values of one measurement arrive in ascending order, its percentiles
# after it.
report() {
    local sorted=$results/sorted.tsv
    sort -t $'\t' -k1,1 -k2,2V -k3,3g "$results/results.tsv" >"$sorted"
    goals | awk -F '\t' -v json="$results/results.json" -v medians="$results/medians.tsv" '
        function flush(    key, column) {
            if (!count) return
            key = part "|" what
            median[key] = values[int((count + 1) / 2)] + 0
            units[key] = unit
            print key "\t" median[key] >medians
            list = list sprintf("%s{\"part\":\"%s\",\"what\":\"%s\",\"median\":%s,\"unit\":\"%s\",\"min\":%s,\"max\":%s,\"rounds\":%d}", \
                list ? ",\n" : "", part, what, median[key], unit, values[1], values[count], count)
            if (match(key, /, p[0-9.]+$/)) { # a column of the row that came before it
                column = substr(key, RSTART + 2)
                cells[substr(key, 1, RSTART - 1), column] = median[key] " " unit
            } else {
                rows[++row_count] = key
                range[key] = values[1] " to " values[count] " (" count ")"
            }
            count = 0
        }
        FNR == NR {
            if ($1 != part || $2 != what) flush()
            part = $1; what = $2; unit = $4; values[++count] = $3
            next
        }
        FNR == 1 {
            flush()
            print "[\n" list "\n]" >json
            print "| what | measured | beside | ratio | goal |\n| --- | --- | --- | --- | --- |"
        }
        {
            split($0, goal, "|")
            key = goal[1] "|" goal[2]; floor = goal[1] "|" goal[3]
            if (!(key in median) || (goal[3] && !median[floor])) next
            sub(/^floor: /, "", goal[3])
            printf "| %s: %s | %s %s | %s | %s | %s |\n", goal[1], goal[2], median[key], units[key], \
                goal[3] ? goal[3] ": " median[floor] : "", goal[3] ? sprintf("%.2f", median[key] / median[floor]) : "", goal[5]
        }
        END {
            print "\n| part | what | median | range (rounds) | p50 | p99 | p99.9 |\n| --- | --- | --- | --- | --- | --- | --- |"
            for (i = 1; i <= row_count; i++) {
                key = rows[i]
                split(key, name, "|")
                printf "| %s | %s | %s %s | %s | %s | %s | %s |\n", name[1], name[2], median[key], units[key], range[key], \
                    cells[key, "p50"], cells[key, "p99"], cells[key, "p99.9"]
            }
        }
    ' "$sorted" -
}

# Everything below the marker is replaced.
publish_figures() {
    local marker='<!-- below: tests/bench/run.sh --publish -->' page=docs/PERFORMANCE.md
    awk -F '\t' -f tests/bench/chart.awk "$results/medians.tsv" >docs/performance.svg
    {
        sed "\|$marker|q" "$page"
        echo
        echo "Measured on $(date -u +%F) on $(nproc) cores ($(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)),"
        echo "commit $(git rev-parse --short HEAD), $rounds rounds of $jobs jobs: medians, also of what a request took (p50 to p99.9)."
        echo
        cat "$results/results.txt"
    } >"$results/page.txt"
    mv "$results/page.txt" "$page"
}

for tool in ffmpeg sqlite3 psql redis-benchmark; do
    command -v "$tool" >/dev/null || { echo "run.sh: needs $tool" >&2; exit 69; }
done
cmake --preset release -DTAILSLATE_TESTS=ON >/dev/null
cmake --build --preset release --target bench tailslate-verifier tailslate-agent >/dev/null
mkdir -p "$results"
: >"$results/results.tsv"
for part in "${parts[@]}"; do
    echo "bench: $part ($rounds rounds of $jobs)" >&2
    ("part_$part")
done
report | tee "$results/results.txt"
[ "$publish" = no ] || publish_figures
