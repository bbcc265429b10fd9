#!/usr/bin/env bash
# Checks the models of the completion protocol with Spin, and that each known mistake breaks a property.
#
#   run.sh [--short | --long]    one line for each model and mutant; 0 only if every model holds and every mutant is
#                                found. --short: what ctest runs. --long: larger bounds, minutes and gigabytes
#   run.sh --trace MUTANT        the shortest way, with the fewest faults, to what the mutant breaks
#   run.sh --list                the mutants
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
failures=0
memory_mb=${MODEL_MEMORY_MB:-8000}
stack=200000 # steps deep

# NAME MODEL PROPERTY [FLAG...]; the property is the first word of the comment on the violated assertion.
mutants() {
    cat <<'TABLE'
answer_before_commit completion P1
processing_is_200 completion P1 -DGATE
gate_is_trusted completion P1 -DGATE
unknown_is_success completion P1
token_for_each_attempt completion P1
files_not_looked_at completion P1
no_lock completion P1 -DNO_LOCK
update_by_id completion P2
neither_lock_nor_guards completion P2 -DNO_LOCK -DNO_GUARDS
drop_in_progress completion P3
record_in_memory completion P3
no_epoch completion P4
late_is_refused completion P5
sweep_from_a_stale_read completion P6
gate_refuses completion P7 -DGATE -DFAULTS=2
sweep_without_grace completion P9
claim_without_an_order completion R
answered_in_the_group group P1
replay_answered_in_the_group group P1
rollback_of_all group P1
transaction_gone_unnoticed group P6
commit_failure_told_to_the_leader_only group P1
unknown_commit_is_success group P1
half_an_effect group P2
TABLE
}

# Sets $states, $depth, $mb, $found: what pan says. DEFINES are pan's: SAFETY or NP, BFS.
search() { # search MODEL OPTIMIZATION "DEFINES" [FLAG...]
    local model=$1 optimization=$2 defines=() options=("-m$stack" -w20)
    read -ra defines <<<"$3"
    shift 3
    [[ " ${defines[*]} " != *' -DNP '* ]] || options+=(-l)
    rm -f -- *.trail
    spin -a "$@" "$here/$model.pml" >spin.log 2>&1 || { cat spin.log >&2; exit 1; }
    gcc "$optimization" -w -DNOREDUCE -DNOFAIR "-DMEMLIM=$memory_mb" "${defines[@]}" -o pan pan.c
    ./pan "${options[@]}" >pan.log 2>&1 || true
    states=$(grep -oE '[0-9.e+]+ states, stored' pan.log | cut -d' ' -f1)
    depth=$(grep -oE 'depth reached [0-9]+' pan.log | cut -d' ' -f3)
    mb=$(grep -oE '[0-9.]+.total actual memory' pan.log | cut -d. -f1)
    found=$(sed -n 's/^pan:[0-9]*: //p' pan.log | head -n 1)
    ! grep -qE 'max search depth too small|out of memory|memory limit' pan.log || found="not completed: bounds"
}

report() { # report RESULT NAME MODEL SECONDS DETAIL
    printf '%-9s %-10s %-38s %9s states  depth %7s  %5s MB  %4s s  %s\n' "$1" "$3" "$2" "$states" "$depth" "$mb" "$4" "$5"
}

holds() { # holds NAME MODEL DEFINES [FLAG...]
    local name=$1 model=$2 started=$SECONDS optimization=-O2
    [ "$level" != --short ] || optimization=-O0
    [ "$level $name" != "--short no_operator" ] || optimization=-O1
    search "$model" "$optimization" "${@:3}"
    if [ -z "$found" ] && grep -q 'errors: 0' pan.log; then
        report holds "$name" "$model" $((SECONDS - started)) "${*:4}"
    else
        failures=$((failures + 1))
        report BROKEN "$name" "$model" $((SECONDS - started)) "$found"
        [ ! -e "$model.pml.trail" ] || replay "$model" "${@:4}" | tail -n 40
    fi
}

