# shellcheck shell=bash
# A throw-away copy of this machine's own system, for tests that install packages. Source it.
#
#   overlay_enter "$0" "$@"   runs the script again, as root, in namespaces of its own, with $overlay set to
#                          a directory that shows this system, writable; returns there
#   overlay_run COMMAND...    in the overlay
#
# OVERLAY_UNSHARE: further namespaces, as options of unshare: --net.
#
# What is written goes to memory, and all of it, mounts and processes, is gone with the script: nothing
# has to be unmounted, and no `rm` of ours can reach the real system.
: "${OVERLAY_MIB:=2048}" # of memory at most

overlay_enter() {
    if [ "${TAILSLATE_OVERLAY-}" != inside ]; then
        local as_root=()
        [ "$(id -u)" -eq 0 ] || as_root=(sudo --preserve-env)
        # shellcheck disable=SC2086 # several options
        exec "${as_root[@]}" env TAILSLATE_OVERLAY=inside unshare --mount --pid --ipc --uts ${OVERLAY_UNSHARE-} --fork \
            --kill-child --propagation private bash "$@"
    fi
    # The tests' own sanitizer and locale settings are not the packages'.
    unset ASAN_OPTIONS UBSAN_OPTIONS
    layers=$(mktemp -d -t tailslate-overlay-XXXXXX)
    mount -t tmpfs -o "size=${OVERLAY_MIB}m,mode=755" tmpfs "$layers"
    mkdir "$layers/upper" "$layers/work" "$layers/overlay"
    overlay=$layers/overlay
    mount -t overlay -o "lowerdir=/,upperdir=$layers/upper,workdir=$layers/work" overlay "$overlay"
    # Never the real one: it belongs to the system under test.
    trap 'umount -l "$layers" && rmdir "$layers"' EXIT
}

overlay_mount() { # what a command in the overlay needs; a booted system makes its own
    mount -t proc proc "$overlay/proc"
    mount --rbind /dev "$overlay/dev"
    mount -t tmpfs tmpfs "$overlay/run"
    mount -t tmpfs -o mode=1777 tmpfs "$overlay/tmp"
}

overlay_exec() { # in place of the shell that says it
    exec chroot "$overlay" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root "$@"
}

overlay_run() { (overlay_exec "$@"); }
