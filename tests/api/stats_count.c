/* SPDX-License-Identifier: MIT */
/*
 * lsio_context_stats(): after a batch has ended its chunks, bytes and operations are counted
 * exactly, by workers and by the calling thread alike, failures too.
 */
#include "api_fixture.h"

#define CHUNKS 2000u

static void by_workers(void **state)
{
    static const struct lsio_option options[] = {
        {"profile", "hdd"}, {"gap_bytes", "4K"}, {"waste_max", "90"}};
    struct api *api = *state;
    struct lsio_object objects[2];
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_request request = api_request(objects, 2, chunks, CHUNKS, NULL);
    struct lsio_stats stats;
    uint8_t *dst = malloc(CHUNKS * 100);

    api_put(api, "k", 0, CHUNKS * 200);
    api_remake(api, NULL, options, COUNT(options));
    objects[0] = api_object(api, "k");
    objects[1] = api_object(api, "absent");
    for (uint32_t i = 0; i < CHUNKS; i++)
        chunks[i] = (struct lsio_chunk){
            .offset = i * 200, .length = 100, .dst = dst + i * 100, .dst_bytes = 100};
    for (uint32_t round = 1; round <= 20; round++) {
        assert_int_equal(lsio_read_batch(api->context, &request), 0);
        stats = api_stats(api->context);
        assert_int_equal(stats.chunks_done, round * CHUNKS);
        assert_int_equal(stats.chunks_failed, 0);
        assert_int_equal(stats.bytes_asked, round * CHUNKS * 100);
        /* between neighbours that were joined lie 100 bytes that nobody asked for */
        assert_int_equal(stats.bytes_read, stats.bytes_asked + stats.bytes_wasted);
        assert_int_equal(stats.bytes_wasted, (round * CHUNKS - stats.operations) * 100);
        assert_true(stats.operations_joined > 0 && stats.operations_joined <= stats.operations);
    }
    for (uint32_t i = 0; i < CHUNKS; i += 2)
        chunks[i].object = 1;
    assert_int_equal(lsio_read_batch(api->context, &request), -ENOENT);
    assert_int_equal(api_stats(api->context).chunks_failed, CHUNKS / 2);
    assert_int_equal(api_stats(api->context).chunks_done, 21 * CHUNKS);
    free(dst);
}

static int refuse(struct lsio_call *call)
{
    return call->index == 1 ? LSIO_E_CORRUPT : 0;
}

static void by_the_calling_thread(void **state)
{
    struct api *api = *state;
    struct lsio_stage stage = api_stage(refuse, LSIO_STAGE_READS_ONLY, NULL);
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk chunks[2] = {{.length = 100}, {.length = 50}};
    struct lsio_request request = api_request(&object, 1, chunks, 2, NULL);
    struct lsio_stats before, after;
    struct lsio_chain *chain;
    uint8_t dst[100];

    api_put(api, "k", 0, 1000);
    assert_int_equal(lsio_read(api->context, api->store, "k", 0, 100, dst, 100, NULL), 0);
    before = api_stats(api->context);
    for (int i = 0; i < 10; i++)
        assert_int_equal(lsio_read(api->context, api->store, "k", 0, 100, dst, 100, NULL), 0);
    after = api_stats(api->context);
    assert_int_equal(after.chunks_done - before.chunks_done, 10);
    assert_int_equal(after.bytes_asked - before.bytes_asked, 1000);
    assert_int_equal(after.bytes_read - before.bytes_read, 1000);
    assert_int_equal(after.operations - before.operations, 10);
    assert_int_equal(after.operations_inline - before.operations_inline,
                     api->kind == API_BUCKET ? 0 : 10);
    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
    request.chain = chain;
    assert_int_equal(lsio_read_batch(api->context, &request), LSIO_E_CORRUPT);
    assert_int_equal(api_stats(api->context).chunks_failed - after.chunks_failed, 1);
    assert_int_equal(api_stats(api->context).chunks_done - after.chunks_done, 2);
}

static void what_is_fixed(void **state)
{
    struct api *api = *state;
    struct lsio_stats stats = api_stats(api->context);
    struct lsio_stats small = {.struct_bytes = 8};

    assert_string_equal(stats.loop, api->loop);
    assert_true(strlen(stats.loop_reason) > 3);
    assert_int_equal(stats.workers, 3);
    assert_int_equal(lsio_context_workers(api->context), 3);
    assert_int_equal(stats.memory_bytes_max, 32 * MIB);
    assert_true(stats.memory_bytes_peak <= stats.memory_bytes_max);
    assert_true(stats.registered_bytes <= stats.memory_bytes_max);
    assert_int_equal(stats.chunks_done, 0);
    assert_int_equal(lsio_context_stats(api->context, &small), -EINVAL);
    assert_int_equal(lsio_context_stats(NULL, &stats), -EINVAL);
    assert_int_equal(lsio_context_stats(api->context, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_workers),
                                       cmocka_unit_test(by_the_calling_thread),
                                       cmocka_unit_test(what_is_fixed)};

    return api_run_tests("stats_count", tests, COUNT(tests), API_ALL);
}
