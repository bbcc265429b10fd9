# shellcheck shell=bash
# A throw-away copy of this machine's own system, for tests that install packages. Source it.
#
#   room_enter "$0" "$@"   runs the script again, as root, in namespaces of its own, with $room set to
#                          a folder that shows this system, writable; returns there
#   room_run COMMAND...    in the room
#
# What is written goes to memory, and all of it, mounts and processes, is gone with the script: nothing
# has to be unmounted, and no `rm` of ours can reach the real system.
: "${ROOM_MIB:=2048}" # of memory at most

room_enter() {
    if [ "${TAILSLATE_ROOM-}" != inside ]; then
        local as_root=()
        [ "$(id -u)" -eq 0 ] || as_root=(sudo --preserve-env)
        exec "${as_root[@]}" env TAILSLATE_ROOM=inside unshare --mount --pid --ipc --uts --fork \
            --kill-child --propagation private bash "$@"
    fi
    # The tests' own sanitizer and locale settings are not the packages'.
    unset ASAN_OPTIONS UBSAN_OPTIONS
    layers=$(mktemp -d -t tailslate-room-XXXXXX)
    mount -t tmpfs -o "size=${ROOM_MIB}m,mode=755" room "$layers"
    mkdir "$layers/upper" "$layers/work" "$layers/room"
    room=$layers/room
    mount -t overlay -o "lowerdir=/,upperdir=$layers/upper,workdir=$layers/work" room "$room"
    # Never the real one: it belongs to the system that we look at.
    trap 'umount -l "$layers" && rmdir "$layers"' EXIT
}

room_mount() { # what a command in the room needs; a booted system makes its own
    mount -t proc proc "$room/proc"
    mount --rbind /dev "$room/dev"
    mount -t tmpfs tmpfs "$room/run"
    mount -t tmpfs -o mode=1777 tmpfs "$room/tmp"
}

room_exec() { # in place of the shell that says it
    exec chroot "$room" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root "$@"
}

room_run() { (room_exec "$@"); }
