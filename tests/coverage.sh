#!/usr/bin/env bash
# Print how many lines of each directory the tests execute: build the preset `coverage`, run tests, ask gcov.
#
#   tests/coverage.sh [CTEST OPTION...]     without options: the unit and store suites (-L . for all)
#
# Needs what packaging/dependencies.sh test installs; gcov comes with gcc. A process that is killed
# counts nothing, so that suites which kill programs show less than they execute.
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1-} in
-h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
"") set -- -L 'unit|store' ;;
esac
{ cmake --preset coverage && cmake --build --preset coverage; } >build/coverage.log 2>&1 ||
    { tail -n 30 build/coverage.log >&2; exit 1; }
find build/coverage -name '*.gcda' -delete
ctest --preset coverage "$@"

# Of the notes (.gcno), so that a file of which nothing was executed counts, too.
find "$PWD/build/coverage" -name '*.gcno' -not -path '*/coverage/tests/*' -print0 |
    xargs -0 gcov --stdout --json-format 2>/dev/null |
    jq -rs --arg top "$PWD/" '
        def row: "\(.run * 1000 / .lines | round / 10)\t\(.lines)\t\(.directory)";
        def sum: {lines: map(.lines) | add, run: map(.run) | add};
        [.[].files[] | select(.file | endswith(".c")) | {
            directory: (.file | ltrimstr($top) | sub("/[^/]*$"; "")),
            lines: .lines | length, run: [.lines[] | select(.count > 0)] | length}]
        | "%\tlines\tdirectory", (group_by(.directory)[] | sum + {directory: .[0].directory} | row),
          (sum + {directory: "all"} | row)'
