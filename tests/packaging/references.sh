#!/usr/bin/env bash
# Does what the documents and the sources name exist?
#
#   references.sh        no arguments needed; those of the other checks are ignored
#
# Links between documents with their anchors; documents and decision records that any source file
# names; modules that a document names; the tests that hold the promises; the interfaces' names in the
# glossary.
set -euo pipefail
cd "$(dirname "$0")/../.."
failures=0
complain() { echo "references.sh: $*" >&2; failures=$((failures + 1)); }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Every text file of the tree. Not from git: an unpacked source package has none.
find . \( -name .git -o -name build -o -name 'build-*' -o -name 'obj-*' -o -name corpus \) -prune -o -type f \
    \( -name '*.md' -o -name '*.[ch]' -o -name '*.sh' -o -name '*.pl' -o -name '*.txt' -o -name '*.conf' -o -name '*.service' \
    -o -name '*.[0-9]' -o -name '*.docs' -o -name '*.patch' -o -name '*.in' -o -name '*Dockerfile' \) -print |
    sed 's|^\./||' | LC_ALL=C sort >"$scratch/files"
grep '\.md$' "$scratch/files" >"$scratch/documents"

# The headings of a document as GitHub makes anchors of them.
anchors() {
    awk '/^```/ { code = !code } !code && /^#+ /' "$1" | sed -E 's/^#+ +//' | tr '[:upper:]' '[:lower:]' |
        sed -E 's/[^a-z0-9 _-]//g; s/ /-/g'
}
check_link() { # check_link WHERE DIRECTORY TARGET
    local path=${3%%#*} anchor=
    [[ $3 != *'#'* ]] || anchor=${3#*#}
    [ -n "$path" ] && path=$2/$path || path=$1
    [ -e "$path" ] || { complain "$1: there is no $path"; return; }
    [ -z "$anchor" ] || anchors "$path" | grep -qxF -- "$anchor" || complain "$1: $path has no heading #$anchor"
}

while read -r document; do
    awk '/^```/ { code = !code } !code' "$document" | grep -oE '\]\([^)]+\)' | sed -E 's/^\]\((.*)\)$/\1/' |
        grep -vE '^[a-z]+:' >"$scratch/links" || true
    while read -r target; do
        check_link "$document" "$(dirname "$document")" "$target"
    done <"$scratch/links"
done <"$scratch/documents"

# What is named outside of a link: docs/NAME, NAME.md, decisions/NNNN.
exists_somewhere() { grep -qE "(^|/)${1//./\\.}\$" "$scratch/documents"; }
xargs -a "$scratch/files" -d '\n' grep -oHE '(docs/)?decisions/[0-9]+[a-z0-9-]*(\.md)?|docs/[A-Z][A-Za-z_]*(\.[a-z]+)?(#[a-z0-9-]+)?|[A-Za-z_-]+\.md\b' |
    grep -v '^tests/packaging/references\.sh:' | sort -u >"$scratch/names"
while IFS=: read -r file name; do
    case $name in
    *decisions/*.md) [ -e "docs/decisions/${name##*/}" ] || complain "$file: there is no $name" ;;
    *decisions/*) compgen -G "docs/decisions/${name##*/}-*.md" >/dev/null || complain "$file: there is no $name" ;;
    docs/*) check_link "$file" . "$name" ;;
    *) exists_somewhere "$name" || complain "$file: there is no $name" ;;
    esac
done <"$scratch/names"

# Modules that a document names, by the name of their file alone, wherever they are.
# shellcheck disable=SC2016 # the backticks are Markdown's
xargs -a "$scratch/documents" -d '\n' grep -oHE '`[a-z][a-z0-9_]*\.[ch]`' | tr -d '`' | grep -v '^CHANGELOG' | sort -u >"$scratch/modules"
while IFS=: read -r file name; do
    grep -qE "(^|/)${name//./\\.}\$" "$scratch/files" || complain "$file: there is no module $name"
done <"$scratch/modules"

# The tests and mutants that hold the promises.
find tests -name '*.c' -exec cat {} + | tr '\n' ' ' |
    grep -oE '\b(Parameterized)?Test\((struct [a-z_]+ \*[a-z_]+, *)?[a-z0-9_]+, *[a-z0-9_]+' |
    sed -E 's/.*[(, ]([a-z0-9_]+), *([a-z0-9_]+)$/\1 \2/' | tr ' ' '/' | sort -u >"$scratch/tests"
find tests/mutants -name '*.patch' -exec basename {} .patch \; >>"$scratch/tests"
# shellcheck disable=SC2016
grep -oE '`([a-z_]+/[a-z0-9_]+|[0-9]{2}_[a-z0-9_]+)`' docs/PROMISES.md | tr -d '`' | sort -u >"$scratch/named"
[ "$(wc -l <"$scratch/named")" -ge 60 ] || complain "PROMISES.md: only $(wc -l <"$scratch/named") tests"
while read -r name; do
    grep -qxF -- "$name" "$scratch/tests" || complain "PROMISES.md: there is no test $name"
done <"$scratch/named"
for promise in P1 P2 P3 P4 P5 P6 P7 P8 P9; do
    section=$(awk -v "p=## $promise " 'index($0, "## ") == 1 { on = index($0, p) == 1 } on' docs/PROMISES.md)
    for part in "For an operator" "How it is kept" "Tests" "Limits"; do
        grep -q "^\*\*$part\.\*\*" <<<"$section" || complain "PROMISES.md: $promise has no paragraph '$part'"
    done
done

# The glossary's third column: names that are interfaces occur where interfaces are recorded.
mapfile -t sources < <(grep '\.[ch]$' "$scratch/files" | grep -v '^tests/')
# shellcheck disable=SC2016 # the backticks are Markdown's
awk -F'|' '/^\|/ && NF > 5 { print $4 }' docs/GLOSSARY.md | grep -oE '`[^`]+`' | tr -d '`' | sort -u >"$scratch/interfaces"
[ "$(wc -l <"$scratch/interfaces")" -ge 60 ] || complain "GLOSSARY.md: only $(wc -l <"$scratch/interfaces") names"
while read -r name; do
    case $name in
    [a-z]*.'*') pattern="${name%.*}:" ;;               # a group of configuration keys
    [a-z]*.[a-z]*) pattern=${name#*.} ;;               # one of its keys, or a file
    '*'*) pattern=${name#'*'} ;;
    *) pattern=$name ;;
    esac
    grep -qrF -- "$pattern" tests/golden/files docs/SPOOL.md || grep -qF "\"$pattern\"" "${sources[@]}" ||
        complain "GLOSSARY.md: no interface has the name $name"
done <"$scratch/interfaces"

[ "$failures" -eq 0 ]
