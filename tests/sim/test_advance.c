/* SPDX-License-Identifier: MIT */
/*
 * test_advance.c - long chains of the members of joined reads, in virtual time, through a driver
 * whose bytes come a member at a time and which tells, or does not. And the end of whole objects
 * that are probed and wait for memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "driver/options.h"
#include "engine/engine.h"
#include "sim_loop.h"
#include "sim_threads.h"

#define MS           UINT64_C(1000000)
#define MEMBER_BYTES 65536u
#define MEMBERS      8u /* of a join */
#define PIECE_NS     MS /* from one member's bytes to the next one's */
#define CHAIN_NS     (10 * MS)
#define OBJECT_BYTES 600000u
#define QUICK_KEY    "2" /* of an object that is there at once */

/* ---------------------------------------------------------------------------------- driver -- */

static bool tells;
extern const struct driver_ops driver_drip;

static void drip_close(struct lsio_store *store, bool forked)
{
    (void)forked;
    if (store)
        free(store->url);
    free(store);
}

static int drip_open(const struct driver_open *open, struct lsio_store **out)
{
    struct lsio_store *store = calloc(1, sizeof(*store));
    int status;

    assert_non_null(store);
    store->driver = &driver_drip;
    store->context = open->context;
    store->url = strdup(open->url);
    status = plan_profile_builtin("cloud", &store->profile);
    if (status == 0)
        status = driver_options_apply(open, &store->profile, NULL, store);
    assert_int_equal(status, 0);
    *out = store;
    return 0;
}

static void piece_wait(struct driver_read *read)
{
    read->op.kind = LOOP_TIMER;
    read->op.offset = read->env->os->now_ns() + PIECE_NS;
    read->env->loop_ops->submit(read->env->loop, &read->op);
}

static void piece_come(struct loop_op *op)
{
    struct driver_read *read = container_of(op, struct driver_read, op);

    if (op->result < 0) {
        read->status = (int32_t)op->result;
        read->env->complete(read->env, read);
        return;
    }
    memset(read->addr + read->progress, 1, MEMBER_BYTES);
    read->progress += MEMBER_BYTES;
    read->ready_bytes = read->progress;
    if (read->progress >= read->bytes) {
        read->status = 0;
        read->bytes_done = read->bytes;
        read->env->complete(read->env, read);
        return;
    }
    if (tells && read->tell_bytes && read->progress >= read->tell_bytes) {
        read->tell_bytes = 0;
        read->env->advanced(read->env, read);
    }
    piece_wait(read);
}

static void probe_come(struct loop_op *op)
{
    struct driver_read *read = container_of(op, struct driver_read, op);
    uint64_t size = LSIO_SIZE_UNKNOWN;

    read->status = op->result < 0 ? (int32_t)op->result : 0;
    atomic_compare_exchange_strong(&read->object->plan.size, &size, OBJECT_BYTES);
    read->env->complete(read->env, read);
}

static void drip_read(struct driver_env *env, struct driver_read *read)
{
    read->env = env;
    read->progress = 0;
    read->code = 0;
    read->text = NULL;
    read->bytes_done = 0;
    read->op = (struct loop_op){
        .done = read->kind == DRIVER_PROBE ? probe_come : piece_come, .file = -1, .buffer = -1};
    if (strcmp(read->object->key, QUICK_KEY) == 0) {
        read->status = 0;
        read->bytes_done = read->bytes;
        env->complete(env, read);
        return;
    }
    piece_wait(read);
}

static void drip_cancel(struct driver_env *env, struct driver_read *read)
{
    env->loop_ops->cancel(env->loop, &read->op);
}

static int drip_info(struct driver_object *object, struct lsio_object_info *out)
{
    (void)object;
    out->size = 1;
    return 0;
}

static const char *const drip_schemes[] = {"drip", NULL};

const struct driver_ops driver_drip = {
    .name = "drip",
    .schemes = drip_schemes,
    .store_open = drip_open,
    .store_close = drip_close,
    .read = drip_read,
    .cancel = drip_cancel,
    .object_info = drip_info,
};

/* ----------------------------------------------------------------------------------- world -- */

struct world {
    struct lsio_context *context;
    struct lsio_store *store;
};

static int stage_slow(struct lsio_call *call)
{
    struct timespec left = {.tv_nsec = (long)CHAIN_NS};

    (void)call;
    nanosleep(&left, NULL);
    return 0;
}

static int stage_quick(struct lsio_call *call)
{
    (void)call;
    return 0;
}

static struct lsio_batch *doomed;

/* Keeps its chunk's memory for a while, and meanwhile destroys another batch. */
static int stage_destroys(struct lsio_call *call)
{
    struct timespec some = {.tv_nsec = (long)(100 * MS)};

    (void)call;
    nanosleep(&some, NULL);
    assert(lsio_batch_destroy(doomed) == 0);
    nanosleep(&some, NULL);
    return 0;
}

static struct world world_begin(uint32_t workers, uint64_t memory_bytes)
{
    static const struct lsio_option options[] = {{"profile", "cloud"},
                                                 {"gap_bytes", "0"},
                                                 {"request_bytes_max", "512K"},
                                                 {"inflight_max", "128"},
                                                 {"split_bytes", "64M"}};
    struct lsio_config config = {
        .struct_bytes = sizeof(config), .workers = workers, .memory_bytes_max = memory_bytes};
    struct context_world given = {&loop_os_sim, &loop_sim, &driver_drip};
    struct world world;

