# shellcheck shell=bash disable=SC2034
# What the checks of the package's files begin with. Source it; the script's own arguments are the
# two programs. At the end: [ "$failures" -eq 0 ]
set -euo pipefail
declare -A program=([agent]=$1 [verifier]=$2)
top=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0
complain() { echo "${0##*/}: $*" >&2; failures=$((failures + 1)); }
