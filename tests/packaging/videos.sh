#!/usr/bin/env bash
# packaging/nginx/tailslate-videos.conf: does nginx accept it, and serve what players ask for?
#
#   videos.sh AGENT VERIFIER      the programs (not used)
# shellcheck source=tests/packaging/checks.sh
. "$(dirname "$0")/checks.sh"

mkdir -p "$scratch/videos/a-video/360p" "$scratch/videos/.trash"
echo '#EXTM3U' >"$scratch/videos/a-video/master.m3u8"
echo '<MPD/>' >"$scratch/videos/a-video/manifest.mpd"
head -c 5000 /dev/zero >"$scratch/videos/a-video/360p/seg_0000.m4s"
echo secret >"$scratch/videos/.trash/file.mp4"

# nginx chooses the port's socket itself: below, a socket of the file system stands for the address.
socket=$scratch/nginx.socket
sed -e "s|listen 8081;|listen unix:$socket;|" -e "s|/var/lib/tailslate/videos|$scratch/videos|" \
    "$top/packaging/nginx/tailslate-videos.conf" >"$scratch/site.conf"
grep -q "$socket" "$scratch/site.conf" && grep -q "$scratch/videos" "$scratch/site.conf" ||
    complain "the file's address or directory is not where this test expects it"
cat >"$scratch/nginx.conf" <<CONF
daemon off; pid $scratch/nginx.pid; error_log stderr warn; events {}
$([ "$(id -u)" != 0 ] || echo "user root;")
http {
    access_log off;
    client_body_temp_path $scratch/body; proxy_temp_path $scratch/proxy; fastcgi_temp_path $scratch/fastcgi;
    uwsgi_temp_path $scratch/uwsgi; scgi_temp_path $scratch/scgi;
    include $scratch/site.conf;
}
CONF
nginx -t -q -c "$scratch/nginx.conf" || complain "nginx refuses the file"
nginx -c "$scratch/nginx.conf" 2>"$scratch/nginx.log" &
trap 'kill %1 2>/dev/null || true; wait; rm -rf "$scratch"' EXIT
# shellcheck source=tests/support/within.sh
. "$top/tests/support/within.sh"
within 20 test -S "$socket" || complain "nginx does not start: $(cat "$scratch/nginx.log")"

get() { curl -sS -i --unix-socket "$socket" "http://videos.example$1" "${@:2}" | tr -d '\r' >"$scratch/answer" || true; }
expect() { grep -qaiE "^$1" "$scratch/answer" || complain "$2: no '$1' in: $(sed '/^$/q' "$scratch/answer" | tr '\n' '|')"; }

get /a-video/master.m3u8
expect 'HTTP/1.1 200' 'the playlist'
expect 'Content-Type: application/vnd.apple.mpegurl' 'the playlist'
expect 'Access-Control-Allow-Origin: \*' 'the playlist'
expect 'Cache-Control: public, max-age=5$' 'the playlist'
get /a-video/manifest.mpd
expect 'Content-Type: application/dash\+xml' 'the manifest'
get /a-video/360p/seg_0000.m4s -H 'Range: bytes=10-19'
expect 'HTTP/1.1 206' 'a range of a segment'
expect 'Content-Type: video/mp4' 'a segment'
expect 'Content-Range: bytes 10-19/5000' 'a segment'
expect 'Cache-Control: public, max-age=3600$' 'a segment'
get /.trash/file.mp4
expect 'HTTP/1.1 404' 'the trash'

[ "$failures" -eq 0 ]
