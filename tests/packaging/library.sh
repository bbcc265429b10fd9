#!/usr/bin/env bash
# libtailslate, as somebody else uses it: installed into a scratch prefix, and nothing of this tree but
# that.
#
#   library.sh AGENT VERIFIER      the programs
#
# What it exports, and a program built against it in each of three ways.
# shellcheck source=tests/packaging/checks.sh
. "$(dirname "$0")/checks.sh"

# Our own flags and sanitizers are not those of the library that is released.
unset CFLAGS LDFLAGS
prefix=$scratch/prefix
{ cmake -S "$top" --preset library -B "$scratch/build" -DTAILSLATE_WERROR=ON &&
    cmake --build "$scratch/build" -j2 && cmake --install "$scratch/build" --prefix "$prefix"; } >"$scratch/build.log" 2>&1 ||
    { tail -n 40 "$scratch/build.log" >&2; complain "the library does not build"; exit 1; }
libdir=$(dirname "$(find "$prefix" -name libtailslate.a)")
export PKG_CONFIG_PATH=$libdir/pkgconfig LD_LIBRARY_PATH=$libdir

# ---- what it exports: the functions of its headers, and nothing else
sed -nE 's/^[a-z].*[ *](tailslate_[a-z0-9_]+)\(.*/\1/p; s/^(tailslate_[a-z0-9_]+)\(.*/\1/p' "$prefix"/include/tailslate/*.h |
    grep -v '^tailslate_verify_commits$' | sort -u >"$scratch/declared" # that one is inline
nm -D --defined-only "$libdir/libtailslate.so.0" | awk '$2 != "A" { print $3 }' | sed 's/@.*//' | sort >"$scratch/exported"
nm -g --defined-only "$libdir/libtailslate.a" | awk 'NF == 3 { print $3 }' | sort >"$scratch/archived"
for kind in exported archived; do
    diff "$scratch/declared" "$scratch/$kind" >&2 || complain "the functions of the headers and those that are $kind differ"
done
[ "$(objdump -p "$libdir/libtailslate.so" | awk '$1 == "SONAME" { print $2 }')" = libtailslate.so.0 ] || complain "its SONAME"

# ---- a program, in three ways
cat >"$scratch/version.c" <<'C'
#include <stdio.h>
#include <tailslate/version.h>
int main(void)
{
    return puts(tailslate_version()) < 0;
}
C
compile() { # compile PROGRAM SOURCE...
    # shellcheck disable=SC2046 # several words
    cc -std=c17 -Wall -Wextra -Werror -o "$scratch/$1" "${@:2}" $(pkg-config --cflags --libs tailslate)
}
says_version() { [ "$("$scratch/$1")" = "$(pkg-config --modversion tailslate)" ] || complain "$1 says another version"; }
compile shared "$scratch/version.c" && says_version shared
# shellcheck disable=SC2046
cc -o "$scratch/static" "$scratch/version.c" $(pkg-config --cflags tailslate) "$libdir/libtailslate.a" \
    $(pkg-config --static --libs tailslate | sed 's/-ltailslate//') && says_version static
! ldd "$scratch/static" | grep -q libtailslate || complain "the archive was not linked"
mkdir "$scratch/found"
cat >"$scratch/found/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(found C)
find_package(tailslate 0.1 REQUIRED)
add_executable(found ../version.c)
target_link_libraries(found PRIVATE tailslate::tailslate)
CMAKE
{ cmake -S "$scratch/found" -B "$scratch/found" -DCMAKE_PREFIX_PATH="$prefix" && cmake --build "$scratch/found"; } \
    >"$scratch/found.log" 2>&1 || complain "find_package: $(tail -n 5 "$scratch/found.log")"
says_version found/found

[ "$failures" -eq 0 ]