    sim_begin(&(struct sim_config){.seed = 1});
    sim_threads_begin(
        &(struct sim_threads_config){.seed = 1, .switch_permille = 10, .replay = "sim.advance"});
    assert_int_equal(context_create(&config, &given, &world.context), 0);
    assert_int_equal(lsio_store_open(world.context, "drip://", options, 5, &world.store), 0);
    return world;
}

static void world_end(struct world *world)
{
    assert_int_equal(lsio_context_destroy(world->context), 0);
    assert_int_equal(sim_threads_end(), 0);
    assert_int_equal(sim_end(), 0);
}

static struct lsio_batch *submit_chunks(struct world *world, const struct lsio_object *objects,
                                        size_t object_count, const struct lsio_chunk *chunks,
                                        uint32_t count, lsio_stage_fn *run)
{
    struct lsio_stage stage = {
        .struct_bytes = sizeof(stage), .name = "s", .run = run, .flags = LSIO_STAGE_READS_ONLY};
    struct lsio_request request = {.struct_bytes = sizeof(request),
                                   .objects = objects,
                                   .object_count = object_count,
                                   .chunks = chunks,
                                   .chunk_count = count};
    struct lsio_chain *chain;
    struct lsio_batch *batch;

    assert_int_equal(lsio_chain_create(world->context, &stage, 1, &chain), 0);
    request.chain = chain; /* the context ends it */
    assert_int_equal(lsio_submit_batch(world->context, &request, &batch), 0);
    return batch;
}

/* Of one object, so many members that lie one behind the other. */
static struct lsio_batch *submit(struct world *world, const char *key, uint32_t count,
                                 lsio_stage_fn *run)
{
    static struct lsio_chunk chunks[256];
    struct lsio_object object = {.store = world->store, .key = key, .size = LSIO_SIZE_UNKNOWN};

    for (uint32_t i = 0; i < count; i++)
        chunks[i] = (struct lsio_chunk){.offset = (int64_t)i * MEMBER_BYTES,
                                        .length = MEMBER_BYTES};
    return submit_chunks(world, &object, 1, chunks, count, run);
}

static void finish(struct lsio_batch *batch)
{
    int status = 1;

    assert_int_equal(lsio_batch_wait(batch, LSIO_FOREVER, &status), 0);
    assert_int_equal(status, 0);
    assert_int_equal(lsio_batch_destroy(batch), 0);
}

/* ----------------------------------------------------------------------------------- tests -- */

/* Chains that run while their join is read do not keep other workers from taking their part. */
static void long_chains_are_shared_out(void **state)
{
    (void)state;
    for (uint32_t joins = 8; joins <= 32; joins *= 2) {
        for (int i = 0; i < 2; i++) {
            struct world world = world_begin(2, 0);
            uint64_t begin_ns = sim_now_ns();
            double even = joins * MEMBERS / 2.0 * CHAIN_NS, took;

            tells = i == 1;
            finish(submit(&world, "1", joins * MEMBERS, stage_slow));
            took = (double)(sim_now_ns() - begin_ns);
            print_message("%u joins, %stold: %.2f of an even share\n", joins, tells ? "" : "not ",
                          took / even);
            if (took > 1.3 * even)
                fail_msg("%.0f ms, shared out evenly %.0f", took / 1e6, even / 1e6);
            world_end(&world);
        }
    }
}

/* A worker looks at what else there is to do between long chains, told or not. */
static void a_short_batch_gets_its_turn(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        struct world world = world_begin(1, 0);
        struct timespec some = {.tv_nsec = (long)((5 + i / 2 * 53) * MS)};
        struct lsio_batch *first, *second;
        uint64_t begin_ns;

        tells = i % 2 == 1;
        first = submit(&world, "1", 16 * MEMBERS, stage_slow);
        nanosleep(&some, NULL);
        begin_ns = sim_now_ns();
        second = submit(&world, QUICK_KEY, 1, stage_quick);
        finish(second);
        if (sim_now_ns() - begin_ns > 4 * CHAIN_NS)
            fail_msg("after %ld ms, %stold: %.1f ms", some.tv_nsec / 1000000, tells ? "" : "not ",
                     (double)(sim_now_ns() - begin_ns) / 1e6);
        finish(first);
        world_end(&world);
    }
}

/* As many of them as a worker reports in one go: the last report ends the batch. */
static void what_waits_for_memory_ends_with_its_batch(void **state)
{
    struct world world = world_begin(2, 4 << 20);
    struct lsio_object objects[ENGINE_RUN_MAX], object = {world.store, QUICK_KEY, 0, NULL};
    struct lsio_chunk chunks[ENGINE_RUN_MAX], chunk = {.length = 1000000};
    struct timespec some = {.tv_nsec = (long)(10 * MS)};
    struct lsio_batch *holder = submit_chunks(&world, &object, 1, &chunk, 1, stage_destroys);

    (void)state;
    for (uint32_t i = 0; i < ENGINE_RUN_MAX; i++) {
        objects[i] = (struct lsio_object){world.store, "1", LSIO_SIZE_UNKNOWN, NULL};
        chunks[i] = (struct lsio_chunk){.object = i, .length = LSIO_TO_END};
    }
    nanosleep(&some, NULL);
    doomed = submit_chunks(&world, objects, ENGINE_RUN_MAX, chunks, ENGINE_RUN_MAX, stage_quick);
    finish(holder);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_chains_are_shared_out),
        cmocka_unit_test(a_short_batch_gets_its_turn),
        cmocka_unit_test(what_waits_for_memory_ends_with_its_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
