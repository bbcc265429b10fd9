#!/usr/bin/env bash
# Compare what the two programs show outside with what is recorded in tests/golden/files.
#
#   golden.sh BUILD              exit 0: the same; 1: the difference is printed
#   golden.sh BUILD --update     record it; the commit that changes it says why
set -euo pipefail
case ${1-} in -h | --help | "") sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
here=$(cd "$(dirname "$0")" && pwd)
recorded=$here/files
if [ "${2-}" = --update ]; then
    exec "$here/record.sh" "$1" "$recorded"
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$here/record.sh" "$1" "$scratch"
if ! diff -ru "$recorded" "$scratch"; then
    echo "golden.sh: what the programs show has changed; if that was meant: tests/golden/golden.sh BUILD --update" >&2
    exit 1
fi
