#!/usr/bin/env bash
# Print a bill of materials of the built programs as SPDX 2.3 JSON: each program, and every Debian package
# with a library that it loads, with its version.
#
#   packaging/sbom.sh [BUILD]      default: build/release
#
# Needs jq and dpkg. The same build on the same system prints the same document but for its time
# (SOURCE_DATE_EPOCH sets it).
set -euo pipefail
case ${1-} in -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
here=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$here/build/release}
version=$(sed -n 's/^project(tailslate VERSION \([0-9.]*\) .*/\1/p' "$here/CMakeLists.txt")
created=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}" +%Y-%m-%dT%H:%M:%SZ)

# One line a library of that program: the package that owns it, its version, its source package.
# shellcheck disable=SC2016 # dpkg-query expands its format
packages_of() {
    ldd "$1" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | while read -r library; do
        # With merged /usr dpkg may know the file by either path.
        dpkg -S "$(realpath "$library")" "$library" "/usr$library" "${library#/usr}" 2>/dev/null | cut -d: -f1 | sed -n 1p || true
    done | sort -u | xargs dpkg-query -W -f '${Package} ${Version} ${source:Package}\n'
}

{
    for program in agent verifier; do
        file=$build/$program/tailslate-$program
        [ -x "$file" ] || { echo "sbom.sh: $file is not there: cmake --preset release && cmake --build --preset release" >&2; exit 1; }
        echo "program tailslate-$program $version $(sha256sum "$file" | cut -d' ' -f1)"
        packages_of "$file" | sed "s/^/package tailslate-$program /"
    done
} | jq -Rn --arg version "$version" --arg created "$created" '
    [inputs | split(" ")] as $lines
    | [$lines[] | select(.[0] == "program")] as $programs
    | [$lines[] | select(.[0] == "package")] as $loaded
    | def id: "SPDXRef-" + gsub("[^A-Za-z0-9.-]"; "-");
    {
        spdxVersion: "SPDX-2.3", dataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT",
        name: "tailslate-\($version)",
        documentNamespace: ("https://tailslate.example/spdx/\($version)/" + ([$programs[][3]] | join("-") | .[0:16])),
        creationInfo: {created: $created, creators: ["Tool: packaging/sbom.sh"]},
        packages: (
            [$programs[] | {name: .[1], SPDXID: (.[1] | id), versionInfo: .[2], licenseDeclared: "MIT",
                downloadLocation: "NOASSERTION", filesAnalyzed: false,
                checksums: [{algorithm: "SHA256", checksumValue: .[3]}]}]
            + ([$loaded[] | {name: .[2], SPDXID: (.[2] | id), versionInfo: .[3], licenseDeclared: "NOASSERTION",
                downloadLocation: "NOASSERTION", filesAnalyzed: false,
                externalRefs: [{referenceCategory: "PACKAGE-MANAGER", referenceType: "purl",
                    referenceLocator: "pkg:deb/debian/\(.[2])@\(.[3])"}]}] | unique)),
        relationships: (
            [$programs[] | {spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES", relatedSpdxElement: (.[1] | id)}]
            + [$loaded[] | {spdxElementId: (.[1] | id), relationshipType: "DYNAMIC_LINK", relatedSpdxElement: (.[2] | id)}])
    }'
