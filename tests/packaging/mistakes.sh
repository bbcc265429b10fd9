#!/usr/bin/env bash
# docs/TROUBLESHOOTING.md: each mistake is made, and the program says what the document says it does.
#
#   mistakes.sh AGENT VERIFIER      the programs
# shellcheck source=tests/packaging/checks.sh
. "$(dirname "$0")/checks.sh"
# shellcheck source=tests/support/rig.sh
. "$top/tests/support/rig.sh"
# shellcheck source=tests/support/fleet.sh
. "$top/tests/support/fleet.sh"
agent=${program[agent]} verifier=${program[verifier]} rig=$scratch
trap 'rig_end; rm -rf "$scratch"' EXIT
# As text: a bar within a table is escaped.
sed 's/\\|/|/g' "$top/docs/TROUBLESHOOTING.md" >"$scratch/document"
count=0
# No search for encoders: it takes seconds each time.
export LC_ALL=C.UTF-8 TAILSLATE_TRANSCODE_RECIPE=command TAILSLATE_TRANSCODE_COMMAND=true

# mistake STATUS WORDS COMMAND...: of what it prints, the words; they are in the document, too
mistake() {
    local status=$1 words=$2 got=0
    shift 2
    count=$((count + 1))
    echo "$words|$status" >>"$scratch/tried"
    [ "$status" != 0 ] || echo "$words|–" >>"$scratch/tried" # a line of a log, or of an answer
    timeout 60 "$@" >"$scratch/said" 2>&1 </dev/null || got=$?
    [ "$got" = "$status" ] || complain "${*/#$scratch/}: exit status $got, not $status: $(grep -E "^FAIL" "$scratch/said" || tail -n 3 "$scratch/said")"
    grep -qF -- "$words" "$scratch/said" || complain "$*: does not say \"$words\": $(tail -n 3 "$scratch/said")"
    grep -qF -- "$words" "$scratch/document" || complain "TROUBLESHOOTING does not have \"$words\""
}
v() { mistake "$1" "$2" "$verifier" -c "$scratch/verifier.cfg" "${@:3}"; }
a() { mistake "$1" "$2" "$agent" -c "$scratch/agent.cfg" "${@:3}"; }
with() { # with NAME=VALUE (v | a) ...
    local -x "${1?}"
    "${@:2}"
}
edited() { # edited SED: the verifier's configuration, changed
    sed "$1" "$scratch/verifier.cfg" >"$scratch/edited.cfg"
}

port=$(fleet_port)
mkdir "$scratch/uploads" "$scratch/videos" "$scratch/empty"
cat >"$scratch/verifier.cfg" <<CONFIG
listen: { address = "127.0.0.1"; port = $port; };
store: { url = "sqlite:$scratch/verifier.db"; };
files: { uploads_dir = "$scratch/uploads"; videos_dir = "$scratch/videos"; };
auth: { admin_secret_file = "$scratch/admin"; };
CONFIG
cat >"$scratch/agent.cfg" <<CONFIG
server: { url = "http://127.0.0.1:$port"; api_key_file = "$scratch/agent.key"; };
node: { state_dir = "$scratch/agent"; min_free_disk_gb = 0; };
CONFIG
(umask 077 && echo the-admin-secret-of-a-test >"$scratch/admin" && : >"$scratch/empty.key" &&
    echo wrong-key-of-another-server-0123456789abcdefgh >"$scratch/other.key" && echo wrong >"$scratch/password")
"$verifier" -c "$scratch/verifier.cfg" worker add rig --key-file "$scratch/agent.key" >/dev/null 2>&1
ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=320x180:rate=25:duration=1 -c:v libx264 -preset ultrafast \
    -pix_fmt yuv420p "$scratch/video.mp4"
: >"$scratch/zero.mp4"
echo hello >"$scratch/text.mp4"
echo hello >"$scratch/text.txt"

