#!/usr/bin/env bash
# Make the next version of a package, with nothing else changed: next-version.sh FILE.deb DIRECTORY
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dpkg-deb -R "$1" "$work/package"
sed -i 's/^Version: .*/&+next1/' "$work/package/DEBIAN/control"
dpkg-deb --root-owner-group -Zgzip -b "$work/package" "$2" >/dev/null
