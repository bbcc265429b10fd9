#!/usr/bin/env bash
# The units: do they parse, how exposed does systemd find them, and do they let through what our
# programs call? What only a booted systemd can tell is in systemd.sh.
#
#   units.sh AGENT VERIFIER      the programs
# shellcheck source=tests/packaging/checks.sh
. "$(dirname "$0")/checks.sh"
units=$top/packaging/systemd

members() { # of a set of system calls, all the way down; a name that is no set is itself
    local name
    for name; do
        case $name in
        @*) systemd-analyze syscall-filter "$name" | sed -n 's/^ *\([@a-z][^ ]*\)$/\1/p' | tail -n +2 |
            while read -r member; do members "$member"; done ;;
        *) echo "$name" ;;
        esac
    done
}

allowed() { # by the unit: the list of what is allowed, less the list of what is not
    local yes no
    yes=$(sed -n 's/^SystemCallFilter=\([^~].*\)/\1/p' "$1")
    no=$(sed -n 's/^SystemCallFilter=~\(.*\)/\1/p' "$1")
    # shellcheck disable=SC2086
    comm -23 <(members $yes | sort -u) <(members $no | sort -u)
}

needs() { # needs UNIT SYSTEMCALL...
    local unit=$1 call
    shift
    allowed "$unit" >"$scratch/allowed"
    for call; do
        grep -qx "$call" "$scratch/allowed" || complain "${unit##*/} does not allow $call"
    done
}

says() { grep -qx "$2" "$1" || complain "${1##*/} should say $2: $3"; }

mkdir -p "$scratch/root/etc"
for side in agent verifier; do
    unit=$units/tailslate-$side.service
    copy=$scratch/tailslate-$side.service
    sed "s|/usr/bin/tailslate-$side|${program[$side]}|" "$unit" >"$copy"
    systemd-analyze verify --man=no "$copy" 2>"$scratch/said" || true
    # Only what is about our file: this machine's other units may be anything.
    grep "tailslate-$side" "$scratch/said" >&2 && complain "$side: systemd-analyze verify"
    systemd-analyze security --offline=true --no-pager --threshold=15 "$copy" >"$scratch/exposure" ||
        complain "$side: more exposed than 1.5"
    tail -n 1 "$scratch/exposure"
    systemd-sysusers --root="$scratch/root" "$units/tailslate-$side.sysusers" 2>"$scratch/said" ||
        complain "$side: systemd-sysusers: $(cat "$scratch/said")"
    systemd-tmpfiles --root="$scratch/root" --create "$units/tailslate-$side.tmpfiles" ||
        complain "$side: systemd-tmpfiles"
done
# The watched directory, which an operator copies.
for unit in service timer; do
    sed "s|/usr/bin/tailslate-verifier|${program[verifier]}|" "$units/tailslate-incoming.$unit" >"$scratch/tailslate-incoming.$unit"
done
systemd-analyze verify --man=no "$scratch/tailslate-incoming.service" "$scratch/tailslate-incoming.timer" 2>"$scratch/said" || true
grep "tailslate-incoming" "$scratch/said" >&2 && complain "incoming: systemd-analyze verify"

# The drop-ins that are shipped as examples.
for conf in "$units"/tailslate-{agent,verifier}-*.conf; do
    side=$(basename "$conf" | cut -d- -f2)
    mkdir -p "$scratch/tailslate-$side.service.d"
    cp "$conf" "$scratch/tailslate-$side.service.d/"
    systemd-analyze verify --man=no "$scratch/tailslate-$side.service" 2>"$scratch/said" || true
    grep -E "tailslate-$side|${conf##*/}" "$scratch/said" >&2 && complain "${conf##*/}: systemd-analyze verify"
    rm -r "$scratch/tailslate-$side.service.d"
done
for folder in tailslate-agent:700 tailslate:755 tailslate/uploads:750 tailslate/videos:755; do
    [ "$(stat -c %a "$scratch/root/var/lib/${folder%:*}")" = "${folder#*:}" ] || complain "mode of $folder"
done

agent=$units/tailslate-agent.service
# Identities, descriptors beneath directories, the step's and the transcoder's start, nice and limits, and
# the filter on socket() that the transcoder gets.
needs "$agent" pidfd_open pidfd_send_signal kill waitid clone3 vfork execve setsid setpgid prctl \
    close_range seccomp setpriority getpriority prlimit64 setrlimit sched_setaffinity inotify_init1 \
    epoll_create1 signalfd4 eventfd2 fsync fallocate renameat renameat2 openat2 statfs fcntl flock
needs "$units/tailslate-verifier.service" openat2 copy_file_range fsync renameat clone3 mremap \
    fdatasync fcntl sendfile sendmsg sendto rt_sigtimedwait poll ftruncate fchmod
says "$agent" KillMode=process "a stop must not end running transcodes"
says "$agent" OOMPolicy=continue "an ffmpeg ended for its memory would stop the agent"
says "$agent" PrivateUsers=no "the next agent could not see the steps of this one"
says "$agent" ProcSubset=all "the agent reads the boot's id"
says "$agent" NoNewPrivileges=yes "the transcoder's filter on socket() needs it"
says "$units/tailslate-verifier.service" "ExecReload=/bin/kill -HUP \$MAINPID" "SIGHUP is its reload"
says "$units/tailslate-verifier.service" RestrictSUIDSGID=no "it forbids openat2"

mounts=$units/tailslate-verifier-mounts.conf
paths=$(sed -n 's/^RequiresMountsFor=//p' "$mounts")
[ -n "$paths" ] || complain "${mounts##*/} waits for no mount"
says "$mounts" "ReadWritePaths=$paths" "the unit sees them read-only otherwise"

[ "$failures" -eq 0 ]
