#!/usr/bin/env bash
# Which of the known mistakes does a fleet in a storm notice, and after how many seeds?
#
#   tests/lab/mutants.sh [--seeds N] [--parallel N] [NAME...]    all of tests/mutants without names; 30 seeds
#
# Works on a clone of HEAD in a temporary folder. A line for each mistake: its name, the seeds that were run until one
# failed (by three times N, --parallel, at a time), the complaints. A mistake that is not seen is no failure of this script: most are
# of one moment or of speed, and tests/mutants.sh holds those.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
seeds=30 parallel=6 names=()
while [ $# -gt 0 ]; do
    case $1 in
    --seeds) seeds=$2 && shift 2 ;;
    --parallel) parallel=$2 && shift 2 ;;
    *) names+=("$1") && shift ;;
    esac
done
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(cd "$here/mutants" && ls ./*.patch)
clone=$(mktemp -d)
chmod 0711 "$clone" # PostgreSQL does not run as root
trap 'rm -rf "$clone"' EXIT
git clone -q "$here/.." "$clone/tailslate"
cd "$clone/tailslate"
cmake --preset fast >"$clone/log" 2>&1 || { cat "$clone/log" >&2; exit 1; }

build() {
    cmake --build build/fast --target chaos >"$clone/log" 2>&1 || { tail -n 30 "$clone/log" >&2; exit 1; }
}

# Runs seeds until one fails; prints what is said of it.
look_for() {
    local name=$1 from=1 to said results=$clone/r/results.tsv
    rm -rf "$clone/r" # the paths of sockets are short
    while [ "$from" -le "$seeds" ]; do
        to=$((from + 3 * parallel - 1))
        LAB_DIR=$clone/r tests/lab/run.sh --seeds "$from-$to" --parallel "$parallel" --rounds 3 \
            >"$clone/log" 2>&1 || true
        if grep -q $'\tfailed\t' "$results"; then
            said=$(grep -hoE '^(P[1-9]|end)[^:]*:' "$clone/r"/*/output | tr -d : | sort | uniq -c | sort -rn |
                awk '{ n = $1; $1 = ""; printf "%s x%d;", $0, n }')
            printf '%s\tseen within %d\t%s\n' "$name" "$to" "$said"
            return
        fi
        from=$((to + 1))
    done
    printf '%s\tnot seen in %d\n' "$name" "$((from - 1))"
}

for name in "${names[@]}"; do
    name=$(basename "$name" .patch)
    git apply "$here/mutants/$name.patch"
    build
    look_for "$name"
    git apply -R "$here/mutants/$name.patch"
done
