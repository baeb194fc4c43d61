#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tests/servers/run.sh BUILD_DIR [CTEST_OPTION...]
# tests/servers/run.sh --install
#
# Installs and starts all servers, uploads the test data, runs the tests of BUILD_DIR that are labelled
# "servers", and stops the servers. Everything goes to build/servers of the source tree. A server that
# does not start, a test that fails and a test that is skipped are failures, and so is no test at all.
# With --install nothing is started.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 1 ] ||
    { echo "usage: tests/servers/run.sh BUILD_DIR [CTEST_OPTION...] | --install" >&2; exit 2; }
build=$1
shift
source "$here/servers.sh"

servers_at "${LSIO_SERVERS_DIRECTORY:-$here/../../build/servers}"
if [ "$build" = --install ]; then
    servers_install
    exit
fi
servers_begin
trap servers_stop EXIT
servers_install
for server in nginx versitygw moto azurite fake_gcs; do
    "start_$server"
done
servers_upload

while IFS= read -r line; do
    export "${line?}"
done <"$servers_dir/env"
log=$servers_dir/run/ctest.log
status=0
ctest --test-dir "$build" --output-on-failure --no-tests=error -L '^servers$' "$@" 2>&1 |
    tee "$log" || status=1
if grep -qE '\*\*\*Skipped|\(Skipped\)' "$log"; then
    echo "a test was skipped though all servers run" >&2
    status=1
fi
exit $status
