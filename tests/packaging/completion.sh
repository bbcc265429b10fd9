#!/usr/bin/env bash
# The bash completion: what each program prints offers every command, its own options and no others.
#
#   completion.sh AGENT VERIFIER      the programs
# shellcheck source=tests/packaging/checks.sh
. "$(dirname "$0")/checks.sh"

for side in agent verifier; do
    "${program[$side]}" completion >"$scratch/$side.bash"
    # shellcheck source=/dev/null
    . "$scratch/$side.bash"
    complete -p "tailslate-$side" >/dev/null || complain "nothing completes tailslate-$side"
done

offered() { # offered agent WORD...: as if Tab were pressed behind the last word, which may be empty
    local side=$1
    shift
    COMP_WORDS=("tailslate-$side" "$@") COMP_CWORD=$# COMPREPLY=()
    "_tailslate_$side"
    echo "${COMPREPLY[*]}"
}
expect() { # expect 'WHAT IS OFFERED' SIDE WORD...
    local found
    found=$(offered "${@:2}")
    [ "$found" = "$1" ] || complain "'${*:2}' completes to '$found', it should be '$1'"
}

cd "$scratch"
touch video.mp4 other.cfg
expect "spool" agent sp
expect "ls show retry hold quarantine fsck --config --help" agent spool ""
expect "--json" agent spool ls --j
expect "--all" agent spool retry --a
expect "undrain unpause" agent un
expect "ls" agent -c other.cfg spool l
expect "worker webhook" verifier w
expect "rotate revoke" verifier worker r
expect "--slug" verifier job add video.mp4 --sl
expect "video.mp4" verifier job add vid
expect "video.mp4" verifier job add video.mp4 vid
expect "other.cfg" verifier -c oth
expect "" verifier job add video.mp4 --title ""
expect "--dry-run" verifier sweep --once --d
expect "" verifier job list --dry
# The internal commands are offered to nobody.
expect "status spool" agent s

# What the help lists is offered, and what is offered exists.
for side in agent verifier; do
    "${program[$side]}" --help | sed -nE 's/^  ([a-z]+( [a-z]+)?)( [A-Z].*)?  .*/\1/p' >"$scratch/commands"
    [ "$(wc -l <"$scratch/commands")" -ge 10 ] || complain "$side: these should be all commands: $(cat "$scratch/commands")"
    while read -r first second; do
        [[ " $(offered "$side" "") " == *" $first "* ]] || complain "$side $first is not offered"
        [[ -z $second || " $(offered "$side" "$first" "") " == *" $second "* ]] ||
            complain "$side $first $second is not offered"
        for option in $(offered "$side" "$first" ${second:+"$second"} --); do
            "${program[$side]}" "$first" ${second:+"$second"} --help | grep -qE -- "$option( |$)" ||
                complain "$side $first $second has no $option"
        done
    done <"$scratch/commands"
done

[ "$failures" -eq 0 ]
