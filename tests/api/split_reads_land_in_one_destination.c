/* SPDX-License-Identifier: MIT */
/*
 * A chunk longer than split_bytes is read in parts by any workers into one place: dst, allocated
 * memory, or a buffer that the chain sees in one piece. The chain runs once, the chunk is reported
 * once.
 */
#include "api_fixture.h"

#define SIZE   (3 * MIB + 12345)
#define CHUNKS 6u

static const struct lsio_option options[] = {{"split_bytes", "64K"}};

static int whole_input(struct lsio_call *call)
{
    _Atomic int *calls = call->user;

    atomic_fetch_add(calls, 1);
    if (call->in_bytes != call->chunk->length ||
        api_mismatch(call->in, 0, (uint64_t)call->chunk->offset, call->in_bytes) != call->in_bytes)
        return -1;
    return lsio_call_pass(call, (const char *)call->in + 100, call->in_bytes - 200);
}

static void chunks_make(struct lsio_chunk *chunks, uint8_t **dst, uint32_t flags)
{
    for (uint32_t i = 0; i < CHUNKS; i++) {
        chunks[i] = (struct lsio_chunk){.offset = i * 999, .length = SIZE - i * 100000 - 5000};
        chunks[i].flags = flags;
        if (flags)
            continue;
        dst[i] = malloc(SIZE);
        chunks[i].dst = dst[i];
        chunks[i].dst_bytes = SIZE;
    }
}

static void run(struct api *api, uint64_t size, uint32_t flags, bool chain)
{
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_result results[CHUNKS];
    struct lsio_request request = api_request(&object, 1, chunks, CHUNKS, results);
    _Atomic int calls = 0;
    struct lsio_stage stage = api_stage(whole_input, LSIO_STAGE_PASSES_SLICE, &calls);
    struct lsio_chain *made = NULL;
    struct lsio_stats before = api_stats(api->context), after;
    struct api_seen seen;
    uint8_t *dst[CHUNKS] = {NULL};
    uint64_t cut = chain ? 100 : 0;

    object.size = size;
    api_seen_init(&seen, CHUNKS);
    chunks_make(chunks, dst, flags);
    if (chain)
        assert_int_equal(lsio_chain_create(api->context, &stage, 1, &made), 0);
    request.chain = made;
    request.on_chunk = api_seen_on_chunk;
    request.on_done = api_seen_on_done;
    request.data = &seen;
    assert_int_equal(lsio_read_batch(api->context, &request), 0);
    for (uint32_t i = 0; i < CHUNKS; i++) {
        assert_int_equal(results[i].bytes, chunks[i].length - 2 * cut);
        api_check(results[i].data, 0, (uint64_t)chunks[i].offset + cut, results[i].bytes);
        if (flags)
            lsio_result_free(results[i].data);
        free(dst[i]);
    }
    after = api_stats(api->context);
    assert_true(after.operations - before.operations >= CHUNKS * (SIZE - 600000) / (128 * KIB));
    assert_int_equal(calls, chain ? CHUNKS : 0);
    api_seen_check(&seen);
    lsio_chain_destroy(made);
}

static void parts_land_where_they_belong(void **state)
{
    struct api *api = *state;

    api_put(api, "k", 0, SIZE);
    api_remake(api, NULL, options, 1);
    for (int i = 0; i < 8; i++)
        run(api, i & 1 ? SIZE : LSIO_SIZE_UNKNOWN, i & 2 ? LSIO_CHUNK_ALLOC : 0, i & 4);
}

static void whole_objects_are_split_too(void **state)
{
    struct api *api = *state;
    uint8_t *dst = malloc(SIZE);
    uint64_t bytes = 0;

    api_put(api, "k", 0, SIZE);
    api_remake(api, NULL, options, 1);
    assert_int_equal(lsio_read(api->context, api->store, "k", 0, LSIO_TO_END, dst, SIZE, &bytes),
                     0);
    assert_int_equal(bytes, SIZE);
    api_check(dst, 0, 0, SIZE);
    assert_int_equal(
        lsio_read(api->context, api->store, "k", -700000, LSIO_TO_END, dst, SIZE, &bytes), 0);
    assert_int_equal(bytes, 700000);
    api_check(dst, 0, SIZE - 700000, 700000);
    assert_true(api_stats(api->context).operations >= SIZE / (128 * KIB));
    free(dst);
}

static void failing_parts_fail_the_chunk_once(void **state)
{
    struct api *api = *state;
    struct lsio_object objects[2];
    struct lsio_chunk chunks[3];
    struct lsio_result results[3];
    struct lsio_request request = api_request(objects, 2, chunks, 3, results);
    uint8_t *dst = malloc(3 * SIZE);
    struct api_seen seen;

    api_put(api, "k", 0, SIZE);
    api_remake(api, NULL, options, 1);
    objects[0] = api_object(api, "k");
    objects[1] = api_object(api, "absent");
    api_seen_init(&seen, 3);
    for (uint32_t i = 0; i < 3; i++)
        chunks[i] = (struct lsio_chunk){.object = i == 1,
                                        .length = SIZE - (i < 2 ? 0 : 100),
                                        .dst = dst + i * SIZE,
                                        .dst_bytes = SIZE};
    chunks[0].offset = 1;
    request.on_chunk = api_seen_on_chunk;
    request.on_done = api_seen_on_done;
    request.data = &seen;
    assert_int_equal(lsio_read_batch(api->context, &request), LSIO_E_TRUNCATED);
    assert_int_equal(results[1].status, -ENOENT);
    assert_int_equal(results[2].status, 0);
    api_check(dst + 2 * SIZE, 0, 0, SIZE - 100);
    api_seen_check(&seen);
    free(dst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parts_land_where_they_belong),
                                       cmocka_unit_test(whole_objects_are_split_too),
                                       cmocka_unit_test(failing_parts_fail_the_chunk_once)};

    return api_run_tests("split_reads_land_in_one_destination", tests, COUNT(tests), API_ALL);
}
