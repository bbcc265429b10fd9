#!/usr/bin/env bash
# From a fresh Debian to a video that plays: install, build, start both programs, run one job, show it.
#
#   packaging/quickstart.sh [--keep] [FILE]
#
# FILE is the video to transcode; without one, a 20 s clip with sound is generated. Everything runs on
# loopback, on free ports, in a scratch directory that is printed at the end; only Debian packages are
# installed. --keep leaves the verifier and the agent running.
# The exit status is 0 only if the job was completed once and everything shown was checked.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)

die() {
    echo "quickstart: $*" >&2
    exit 1
}

keep=no video=
for argument in "$@"; do
    case $argument in
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --keep) keep=yes ;;
    -*) echo "quickstart: unknown option '$argument' (see --help)" >&2; exit 64 ;;
    *) [ -z "$video" ] || { echo "quickstart: only one FILE is allowed (see --help)" >&2; exit 64; }; video=$argument ;;
    esac
done
[ -z "$video" ] || [ -r "$video" ] || die "cannot read the video: $video"

say() { printf '\n== %s\n' "$*"; }

say "Packages"
"$here/packaging/dependencies.sh" build run

say "Build (release)"
mkdir -p "$here/build"
( cd "$here" && cmake --preset release && cmake --build --preset release ) \
    >"$here/build/quickstart-build.log" 2>&1 || {
    tail -n 40 "$here/build/quickstart-build.log" >&2
    die "the build failed; full log: $here/build/quickstart-build.log"
}
agent=$here/build/release/agent/tailslate-agent
verifier=$here/build/release/verifier/tailslate-verifier
"$verifier" version
"$agent" version

scratch=$(mktemp -d -t tailslate-XXXXXX)
agent_pid='' verifier_pid=''
# The agent first, so that it can still finish its requests.
stop() {
    local pid
    for pid in $agent_pid $verifier_pid; do
        kill -TERM "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}
trap stop EXIT

say "Start a verifier on SQLite and an agent in $scratch"
mkdir -m 700 "$scratch/uploads" "$scratch/videos" "$scratch/agent"
cat >"$scratch/verifier.cfg" <<CFG
listen: { address = "127.0.0.1"; port = 0; };
store: { url = "sqlite:$scratch/verifier.db"; };
files: { uploads_dir = "$scratch/uploads"; videos_dir = "$scratch/videos"; };
CFG
"$verifier" -c "$scratch/verifier.cfg" serve >"$scratch/verifier.log" 2>&1 &
verifier_pid=$!

# The kernel chooses the port; the verifier logs it when it is ready.
port=
for _ in $(seq 100); do
    port=$(sed -n 's/.*event=verifier.ready.* port=\([0-9]*\).*/\1/p' "$scratch/verifier.log")
    [ -z "$port" ] || break
    kill -0 "$verifier_pid" 2>/dev/null || break
    sleep 0.1
done
[ -n "$port" ] || { tail -n 20 "$scratch/verifier.log" >&2; die "the verifier did not start"; }

"$verifier" -c "$scratch/verifier.cfg" worker add quickstart --key-file "$scratch/agent.key" \
    2>>"$scratch/verifier.log" >/dev/null || die "worker add failed; see $scratch/verifier.log"
cat >"$scratch/agent.cfg" <<CFG
server: { url = "http://127.0.0.1:$port"; api_key_file = "$scratch/agent.key"; };
node: { name = "quickstart"; state_dir = "$scratch/agent"; };
CFG
"$agent" -c "$scratch/agent.cfg" run >"$scratch/agent.log" 2>&1 &
agent_pid=$!
echo "verifier: http://127.0.0.1:$port (pid $verifier_pid), agent: pid $agent_pid"

if [ -z "$video" ]; then
    say "Generate a video: 20 s, 1280x720, with sound"
    video=$scratch/clip.mp4
    ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine=frequency=440 \
        -t 20 -c:v libx264 -preset veryfast -pix_fmt yuv420p -g 60 -keyint_min 60 -sc_threshold 0 \
        -c:a aac "$video" || die "ffmpeg could not make the clip"
fi

say "Add the video and watch the job"
job=$("$verifier" -c "$scratch/verifier.cfg" job add "$video" 2>>"$scratch/verifier.log" |
    grep -oE '[0-9]+' | head -n 1) || true
[ -n "$job" ] || { tail -n 3 "$scratch/verifier.log" >&2; die "job add failed"; }

show() { "$verifier" -c "$scratch/verifier.cfg" job show "$job" --json 2>>"$scratch/verifier.log"; }
# The first scalar member of that name: one a line, the job's own before those of its parts.
member() { sed -n "s/^[[:blank:]]*\"$1\":[[:blank:]]*\"\{0,1\}\([^\",}]*\).*/\1/p" | head -n 1; }

bar() { # percent, step
    local filled=$(($1 * 40 / 100)) done_ left
    printf -v done_ '%*s' "$filled" ''
    printf -v left '%*s' $((40 - filled)) ''
    printf '\r[%s%s] %3d %% %-16s' "${done_// /#}" "${left// /-}" "$1" "$2"
}
status='' seen=''
while :; do
    record=$(show) || die "job show failed; see $scratch/verifier.log"
    status=$(member status <<<"$record")
    percent=$(member progress_percent <<<"$record")
    step=$(member current_step <<<"$record")
    [ "$step" != null ] || step='waiting'
    percent=${percent%%.*}
    if [ -t 1 ]; then
        bar "${percent:-0}" "$step"
    elif [ "$percent $step" != "$seen" ]; then
        echo "job $job: ${percent:-0} % $step"
        seen="$percent $step"
    fi
    case $status in
    ready | failed) break ;;
    '') die "job show printed nothing about job $job; see $scratch/verifier.log" ;;
    esac
    kill -0 "$agent_pid" 2>/dev/null || { tail -n 20 "$scratch/agent.log" >&2; die "the agent exited"; }
    kill -0 "$verifier_pid" 2>/dev/null || { tail -n 20 "$scratch/verifier.log" >&2; die "the verifier exited"; }
    sleep 0.5
