#!/usr/bin/env bash
# The man pages: well-formed, and they say what --help and the samples say.
#
#   man.sh AGENT VERIFIER      the programs
# shellcheck source=tests/packaging/checks.sh
. "$(dirname "$0")/checks.sh"
# Which pages this machine has is not the pages' fault.
lint() { { mandoc -T lint "$1" 2>/dev/null || true; } | sed '/referenced manual not found/d'; }
render() { MANWIDTH=200 LC_ALL=C.UTF-8 man --warnings -l "$1" 2>"$scratch/warnings" | col -b -x | tr -s ' ' >"$2"; }

verbs() { # of --help: the lower-case words that a line begins with, `a | b` are two
    sed 's/^  \([a-z]*\) | \([a-z]*\) /  \1\n  \2 /' | sed -n 's/^  \([a-z][a-z]*\( [a-z][a-z]*\)*\)\( *$\|  .*\| [A-Z[-].*\)/\1/p'
}

for side in agent verifier; do
    "$top/packaging/man/cfg-page.sh" "$top/$side.cfg.sample" "$scratch/tailslate-$side.cfg.5"
    for page in "$top/packaging/man/tailslate-$side.8" "$scratch/tailslate-$side.cfg.5"; do
        found=$(lint "$page")
        [ -z "$found" ] || complain "${page##*/}: $found"
        render "$page" "$scratch/${page##*/}.txt"
        ! [ -s "$scratch/warnings" ] || complain "${page##*/}: $(cat "$scratch/warnings")"
    done

    page=$scratch/tailslate-$side.8.txt
    "${program[$side]}" --help >"$scratch/help"
    verbs <"$scratch/help" >"$scratch/verbs"
    [ "$(wc -l <"$scratch/verbs")" -ge 5 ] || complain "$side: these should be all verbs: $(cat "$scratch/verbs")"
    while read -r verb; do
        grep -qE "^ $verb( |$)" "$page" || complain "$side: the page lacks the verb $verb"
    done <"$scratch/verbs"
    while read -r word; do
        grep -qF -e "$word" "$page" || complain "$side: the page lacks $word"
    done < <(grep -oE -e '(^|[^a-z])--?[a-z][a-z-]*' "$scratch/help" | grep -oE -e '--?[a-z][a-z-]*' | sort -u)
    # The other way round: what the page promises must be there.
    while read -r verb; do
        grep -qx "$verb" "$scratch/verbs" || complain "$side: the page has $verb, --help has not"
    done < <(sed -n 's/^\.It Cm \([a-z ]*[a-z]\).*/\1/p' "$top/packaging/man/tailslate-$side.8")

    grep -oE '^    [a-z_]+ = ' "$top/$side.cfg.sample" | tr -d ' =' | while read -r key; do
        grep -qE "\\.$key( |$)" "$scratch/tailslate-$side.cfg.5.txt" || echo "$key"
    done >"$scratch/missing"
    [ ! -s "$scratch/missing" ] || complain "$side.cfg(5) lacks $(tr '\n' ' ' <"$scratch/missing")"
done

[ "$failures" -eq 0 ]
