#!/usr/bin/env bash
# Install what the tests need, check the sources, build with sanitizers and as released, run every
# test, print how many passed.
#
#   packaging/check.sh [CTEST OPTION...]     e.g. -L unit, -R survival
#
# Exit status 0 only if everything was built, ran and passed. Slower things live in tests/long.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1-} in -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

started=$SECONDS
packaging/dependencies.sh test

echo "== clang-format"
# Versions of clang-format differ; that of Debian 12 is used.
if clang-format --version | grep -q 'version 14\.'; then
    git ls-files -z '*.c' '*.h' | xargs -0 clang-format --dry-run -Werror
else
    echo "not checked: needs clang-format 14, found $(clang-format --version)"
fi

echo "== shellcheck"
git grep -lzE '^#!.*[/ ](ba)?sh$|^# shellcheck shell=' | xargs -0 shellcheck -x

echo "== cppcheck"
# cppcheck does not read cJSON's header, so its loop macro is defined here.
cppcheck -q -j2 --std=c11 --enable=warning,portability,performance --inline-suppr --error-exitcode=1 \
    -D_GNU_SOURCE '-DcJSON_ArrayForEach(a,b)=while((a=(b)->next))' --suppress=missingIncludeSystem \
    --suppress=normalCheckLevelMaxBranches -I. -Iinclude lib base agent verifier

mkdir -p build
build() { # build PRESET [CMAKE OPTION...]
    echo "== build ($1)"
    if ! { cmake --preset "$@" && cmake --build --preset "$1"; } >"build/check-$1.log" 2>&1; then
        tail -n 60 "build/check-$1.log"
        echo "check.sh: the build failed; full log: build/check-$1.log" >&2
        exit 1
    fi
}
# Eighty executables are linked: gold, which is in Debian 12's binutils, takes a third of the time.
linker=()
! command -v ld.gold >/dev/null || linker=(-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=gold)
build dev "${linker[@]}"
# For the warnings at -O2, which do not depend on debug information.
build release -DTAILSLATE_WERROR=ON -DCMAKE_C_FLAGS_RELWITHDEBINFO="-O2 -DNDEBUG"

# Also clang's own warnings. Here, because it needs compile_commands.json.
echo "== clang-tidy"
if ! git ls-files -z '*.c' ':!tests' | xargs -0 -P2 -n12 clang-tidy -p build/dev --quiet >build/check-tidy.log 2>&1; then
    grep -A3 -E '(error|warning): ' build/check-tidy.log >&2 || tail build/check-tidy.log >&2
    echo "check.sh: clang-tidy has findings; full log: build/check-tidy.log" >&2
    exit 1
fi

echo "== tests"
log=build/dev/check.log
status=0
# Five at a time on two cores: most tests wait for a clock or a server, not for a core; those that
# need a core count twice (tests/CMakeLists.txt).
ctest --preset dev --verbose -j5 "$@" >"$log" 2>&1 || status=$?

# Criterion's last line has the number of its tests; an executable without one (the fuzzers, or one that
# ended early) counts as one test.
read -r passed failed < <(awk '
    # A failed test is printed twice, the second time without its number.
    /^[0-9]+: .*Synthesis: Tested: / {
        counted[$1 + 0] = 1
        for (i = 1; i <= NF; i++) {
            if ($i == "Passing:") passed += $(i + 1)
            if ($i == "Failing:" || $i == "Crashing:") failed += $(i + 1)
        }
    }
    / Test +#[0-9]+: / && match($0, /#[0-9]+/) {
        number = substr($0, RSTART + 1, RLENGTH - 1) + 0
        if (!/ Passed /) bad[number] = 1
        else if (!(number in counted)) passed++
    }
    END {
        for (number in bad) executables++
        if (failed < executables) failed = executables
        print passed + 0, failed + 0
    }' "$log")

if [ "$failed" -gt 0 ] || [ "$status" -ne 0 ]; then
    grep -E '\[(FAIL|----|XXXX)\]|Test +#|ERROR: |runtime error|SUMMARY' "$log" | grep -vE 'Passed' |
        sed 's/\x1b\[[0-9;]*m//g' | head -n 200
    echo "Full log: $log"
fi
if [ "$passed" -eq 0 ]; then
    echo "check.sh: no test ran" >&2
    status=1
fi
echo "$((SECONDS - started)) s"
echo "$passed passed, $failed failed"
[ "$status" -eq 0 ] && [ "$failed" -eq 0 ]
