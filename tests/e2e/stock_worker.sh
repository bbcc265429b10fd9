#!/bin/sh
# A worker that knows nothing of Tailslate: it speaks the Worker API as a stock vlog worker does, by
# curl and tar. No claim epoch, no Idempotency-Key, uploads without a second look, and another
# completion token in each of its three outer attempts.
#
#   stock_worker.sh SERVER KEY_FILE DIRECTORY [--no-token] [--way=WAY] [--tree=DIR] [--jobs=N]
#
# WAY: tar (the default); segments: one by one, each deleted once it is sent, and only then counted;
# mixed: the rendition by segments, the original by tar. --tree: this output instead of a transcode.
#
# Does one job and prints what the server said to each completion, a line `<status> <message>` each.
# Exit 0: completed; 3: there was no job; 4: the claim was lost (409), its files are deleted.
# --jobs: works until it has completed N, reports what fails, and prints `N completed, M failed`.
# STOCK_PAUSES: the pauses of its retries in seconds, "1 2 4".
set -u
server=$1 key=$(cat "$2") work=$3
shift 3
tokens=yes way=tar tree='' jobs=''
while [ $# -gt 0 ]; do
    case $1 in
    --no-token) tokens=no ;;
    --way=*) way=${1#*=} ;;
    --tree=*) tree=${1#*=} ;;
    --jobs=*) jobs=${1#*=} ;;
    *) exit 64 ;;
    esac
    shift
done
pauses=${STOCK_PAUSES-1 2 4}
mkdir -p "$work"

# field NAME FILE: the member of a flat JSON object, as text
field() { sed -n "s/.*\"$1\" *: *\"\{0,1\}\([^\",}]*\).*/\1/p" "$2" | head -n 1; }

# once OUT [CURL ARGUMENT...] URL: 1: refused, or no answer; 4: the claim is lost.
once() {
    out=$1
    shift
    status=$(curl -sS -o "$out" -w '%{http_code}' -H "X-Worker-API-Key: $key" "$@" 2>>"$work/curl.log") ||
        status=000
    case $status in
    2*) return 0 ;;
    409) return 4 ;;
    000 | 429 | 5*) return 5 ;;
    esac
    echo "$status $(field detail "$out")" >&2
    return 1
}

# The same, with 5xx, 429 and transport errors tried again.
call() {
    for pause in $pauses ''; do
        once "$@" && return 0
        result=$?
        [ "$result" = 5 ] && [ "$pause" ] || return "$result"
        sleep "$pause"
    done
}

post() { # post OUT PATH JSON
    call "$1" -H 'Content-Type: application/json' -d "$3" "$server$2"
}

beat() {
    post "$work/heartbeat" /api/worker/heartbeat \
        "{\"status\":\"$1\",\"code_version\":\"stock\",\"metadata\":{\"capabilities\":{\"hwaccel_enabled\":false,\"code_version\":\"stock\"}}}"
}

progress() { # progress STEP PERCENT
    post "$work/progress" "/api/worker/$job/progress" "{\"current_step\":\"$1\",\"progress_percent\":$2}"
}

cmaf() ( # cmaf NAME FFMPEG ARGUMENTS...
    mkdir -p "$work/out/$1" && cd "$work/out/$1" && shift &&
        ffmpeg -nostdin -v error -y -i ../../source "$@" -f hls -hls_segment_type fmp4 -hls_time 2 \
            -hls_playlist_type vod -hls_fmp4_init_filename init.mp4 -hls_segment_filename 'seg_%04d.m4s' stream.m3u8
)

make_output() {
    rm -rf "$work/out"
    mkdir "$work/out"
    if [ "$tree" ]; then
        cp -r "$tree/." "$work/out" && cp -r "$tree/360p" "$work/out/original"
        return
    fi
    cmaf 360p -c:v libx264 -preset ultrafast -vf scale=-2:360 -c:a aac && cmaf original -c copy || return
    printf '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=700000\n360p/stream.m3u8\n' >"$work/out/master.m3u8"
    printf '<?xml version="1.0"?>\n<MPD/>\n' >"$work/out/manifest.mpd"
    ffmpeg -nostdin -v error -y -i "$work/source" -frames:v 1 "$work/out/thumbnail.jpg"
}

# Not tried again, and the job goes on as if it had arrived.
send_tar() {
    tar -C "$work/out" -czf "$work/$1.tar.gz" "$1"
    once "$work/upload" -F "file=@$work/$1.tar.gz" "$server/api/worker/upload/$video/quality/$1"
    [ $? != 4 ] || return 4
    progress upload 90
}

