# shellcheck shell=bash disable=SC2154 # the script that sources it sets them
# An ext4 file system of its own, on a loop device: $disk in $rig. Its power can be cut (power_cut).
# Source it after rig.sh; needs $rig.

disk_make() { # disk_make MIB
    disk=$rig/disk
    mkdir "$disk"
    truncate -s "$1M" "$rig/disk.img"
    mkfs.ext4 -q "$rig/disk.img"
    disk_mount || { echo "this machine refuses to mount a loop device: nothing was tested" >&2; exit 69; }
}

disk_mount() { mount -o loop "$rig/disk.img" "$disk"; }

# After a cut and when everything that used it was killed. The journal is replayed.
disk_again() {
    within 10 umount "$disk"
    disk_mount
}

# Kills at once whatever was started from there, or works there.
disk_kill() {
    local directory pid
    for directory in /proc/[0-9]*; do
        pid=${directory#/proc/}
        [ "$pid" != $$ ] || continue
        if tr '\0' ' ' 2>/dev/null <"$directory/cmdline" | grep -qF "$disk/" ||
            [[ $(readlink "$directory/cwd" 2>/dev/null)/ == "$disk"/* ]]; then
            kill -9 "$pid" 2>/dev/null || true
        fi
    done
}

# 0: the file system is sound; it is unmounted.
disk_is_sound() {
    within 10 umount "$disk"
    e2fsck -fn "$rig/disk.img" >"$rig/e2fsck.log" 2>&1 || { tail -n 3 "$rig/e2fsck.log" >&2; return 1; }
}
