#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# examples/quickstart.sh [--boxes] [--small] [--program FILE]
#
# Has Debian's python3-zarr write an array shaped like ERA5 surface data (64 x 721 x 1440 float32, one
# chunk per time step, blosc lz4 shuffle), reads all its chunks by one lsio_read_batch(), compares every
# time step with what the writer says, and prints the speed beside that of a plain loop.
#   --boxes         chunks of 8 x 103 x 180, which have to be scattered into the merged array
#   --small         an array of a few MiB, in boxes, in a temporary folder (the tests use this)
#   --program FILE  the built example: then nothing is installed or built
# Installs what is missing on Debian, as root or with sudo; builds in build/quickstart and keeps the
# array there.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
boxes=no small=no program=""
while [ $# -gt 0 ]; do
    case $1 in
    --boxes) boxes=yes ;;
    --small) small=yes ;;
    --program) [ $# -gt 1 ] || { echo "--program wants a file" >&2; exit 2; }; program=$2; shift ;;
    *) sed -n '4,14s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
    shift
done

if [ -z "$program" ]; then
    # shellcheck source=tests/support/packages.sh
    . tests/support/packages.sh
    install_packages gcc libc6-dev cmake ninja-build pkg-config python3 python3-zarr python3-numpy \
        liburing-dev libzstd-dev liblz4-dev libdeflate-dev zlib1g-dev libblosc-dev libisal-dev
    echo "== building"
    mkdir -p build
    log=build/quickstart.log
    { cmake -G Ninja -S . -B build/quickstart -DLSIO_BUILD_TESTS=OFF -DLSIO_BUILD_BENCH=OFF >"$log" 2>&1 &&
        cmake --build build/quickstart >>"$log" 2>&1; } || { tail -n 50 "$log"; exit 1; }
    program=build/quickstart/examples/quickstart
fi

# Debian's own python3, not one that happens to come first in PATH: it has python3-zarr.
python=/usr/bin/python3
if ! "$python" -c 'import zarr, numcodecs' 2>/dev/null; then
    echo "$python has no zarr: install python3-zarr" >&2
    exit 77 # ctest counts that as skipped
fi

shape=()
if [ "$small" = yes ]; then
    data=$(mktemp -d -t lsio-quickstart-XXXXXX)
    trap 'rm -rf "$data"' EXIT
    shape=(--steps 20 --rows 121 --columns 250 --chunk 8,50,64) # no side is a multiple of its chunk's
elif [ "$boxes" = yes ]; then
    data=build/quickstart/boxes
    shape=(--chunk 8,103,180)
else
    data=build/quickstart/steps
fi
if [ ! -e "$data/complete" ]; then
    echo "== python3-zarr writes an array"
    "$python" examples/quickstart_write.py "$data" "${shape[@]}"
    touch "$data/complete"
fi
echo "== LSIO reads it"
"$program" "$data"
