/* SPDX-License-Identifier: MIT */
/*
 * test_turns.c - who runs long chains, and who waits for whom, in virtual time: chains take time
 * here, reads take next to none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "model_driver.h"
#include "sim_loop.h"
#include "sim_threads.h"

#define MS         UINT64_C(1000000)
#define CHUNKS_MAX 64u

struct world {
    struct lsio_context *context;
    struct lsio_store *store;
};

static struct lsio_chunk chunks[CHUNKS_MAX];

struct slow {
    uint64_t chain_ns;
    uint64_t ended_ns; /* when the last of them ended */
};

static int stage_slow(struct lsio_call *call)
{
    struct slow *slow = call->user;
    struct timespec left = {.tv_sec = 0, .tv_nsec = (long)slow->chain_ns};

    nanosleep(&left, NULL);
    slow->ended_ns = sim_now_ns();
    return 0;
}

/* Of 1000 steps at which another thread may go on, so many are taken as such. */
enum { SELDOM = 10, OFTEN = 100 };

static struct world world_begin(uint32_t workers, const char *inflight_max, uint64_t seed,
                                uint32_t switch_permille)
{
    const struct model_config medium = {.latency_ns = MS / 10,
                                        .stream_bytes_per_second = 7000000000,
                                        .line_bytes_per_second = 7000000000,
                                        .connections = 64};
    const struct lsio_option options[] = {
        {"profile", "nvme"}, {"gap_bytes", "0"}, {"inflight_max", inflight_max}};
    struct lsio_config config = {.struct_bytes = sizeof(config), .workers = workers};
    struct context_world given = {&loop_os_sim, &loop_sim, &driver_model};
    struct world world;

    sim_begin(&(struct sim_config){.seed = seed});
    sim_threads_begin(&(struct sim_threads_config){
        .seed = seed, .switch_permille = switch_permille, .replay = "sim.turns"});
    model_driver_use(&medium, UINT64_C(1) << 40);
    assert_int_equal(context_create(&config, &given, &world.context), 0);
    assert_int_equal(lsio_store_open(world.context, "model://", options, 3, &world.store), 0);
    for (uint32_t i = 0; i < CHUNKS_MAX; i++)
        chunks[i] = (struct lsio_chunk){.offset = (int64_t)i << 20, .length = 4096};
    return world;
}

static void world_end(struct world *world)
{
    assert_int_equal(lsio_context_destroy(world->context), 0);
    assert_int_equal(sim_threads_end(), 0);
    assert_int_equal(sim_end(), 0);
}

/* A batch of so many chunks, each of whose chains takes so long. */
static struct lsio_batch *submit(struct world *world, uint32_t count, struct slow *slow)
{
    struct lsio_stage stage = {.struct_bytes = sizeof(stage),
                               .name = "slow",
                               .run = stage_slow,
                               .user = slow,
                               .flags = LSIO_STAGE_READS_ONLY};
    struct lsio_object object = {.store = world->store, .key = "0", .size = LSIO_SIZE_UNKNOWN};
    struct lsio_request request = {.struct_bytes = sizeof(request),
                                   .objects = &object,
                                   .object_count = 1,
                                   .chunks = chunks,
                                   .chunk_count = count};
    struct lsio_chain *chain;
    struct lsio_batch *batch;

    assert_int_equal(lsio_chain_create(world->context, &stage, 1, &chain), 0);
    request.chain = chain; /* the context ends it */
    assert_int_equal(lsio_submit_batch(world->context, &request, &batch), 0);
    return batch;
}

static void finish(struct lsio_batch *batch)
{
    int status = 1;

    assert_int_equal(lsio_batch_wait(batch, LSIO_FOREVER, &status), 0);
    assert_int_equal(status, 0);
    assert_int_equal(lsio_batch_destroy(batch), 0);
}

/* All workers take part to the end, and from the first chain on. */
static void long_chains_are_shared_out(void **state)
{
    static const struct {
        uint32_t workers, count;
        double most; /* of the time that it takes shared out evenly */
    } cases[] = {{2, 64, 1.2}, {4, 64, 1.3}, {4, 16, 1.4}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world world = world_begin(cases[i].workers, "256", 1, SELDOM);
        struct slow slow = {.chain_ns = 20 * MS};
        uint64_t begin_ns = sim_now_ns();
        double even = (double)cases[i].count / cases[i].workers * (double)slow.chain_ns, took;

        finish(submit(&world, cases[i].count, &slow));
        took = (double)(sim_now_ns() - begin_ns);
        print_message("%u workers, %u chains: %.2f of an even share\n", cases[i].workers,
                      cases[i].count, took / even);
        if (took > cases[i].most * even)
            fail_msg("%.0f ms, shared out evenly %.0f", took / 1e6, even / 1e6);
        world_end(&world);
    }
}

/* A batch whose chains have run is done, whoever else has chains to run. */
static void an_end_waits_for_no_other_batch(void **state)
{
    struct world world = world_begin(1, "256", 1, SELDOM);
    struct slow quick = {.chain_ns = 1 * MS}, slow = {.chain_ns = 50 * MS};
    struct lsio_batch *first = submit(&world, 8, &slow), *second = submit(&world, 1, &quick);

    (void)state;
    finish(second);
    assert_true(sim_now_ns() - quick.ended_ns < slow.chain_ns / 2);
    finish(first);
    world_end(&world);
}

/* A worker that waits for the store to admit one more read is told when another one has ended, in
 * whatever order they look and say so: nobody comes to wait as long as it would untold. */
static void a_free_place_is_taken_at_once(void **state)
{
    static const char *const limits[] = {"1", "2", "3"};

    (void)state;
    for (uint64_t seed = 2; seed < 200; seed++) {
        struct world world = world_begin(2 + seed % 5, limits[seed % 3], seed, OFTEN);
        struct slow quick = {.chain_ns = 1};
        uint64_t begin_ns = sim_now_ns();

        finish(submit(&world, 16, &quick));
        if (sim_now_ns() - begin_ns > 5 * MS)
            fail_msg("seed %u: %.1f ms", (unsigned)seed, (double)(sim_now_ns() - begin_ns) / MS);
        world_end(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_chains_are_shared_out),
        cmocka_unit_test(an_end_waits_for_no_other_batch),
        cmocka_unit_test(a_free_place_is_taken_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
