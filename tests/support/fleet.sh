# shellcheck shell=bash disable=SC2034,SC2154 # its variables are those of the script that sources it
# A fleet of a release build for the scripts that take their time: one PostgreSQL, one Redis, two
# verifiers, all private, on loopback, in the scratch directory of rig.sh. Source it after rig.sh.
#
#   fleet_start               everything; ${fleet_urls[@]} are the verifiers
#   fleet_verifier NUMBER     (re)start verifier 0 or 1; its pid is ${fleet_pids[NUMBER]}
#   fleet_sql QUERY           one value out of PostgreSQL

fleet_postgres_bin=$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -n 1)

# PostgreSQL refuses to run as root.
fleet_as_nobody() {
    if [ "$(id -u)" = 0 ]; then setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"; else "$@"; fi
}

fleet_port() { # below the range that the kernel gives to outgoing connections
    local port
    for _ in $(seq 50); do
        port=$((12000 + RANDOM % 20000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
    return 1
}

fleet_postgres() {
    fleet_pg_port=$(fleet_port)
    mkdir -p "$rig/pg"
    [ "$(id -u)" != 0 ] || { chown nobody:nogroup "$rig/pg"; chmod 755 "$rig"; }
    fleet_as_nobody "$fleet_postgres_bin/initdb" -D "$rig/pg/data" -U tailslate -A trust -E UTF8 \
        --no-sync >"$rig/initdb.log" 2>&1
    # Durable as in production: what is measured here includes it.
    (cd "$rig/pg" && fleet_as_nobody "$fleet_postgres_bin/postgres" -D "$rig/pg/data" -p "$fleet_pg_port" \
        -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=100 \
        2>>"$rig/postgres.log") &
    within 30 psql -h 127.0.0.1 -p "$fleet_pg_port" -U tailslate -d postgres -qc 'SELECT 1' >/dev/null 2>&1
    psql -h 127.0.0.1 -p "$fleet_pg_port" -U tailslate -d postgres -qc 'CREATE DATABASE fleet'
}

fleet_redis() {
    fleet_redis_port=$(fleet_port)
    redis-server --bind 127.0.0.1 --port "$fleet_redis_port" --save '' --appendonly no \
        --dir "$rig" >"$rig/redis.log" 2>&1 &
    fleet_redis_pid=$!
    within 20 redis-cli -p "$fleet_redis_port" PING >/dev/null 2>&1
}

fleet_sql() {
    psql -h 127.0.0.1 -p "$fleet_pg_port" -U tailslate -d fleet -qAtc "$1"
}

fleet_verifier() {
    "$build/verifier/tailslate-verifier" -c "$rig/fleet$1.cfg" serve 2>>"$rig/fleet$1.log" &
    fleet_pids[$1]=$!
}

fleet_is_up() { curl -fsS -o /dev/null "${fleet_urls[$1]}/api/health" 2>/dev/null; }

fleet_start() {
    rig_start
    fleet_postgres
    fleet_redis
    fleet_urls=() fleet_pids=()
    for number in 0 1; do
        local port
        port=$(fleet_port)
        fleet_urls[number]=http://127.0.0.1:$port
        cat >"$rig/fleet$number.cfg" <<CONFIG
listen: { address = "127.0.0.1"; port = $port; connections_per_address = 512; };
store: { url = "postgresql://tailslate@127.0.0.1:$fleet_pg_port/fleet"; };
redis: { url = "redis://127.0.0.1:$fleet_redis_port/0"; };
files: { uploads_dir = "$rig/uploads"; videos_dir = "$rig/videos"; };
log: { level = "warning"; };
CONFIG
    done
    "$build/verifier/tailslate-verifier" -c "$rig/fleet0.cfg" worker add loader \
        --key-file "$rig/loader.key" >/dev/null 2>>"$rig/fleet0.log"
    for number in 0 1; do
        fleet_verifier "$number"
        within 20 fleet_is_up "$number"
    done
}
