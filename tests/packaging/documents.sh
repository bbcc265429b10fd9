#!/usr/bin/env bash
# docs/OPERATING.md, the dashboard and the list of packages: is there what they speak of?
#
#   documents.sh AGENT VERIFIER      the programs
#
# Every command of OPERATING.md's `sh` blocks is taken as printed. Ours are run, against a scratch
# verifier's store and a scratch spool; of the others' we look at what they are asked to do.
# shellcheck source=tests/packaging/checks.sh
. "$(dirname "$0")/checks.sh"

systemctl --help --no-pager >"$scratch/systemctl"
mkdir "$scratch/uploads" "$scratch/videos" "$scratch/state"
cat >"$scratch/verifier.cfg" <<CFG
listen: { port = 0; };
store: { url = "sqlite:$scratch/verifier.db"; };
files: { uploads_dir = "$scratch/uploads"; videos_dir = "$scratch/videos"; };
CFG
cat >"$scratch/agent.cfg" <<CFG
server: { url = "http://127.0.0.1:1"; api_key_file = "$scratch/agent.key"; };
node: { state_dir = "$scratch/state"; };
CFG
(umask 077 && echo key >"$scratch/agent.key")

ours() { # ours agent WORD...
    local side=$1 status=0
    shift
    timeout 60 "${program[$side]}" -c "$scratch/$side.cfg" "$@" >"$scratch/said" 2>&1 </dev/null || status=$?
    case $status in
    64 | 7[01] | 12[67]) complain "tailslate-$side $*: $status: $(head -n 3 "$scratch/said")" ;;
    124) [[ $* == *--watch* ]] || complain "tailslate-$side $*: does not end" ;;
    12[89] | 1[3-9]?) complain "tailslate-$side $*: died ($status): $(head -n 3 "$scratch/said")" ;;
    esac
}

run() { # one command, its words
    local words=("$@") word
    case $1 in
    tailslate-agent | tailslate-verifier)
        [[ $* != *--key-file* ]] || words=("${@/#\/var\/lib\/tailslate/$scratch}")
        ours "${1#tailslate-}" "${words[@]:1}"
        ;;
    runuser)
        [ "$2" = -u ] && [ "$4" = -- ] && grep -q "^u $3 " "$top"/packaging/systemd/*.sysusers ||
            complain "$*: who is $3?"
        run "${@:5}"
        ;;
    systemctl)
        grep -qE "^  $2( |$)" "$scratch/systemctl" || complain "$*: systemctl has no $2"
        for word in "${@:3}"; do
            [[ $word == -* || -f $top/packaging/systemd/$word.service ]] || complain "$*: no unit $word"
        done
        ;;
    journalctl)
        [ "$2" = -u ] && [ -f "$top/packaging/systemd/$3.service" ] || complain "$*: no unit $3"
        ;;
    apt-get | curl | df | du | install | mount | rm | rsync | sed | sqlite3 | tail) ;;
    *) complain "what is $1?" ;;
    esac
}

awk '/^```sh$/ { on = 1; next } /^```/ { on = 0 } on && NF' "$top/docs/OPERATING.md" >"$scratch/commands"
[ "$(wc -l <"$scratch/commands")" -ge 40 ] || complain "OPERATING.md: only $(wc -l <"$scratch/commands") commands"
while read -r line; do
    eval "set -- $line"
    run "$@"
done <"$scratch/commands"
# The ids may be lifted: by the very statement that is printed.
sql=$(sed -n "s/^sqlite3 [^ ]* '\(UPDATE .*\)'$/\1/p" "$scratch/commands")
[ -n "$sql" ] && sqlite3 "$scratch/verifier.db" "$sql" || complain "the statement that lifts the ids"

# The dashboard and the alerts ask for nothing that is not there.
started=()
trap 'kill "${started[@]}" 2>/dev/null || true; wait; rm -rf "$scratch"' EXIT
ready() { # ready SIDE PID: it says so, before it ends
    timeout 30 grep -q -m 1 "event=$1.ready" <(tail -n +1 -F --pid="$2" "$scratch/$1.log" 2>/dev/null)
}
fetch() { curl -fsS -o "$scratch/$1.metrics" "http://127.0.0.1:$2/metrics"; }
"${program[verifier]}" -c "$scratch/verifier.cfg" serve 2>"$scratch/verifier.log" &
started+=($!)
ready verifier $! || complain "the verifier does not start: $(cat "$scratch/verifier.log")"
fetch verifier "$(sed -n 's/.*event=verifier.ready port=\([0-9]*\).*/\1/p' "$scratch/verifier.log")" ||
    complain "no metrics of the verifier"
# No port of its own choice: below those that the kernel gives away, one that nobody has.
for _ in 1 2 3 4 5; do
    port=$((12000 + RANDOM % 20000))
    TAILSLATE_HEALTH_PORT=$port "${program[agent]}" -c "$scratch/agent.cfg" run 2>"$scratch/agent.log" &
    started+=($!)
    ready agent $! && fetch agent "$port" && break
done
[ -s "$scratch/agent.metrics" ] || complain "no metrics of the agent: $(cat "$scratch/agent.log")"
sed -n 's/^# TYPE \([a-z_]*\) .*/\1/p' "$scratch"/*.metrics >"$scratch/metrics"
grep -ohE 'tailslate_[a-z_]+' "$top/packaging/grafana/tailslate.json" \
    "$top/packaging/prometheus/tailslate.rules.yaml" "$top/docs/OPERATING.md" | sort -u \
    >"$scratch/asked"
while read -r name; do
    grep -qx "${name%_bucket}" "$scratch/metrics" || complain "there is no metric $name"
done <"$scratch/asked"

# What compiles by dependencies.sh compiles as a package.
sed -n '/^build=(/,/)/p' "$top/packaging/dependencies.sh" | grep -oE '[a-z0-9.+-]+-dev\b' | grep -v '^libc6' |
    while read -r package; do
        grep -q "^ $package,$" "$top/packaging/debian/control" || echo "$package"
    done >"$scratch/missing"
[ ! -s "$scratch/missing" ] || complain "Build-Depends lacks $(tr '\n' ' ' <"$scratch/missing")"

[ "$failures" -eq 0 ]
