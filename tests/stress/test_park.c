/* SPDX-License-Identifier: MIT */
/*
 * Parking and waking: eight threads hand tiny batches to eight workers, so that workers park and
 * are woken all the time - for work, for messages, for deadlines, for cancels - and each thread
 * waits with short timeouts. A lost wake-up is a batch that never ends. Each chunk is reported
 * once, on_done once, after all chunks.
 *
 * LSIO_TEST_TIMEOUT: 3600
 */
#include "stress.h"

#define THREADS    8u
#define CHUNKS_MAX 3u
#define FILE_BYTES 4096u
#define ADDED      2u

struct world {
    struct api *api;
    struct lsio_store *memory;
    struct lsio_chain *grows; /* its stage adds a chunk to the batch */
};

/* One batch of one thread. */
struct round {
    struct world *world;
    uint8_t dst[CHUNKS_MAX + ADDED][64];
    struct lsio_object object;
    _Atomic uint32_t reported, done;
    _Atomic bool added;
};

static void on_chunk(struct lsio_batch *batch, uint64_t index, const struct lsio_result *result,
                     void *data)
{
    struct round *round = data;

    (void)batch;
    (void)result;
    STRESS_CHECK(index < CHUNKS_MAX + ADDED && atomic_load(&round->done) == 0);
    atomic_fetch_add(&round->reported, 1);
}

static void on_done(struct lsio_batch *batch, int status, void *data)
{
    struct round *round = data;

    (void)batch;
    (void)status;
    STRESS_CHECK(atomic_fetch_add(&round->done, 1) == 0);
}

/* The first chunk of a batch to come here adds two plain ones. */
static int add_more(struct lsio_call *call)
{
    struct round *round = call->data;
    struct lsio_chunk more[ADDED];
    struct lsio_request request = api_request(&round->object, 1, more, ADDED, NULL);

    if (!round || atomic_exchange(&round->added, true))
        return 0;
    for (uint32_t i = 0; i < ADDED; i++)
        more[i] = (struct lsio_chunk){
            .offset = i, .length = 64, .dst = round->dst[CHUNKS_MAX + i], .dst_bytes = 64};
    return lsio_batch_add(call->batch, &request, NULL);
}

static void chunks_fill(struct stress_thread *thread, struct round *round,
                        struct lsio_chunk *chunks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        chunks[i] = (struct lsio_chunk){.offset = stress_random(thread, FILE_BYTES - 64),
                                        .length = 1 + stress_random(thread, 64),
                                        .dst = round->dst[i],
                                        .dst_bytes = 64,
                                        .data = round};
}

/* Waits by short timeouts; the batch's status. */
static int wait_impatiently(struct stress_thread *thread, struct lsio_batch *batch)
{
    int status = 1, error;

    while ((error = lsio_batch_wait(batch, stress_random(thread, 3), &status)) == -ETIMEDOUT)
        ;
    STRESS_CHECK(error == 0 && status <= 0);
    return status;
}

static void round_submit(struct stress_thread *thread, struct world *world)
{
    struct lsio_chunk chunks[CHUNKS_MAX];
    struct lsio_result results[CHUNKS_MAX];
    struct round round = {.world = world};
    uint32_t count = stress_random(thread, CHUNKS_MAX + 1), way = stress_random(thread, 8);
    struct lsio_request request = api_request(&round.object, 1, chunks, count, results);
    struct lsio_batch *batch;
    int status;

    round.object = api_object(world->api, "file");
    if (stress_random(thread, 2))
        round.object.store = world->memory;
    chunks_fill(thread, &round, chunks, count);
    request.on_chunk = on_chunk;
    request.on_done = on_done;
    request.data = &round;
    request.flags = LSIO_BORROW;
    if (way == 1)
        request.deadline_ms = 1 + stress_random(thread, 2);
    if (way == 2)
        request.chain = world->grows;
    STRESS_CHECK(lsio_submit_batch(world->api->context, &request, &batch) == 0);
    if (way == 3)
        STRESS_CHECK(lsio_batch_cancel(batch) == 0);
    status = wait_impatiently(thread, batch);
    STRESS_CHECK(status == 0 || (status == -ETIMEDOUT && way == 1) ||
                 (status == -ECANCELED && way == 3));
    STRESS_CHECK(round.done == 1 && round.reported == count + (round.added ? ADDED : 0));
    for (uint32_t i = 0; i < count; i++)
        STRESS_CHECK(results[i].status == status || results[i].status == 0);
    for (uint32_t i = 0; i < count && status == 0; i++)
        STRESS_CHECK(api_mismatch(round.dst[i], 1, (uint64_t)chunks[i].offset,
                                  chunks[i].length) == chunks[i].length);
    STRESS_CHECK(lsio_batch_destroy(batch) == 0);
}

/* A message to each worker, which all must have run before this returns. */
static void round_register(struct world *world, void *memory, uint64_t bytes)
{
    int status = lsio_memory_register(world->api->context, memory, bytes);

    STRESS_CHECK(status == 0 || status == LSIO_E_LIMIT);
    if (status == 0)
        STRESS_CHECK(lsio_memory_unregister(world->api->context, memory) == 0);
}

static void *thread_main(void *data)
{
    struct stress_thread *thread = data;
    struct world *world = thread->data;
    void *memory = aligned_alloc(4096, 4096);
    uint8_t dst[64];

    while (stress_goes_on(thread->stress)) {
        uint32_t way = stress_random(thread, 32);
        if (way == 0)
            round_register(world, memory, 4096);
        else if (way < 4)
            STRESS_CHECK(lsio_read(world->api->context, world->api->store, "file", 9, 64, dst,
                                   sizeof(dst), NULL) == 0 &&
                         api_mismatch(dst, 1, 9, 64) == 64);
        else
            round_submit(thread, world);
    }
    free(memory);
    return NULL;
}

static void no_wake_is_lost(void **state)
{
    struct world world = {.api = *state};
    struct lsio_config config = stress_config(world.api, 16 * MIB);
    struct lsio_stage stage = api_stage(add_more, LSIO_STAGE_READS_ONLY, NULL);
    uint8_t bytes[FILE_BYTES];
    struct stress stress;

    api_put(world.api, "file", 1, FILE_BYTES);
    api_fill(bytes, 1, 0, FILE_BYTES);
    api_remake(world.api, &config, NULL, 0);
    assert_int_equal(lsio_store_open(world.api->context, "memory://m", NULL, 0, &world.memory), 0);
    assert_int_equal(lsio_memory_put(world.memory, "file", bytes, FILE_BYTES), 0);
    assert_int_equal(lsio_chain_create(world.api->context, &stage, 1, &world.grows), 0);
    stress_begin(&stress, "park and wake");
    stress_run(&stress, THREADS, thread_main, &world);
    stress_end(&stress);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_wake_is_lost)};

    return api_run_tests("stress park", tests, COUNT(tests), API_LOCAL);
}
