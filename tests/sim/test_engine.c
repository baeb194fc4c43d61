/* SPDX-License-Identifier: MIT */
/*
 * The whole engine, unchanged, on simulated threads, files and time: each seed is a scenario
 * (scenario.h) that is played once and checked against the five invariants and, byte for byte, an
 * oracle (check.h).
 *
 *   test-sim-engine                  LSIO_SIM_SEEDS seeds from LSIO_SIM_SEED on
 *   test-sim-engine --seed N [-v]    one seed, in this process; -v: with a trace
 *
 * Seeds are independent: two processes with ranges of their own use two cores.
 *
 * LSIO_TEST_LINK: -Wl,@$<TARGET_PROPERTY:SOURCE_DIR>/sim/wrap_alloc.txt
 * LSIO_TEST_TIMEOUT: 3000
 *
 * LSIO_ROWS: L1 L3 L4 L5 L6 L7 L19 L21 L22 L23 L24
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/engine.h"
#include "ledger.h"
#include "scenario.h"
#include "sim_loop.h"
#include "sim_threads.h"

#define SEEDS         400
#define SLICE         100 /* seeds per child: a crash costs the rest of its slice only */
#define SLICE_SECONDS 300
#define FAILURES_MAX  20 /* then it is no use to go on */

/* What a child tells its parent while it lives. */
struct report {
    uint64_t seed;
    uint64_t trace;
};

static struct report *report;

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

/* Plays seeds in a child; true if all passed. */
static bool play_slice(uint64_t first, uint64_t count)
{
    int status = 0;
    pid_t child;

    fflush(NULL);
    child = fork();
    if (child == 0) {
        alarm(SLICE_SECONDS);
        for (uint64_t seed = first; seed < first + count; seed++) {
            report->seed = seed;
            report->trace = scenario_run(seed, false);
        }
        exit(0); /* and not _exit(): leaks are looked for, and coverage is written */
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    fprintf(stderr, "seed %llu: %s %d; again: tests/run.sh --sim 1 --seed %llu\n",
            (unsigned long long)report->seed, WIFSIGNALED(status) ? "signal" : "exit status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
            (unsigned long long)report->seed);
    return false;
}

static void every_seed_passes(void **state)
{
    uint64_t first = setting("LSIO_SIM_SEED", 1), count = setting("LSIO_SIM_SEEDS", SEEDS);
    uint64_t failed = 0;

    (void)state;
    for (uint64_t at = 0; at < count && failed < FAILURES_MAX;) {
        uint64_t some = count - at < SLICE ? count - at : SLICE;
        if (play_slice(first + at, some)) {
            at += some;
        } else {
            failed++;
            at = report->seed - first + 1; /* on with the next */
        }
    }
    assert_int_equal(failed, 0);
}

static void a_seed_replays(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        uint64_t trace;
        assert_true(play_slice(seed, 1));
        trace = report->trace;
        assert_true(play_slice(seed > 2 ? seed - 2 : 1, seed > 2 ? 3 : seed));
        assert_true(report->trace == trace); /* whatever ran before */
    }
}

/* What makes early use of a buffer show: from its start to its end a read's destination is full of
 * SIM_POISON. */
static void a_destination_is_poisoned_while_it_is_read(void **state)
{
    const struct sim_config config = {.seed = 1, .latency_min_ns = 1000000,
                                      .latency_max_ns = 2000000};
    const struct sim_threads_config threads = {.seed = 1};
    const struct context_world world = {.os = &loop_os_sim, .loop = &loop_sim};
    const struct lsio_config settings = {
        .struct_bytes = sizeof(settings), .workers = 2, .memory_bytes_max = 1 << 20};
    struct lsio_object object = {.key = "file", .size = LSIO_SIZE_UNKNOWN};
    uint8_t bytes[512], dst[512];
    struct lsio_chunk chunk = {.length = sizeof(dst), .dst = dst, .dst_bytes = sizeof(dst)};
    struct lsio_request request = {.struct_bytes = sizeof(request), .objects = &object,
                                   .object_count = 1, .chunks = &chunk, .chunk_count = 1};
    const struct timespec pause = {.tv_nsec = 100000};
    struct lsio_context *context;
    struct lsio_batch *batch;
    int status = 1;

    (void)state;
    memset(bytes, 1, sizeof(bytes));
    memset(dst, 2, sizeof(dst));
    sim_begin(&config);
    sim_put("/data/file", bytes, sizeof(bytes));
    sim_threads_begin(&threads);
    assert_int_equal(context_create(&settings, &world, &context), 0);
    assert_int_equal(lsio_store_open(context, "/data", NULL, 0, &object.store), 0);
    assert_int_equal(lsio_submit_batch(context, &request, &batch), 0);
    assert_int_equal(lsio_batch_wait(batch, 0, NULL), -ETIMEDOUT);
    for (int i = 0; i < 100 && dst[0] == 2; i++)
        nanosleep(&pause, NULL); /* until it is under way */
    assert_int_equal(dst[0], SIM_POISON);
    assert_int_equal(dst[sizeof(dst) - 1], SIM_POISON);
    assert_int_equal(lsio_batch_wait(batch, LSIO_FOREVER, &status), 0);
    assert_int_equal(status, 0);
    assert_memory_equal(dst, bytes, sizeof(dst));
    assert_int_equal(lsio_batch_destroy(batch), 0);
    assert_int_equal(lsio_context_destroy(context), 0);
    assert_int_equal(sim_threads_end(), 0);
    assert_int_equal(sim_end(), 0);
}

