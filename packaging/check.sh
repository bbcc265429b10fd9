#!/usr/bin/env bash
# Install what the tests need, build with sanitizers, run every test, say how many passed.
#
#   packaging/check.sh [CTEST OPTION...]     e.g. -L unit, -R survival
#
# Exit status 0 only if everything was built, ran and passed. Slower things live in tests/long.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1-} in -h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

started=$SECONDS
packaging/dependencies.sh test

echo "== form"
git ls-files -z '*.c' '*.h' | xargs -0 clang-format --dry-run -Werror

echo "== build (gcc, sanitizers)"
mkdir -p build
if ! { cmake --preset dev && cmake --build --preset dev; } >build/check-build.log 2>&1; then
    tail -n 60 build/check-build.log
    echo "check.sh: the build failed; the whole log: build/check-build.log" >&2
    exit 1
fi

echo "== tests"
log=build/dev/check.log
status=0
ctest --preset dev --verbose -j2 "$@" >"$log" 2>&1 || status=$?

# Criterion's closing line of each executable; an executable that did not get so far is one failure.
read -r passed failed < <(awk '
    / Test +#[0-9]+: / && !/ Passed / { bad[$4] = 1 }
    /Synthesis: Tested: / {
        for (i = 1; i <= NF; i++) {
            if ($i == "Passing:") passed += $(i + 1)
            if ($i == "Failing:" || $i == "Crashing:") failed += $(i + 1)
        }
    }
    END {
        for (name in bad) executables++
        if (failed < executables) failed = executables
        print passed + 0, failed + 0
    }' "$log")

if [ "$failed" -gt 0 ] || [ "$status" -ne 0 ]; then
    grep -E '\[(FAIL|----|XXXX)\]|Test +#|ERROR: |runtime error|SUMMARY' "$log" | grep -vE 'Passed' |
        sed 's/\x1b\[[0-9;]*m//g' | head -n 200
    echo "The whole log: $log"
fi
if [ "$passed" -eq 0 ]; then
    echo "check.sh: no test ran" >&2
    status=1
fi
echo "$((SECONDS - started)) s"
echo "$passed passed, $failed failed"
[ "$status" -eq 0 ] && [ "$failed" -eq 0 ]
