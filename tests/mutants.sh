#!/usr/bin/env bash
# Reintroduces known mistakes, one at a time, and checks that a test finds each.
#
#   tests/mutants.sh [NAME...]    all of tests/mutants without arguments
#
# Works on a clone of HEAD in a temporary directory. Each patch begins with what the mistake is, what is
# to be built and what is to be run; that must fail. Ends with `N caught, N survived`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT

line() { sed -n "s/^$1: //p" "$2" | head -n 1; }

git clone -q "$here/.." "$clone/tailslate"
cd "$clone/tailslate"
launcher=()
command -v ccache >/dev/null && launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
cmake --preset dev -B "$clone/build" "${launcher[@]}" >"$clone/log" 2>&1 || { cat "$clone/log" >&2; exit 1; }

build() { # build TARGET...
    cmake --build "$clone/build" --target "$@" >"$clone/log" 2>&1 ||
        { tail -n 30 "$clone/log" >&2; echo "mutants.sh: does not build: $*" >&2; exit 1; }
}
run() { (cd "$clone/build" && eval "$1") >"$clone/log" 2>&1; }

patches=()
for name in "$@"; do patches+=("$here/mutants/${name%.patch}.patch"); done
[ $# -gt 0 ] || patches=("$here"/mutants/*.patch)

caught=0 survived=0
for patch in "${patches[@]}"; do
    name=$(basename "$patch" .patch)
    read -ra targets <<<"$(line target "$patch")"
    command=$(line run "$patch")
    build "${targets[@]}"
    run "$command" || { tail -n 30 "$clone/log"; echo "mutants.sh: fails without the mistake: $command" >&2; exit 1; }
    git apply "$patch"
    build "${targets[@]}"
    if run "$command"; then
        survived=$((survived + 1))
        echo "SURVIVED $name"
    else
        caught=$((caught + 1))
        echo "caught   $name  by $(grep -oE '\[(FAIL|CRASH)\] [a-z_:]+' "$clone/log" | cut -d' ' -f2 | sort -u | head -n 3 | tr '\n' ' ')"
    fi
    git apply -R "$patch"
done
echo "$caught caught, $survived survived"
[ "$survived" = 0 ]
