#!/usr/bin/env bash
# Build the Debian packages of HEAD, in a temporary directory; the work tree is not changed.
#
#   packaging/build-deb.sh [OUTPUT]      default: build/deb
#
# Needs git, dpkg-dev, debhelper and the Build-Depends of packaging/debian/control
# (packaging/dependencies.sh build package). Set VERSION_SUFFIX (say, ~bpo12+1) to build another
# version of the same source, SOURCE_DATE_EPOCH to choose the date in it.
set -euo pipefail
case ${1-} in -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
here=$(cd "$(dirname "$0")/.." && pwd)
output=${1:-$here/build/deb}
mkdir -p "$output"
output=$(cd "$output" && pwd)

work=$(mktemp -d -t tailslate-deb-XXXXXX)
trap 'rm -rf "$work"' EXIT
source=$work/tailslate
mkdir "$source"
git -C "$here" archive HEAD | tar -x -C "$source"
# dpkg-buildpackage expects debian/ at the top.
mv "$source/packaging/debian" "$source/debian"

version=$(sed -n 's/^project(tailslate VERSION \([0-9.]*\) .*/\1/p' "$source/CMakeLists.txt")
packaged=$(cd "$source" && dpkg-parsechangelog -S Version)
[ "$packaged" = "$version" ] || {
    echo "build-deb.sh: packaging/debian/changelog says $packaged, CMakeLists.txt $version" >&2
    exit 1
}
[ -z "${VERSION_SUFFIX-}" ] || sed -i "1s/($version)/($version$VERSION_SUFFIX)/" "$source/debian/changelog"

log=$work/build.log
if ! (cd "$source" && DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:-parallel=$(nproc)}" \
    dpkg-buildpackage --no-sign -b -tc) >"$log" 2>&1; then
    cp "$log" "$output/build.log"
    tail -n 40 "$log" >&2
    echo "build-deb.sh: the build failed; full log: $output/build.log" >&2
    exit 1
fi
cp "$log" "$output/build.log"
cp "$work"/*.deb "$work"/*.buildinfo "$work"/*.changes "$output"
ls "$output"/*"_$version${VERSION_SUFFIX-}_"*.deb
