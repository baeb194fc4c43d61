/* SPDX-License-Identifier: MIT */
/*
 * The budget: eight threads read through eight workers what fits the memory only a few times - long
 * chunks that a chain needs in one piece (split, or read whole), whole files whose sizes are found
 * out first, joins, and chains that need more than their scratch memory and share one lane - while
 * one more looks that no part of the budget is exceeded. Nothing may fail, nothing may get stuck,
 * and in the end all memory has come back.
 *
 * LSIO_TEST_TIMEOUT: 3600
 */
#include "engine/engine.h"
#include "stress.h"

#define READERS     8u
#define BUDGET      (8 * MIB)
#define FILE_BYTES  (6 * MIB)
#define WHOLE_FILES 8u
#define WHOLE_BYTES (500 * KIB)
#define JOIN_CHUNKS 24u
#define JOIN_BYTES  (8 * KIB)
#define JOIN_STEP   (13 * KIB)
#define LANE_BYTES  (400 * KIB) /* more than a chain's scratch, less than the lane */
#define OUT_BYTES   64u

struct world {
    struct api *api;
    struct lsio_store *splits, *joins;
    struct lsio_chain *sample, *sample_twice;
};

/* Puts out the first bytes, after a look at places all over the input. */
static int sample(struct lsio_call *call)
{
    uint64_t offset = (uint64_t)call->chunk->offset, step = call->in_bytes / 7 + 1;
    void *out;
    int status;

    for (uint64_t at = 0; at < call->in_bytes; at += step) {
        uint64_t count = call->in_bytes - at < 40 ? call->in_bytes - at : 40;
        if (api_mismatch((const uint8_t *)call->in + at, 1, offset + at, count) != count)
            return LSIO_E_CORRUPT;
    }
    status = lsio_call_out(call, OUT_BYTES, &out);
    if (status)
        return status;
    memcpy(out, call->in, OUT_BYTES);
    return lsio_call_commit(call, OUT_BYTES);
}

/* Hands all on, through memory that only the oversize lane has. */
static int copy(struct lsio_call *call)
{
    void *out;
    int status = lsio_call_out(call, call->in_bytes, &out);

    if (status)
        return status;
    memcpy(out, call->in, call->in_bytes);
    return lsio_call_commit(call, call->in_bytes);
}

/* Chunks of one length at random places, or one step apart. */
static void read_round(struct stress_thread *thread, struct world *world,
                       struct lsio_store *store, const struct lsio_chain *chain, uint32_t count,
                       uint64_t bytes, uint64_t step)
{
    uint8_t dst[JOIN_CHUNKS][OUT_BYTES];
    struct lsio_chunk chunks[JOIN_CHUNKS];
    struct lsio_object object = {.store = store, .key = "file", .size = LSIO_SIZE_UNKNOWN};
    struct lsio_request request = api_request(&object, 1, chunks, count, NULL);
    uint64_t at = stress_random(thread, (uint32_t)(FILE_BYTES - bytes - count * step));

    for (uint32_t i = 0; i < count; i++) {
        chunks[i] = (struct lsio_chunk){
            .offset = (int64_t)at, .length = bytes, .dst = dst[i], .dst_bytes = OUT_BYTES};
        at = step ? at + step : stress_random(thread, (uint32_t)(FILE_BYTES - bytes));
    }
    request.chain = chain;
    STRESS_CHECK(lsio_read_batch(world->api->context, &request) == 0);
    for (uint32_t i = 0; i < count; i++)
        STRESS_CHECK(api_mismatch(dst[i], 1, (uint64_t)chunks[i].offset, OUT_BYTES) == OUT_BYTES);
}

static void whole_round(struct world *world)
{
    static const char *const keys[WHOLE_FILES] = {"0", "1", "2", "3", "4", "5", "6", "7"};
    uint8_t dst[WHOLE_FILES][OUT_BYTES];
    struct lsio_object objects[WHOLE_FILES];
    struct lsio_chunk chunks[WHOLE_FILES];
    struct lsio_request request = api_request(objects, WHOLE_FILES, chunks, WHOLE_FILES, NULL);

    for (uint32_t i = 0; i < WHOLE_FILES; i++) {
        objects[i] = api_object(world->api, keys[i]);
        chunks[i] = (struct lsio_chunk){
            .object = i, .length = LSIO_TO_END, .dst = dst[i], .dst_bytes = OUT_BYTES};
    }
    request.chain = world->sample;
    STRESS_CHECK(lsio_read_batch(world->api->context, &request) == 0);
    for (uint32_t i = 0; i < WHOLE_FILES; i++)
        STRESS_CHECK(api_mismatch(dst[i], 1, 0, OUT_BYTES) == OUT_BYTES);
}

