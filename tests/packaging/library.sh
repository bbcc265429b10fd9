#!/usr/bin/env bash
# libtailslate, as somebody else uses it: installed into a scratch prefix, and nothing of this tree but
# that.
#
#   library.sh AGENT VERIFIER      the programs
#
# The commands of docs/LIBRARY.md as printed, its code, what the library exports, and the examples: a
# server that lives in memory, and a worker that delivers to a real verifier which is down, and dies in
# between.
# shellcheck source=tests/packaging/checks.sh
. "$(dirname "$0")/checks.sh"

# One file a block of the document, numbered: 01.sh, 02.sh, ...
mkdir "$scratch/blocks"
awk -v dir="$scratch/blocks" '
    /^```$/ { close(file); file = ""; next }
    /^```/ { file = sprintf("%s/%02d.%s", dir, ++n, substr($0, 4)); next }
    file { print > file }' "$top/docs/LIBRARY.md"
cd "$top"
run() { # run BLOCK: in this shell, because what it exports is used by the next
    # shellcheck disable=SC1090
    . "$scratch/blocks/$1" >"$scratch/said" 2>"$scratch/run.log" ||
        { tail -n 40 "$scratch/said" "$scratch/run.log" >&2; complain "LIBRARY.md: this fails: $(cat "$scratch/blocks/$1")"; exit 1; }
}

