#!/bin/sh
# A worker as a stock one behaves, with nothing but curl, tar and ffmpeg: no epoch, no long poll,
# no Range, uploads as tar.gz, a fresh completion token in each of its three outer attempts.
#
#   stock_worker.sh SERVER KEY_FILE DIRECTORY [--no-token]
#
# Does one job and prints what the server said to each completion, a line `<status> <message>` each.
# Exit 0: completed; 3: there was no job; 4: the claim was lost (409), its files are deleted.
set -eu
server=$1 key=$(cat "$2") work=$3 tokens=${4-}
mkdir -p "$work"

# field NAME FILE: the member of a flat JSON object, as text
field() { sed -n "s/.*\"$1\" *: *\"\{0,1\}\([^\",}]*\).*/\1/p" "$2" | head -n 1; }

# call OUT [CURL ARGUMENT...] URL: retries 5xx, 429 and transport errors three times; 409 is final.
call() {
    out=$1
    shift
    for pause in 1 2 4 0; do
        status=$(curl -sS -o "$out" -w '%{http_code}' -H "X-Worker-API-Key: $key" "$@") || status=000
        case $status in
        2*) return 0 ;;
        409) rm -rf "$work"; echo "409 claim lost"; exit 4 ;;
        000 | 429 | 5*) sleep "$pause" ;;
        *) echo "$status $(field detail "$out")"; return 1 ;;
        esac
    done
    return 1
}

post() { # post OUT PATH JSON
    call "$1" -H 'Content-Type: application/json' -d "$3" "$server$2"
}

post "$work/heartbeat" /api/worker/heartbeat '{"status":"idle","metadata":{"capabilities":{"hwaccel_enabled":false,"code_version":"stock"}}}'
call "$work/claim" -X POST "$server/api/worker/claim"
job=$(field job_id "$work/claim") video=$(field video_id "$work/claim")
case $job in '' | null) exit 3 ;; esac
post "$work/progress" "/api/worker/$job/progress" '{"current_step":"download","progress_percent":0}'
call "$work/source" "$server/api/worker/source/$video"

post "$work/progress" "/api/worker/$job/progress" '{"current_step":"transcode","progress_percent":10,"quality_progress":[{"name":"360p","status":"in_progress","progress":10}]}'
mkdir -p "$work/out/360p" "$work/out/original"
(cd "$work/out/360p" && ffmpeg -nostdin -v error -y -i ../../source -c:v libx264 -preset ultrafast \
    -vf scale=-2:360 -c:a aac -f hls -hls_segment_type fmp4 -hls_time 2 -hls_playlist_type vod \
    -hls_fmp4_init_filename init.mp4 -hls_segment_filename 'seg_%04d.m4s' stream.m3u8)
(cd "$work/out/original" && ffmpeg -nostdin -v error -y -i ../../source -c copy -f hls \
    -hls_segment_type fmp4 -hls_time 2 -hls_playlist_type vod -hls_fmp4_init_filename init.mp4 \
    -hls_segment_filename 'seg_%04d.m4s' stream.m3u8)
printf '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=700000\n360p/stream.m3u8\n' >"$work/out/master.m3u8"
printf '<?xml version="1.0"?>\n<MPD/>\n' >"$work/out/manifest.mpd"
ffmpeg -nostdin -v error -y -i "$work/source" -frames:v 1 "$work/out/thumbnail.jpg"

for quality in 360p original; do
    tar -C "$work/out" -czf "$work/$quality.tar.gz" "$quality"
    call "$work/upload" -F "file=@$work/$quality.tar.gz" "$server/api/worker/upload/$video/quality/$quality"
    post "$work/progress" "/api/worker/$job/progress" '{"current_step":"upload","progress_percent":90}'
done
tar -C "$work/out" -czf "$work/finish.tar.gz" master.m3u8 manifest.mpd thumbnail.jpg
call "$work/finish" -F "file=@$work/finish.tar.gz" "$server/api/worker/upload/$video/finalize"

# The outer loop of a stock worker mints a token a time; here all three are sent, come what may.
for _ in 1 2 3; do
    token=",\"completion_token\":\"$job-$(cat /proc/sys/kernel/random/uuid)\""
    [ "$tokens" != --no-token ] || token=
    post "$work/complete" "/api/worker/$job/complete" "{\"qualities\":[{\"name\":\"360p\",\"width\":640,\"height\":360,\"bitrate\":600},{\"name\":\"original\",\"width\":640,\"height\":360,\"bitrate\":0}],\"duration\":3.0,\"source_width\":640,\"source_height\":360,\"streaming_format\":\"cmaf\",\"streaming_codec\":\"h264\"$token}"
    echo "$status $(field message "$work/complete")"
done
call "$work/verify" "$server/api/worker/$job/verify-complete"
[ "$(field all_files_present "$work/verify")" = true ]
