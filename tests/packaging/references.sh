#!/usr/bin/env bash
# Does what the documents and the sources name exist?
#
#   references.sh        no arguments needed; those of the other checks are ignored
#
# Links between documents with their anchors, documents and decision records that any source file
# names, and the interface names in the glossary.
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
