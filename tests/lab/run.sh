#!/usr/bin/env bash
# Many short runs of the laboratory, one seed after another; the store follows from the seed.
#
#   tests/lab/run.sh --seeds FROM-TO [--rounds N] [--resume] [--parallel N] [--build DIR] [CHAOS OPTION...]
#   tests/lab/run.sh --minimise SEED [--build DIR] [CHAOS OPTION...]
#
# A line for each seed goes to $LAB_DIR/results.tsv (LAB_DIR: /tmp/tailslate-lab): seed, store, ok|failed|broken (the
# laboratory itself), seconds, what was checked. --resume leaves out the seeds that are ok or failed. With --rounds one
# fleet goes through so many seeds, one after the other, and they have one line: to start a fleet costs as much as three
# storms. A failed seed's output and directory stay in $LAB_DIR/<seed>; the command that repeats it is printed. --minimise
# drops events from a seed's schedule for as long as the run still fails and prints the command with those that are
# left; each candidate gets LAB_TRIES runs (3), because time plays a part in every run. All runs at idle priority.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=build/fast seeds='' resume='' minimise='' parallel=1 rounds=1 options=()
lab=${LAB_DIR:-/tmp/tailslate-lab}
while [ $# -gt 0 ]; do
    case $1 in
    --seeds) seeds=$2 && shift 2 ;;
    --minimise) minimise=$2 && shift 2 ;;
    --rounds) rounds=$2 && shift 2 ;;
    --parallel) parallel=$2 && shift 2 ;;
    --build) build=$2 && shift 2 ;;
    --resume) resume=yes && shift ;;
    *) options+=("$1") && shift ;;
    esac
done
results=$lab/results.tsv
mkdir -p "$lab"
touch "$results"

store_of() {
    local stores=(sqlite postgres fleet)
    echo "${stores[$1 / rounds % 3]}"
}

# The command of a seed, in words of the shell.
command_of() {
    echo "$build/tests/chaos --seed $1 --rounds $rounds --store $(store_of "$1") ${options[*]-}"
}

run_seed() {
    local seed=$1 begun=$SECONDS result=ok status=0
    local directory=$lab/$seed
    rm -rf "$directory" && mkdir -p "$directory"
    # shellcheck disable=SC2046 # the command is words
    TMPDIR=$directory chrt -i 0 $(command_of "$seed") >"$directory/output" 2>&1 || status=$?
    case $status in 0) ;; 1) result=failed ;; *) result=broken ;; esac
    printf '%s\t%s\t%s\t%s\t%s\n' "$seed" "$(store_of "$seed")" "$result" $((SECONDS - begun)) \
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
    for seed in $(seq "$from" "$rounds" "$to"); do
        [ -z "$resume" ] || ! grep -q "^$seed"$'\t[a-z]*\t\(ok\|failed\)' "$results" || continue
        while [ "$(jobs -rp | wc -l)" -ge "$parallel" ]; do wait -n; done
        run_seed "$seed" &
    done
    wait
    awk -F '\t' '{ last[$1] = $3 } END { for (seed in last) n[last[seed]]++
        printf "%d ok, %d failed, %d broken\n", n["ok"], n["failed"], n["broken"]
        exit n["failed"] + n["broken"] > 0 }' "$results"
}

# Does a run with these events fail?
fails() {
    local events=$1
    for _ in $(seq "${LAB_TRIES:-3}"); do
        # shellcheck disable=SC2046
        TMPDIR=$lab chrt -i 0 $(command_of "$minimise") --events "$events" >"$lab/minimise.output" 2>&1 || return 0
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
    # shellcheck disable=SC2046
    $(command_of "$minimise") --events "$(IFS=,; echo "${events[*]}")" --print
    echo "$(command_of "$minimise") --events $(IFS=,; echo "${events[*]}")"
}

if [ -n "$minimise" ]; then minimise; else run_seeds; fi
