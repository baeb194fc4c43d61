#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The one test command. Installs what is missing (Debian and its kin), builds, runs everything.
# Without options: release build and ctest; the same where io_uring is refused, so that all runs on
# the epoll loop; a build without any optional library; ASan with UBSan, after which each mark on a
# fault's path must have been reached; TSan; real servers on loopback (they need Go, npm and PyPI);
# a short fuzz of each target. Each step's ctest summary is shown, all of them again at the end; the
# exit status is 0 only if all passed. Build trees are kept under build/.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: tests/run.sh [option]...      no option: everything (about 20 minutes on two cores)
  --quick                    release build and ctest only
  --sanitize KIND            ctest with address (and undefined), thread or undefined only
  --epoll                    ctest where io_uring is refused only
  --gates                    api and contract tests with each feature of io_uring off only
  --bare                     ctest of a build without the optional libraries only
  --fuzz SECONDS             fuzz each target for so long only
  --stress SECONDS           the stress tests under ThreadSanitizer, for so long each, only
  --sim SEEDS [--seed N]     the simulation tests with so many seeds, from seed N on, only
  --coverage                 ctest with line coverage, which must be 90 % of src/; the report is
                             put into build/coverage
  --servers                  tests against real servers, installed below build/servers, only
  --mutants                  plants bugs in a copy of the source: each must be found by some test
  --match REGEX              of the tests, those whose name matches
  --no-install               do not install packages
  --jobs N                   compile and test N at a time (default: all processors)
Options that name a step can be combined.
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

steps=() match="" install=yes jobs=$(nproc)
fuzz_seconds=30 stress_seconds=2 sim_seeds="" sim_seed=1 gates=0x7f

need() { # need COUNT OPTION LEFT: option OPTION wants a value
    [ "$3" -ge "$1" ] || { echo "run.sh: $2 wants a value" >&2; usage >&2; exit 2; }
}
while [ $# -gt 0 ]; do
    case $1 in
    --quick) steps+=(release) ;;
    --sanitize)
        need 2 "$1" $#
        case $2 in
        address | thread | undefined) steps+=("$2") ;;
        *) echo "run.sh: --sanitize address, thread or undefined" >&2; exit 2 ;;
        esac
        shift ;;
    --epoll) steps+=(epoll) ;;
    --bare) steps+=(bare) ;;
    --gates)
        steps+=(gates)
        gates="DEFER_TASKRUN SINGLE_ISSUER COOP_TASKRUN DIRECT_DESCRIPTORS REGISTERED_FILES
            REGISTERED_BUFFERS CACHESTAT 0x7f" ;;
    --fuzz) need 2 "$1" $#; steps+=(fuzz); fuzz_seconds=$2; shift ;;
    --stress) need 2 "$1" $#; steps+=(stress); stress_seconds=$2; shift ;;
    --sim) need 2 "$1" $#; steps+=(sim); sim_seeds=$2; shift ;;
    --seed) need 2 "$1" $#; sim_seed=$2; shift ;;
    --coverage) steps+=(coverage) ;;
    --servers) steps+=(servers) ;;
    --mutants) steps+=(mutants) ;;
    --match) need 2 "$1" $#; match=$2; shift ;;
    --no-install) install=no ;;
    --jobs) need 2 "$1" $#; jobs=$2; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "run.sh: unknown option $1" >&2; usage >&2; exit 2 ;;
    esac
    shift
done
[ ${#steps[@]} -gt 0 ] || steps=(release epoll gates bare address thread servers fuzz)

# ------------------------------------------------------------------------------------ packages --

packages=(gcc g++ libc6-dev cmake ninja-build pkg-config python3
    liburing-dev libzstd-dev liblz4-dev libdeflate-dev zlib1g-dev libblosc-dev libisal-dev
    libcurl4-openssl-dev libssl-dev libexpat1-dev libjson-c-dev
    libcmocka-dev python3-zarr python3-numpy valgrind)
case " ${steps[*]} " in *" fuzz "*) packages+=(clang libclang-rt-dev) ;; esac
case " ${steps[*]} " in *" coverage "*) packages+=(gcovr) ;; esac

# shellcheck source=tests/support/packages.sh
. tests/support/packages.sh
[ "$install" = no ] || install_packages "${packages[@]}"

# One test has a thousand files open at once; the usual limit is little more than that.
[ "$(ulimit -S -n)" = unlimited ] || [ "$(ulimit -S -n)" -ge 4096 ] || ulimit -S -n 4096 || true