# ---- the configuration
mistake 78 "cannot open /nowhere/verifier.cfg: No such file or directory" "$verifier" -c /nowhere/verifier.cfg serve
mistake 78 "cannot open /nowhere/agent.cfg: No such file or directory" "$agent" -c /nowhere/agent.cfg run
edited 's/port = /prot = /'
mistake 78 "unknown key (did you mean listen.port?)" "$verifier" -c "$scratch/edited.cfg" check
edited 's/port = [0-9]*/port = "many"/'
mistake 78 'expected an integer from 0 to 65535, found "many"' "$verifier" -c "$scratch/edited.cfg" check
edited 's/}//'
mistake 78 "syntax error" "$verifier" -c "$scratch/edited.cfg" check
with TAILSLATE_TRANSCODE_ENCODER=h264_nvidia a 78 "expected one of auto|cpu|nvenc|qsv|vaapi" run
with TAILSLATE_LISTEN_ADDRESS=host.example v 78 "is not an IP address" serve
with TAILSLATE_LISTEN_ADDRESS=192.0.2.1 v 75 "this machine does not have the address" serve
with TAILSLATE_STORE_URL=postgresql://u:p@h/d v 78 "the URL may not contain a password" serve
with TAILSLATE_SERVER_URL=http://u:p@h a 78 "the URL contains a user name or password" run
with TAILSLATE_SERVER_URL=host:9002 a 78 "must begin with http:// or https://" run
with TAILSLATE_SERVER_API_KEY_FILE=/etc/passwd a 78 "gives others access" run
with TAILSLATE_SERVER_API_KEY_FILE="$scratch/empty.key" a 78 "the first line is empty" run
with TAILSLATE_FILES_VIDEOS_DIR="$scratch/uploads" v 78 "is the directory of files.uploads_dir" serve
with TAILSLATE_FILES_VIDEOS_DIR=/nowhere v 75 "create it, or mount the share that has it" serve

# ---- the command line, without a server
a 69 "no agent has worked there yet" status
a 69 "no agent has worked there yet" spool retry 7.1
a 75 "check that the verifier is running" check
with TAILSLATE_SERVER_URL=http://nowhere.invalid:9002 a 75 "Could not resolve host" check
with TAILSLATE_NODE_STATE_DIR=/sys/tailslate a 78 "cannot create it" run
TAILSLATE_TRANSCODE_RECIPE=ladder with TAILSLATE_TRANSCODE_FFMPEG=/nowhere/ffmpeg a 78 "install it (apt-get install ffmpeg)" run
v 64 "unknown option" job list --dry-run
v 66 "No such file or directory" job add /nowhere/video.mp4
v 66 "has no videos" job add "$scratch/empty"
v 65 "is empty" job add "$scratch/zero.mp4"
v 65 "the file name must end in one of" job add "$scratch/text.txt"
"$verifier" -c "$scratch/verifier.cfg" job add "$scratch/video.mp4" --slug film >/dev/null 2>&1
v 65 "the slug film is already in use" job add "$scratch/video.mp4" --slug film
v 66 "there is no job 99" job cancel 99
v 65 "is not a job ID" job show film
v 65 "it has not failed" job retry 1
v 66 "there is no worker" worker revoke nobody
v 65 "there is a worker rig already" worker add rig
v 65 "already exists: remove it or name another file" worker add other --key-file "$scratch/agent.key"
chmod 755 "$scratch" && chmod 644 "$scratch/verifier.cfg" && chmod 750 "$scratch/uploads"
mistake 75 "Permission denied" setpriv --reuid=65534 --regid=65534 --clear-groups \
    "$verifier" -c "$scratch/verifier.cfg" job add "$scratch/video.mp4"

