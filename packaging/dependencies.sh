#!/usr/bin/env bash
# Install the Debian packages that a purpose needs. Prints and changes nothing if they are installed.
#
#   packaging/dependencies.sh build    compile the release
#   packaging/dependencies.sh run      what a node needs in addition to our programs
#   packaging/dependencies.sh package  what packaging/build-deb.sh uses in addition
#   packaging/dependencies.sh systemd  what tests/packaging/systemd.sh uses
#   packaging/dependencies.sh browser  what tests/browser uses
#   packaging/dependencies.sh monitoring  what judges the alerts and compose.yaml in tests/long.sh
#   packaging/dependencies.sh test     everything that packaging/check.sh uses
set -euo pipefail

build=(gcc libc6-dev cmake ninja-build pkg-config libcurl4-openssl-dev libcjson-dev uuid-dev
    libconfig-dev libmicrohttpd-dev libgnutls28-dev libsqlite3-dev libpq-dev libhiredis-dev libargon2-dev libssl-dev
    libarchive-dev)
run=(ffmpeg ca-certificates)
package=(git build-essential debhelper pkgconf lintian)
test=("${build[@]}" "${run[@]}" git libcriterion-dev libasan8 libubsan1 clang clang-format clang-tidy
    shellcheck cppcheck curl jq sqlite3 procps postgresql pgbouncer redis-server nginx openssl xz-utils man-db mandoc systemd python3 spin iproute2)
# Node.js from another source includes npm and conflicts with Debian's package.
node=(nodejs npm)
if command -v node >/dev/null && command -v npm >/dev/null; then node=(); fi
test+=(chromium "${node[@]}")

usage() {
    sed -n '2,11s/^# \{0,1\}//p' "$0"
}

wanted=()
for purpose in "$@"; do
    case $purpose in
    build) wanted+=("${build[@]}") ;;
    run) wanted+=("${run[@]}") ;;
    package) wanted+=("${package[@]}") ;;
    systemd) wanted+=("${run[@]}" systemd-container sqlite3 curl procps postgresql redis-server) ;;
    browser) wanted+=(chromium "${node[@]}") ;;
    monitoring) wanted+=(prometheus docker-compose) ;;
    test) wanted+=("${test[@]}") ;;
    -h | --help) usage; exit 0 ;;
    *) echo "dependencies.sh: unknown purpose '$purpose'" >&2; usage >&2; exit 64 ;;
    esac
done

missing=()
for package in "${wanted[@]}"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "dependencies.sh: missing: ${missing[*]}; run as root, or install sudo" >&2
        exit 77
    }
    as_root=(sudo)
fi
echo "Installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
policy=/usr/sbin/policy-rc.d
our_policy=
clean_up() {
    rm -f "$log"
    [ -z "$our_policy" ] || "${as_root[@]}" rm -f "$policy"
}
trap clean_up EXIT
# The tests start their own servers; these packages must not start theirs, unless a policy exists.
if [[ " ${missing[*]} " =~ \ (postgresql|pgbouncer|redis-server|nginx)\  ]] && [ ! -e "$policy" ]; then
    our_policy=yes
    printf '#!/bin/sh\n# written by packaging/dependencies.sh during an installation\nexit 101\n' |
        "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi
if ! { "${as_root[@]}" apt-get -q update &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends \
        -o Dpkg::Use-Pty=0 install "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 25 "$log" >&2
    echo "dependencies.sh: apt-get failed (its last lines are above); needed: ${missing[*]}" >&2
    exit 69
fi