# What a user's rings and registered buffers lock is counted together, and given back a while after a
# process has ended: several tests at a time would use up the usual 8 MiB.
test_jobs=$jobs
if [ "$(id -u)" != 0 ] && ! ulimit -l unlimited 2>/dev/null &&
    ! sudo -n prlimit --pid $$ --memlock=unlimited:unlimited 2>/dev/null; then
    echo "== no more than $(ulimit -l) KiB can be locked: one test at a time; some may get ENOMEM"
    test_jobs=1
fi

# The servers take minutes to install, and are not needed before their step.
servers_pid=""
case " ${steps[*]} " in *" servers "*)
    mkdir -p build
    nice tests/servers/run.sh --install >build/servers-install.log 2>&1 &
    servers_pid=$!
    ;;
esac

# --------------------------------------------------------------------------------------- steps --

summaries=() failed=0

# Lowers ThreadSanitizer's demands: it cannot start on kernels that randomize more than 28 bits.
fixed_addresses=()
if command -v setarch >/dev/null && setarch -R true 2>/dev/null; then
    fixed_addresses=(setarch -R)
fi

# build DIR OPTION...: configures and builds; the log is shown only if that fails.
build() {
    local dir=build/$1 log
    shift
    log=$dir.log
    mkdir -p build
    # CONFIGURE_DEPENDS sees new files, but not a compiler that was changed: start over then.
    if ! cmake -G Ninja -S . -B "$dir" -DLSIO_WERROR=ON "$@" >"$log" 2>&1 ||
        ! cmake --build "$dir" -j "$jobs" >>"$log" 2>&1; then
        tail -n 100 "$log"
        return 1
    fi
    sed -n 's/^-- LSIO /LSIO /p; /^  [a-z0-9-]*: .*(.*)$/p' "$log"
    grep -n 'warning:' "$log" || true
}

# test_in DIR COMMAND-PREFIX...: ctest in a build tree.
test_in() {
    local dir=build/$1 options=(--output-on-failure --no-tests=error -j "$test_jobs")
    shift
    [ -z "$match" ] || options+=(-R "$match")
    "$@" ctest --test-dir "$dir" "${options[@]}"
}

step_release() { build release && test_in release; }
step_epoll() { build release && test_in release build/release/tests/refuse-uring; }
step_bare() {
    build bare -DLSIO_USE_URING=OFF -DLSIO_USE_ZSTD=OFF -DLSIO_USE_LZ4=OFF -DLSIO_USE_DEFLATE=OFF \
        -DLSIO_USE_ZLIB=OFF -DLSIO_USE_BLOSC=OFF -DLSIO_USE_ISAL=OFF -DLSIO_USE_CURL=OFF && test_in bare
}
# Which fault paths are reached can be told only when all tests ran.
step_address() {
    local marks=$root/build/address/marks status=0
    build address -DLSIO_SANITIZER=address -DLSIO_MARKS=ON || return 1
    rm -rf "$marks" && mkdir "$marks"
    test_in address env LSIO_MARKS_DIR="$marks" || status=1
    [ -n "$match" ] || tests/support/tools/marks.py . "$marks" || status=1
    return $status
}
step_undefined() { build undefined -DLSIO_SANITIZER=undefined && test_in undefined; }
step_thread() {
    build thread -DLSIO_SANITIZER=thread && test_in thread "${fixed_addresses[@]}"
}
step_stress() {
    build thread -DLSIO_SANITIZER=thread || return 1
    LSIO_STRESS_SECONDS=$stress_seconds "${fixed_addresses[@]}" ctest --test-dir build/thread \
        --output-on-failure --no-tests=error -L '^stress$'
}
step_servers() {
    build address -DLSIO_SANITIZER=address -DLSIO_MARKS=ON || return 1
    tail --pid="$servers_pid" -f /dev/null # a child of the shell above: wait does not know it here
    cat build/servers-install.log
    local options=()
    [ -z "$match" ] || options=(-R "$match")
    tests/servers/run.sh build/address "${options[@]}"
}

step_mutants() { tests/mutants/run.py --jobs "$jobs"; }