# ---- with a server and an agent
serve() { # serve [NAME=VALUE...]
    env "$@" "$verifier" -c "$scratch/verifier.cfg" serve 2>>"$scratch/verifier.log" &
    verifier_pid=$!
}
stop() { kill "$1" && wait "$1" || true; }
serve
within 20 curl -fsS "http://127.0.0.1:$port/healthz"
v 75 "cannot listen: Address already in use" serve
with TAILSLATE_SERVER_API_KEY_FILE="$scratch/other.key" a 78 "The API key is not valid" check
with TAILSLATE_SERVER_URL="https://127.0.0.1:$port" a 75 "if it has no certificate, use http:// in server.url" check
with TAILSLATE_SERVER_URL="http://127.0.0.1:$port/videos" a 78 "this is not a worker API" check
mistake 0 "The admin secret is wrong" curl -sS -H 'X-Admin-Secret: x' "http://127.0.0.1:$port/api/jobs"
cp "$scratch/verifier.cfg" "$scratch/good.cfg"
echo nonsense >>"$scratch/verifier.cfg"
kill -HUP "$verifier_pid"
within 20 grep -q event=verifier.not_reloaded "$scratch/verifier.log"
mistake 0 "event=verifier.not_reloaded" cat "$scratch/verifier.log"
cp "$scratch/good.cfg" "$scratch/verifier.cfg"
export TAILSLATE_TRANSCODE_COMMAND='sleep 600'
"$agent" -c "$scratch/agent.cfg" run 2>>"$scratch/agent.log" &
agent_pid=$!
is_claimed() { "$verifier" -c "$scratch/verifier.cfg" job show 1 --json | grep -qE '"state":\s*"claimed"'; }
within 30 is_claimed
a 75 "is using this spool" run
v 65 "a worker is transcoding it; cancel it first" job delete 1
stop "$agent_pid"
"$verifier" -c "$scratch/verifier.cfg" job cancel 1 2>/dev/null

# ---- a job that completed, and one that is no video
unset TAILSLATE_TRANSCODE_COMMAND TAILSLATE_TRANSCODE_RECIPE
job() { "$verifier" -c "$scratch/verifier.cfg" job "$@" 2>/dev/null; }
added=$(job add "$scratch/video.mp4")
broken=$(job add "$scratch/text.mp4")
"$agent" -c "$scratch/agent.cfg" run 2>>"$scratch/agent.log" &
agent_pid=$!
is() { job show "$1" --json | grep -qE "\"state\":\\s*\"$2\""; }
within 120 is "$broken" failed
mistake 0 "probe: the file cannot be read as a video" "$verifier" -c "$scratch/verifier.cfg" job show "$broken"
within 120 is "$added" completed
v 65 "it has completed" job cancel "$added"
stop "$agent_pid"
export TAILSLATE_TRANSCODE_RECIPE=command TAILSLATE_TRANSCODE_COMMAND=true
"$verifier" -c "$scratch/verifier.cfg" worker revoke rig >/dev/null 2>&1
# The server knows a key for a second without asking the database.
is_refused() { ! "$agent" -c "$scratch/agent.cfg" check; }
within 10 is_refused
a 78 "The API key was revoked or has expired" check
stop "$verifier_pid"

# ---- TLS
certificate() { # certificate NAME SUBJECT-ALTERNATIVE
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$scratch/$1.key" \
        -out "$scratch/$1.pem" -days 2 -subj /CN="$1" -addext "subjectAltName=$2" 2>/dev/null
    chmod 600 "$scratch/$1.key"
}
expired() {
    mkdir "$scratch/ca"
    : >"$scratch/ca/index"
    printf '[ca]\ndefault_ca=o\n[o]\nnew_certs_dir=%s\ndatabase=%s/index\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n' \
        "$scratch/ca" "$scratch/ca" >"$scratch/ca/cnf"
    openssl req -new -key "$scratch/here.key" -subj /CN=expired -out "$scratch/expired.csr"
    openssl ca -batch -config "$scratch/ca/cnf" -selfsign -keyfile "$scratch/here.key" -in "$scratch/expired.csr" \
        -startdate 200101000000Z -enddate 200102000000Z -out "$scratch/expired.pem" 2>/dev/null
}
secure() { # secure CERTIFICATE
    serve TAILSLATE_LISTEN_TLS_CERT_FILE="$scratch/$1.pem" TAILSLATE_LISTEN_TLS_KEY_FILE="$scratch/here.key"
    within 20 curl -kfsS "https://127.0.0.1:$port/healthz"
}
certificate here IP:127.0.0.1
certificate there DNS:there.example
expired
export TAILSLATE_SERVER_URL="https://127.0.0.1:$port"
secure here
with TAILSLATE_SERVER_URL="http://127.0.0.1:$port" a 75 "use https:// in server.url" check
a 78 "set server.ca_file to the certificate of the server's authority" check
with TAILSLATE_SERVER_URL="https://localhost:$port" with TAILSLATE_SERVER_CA_FILE="$scratch/here.pem" a 78 \
    "use a host in server.url that the server's certificate names" check