send_file() { # send_file QUALITY FILE
    call "$work/upload" -H 'Content-Type: application/octet-stream' -H "X-Content-SHA256: $(sum "$2")" \
        --data-binary "@$2" "$server/api/worker/upload/$video/segment/$1/${2##*/}" &&
        [ "$(field checksum_verified "$work/upload")" = true ]
}
sum() { sha256sum <"$1" | cut -d ' ' -f 1; }

# What could not be deleted is counted: nothing, one file or all of them, by the job. Its watcher may
# see the playlist before the segments.
send_segments() {
    kept=$((job % 3 == 2 ? 1000 : job % 3)) folder=$work/out/$1
    if [ $((job % 2)) = 1 ]; then
        send_file "$1" "$folder/stream.m3u8" || return
    fi
    for file in "$folder/init.mp4" "$folder"/*.m4s; do
        send_file "$1" "$file" || return
        kept=$((kept - 1))
        [ "$kept" -ge 0 ] || rm "$file"
    done
    send_file "$1" "$folder/stream.m3u8" || return
    count=$(find "$folder" -name '*.m4s' -o -name init.mp4 | wc -l)
    post "$work/finalized" "/api/worker/upload/$video/segment/finalize" \
        "{\"quality\":\"$1\",\"segment_count\":$count,\"manifest_checksum\":\"sha256:$(sum "$folder/stream.m3u8")\"}" ||
        return
    [ "$(field complete "$work/finalized")" = true ] && return
    cat "$work/finalized" >&2
    return 1
}

send() { # send QUALITY
    case $way:$1 in
    segments:* | mixed:360p) send_segments "$1" ;;
    *) send_tar "$1" ;;
    esac
}

report() {
    token=",\"completion_token\":\"$job-$(cat /proc/sys/kernel/random/uuid)\""
    [ "$tokens" = yes ] || token=
    post "$work/complete" "/api/worker/$job/complete" "{\"qualities\":[{\"name\":\"360p\",\"width\":640,\"height\":360,\"bitrate\":600},{\"name\":\"original\",\"width\":640,\"height\":360,\"bitrate\":0}],\"duration\":3.0,\"source_width\":640,\"source_height\":360,\"streaming_format\":\"cmaf\",\"streaming_codec\":\"h264\"$token}"
}

verified() {
    call "$work/verify" "$server/api/worker/$job/verify-complete" &&
        [ "$(field all_files_present "$work/verify")" = true ]
}

claim() {
    call "$work/claim" -X POST "$server/api/worker/claim" || return
    job=$(field job_id "$work/claim") video=$(field video_id "$work/claim")
    case $job in '' | null) return 3 ;; esac
}

# Everything up to the completion.
do_work() {
    progress download 0 && once "$work/source" "$server/api/worker/source/$video" &&
        post "$work/progress" "/api/worker/$job/progress" '{"current_step":"transcode","progress_percent":10,"quality_progress":[{"name":"360p","status":"in_progress","progress":10}]}' &&
        make_output && send 360p && send original || return
    tar -C "$work/out" -czf "$work/finish.tar.gz" master.m3u8 manifest.mpd thumbnail.jpg
    once "$work/finish" -F "file=@$work/finish.tar.gz" "$server/api/worker/upload/$video/finalize"
}

# Each outer attempt mints a token.
do_job() {
    do_work || return
    for _ in 1 2 3; do
        report && verified && return
        result=$?
        [ "$result" != 4 ] || return 4
    done
    return "$result"
}

if [ "$jobs" ]; then
    completed=0 failed=0
    while [ "$completed" -lt "$jobs" ]; do
        beat idle
        claim || { sleep 0.2 && continue; }
        beat busy
        do_job
        case $? in
        0) completed=$((completed + 1)) ;;
        4) ;;
        *)
            failed=$((failed + 1))
            post "$work/failed" "/api/worker/$job/fail" '{"error_message":"it broke","retry":true}'
            ;;
        esac
    done
    echo "$completed completed, $failed failed"
    exit 0
fi

lost() {
    [ "$1" = 4 ] && rm -rf "$work" && echo "409 claim lost"
    exit "$1"
}
beat idle || lost $?
claim || lost $?
do_work || lost $?
# Here all three tokens are sent, come what may.
for _ in 1 2 3; do
    report || lost $?
    echo "$status $(field message "$work/complete")"
done
verified