# The seeds of the simulations of the engine, on files and over HTTP, are shared out to as many
# processes as there are processors.
step_sim() {
    build release || return 1
    local parts=$jobs part each first program pids=() status=0
    [ "$sim_seeds" -ge 1000 ] || parts=1
    each=$(((sim_seeds + parts - 1) / parts))
    for ((part = 0; part < parts; part++)); do
        first=$((sim_seed + part * each))
        for program in test-sim-engine test-sim-http; do
            echo "-- $program"
            LSIO_SIM_SEED=$first LSIO_SIM_SEEDS=$each build/release/tests/$program || exit 1
        done &
        pids+=($!)
    done
    for part in "${pids[@]}"; do wait "$part" || status=1; done
    [ "$sim_seeds" -lt 1000 ] ||
        LSIO_SIM_SEED=$sim_seed LSIO_SIM_SEEDS=$sim_seeds ctest --test-dir build/release \
            --output-on-failure --no-tests=error -L '^sim$' -E 'engine|http' -j "$jobs" || status=1
    return $status
}

# Everything the loops and the engine do, with features of io_uring switched off: all of them, or
# with --gates each by itself and then all.
step_gates() {
    build release || return 1
    local gate status=0
    for gate in $gates; do
        echo "-- without $gate"
        LSIO_TEST_GATES_OFF=$gate ctest --test-dir build/release --output-on-failure \
            --no-tests=error -L '^(api|contract)$' -j "$test_jobs" || status=1
    done
    return $status
}

# fuzz_one NAME: fuzzes one target. What it found is shown, to be replayed where the log is read:
# `base64 -d >input`, `fuzz_NAME input`.
fuzz_one() {
    local name=$1 program=build/fuzz/fuzz/fuzz_$1 corpus=build/fuzz/corpus/$1 inputs
    local began=build/fuzz/$1.began
    [ -x "$program" ] || { echo "fuzz_$name: FAILED, not built"; return 1; }
    mkdir -p "$corpus"
    touch "$began"
    inputs=("$corpus")
    [ ! -d "tests/fuzz/corpus/$name" ] || inputs+=("tests/fuzz/corpus/$name")
    if "$program" -max_total_time="$fuzz_seconds" -timeout=20 -rss_limit_mb=3000 \
        -artifact_prefix="build/fuzz/$name-" -print_final_stats=1 "${inputs[@]}" \
        >"build/fuzz/$name.log" 2>&1; then
        echo "fuzz_$name: passed, $(sed -n 's/^stat::number_of_executed_units: */runs: /p' \
            "build/fuzz/$name.log")"
    else
        tail -n 60 "build/fuzz/$name.log"
        find build/fuzz -maxdepth 1 -name "$name-*" -newer "$began" -size -64k -print \
            -exec base64 {} ';'
        echo "fuzz_$name: FAILED"
        return 1
    fi
}

step_fuzz() {
    build fuzz -DLSIO_FUZZ=ON -DCMAKE_C_COMPILER=clang || return 1
    export -f fuzz_one
    export fuzz_seconds
    find tests/fuzz -name 'fuzz_*.c' | sed 's|.*/fuzz_||; s|\.c$||' | sort |
        xargs -P "$jobs" -I NAME bash -c 'fuzz_one NAME'
}

step_coverage() {
    build coverage -DLSIO_COVERAGE=ON || return 1
    find build/coverage -name '*.gcda' -delete
    local status=0
    test_in coverage || status=1
    gcovr -r . --object-directory build/coverage -f 'src/' --exclude-throw-branches \
        --html-details build/coverage/index.html -s --fail-under-line 90 || status=1
    return $status
}

run_step() {
    local name=$1 began=$SECONDS status=0 log
    mkdir -p build
    log=build/step-$name.log
    echo
    echo "== $name"
    ("step_$name") 2>&1 | tee "$log" || status=1
    [ "$status" = 0 ] || failed=1
    summaries+=("$(printf '%-10s %s in %d s' "$name" "$([ $status = 0 ] && echo passed || echo FAILED)" \
        $((SECONDS - began)))")
    while IFS= read -r line; do summaries+=("           $line"); done < <(
        grep -E '^[0-9]+% tests passed|^fuzz_.*: |^marks: |^mutants: |^never reached: |^row H[0-9]+|^lines: |^	 *[0-9]+ - |^ *[0-9]+ - .*\((Failed|Timeout|SEGFAULT|Not Run)' \
            "$log" || true)
}

for step in "${steps[@]}"; do
    run_step "$step"
done

echo
echo "== summary ($SECONDS s)"
printf '%s\n' "${summaries[@]}"
exit $failed
