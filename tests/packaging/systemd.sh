#!/usr/bin/env bash
# The packages under a real systemd: the units as shipped, hardened, with real jobs, stops and upgrades.
#
#   tests/packaging/systemd.sh DIRECTORY     with the packages that packaging/build-deb.sh made
#
# A systemd of its own is booted by systemd-nspawn (package systemd-container) from a throw-away copy
# of this machine's system; it uses this machine's loopback on a free port, and no other network.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
packages=${1:?the directory with the packages}
# shellcheck source=tests/packaging/overlay.sh
. "$here/overlay.sh"
overlay_enter "$0" "$@"

mkdir "$overlay/root/packages"
cp "$packages"/tailslate-{agent,verifier}_*.deb "$overlay/root/packages/"
cp "$here/systemd-inside.sh" "$here/next-version.sh" "$here/../support/within.sh" "$overlay/root/"
ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=1280x720:rate=30:duration=30 \
    -f lavfi -i sine=frequency=440:duration=30 -c:v libx264 -preset ultrafast -pix_fmt yuv420p \
    -c:a aac "$overlay/root/film.mp4"
ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=320x180:rate=25:duration=2 -c:v libx264 \
    -preset ultrafast -pix_fmt yuv420p "$overlay/srv/short.mp4"
# What this machine has installed besides is not started.
cat >"$overlay/etc/systemd/system/test.target" <<'UNIT'
[Unit]
Requires=basic.target dbus.service test.service
After=basic.target dbus.service
AllowIsolate=yes
UNIT
cat >"$overlay/etc/systemd/system/test.service" <<'UNIT'
[Unit]
After=basic.target dbus.service
[Service]
Type=oneshot
Environment=HOME=/root
ExecStart=/bin/bash /root/systemd-inside.sh
StandardOutput=file:/root/result
StandardError=inherit
ExecStopPost=/bin/systemctl poweroff --no-block
UNIT
# A firewall, a resolver or a clock of its own would be this machine's.
rm -f "$overlay/usr/sbin/policy-rc.d"
for unit in networking.service systemd-resolved.service systemd-timesyncd.service nftables.service; do
    ln -sf /dev/null "$overlay/etc/systemd/system/$unit"
done
# It fills /dev itself, and wants it empty.
rm -rf "${overlay:?}/dev" && mkdir "$overlay/dev"
timeout --signal=KILL 400 systemd-nspawn -q --register=no --keep-unit --machine=tailslate-test \
    --resolv-conf=off --timezone=off --link-journal=no -D "$overlay" -b systemd.unit=test.target \
    </dev/null >"$layers/console" 2>&1 || true
cat "$overlay/root/result" || { tail -n 40 "$layers/console" >&2; exit 1; }
grep -qx 'all is well' "$overlay/root/result"