# The path as the model's printf tells it, and the assertion with its comment.
replay() { # replay MODEL [FLAG...]
    local model=$1
    spin -t -T -k "$model.pml.trail" "${@:2}" "$here/$model.pml" >replay.log 2>&1 || true
    sed -nE '/^(worker|  handler|sweeper|operator|redis|the server|leader|member|  group|.*START OF CYCLE)/p' replay.log
    violated "$model"
}
violated() { # the comment on the violated line
    local line
    line=$(sed -nE 's/^spin: .*\.pml:([0-9]+), Error: assertion violated.*/\1/p' replay.log | head -n 1)
    if [ -n "$line" ]; then
        sed -n "${line}s|^ *||p" "$here/$1.pml"
    else
        echo "/* P7: a cycle without a fault: nothing comes to an end */"
    fi
}

flags_of() { # sets $model, $property, $flags, $way
    local row
    row=$(mutants | grep "^$1 ") || { echo "run.sh: no mutant $1; see --list" >&2; exit 64; }
    read -r _ model property row <<<"$row"
    read -ra flags <<<"$row -DMUTANT_$1"
    way=-DSAFETY
    [ "$property" != P7 ] || way=-DNP
}

is_found() {
    local started=$SECONDS said
    flags_of "$1"
    search "$model" -O0 "$way" "${flags[@]}"
    said=
    if [ -n "$found" ]; then
        spin -t -T -k "$model.pml.trail" "${flags[@]}" "$here/$model.pml" >replay.log 2>&1 || true
        said=$(violated "$model" | sed 's|.*/\* ||; s| \*/.*||')
    fi
    if [[ $said == "$property:"* ]]; then
        report found "$1" "$model" $((SECONDS - started)) "$said"
    else
        failures=$((failures + 1))
        report SURVIVED "$1" "$model" $((SECONDS - started)) "${said:-nothing is violated} (expected $property)"
    fi
}

trace() {
    local operations faults
    flags_of "$1"
    if [ "$way" = -DNP ]; then
        search "$model" -O0 "$way" "${flags[@]}"
        replay "$model" "${flags[@]}"
        return
    fi
    for operations in 0 1; do
        for faults in 0 1 2 3; do
            search "$model" -O0 "-DSAFETY -DBFS" "${flags[@]}" "-DOPERATIONS=$operations" "-DFAULTS=$faults"
            [ -z "$found" ] || break 2
        done
    done
    echo "$1: $model.pml with $faults faults and $operations operations"
    replay "$model" "${flags[@]}" "-DOPERATIONS=$operations" "-DFAULTS=$faults"
}

case ${1-} in
-h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
--list) mutants; exit 0 ;;
--trace) trace "${2?which mutant}"; exit 0 ;;
'' | --short | --long) level=${1-} ;;
*) echo "run.sh: unknown option $1" >&2; exit 64 ;;
esac

holds no_operator completion -DSAFETY -DOPERATIONS=0
holds everything_ends completion -DNP -DFAULTS=2 -DOPERATIONS=0
holds group group -DSAFETY
holds group_ends group -DNP -DFAULTS=3
if [ "$level" != --short ]; then
    stack=2000000
    holds one_operation completion -DSAFETY
    holds one_operation_ends completion -DNP -DFAULTS=2
    holds gate completion -DSAFETY -DGATE -DOPERATIONS=0
    holds lock_alone completion -DSAFETY -DNO_GUARDS -DOPERATIONS=0
fi
if [ "$level" = --long ]; then
    stack=20000000
    holds two_operations completion -DSAFETY -DOPERATIONS=2
    holds three_claims completion -DSAFETY -DCLAIMS=3 -DOPERATIONS=0
    holds three_claims_end completion -DNP -DCLAIMS=3 -DFAULTS=2 -DOPERATIONS=0
    holds three_faults_end completion -DNP -DFAULTS=3
    holds group_ends_after_six_faults group -DNP -DFAULTS=6
fi
stack=200000
for mutant in $(mutants | cut -d' ' -f1); do is_found "$mutant"; done
[ "$failures" = 0 ] || { echo "run.sh: $failures lines are not as they have to be" >&2; exit 1; }