done
[ ! -t 1 ] || echo
[ "$status" = ready ] || die "the job failed: $(member last_error <<<"$record")"

say "Renditions"
slug=$(member slug <<<"$record")
result=$scratch/videos/$slug
probe() { ffprobe -v error -show_entries "format=$1" -of default=nk=1:nw=1 "$2"; }
printf '%-10s %12s %12s %14s\n' rendition 'size' duration 'bit rate'
made=0
for playlist in "$result"/*/stream.m3u8; do
    [ -e "$playlist" ] || continue
    directory=${playlist%/*}
    bytes=$(cat "$directory"/* | wc -c)
    seconds=$(probe duration "$playlist") || die "ffprobe cannot read $playlist"
    awk -v name="${directory##*/}" -v bytes="$bytes" -v seconds="$seconds" 'BEGIN {
        if (seconds <= 0) exit 1
        printf "%-10s %9.1f kB %10.2f s %9d kbit/s\n", name, bytes / 1000, seconds, bytes * 8 / seconds / 1000
    }' || die "$playlist has no duration"
    made=$((made + 1))
done
[ "$made" -gt 0 ] || die "there is no rendition in $result"
probe format_name "$result/master.m3u8" >/dev/null || die "ffprobe cannot read $result/master.m3u8"
# FFmpeg's DASH reader expects one stream in a segment and warns about audio and video in one
# (docs/decisions/0003-renditions.md): only its exit status counts here.
probe format_name "$result/manifest.mpd" >/dev/null 2>&1 || die "ffprobe cannot read $result/manifest.mpd"
[ -s "$result/thumbnail.jpg" ] || die "there is no thumbnail in $result"
echo "in $result"

say "The completion record"
"$verifier" -c "$scratch/verifier.cfg" job show "$job"
token=$(member token <<<"$record")
[[ $token == "$job"-* ]] || die "the database has no completion of job $job"

say "Play it"
echo "ffplay $result/master.m3u8"
if [ "$keep" = yes ]; then
    trap - EXIT
    disown "$agent_pid" "$verifier_pid"
    echo
    echo "Still running because of --keep:"
    echo "  add a video  $verifier -c $scratch/verifier.cfg job add FILE"
    echo "  status       $agent -c $scratch/agent.cfg status"
    echo "  stop         kill $agent_pid $verifier_pid"
fi
echo
echo "Done in $SECONDS s. Remove it all with: rm -r $scratch"
