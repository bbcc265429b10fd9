#!/usr/bin/env bash
# Many short runs of the laboratory, one seed after another; the store follows from the seed.
#
#   tests/lab/run.sh --seeds FROM-TO [--resume] [--parallel N] [--build DIR] [CHAOS OPTION...]
#   tests/lab/run.sh --minimise SEED [--build DIR] [CHAOS OPTION...]
#
# A line for each seed goes to $LAB_DIR/results.tsv (LAB_DIR: /tmp/tailslate-lab): seed, store, ok|failed,
# seconds, what was checked. --resume leaves out the seeds that have a line. A failed seed's output and directory
# stay in $LAB_DIR/<seed>; the command that repeats it is printed. --minimise drops events from a
# seed's schedule for as long as the run still fails and prints the command with those that are
# left; each candidate gets LAB_TRIES runs (2), because time plays a part in every run.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=build/fast seeds='' resume='' minimise='' parallel=1 options=()
lab=${LAB_DIR:-/tmp/tailslate-lab}
while [ $# -gt 0 ]; do
    case $1 in
    --seeds) seeds=$2 && shift 2 ;;
    --minimise) minimise=$2 && shift 2 ;;
    --parallel) parallel=$2 && shift 2 ;;
    --build) build=$2 && shift 2 ;;
    --resume) resume=yes && shift ;;
    *) options+=("$1") && shift ;;
    esac
done
results=$lab/results.tsv
mkdir -p "$lab"
touch "$results"

# The command of a seed, in words of the shell.
command_of() {
    local stores=(sqlite postgres fleet)
    echo "$build/tests/chaos --seed $1 --store ${stores[$1 % 3]} ${options[*]-}"
}

run_seed() {
    local seed=$1 begun=$SECONDS result=ok
    local stores=(sqlite postgres fleet) directory=$lab/$seed
    rm -rf "$directory" && mkdir -p "$directory"
    # shellcheck disable=SC2046 # the command is words
    TMPDIR=$directory nice $(command_of "$seed") >"$directory/output" 2>&1 || result=failed
    printf '%s\t%s\t%s\t%s\t%s\n' "$seed" "${stores[seed % 3]}" "$result" $((SECONDS - begun)) \
        "$(grep -h '^checked' "$directory/output" | cut -f 2)" | tee -a "$results"
    if [ "$result" = ok ]; then
        rm -rf "$directory"
    else
        grep -v '^checked\|^directory' "$directory/output" | sed 's/^/    /'
        echo "    again: $(command_of "$seed")"
    fi
}

run_seeds() {
    local seed from=${seeds%-*} to=${seeds#*-}
    for seed in $(seq "$from" "$to"); do
        [ -z "$resume" ] || ! grep -q "^$seed"$'\t' "$results" || continue
        while [ "$(jobs -rp | wc -l)" -ge "$parallel" ]; do wait -n; done
        run_seed "$seed" &
    done
    wait
    awk -F '\t' '{ n[$3]++ } END { printf "%d ok, %d failed\n", n["ok"], n["failed"] }' "$results"
    ! grep -q $'\tfailed\t' "$results"
}

# Does a run with these events fail?
fails() {
    local events=$1
    for _ in $(seq "${LAB_TRIES:-2}"); do
        # shellcheck disable=SC2046
        TMPDIR=$lab nice $(command_of "$minimise") --events "$events" >"$lab/minimise.output" 2>&1 || return 0
    done
    return 1
}

# Delta debugging: leave out one part of n; if the rest still fails, go on with the rest; else smaller parts.
minimise() {
    local events parts=2 i size rest
    # shellcheck disable=SC2046
    mapfile -t events < <($(command_of "$minimise") --print | awk '{ print $1 }')
    while [ ${#events[@]} -gt 0 ] && [ "$parts" -le ${#events[@]} ]; do
        size=$(((${#events[@]} + parts - 1) / parts))
        for ((i = 0; i < ${#events[@]}; i += size)); do
            rest=("${events[@]:0:i}" "${events[@]:i+size}")
            if fails "$(IFS=,; echo "${rest[*]}")"; then
                events=("${rest[@]}")
                echo "still fails with ${#events[@]}: $(IFS=,; echo "${events[*]}")"
                parts=1
                break
            fi
        done
        [ "$parts" -lt ${#events[@]} ] || break
        parts=$((parts * 2 > ${#events[@]} ? ${#events[@]} : parts * 2))
    done
    echo "$(command_of "$minimise") --events $(IFS=,; echo "${events[*]}")"
}

if [ -n "$minimise" ]; then minimise; else run_seeds; fi