static void pool_look(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    STRESS_CHECK(pool->bytes_used <= pool->bytes_mapped && pool->bytes_mapped <= pool->bytes_max);
    pthread_mutex_unlock(&pool->lock);
}

static void budget_look(struct lsio_context *context)
{
    struct lsio_stats stats = {.struct_bytes = sizeof(stats)};

    pool_look(&context->pool);
    pool_look(&context->lane_pool);
    STRESS_CHECK(lsio_context_stats(context, &stats) == 0);
    STRESS_CHECK(stats.memory_bytes_max == BUDGET && stats.memory_bytes_peak <= BUDGET);
}

static void *thread_main(void *data)
{
    struct stress_thread *thread = data;
    struct world *world = thread->data;

    if (thread->number == READERS) {
        for (; api_now_ms() < thread->stress->until_ms; api_sleep_ms(1))
            budget_look(world->api->context);
        return NULL;
    }
    while (stress_goes_on(thread->stress)) {
        uint64_t bytes = 256 * KIB + stress_random(thread, 1 * MIB);
        switch (stress_random(thread, 5)) {
        case 0:
            read_round(thread, world, world->api->store, world->sample,
                       1 + stress_random(thread, 4), bytes, 0);
            break;
        case 1:
            read_round(thread, world, world->splits, world->sample, 1 + stress_random(thread, 4),
                       bytes, 0);
            break;
        case 2:
            whole_round(world);
            break;
        case 3:
            read_round(thread, world, world->joins, world->sample, JOIN_CHUNKS, JOIN_BYTES,
                       JOIN_STEP);
            break;
        default:
            read_round(thread, world, world->api->store, world->sample_twice, 2, LANE_BYTES, 0);
            break;
        }
    }
    return NULL;
}

/* A buffer is given back after its chunk was reported: soon, not at once. */
static void all_comes_back(struct stress *stress, struct pool *pool)
{
    uint64_t used;

    do {
        pthread_mutex_lock(&pool->lock);
        used = pool->bytes_used;
        pthread_mutex_unlock(&pool->lock);
        if (used)
            api_sleep_ms(1); /* the watchdog ends this when it lasts */
    } while (used);
    stress_goes_on(stress);
}

static void never_above_never_stuck(void **state)
{
    const struct lsio_option split[] = {{"split_bytes", "128K"}, {"direct", "off"}};
    const struct lsio_option join[] = {{"profile", "hpc"}, {"gap_bytes", "16K"}};
    struct world world = {.api = *state};
    struct lsio_config config = stress_config(world.api, BUDGET);
    struct lsio_stage stages[] = {api_stage(copy, LSIO_STAGE_WRITES, NULL),
                                  api_stage(sample, LSIO_STAGE_WRITES, NULL)};
    struct lsio_context *context;
    struct lsio_stats stats;
    struct stress stress;

    api_put(world.api, "file", 1, FILE_BYTES);
    for (uint32_t i = 0; i < WHOLE_FILES; i++) {
        char key[2] = {(char)('0' + i), '\0'};
        api_put(world.api, key, 1, WHOLE_BYTES);
    }
    api_remake(world.api, &config, NULL, 0);
    context = world.api->context;
    world.splits = api_open(world.api, context, split, COUNT(split));
    world.joins = api_open(world.api, context, join, COUNT(join));
    assert_int_equal(lsio_chain_create(context, stages + 1, 1, &world.sample), 0);
    assert_int_equal(lsio_chain_create(context, stages, 2, &world.sample_twice), 0);
    stress_begin(&stress, "budget");
    stress_run(&stress, READERS + 1, thread_main, &world);
    all_comes_back(&stress, &context->pool);
    all_comes_back(&stress, &context->lane_pool);
    stress_end(&stress);
    stats = api_stats(context);
    assert_true(stats.operations_joined > 0);
    assert_int_equal(stats.chunks_failed, 0);
    assert_true(context->pool.bytes_peak > context->pool.bytes_max / 2);
    assert_true(context->lane_pool.bytes_peak > LANE_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(never_above_never_stuck)};

    return api_run_tests("stress budget", tests, COUNT(tests), API_LOCAL);
}