/* One worker, one read at a time, each of which takes seconds: a batch that is canceled while
 * another one's read is under way ends at once all the same, and so does its destruction. */
static void a_cancel_does_not_wait_for_other_batches(void **state)
{
    enum { CHUNKS = 30 };
    const struct sim_config config = {.seed = 1, .latency_min_ns = 3000000000,
                                      .latency_max_ns = 3500000000};
    const struct sim_threads_config threads = {.seed = 1};
    const struct context_world world = {.os = &loop_os_sim, .loop = &loop_sim};
    const struct lsio_config settings = {
        .struct_bytes = sizeof(settings), .workers = 1, .memory_bytes_max = 1 << 20};
    const struct lsio_option options[] = {{"inflight_max", "1"}, {"gap_bytes", "0"}};
    struct lsio_object object = {.key = "file", .size = LSIO_SIZE_UNKNOWN};
    static uint8_t bytes[65536], dst[65536];
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_request request = {.struct_bytes = sizeof(request), .objects = &object,
                                   .object_count = 1, .chunks = chunks, .chunk_count = CHUNKS};
    struct lsio_context *context;
    struct lsio_batch *first, *second;
    uint64_t canceled_ns;
    int status = 1;

    (void)state;
    sim_begin(&config);
    sim_put("/data/file", bytes, sizeof(bytes));
    sim_threads_begin(&threads);
    assert_int_equal(context_create(&settings, &world, &context), 0);
    assert_int_equal(lsio_store_open(context, "/data", options, 2, &object.store), 0);
    for (unsigned i = 0; i < CHUNKS; i++)
        chunks[i] = (struct lsio_chunk){
            .offset = i * 2000, .length = 1000, .dst = dst + i * 2000, .dst_bytes = 1000};
    assert_int_equal(lsio_submit_batch(context, &request, &first), 0);
    assert_int_equal(lsio_submit_batch(context, &request, &second), 0);
    assert_int_equal(lsio_batch_wait(second, 4000, NULL), -ETIMEDOUT); /* under way */
    canceled_ns = sim_now_ns();
    assert_int_equal(lsio_batch_cancel(second), 0);
    assert_int_equal(lsio_batch_wait(second, LSIO_FOREVER, &status), 0);
    assert_int_equal(status, -ECANCELED);
    assert_true(sim_now_ns() - canceled_ns < UINT64_C(4000000000)); /* its own read, at most */
    assert_int_equal(lsio_batch_destroy(second), 0);
    assert_int_equal(lsio_batch_destroy(first), 0);
    assert_int_equal(lsio_context_destroy(context), 0);
    assert_int_equal(sim_threads_end(), 0);
    assert_int_equal(sim_end(), 0);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_replays),
        cmocka_unit_test(every_seed_passes),
        cmocka_unit_test(a_destination_is_poisoned_while_it_is_read),
        cmocka_unit_test(a_cancel_does_not_wait_for_other_batches),
    };

    if (count >= 3 && strcmp(arguments[1], "--seed") == 0) {
        uint64_t trace = scenario_run(strtoull(arguments[2], NULL, 10),
                                      count > 3 && strcmp(arguments[3], "-v") == 0);
        printf("passed; trace %016llx\n", (unsigned long long)trace);
        return 0;
    }
    report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
