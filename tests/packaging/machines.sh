#!/usr/bin/env bash
# README.md, "Two machines, over HTTPS, step by step": every command as printed, on two machines.
#
#   machines.sh AGENT VERIFIER      the programs
#
# Each machine is a throw-away copy of this one's system, in a network namespace of its own; a cable
# is between them. The commands meet real users, openssl, runuser and install; of systemctl
# and ssh there are stand-ins, which start what the unit says and run a command on the other machine.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
# shellcheck source=tests/packaging/overlay.sh
. "$here/overlay.sh"
# shellcheck source=tests/support/within.sh
. "$here/../support/within.sh"
# shellcheck disable=SC2034 # overlay_enter reads them; the agent wants 5 GB free, which are not used
OVERLAY_UNSHARE=--net OVERLAY_MIB=8192
overlay_enter "$0" "$@"
mount -t proc proc /proc # of our own processes, whose namespaces are entered by it

fail() {
    echo "machines.sh: $*" >&2
    tail -n 30 "$layers"/*.log "${machine[@]/%//tmp/tailslate.log}" >&2 2>/dev/null || true
    exit 1
}

# ---- the machines
declare -A machine=([server]=$overlay [node]=$layers/node) pid=()
mkdir "$layers/node" "$layers/node-upper" "$layers/node-work"
mount -t overlay -o "lowerdir=/,upperdir=$layers/node-upper,workdir=$layers/node-work" overlay "$layers/node"
furnish() { # furnish server verifier PROGRAM: as the package would
    local root=${machine[$1]} side=$2 name=tailslate-$2
    overlay=$root overlay_mount
    install "$3" "$root/usr/bin/$name"
    install -D -m 644 "$top/packaging/systemd/$name.service" "$root/usr/lib/systemd/system/$name.service"
    mkdir -p "$root/etc/tailslate"
    systemd-sysusers --root="$root" "$top/packaging/systemd/$name.sysusers" 2>>"$layers/said.log"
    systemd-tmpfiles --root="$root" --create "$top/packaging/systemd/$name.tmpfiles"
    mkdir "$root/run/stand-ins"
    cat >"$root/run/stand-ins/systemctl" <<SYSTEMCTL
#!/bin/sh
unit=/usr/lib/systemd/system/\$2.service
[ "\$1" = restart ] && [ -f "\$unit" ] || exit 64
user=\$(sed -n 's/^User=//p' "\$unit")
setpriv --reuid "\$user" --regid "\$user" --init-groups \$(sed -n 's/^ExecStart=//p' "\$unit") >>/tmp/tailslate.log 2>&1 &
timeout 30 sh -c 'until grep -q event=$side.ready /tmp/tailslate.log; do sleep 0.1; done'
SYSTEMCTL
    chmod 755 "$root/run/stand-ins/systemctl"
}
furnish server verifier "$2"
furnish node agent "$1"

ip link set lo up
sleep infinity &
pid[server]=$!
unshare --net chroot "${machine[node]}" sleep infinity &
pid[node]=$!
within 10 eval "[ \"\$(readlink /proc/${pid[node]}/ns/net)\" != \"\$(readlink /proc/self/ns/net)\" ]" ||
    fail "no network namespace"
in_node_net() { nsenter --target "${pid[node]}" --net "$@"; }
ip link add cable type veth peer name cable netns "${pid[node]}"
ip address add 192.0.2.1/24 dev cable && ip link set cable up
in_node_net ip address add 192.0.2.2/24 dev cable && in_node_net ip link set cable up && in_node_net ip link set lo up
for name in server node; do printf '192.0.2.1 server.example\n192.0.2.2 node-1\n' >>"${machine[$name]}/etc/hosts"; done

cat >"${machine[server]}/run/stand-ins/ssh" <<SSH
#!/bin/sh
[ "\$1" = root@node-1 ] || exit 255
shift
exec nsenter --target ${pid[node]} --net --root --wd -- "\$@"
SSH
chmod 755 "${machine[server]}/run/stand-ins/ssh"

on() { # on server < commands
    local net=()
    [ "$1" = server ] || net=(in_node_net)
    "${net[@]}" chroot "${machine[$1]}" /usr/bin/env -i HOME=/root LANG=C.UTF-8 TZ=UTC \
        PATH=/run/stand-ins:/usr/sbin:/usr/bin:/sbin:/bin sh -c 'cd && exec bash -euxo pipefail'
}

# ---- the document's commands, in their order
ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=320x180:rate=25:duration=1 -c:v libx264 \
    -preset ultrafast -pix_fmt yuv420p "${machine[server]}/root/video.mp4"
awk -v blocks="$layers/block" '
    /^```sh (server|node)$/ { file = sprintf("%s%02d.%s", blocks, ++count, $2); next }
    /^```/ { file = "" }
    file { print >file }' "$top/README.md"
[ "$(compgen -G "$layers/block*" | wc -l)" -ge 5 ] || fail "README.md has no commands for two machines"
for block in "$layers"/block*; do
    on "${block##*.}" <"$block" >>"$layers/said.log" 2>&1 || fail "a command on the ${block##*.} fails"
done

# ---- what they were for
within 60 grep -q 'event=job.final .*outcome=completed' "${machine[node]}/tmp/tailslate.log" || fail "the job is not completed"
[ "$(stat -c '%a' "${machine[node]}/etc/tailslate/agent.key")" = 600 ] || fail "anybody can read the key"
[ -s "${machine[server]}/var/lib/tailslate/videos/a-video/master.m3u8" ] || fail "the video is not there"
echo 'tailslate-agent status' | on node >"$layers/status" 2>>"$layers/said.log" || fail "status"
grep -q 'https://server.example:9002: fine' "$layers/status" || fail "$(cat "$layers/status")"
