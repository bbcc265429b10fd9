#!/usr/bin/env bash
# The man pages: well-formed, and they say what --help and the samples say.
#
#   man.sh AGENT VERIFIER      the programs
# shellcheck source=tests/packaging/checks.sh
. "$(dirname "$0")/checks.sh"
# Which pages this machine has is not the pages' fault.
lint() { { mandoc -T lint "$1" 2>/dev/null || true; } | sed '/referenced manual not found/d'; }
render() { MANWIDTH=200 LC_ALL=C.UTF-8 man --warnings -l "$1" 2>"$scratch/warnings" | col -b -x | tr -s ' ' >"$2"; }

commands() { sed -nE 's/^  ([a-z]+( [a-z]+)?)( [A-Z].*)?  .*/\1/p'; } # of --help

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
    commands <"$scratch/help" >"$scratch/commands"
    [ "$(wc -l <"$scratch/commands")" -ge 10 ] || complain "$side: these should be all commands: $(cat "$scratch/commands")"
    while read -r command; do
        grep -qE "^ $command( |$)" "$page" || complain "$side: the page lacks the command $command"
        # Its usage says the options: the page has them in the same order.
        # shellcheck disable=SC2086 # two words
        usage=$("${program[$side]}" $command --help | tee -a "$scratch/help" | sed -n '1s/^usage: [a-z-]* \[-c FILE\] //p')
        sed 's/ | /|/g' "$page" | awk -v usage=" $usage " 'index($0 " ", usage) == 1 { found = 1 } END { exit !found }' ||
            complain "$side: the page has not '$usage'"
    done <"$scratch/commands"
    while read -r word; do
        grep -qF -e "$word" "$page" || complain "$side: the page lacks $word"
    done < <(grep -oE -e '(^|[^a-z])--?[a-z][a-z-]*' "$scratch/help" | grep -oE -e '--?[a-z][a-z-]*' | sort -u)
    # The other way round: what the page promises must be there.
    while read -r command; do
        grep -qx "$command" "$scratch/commands" || complain "$side: the page has $command, --help has not"
    done < <(sed -n 's/^\.It Cm \([a-z ]*[a-z]\).*/\1/p' "$top/packaging/man/tailslate-$side.8")

    grep -oE '^    [a-z_]+ = ' "$top/$side.cfg.sample" | tr -d ' =' | while read -r key; do
        grep -qE "\\.$key( |$)" "$scratch/tailslate-$side.cfg.5.txt" || echo "$key"
    done >"$scratch/missing"
    [ ! -s "$scratch/missing" ] || complain "$side.cfg(5) lacks $(tr '\n' ' ' <"$scratch/missing")"
done

[ "$failures" -eq 0 ]
