# shellcheck shell=bash disable=SC2034,SC2154 # its variables are those of the script that sources it
# A verifier and an agent of a release build in a scratch directory, for the scripts that measure
# and for those that take their time. Source it; needs $build (a build directory).
#
#   rig_start            scratch, configuration, worker; $rig is the directory, $url the server
#   rig_verifier, rig_agent [KEY=VALUE...] [WRAPPER...]
#                        start it in the background ($verifier_pid, $agent_pid)
#   rig_add FILE         adds a job, prints its id
#   rig_sql QUERY        one value out of the verifier's database
#   within SECONDS COMMAND...     (within.sh) until the command succeeds; 1 at the deadline
# shellcheck source=tests/support/within.sh
. "$(dirname "${BASH_SOURCE[0]}")/within.sh"

rig_start() {
    rig=$(mktemp -d "${TMPDIR:-/tmp}/tailslate-rig-XXXXXX")
    port=$((12000 + RANDOM % 20000))
    url=http://127.0.0.1:$port
    mkdir -p "$rig/uploads" "$rig/videos" "$rig/agent"
    cat >"$rig/verifier.cfg" <<CONFIG
listen: { address = "127.0.0.1"; port = $port; };
store: { url = "sqlite:$rig/verifier.db"; };
files: { uploads_dir = "$rig/uploads"; videos_dir = "$rig/videos"; };
claims: { retry_delay_seconds = 0; };
CONFIG
    "$build/verifier/tailslate-verifier" -c "$rig/verifier.cfg" worker add rig \
        --key-file "$rig/rig.key" >/dev/null 2>>"$rig/verifier.log"
    trap rig_end EXIT
}

# Everything that was started below the scratch directory, whatever session it is in now.
rig_processes() {
    local directory
    for directory in /proc/[0-9]*; do
        if tr '\0' ' ' 2>/dev/null <"$directory/cmdline" | grep -qF "$rig/" ||
            [[ $(readlink "$directory/cwd" 2>/dev/null)/ == "$rig"/* ]]; then
            [ "${directory#/proc/}" = $$ ] || echo "${directory#/proc/}"
        fi
    done
}

rig_end() {
    local pids
    for _ in 1 2 3 4 5; do
        pids=$(rig_processes)
        [ -n "$pids" ] || break
        # shellcheck disable=SC2086
        kill -9 $pids 2>/dev/null || true
        wait 2>/dev/null || true
    done
    [ -n "${TAILSLATE_TEST_KEEP-}" ] || rm -rf "$rig"
}

rig_verifier() {
    "$build/verifier/tailslate-verifier" -c "$rig/verifier.cfg" serve 2>>"$rig/verifier.log" &
    verifier_pid=$!
    within 20 curl -fsS "$url/api/health"
}

# KEY=VALUE as they stand in the environment: TAILSLATE_NODE_SLOTS=2
rig_agent() {
    cat >"$rig/agent.cfg" <<CONFIG
server: { url = "$url"; api_key_file = "$rig/rig.key"; };
node: { state_dir = "$rig/agent"; min_free_disk_gb = 0; };
CONFIG
    env "$@" "$build/agent/tailslate-agent" -c "$rig/agent.cfg" run 2>>"$rig/agent.log" &
    agent_pid=$!
}

rig_add() {
    "$build/verifier/tailslate-verifier" -c "$rig/verifier.cfg" job add "$1" 2>>"$rig/verifier.log" |
        grep -oE '[0-9]+' | head -n 1
}

rig_sql() {
    sqlite3 -cmd '.timeout 10000' "$rig/verifier.db" "$1"
}
