#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# consume.sh BUILD: installs the build tree into a directory of its own and uses it from there as
# strangers do: with pkg-config (shared and static), with CMake, from C++17. Also: each public header
# compiles alone, and the shared library exports lsio_* only.
set -euo pipefail

build=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cc=${CC:-cc} cxx=${CXX:-c++}
work=$(mktemp -d -t lsio-install-XXXXXX)
trap 'rm -rf "$work"' EXIT
unset DESTDIR

say() { echo "-- $*"; }
fail() { echo "consume.sh: $*" >&2; exit 1; }

say "install"
cmake --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/prefix" # an installed tree can be moved
pc=$(find "$work/prefix" -name lsio.pc)
libdir=$(dirname "$(dirname "$pc")")
[ -n "$pc" ] || fail "no lsio.pc"

say "each header alone"
for header in "$work/prefix/include/lsio/"*.h; do
    name=lsio/$(basename "$header")
    echo "#include <$name>" >"$work/header.c"
    cp "$work/header.c" "$work/header.cc"
    "$cc" -std=c11 -pedantic -Wall -Wextra -Werror -I"$work/prefix/include" -fsyntax-only "$work/header.c"
    "$cxx" -std=c++17 -pedantic -Wall -Wextra -Werror -I"$work/prefix/include" -fsyntax-only \
        "$work/header.cc"
done

say "exported symbols and SONAME"
exported=$(nm -D --defined-only "$libdir/liblsio.so" | awk '{ print $3 }')
strangers=$(grep -v -e '^lsio_' -e '^LSIO_0\.1$' -e '^LSIO_0\.1@@' <<<"$exported" || true)
[ -z "$strangers" ] || fail "exports more than lsio_*: $strangers"
# Every function that the headers declare is there, and no other.
declared=$(cat "$work/prefix/include/lsio/"*.h | tr '\n' ' ' |
    grep -oE 'LSIO_API[^;(]*[ *]lsio_[a-z0-9_]+ *\(' | grep -oE 'lsio_[a-z0-9_]+ *\($' | tr -d ' (' | sort -u)
difference=$(diff <(echo "$declared") <(sed -n 's/@.*//; /^lsio_/p' <<<"$exported" | sort -u) || true)
[ -z "$difference" ] || fail "declared (<) and exported (>) functions differ:"$'\n'"$difference"
readelf -d "$libdir/liblsio.so" | grep -q 'SONAME.*\[liblsio\.so\.0\]' || fail "SONAME is not liblsio.so.0"

say "pkg-config, shared"
export PKG_CONFIG_PATH=$libdir/pkgconfig
read -ra flags <<<"$(pkg-config --cflags --libs lsio)"
"$cc" -std=c11 -Wall -Werror "$here/consume.c" "${flags[@]}" -o "$work/shared"
LD_LIBRARY_PATH=$libdir "$work/shared"
cp "$here/consume.c" "$work/consume.cc"
"$cxx" -std=c++17 -Wall -Werror "$work/consume.cc" "${flags[@]}" -o "$work/cxx"
LD_LIBRARY_PATH=$libdir "$work/cxx"

say "pkg-config, static"
cp -r "$work/prefix" "$work/static"
find "$work/static" -name 'liblsio.so*' -delete
static=$(dirname "$(find "$work/static" -name lsio.pc)")
read -ra flags <<<"$(PKG_CONFIG_PATH=$static pkg-config --static --cflags --libs lsio)"
"$cc" -std=c11 -Wall -Werror "$here/consume.c" "${flags[@]}" -o "$work/static-program"
"$work/static-program"
readelf -d "$work/static-program" | grep -q 'NEEDED.*liblsio' && fail "the static program needs liblsio.so"

say "CMake"
cmake -G "${CMAKE_GENERATOR:-Ninja}" -S "$here/project" -B "$work/cmake" \
    -DCMAKE_PREFIX_PATH="$work/prefix" >"$work/log" || { cat "$work/log"; exit 1; }
cmake --build "$work/cmake" >"$work/log" || { cat "$work/log"; exit 1; }
for program in shared static cxx; do
    "$work/cmake/consume-$program"
done
say "done"
