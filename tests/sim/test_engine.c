/* SPDX-License-Identifier: MIT */
/*
 * The whole engine, unchanged, on simulated threads, files and time: each seed is a scenario
 * (scenario.h) that is played once and checked against the five invariants and, byte for byte, an
 * oracle (check.h).
 *
 * How to run seeds: seeds.h.
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

#include <string.h>
#include <time.h>

#include "engine/engine.h"
#include "ledger.h"
#include "scenario.h"
#include "seeds.h"
#include "sim_loop.h"
#include "sim_threads.h"

#define SEEDS 400

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
        cmocka_unit_test(seeds_replay),
        cmocka_unit_test(seeds_pass),
        cmocka_unit_test(a_destination_is_poisoned_while_it_is_read),
        cmocka_unit_test(a_cancel_does_not_wait_for_other_batches),
    };

    if (seeds_begin(&world_local, SEEDS, count, arguments))
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