# ---- the document
# Not the flags of who calls us, and no sanitizers: it is the library that is released.
export CFLAGS=-Werror LDFLAGS=
# shellcheck disable=SC2034 # the document uses it
build=$scratch/build prefix=$scratch/prefix
run 01.sh
run 02.sh
run 04.sh
diff "$scratch/blocks/05.text" "$scratch/said" >&2 || complain "LIBRARY.md: embed_verifier says something else"
for block in "$scratch"/blocks/*.c; do
    # shellcheck disable=SC2046
    cc -std=c17 -Wall -Wextra -Werror -c -o "$block.o" "$block" $(pkg-config --cflags tailslate) || complain "LIBRARY.md: this does not compile: $block"
done
libdir=$(dirname "$(find "$prefix" -name libtailslate.a)")

# ---- what it exports: the functions of its headers, and nothing else
sed -nE 's/^[a-z].*[ *](tailslate_[a-z0-9_]+)\(.*/\1/p; s/^(tailslate_[a-z0-9_]+)\(.*/\1/p' "$prefix"/include/tailslate/*.h |
    grep -v '^tailslate_verify_commits$' | sort -u >"$scratch/declared" # that one is inline
nm -D --defined-only "$libdir/libtailslate.so.0" | awk '$2 != "A" { print $3 }' | sed 's/@.*//' | sort >"$scratch/exported"
nm -g --defined-only "$libdir/libtailslate.a" | awk 'NF == 3 { print $3 }' | sort >"$scratch/archived"
for kind in exported archived; do
    diff "$scratch/declared" "$scratch/$kind" >&2 || complain "the functions of the headers and those that are $kind differ"
done
[ "$(objdump -p "$libdir/libtailslate.so" | awk '$1 == "SONAME" { print $2 }')" = libtailslate.so.0 ] || complain "its SONAME"

# ---- a program, in three ways
cat >"$scratch/version.c" <<'C'
#include <stdio.h>
#include <tailslate/version.h>
int main(void)
{
    return puts(tailslate_version()) < 0;
}
C
says_version() { [ "$("$scratch/$1")" = "$(pkg-config --modversion tailslate)" ] || complain "$1 says another version"; }
# shellcheck disable=SC2046 # several words
cc -o "$scratch/shared" "$scratch/version.c" $(pkg-config --cflags --libs tailslate) && says_version shared
# shellcheck disable=SC2046
cc -o "$scratch/static" "$scratch/version.c" $(pkg-config --cflags tailslate) "$libdir/libtailslate.a" \
    $(pkg-config --static --libs tailslate | sed 's/-ltailslate//') && says_version static
! ldd "$scratch/static" | grep -q libtailslate || complain "the archive was not linked"
mkdir "$scratch/found"
{
    printf 'cmake_minimum_required(VERSION 3.25)\nproject(found C)\nadd_executable(server ../version.c)\n'
    cat "$scratch/blocks/03.cmake"
} >"$scratch/found/CMakeLists.txt"
{ cmake -G Ninja -S "$scratch/found" -B "$scratch/found" -DCMAKE_PREFIX_PATH="$prefix" && cmake --build "$scratch/found"; } \
    >"$scratch/found.log" 2>&1 || complain "find_package: $(tail -n 5 "$scratch/found.log")"
says_version found/server

# ---- embed_verifier: one line for each completion
body() { # body TOKEN DURATION
    printf '{"qualities":[{"name":"360p","width":640,"height":360,"bitrate":600}],"duration":%s,"source_width":640,' "$2"
    printf '"source_height":360,"completion_token":"1-%s"}\n' "$1"
}
first=0f8fad5b-d9cb-469f-a165-70867728950e second=1f8fad5b-d9cb-469f-a165-70867728950e
{ body $first 1 && body $first 1 && body $first 2 && body $second 1 && echo '{"qualities":3}'; } >"$scratch/completions"
"$prefix/embed_verifier" <"$scratch/completions" >"$scratch/answers" || complain "embed_verifier fails"
sed -E 's/^([0-9]+) .*"(replayed|code)":("[a-z_]*"|[a-z]*).*/\1 \2 \3/' "$scratch/answers" >"$scratch/short"
cat >"$scratch/wanted" <<'TEXT'
200 replayed false
200 replayed true
422 code "token_reused"
200 replayed true
422 code "invalid_field"
TEXT
diff "$scratch/wanted" "$scratch/short" >&2 || complain "embed_verifier answers otherwise"
[ "$("$prefix/embed_verifier" lost <"$scratch/completions" | grep -c '^409 .*"claim_lost"')" -eq 4 ] || complain "a lost claim is not 409"

# ---- minimal_worker: the verifier is down at first, and dies once more before the completion; so does the worker
# shellcheck source=tests/support/within.sh
. "$top/tests/support/within.sh"
started=()
trap 'kill -9 "${started[@]}" 2>/dev/null || true; wait; rm -rf "$scratch"' EXIT
mkdir "$scratch/uploads" "$scratch/videos"
port=$((12000 + RANDOM % 20000))
cat >"$scratch/verifier.cfg" <<CFG
listen: { port = $port; };
store: { url = "sqlite:$scratch/verifier.db"; };
files: { uploads_dir = "$scratch/uploads"; videos_dir = "$scratch/videos"; };
CFG
verifier() { "${program[verifier]}" -c "$scratch/verifier.cfg" "$@" 2>>"$scratch/verifier.log"; }
serve() {
    "${program[verifier]}" -c "$scratch/verifier.cfg" serve 2>>"$scratch/serve.log" &
    started+=($!)
    echo $! >"$scratch/verifier.pid"
    within 20 curl -fsS "http://127.0.0.1:$port/readyz" || complain "the verifier does not start: $(cat "$scratch/serve.log")"
}
worker() { # in the background; what it says is in worker.log
    "$prefix/minimal_worker" "http://127.0.0.1:$port" "$scratch/key" "$scratch/outbox" "$scratch/work.sh" >>"$scratch/worker.log" 2>&1 &
    worker_pid=$!
    started+=("$worker_pid")
}
said() { grep -q "$1" "$scratch/worker.log"; }
ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=640x360:rate=10:duration=1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p "$scratch/video.mp4"
verifier worker add example --key-file "$scratch/key" >/dev/null
verifier job add "$scratch/video.mp4" >/dev/null
cat >"$scratch/work.sh" <<SH
#!/bin/sh -e
echo work >>"$scratch/works"
cd "$scratch"
ffmpeg -nostdin -v error -y -i video.mp4 -c copy -f hls -hls_segment_type fmp4 -hls_playlist_type vod -hls_segment_filename seg_%04d.m4s stream.m3u8
for file in init.mp4 seg_0000.m4s stream.m3u8; do
    curl -fsS -o answer -H "X-Worker-API-Key: \$(cat key)" -H "X-Content-SHA256: \$(sha256sum \$file | cut -c 1-64)" \
        --data-binary @\$file "http://127.0.0.1:$port/api/worker/upload/\$JOB/segment/360p/\$file"
done
kill -9 \$(cat verifier.pid)
SH
chmod +x "$scratch/work.sh"
worker
within 20 said '^claim: again' || complain "the worker does not wait for the verifier"
serve
within 20 said '^job 1: again' || complain "nothing was presented: $(cat "$scratch/worker.log")"
kill -9 "$worker_pid"
token=$(grep -oE '1-[0-9a-f-]{36}' "$scratch/outbox/1.json" | head -n 1)
serve
worker
within 20 said '^job 1: acknowledged' || complain "not delivered: $(cat "$scratch/worker.log")"
wait "$worker_pid" || complain "the worker ends with $?"
[ "$(sqlite3 "$scratch/verifier.db" 'SELECT group_concat(token) FROM completions')" = "$token" ] || complain "not one completion with the first token"
[ "$(wc -l <"$scratch/works")" -eq 1 ] || complain "the work was done again"
[ "$(ls "$scratch/outbox")" = refused ] || complain "the outbox is not empty: $(ls "$scratch/outbox")"

[ "$failures" -eq 0 ]