stop "$verifier_pid"
secure expired
with TAILSLATE_SERVER_CA_FILE="$scratch/expired.pem" a 78 "renew the server's certificate, or set this node's clock" check
stop "$verifier_pid"
with TAILSLATE_LISTEN_TLS_CERT_FILE="$scratch/here.pem" with TAILSLATE_LISTEN_TLS_KEY_FILE="$scratch/there.key" v 78 \
    "is not the private key of" serve
unset TAILSLATE_SERVER_URL

# ---- the database and Redis
store() { with TAILSLATE_STORE_URL="$1" v "${@:2}"; }
store postgresql://tailslate@127.0.0.1:1/x 75 "Connection refused" check
fleet_postgres
sql() { psql -h 127.0.0.1 -p "$fleet_pg_port" -U tailslate -d "$1" -qAtc "$2" >/dev/null; }
server=127.0.0.1:$fleet_pg_port
store "postgresql://tailslate@$server/nowhere" 75 "does not exist" check
store "postgresql://nobody@$server/fleet" 75 "does not exist" check
store "postgresql://tailslate@$server/fleet" 78 "the database has no tables yet" job list
sql fleet "CREATE ROLE guarded LOGIN PASSWORD 'of-a-test'"
sql fleet "CREATE DATABASE foreign_one"
sql foreign_one "CREATE TABLE videos (id int)"
sed -i '1i host all guarded 127.0.0.1/32 scram-sha-256' "$scratch/pg/data/pg_hba.conf"
sql fleet "SELECT pg_reload_conf()"
is_guarded() { ! psql -w -h 127.0.0.1 -p "$fleet_pg_port" -U guarded -d fleet -qc 'SELECT 1'; }
within 20 is_guarded
store "postgresql://guarded@$server/fleet" 75 "PostgreSQL requires a password" check
with TAILSLATE_STORE_PASSWORD_FILE="$scratch/password" store "postgresql://guarded@$server/fleet" 75 \
    "password authentication failed" check
store "postgresql://tailslate@$server/foreign_one" 78 \
    "it belongs to another program, or only a part of a backup was restored" check
store mysql://h/d 78 "unsupported kind of database" check
echo garbage >"$scratch/garbage.db"
store "sqlite:$scratch/garbage.db" 78 "file is not a database" check
sqlite3 "$scratch/verifier.db" 'UPDATE schema_version SET version = 99'
v 78 "upgrade this program" serve
rm "$scratch/verifier.db"*
"$verifier" -c "$scratch/verifier.cfg" worker list >/dev/null 2>&1 || true
with TAILSLATE_REDIS_URL=redis://127.0.0.1:1/0 v 0 "completions work without the gate until then" check

# shellcheck disable=SC2016 # the backticks are Markdown's
sed -n 's/^| `\([^`]*\)`[^|]*| \([^ ]*\) |.*/\1|\2/p' "$scratch/document" | sort -u | comm -23 - <(sort -u "$scratch/tried") >"$scratch/untried"
[ ! -s "$scratch/untried" ] || complain "TROUBLESHOOTING has what is not tried: $(tr '\n' ';' <"$scratch/untried")"
echo "$count mistakes"
[ "$failures" -eq 0 ]
