/* SPDX-License-Identifier: MIT */
/*
 * lsio_memory_register() makes no difference but speed: reads into registered memory, at its edges,
 * across them and into none give the same bytes, also while it is registered and unregistered.
 */
#define _GNU_SOURCE
#include "api_fixture.h"

#include <sys/mman.h>

#define BYTES (2 * MIB)

static void read_around(struct api *api, uint8_t *memory, uint64_t begin, uint64_t end)
{
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk chunks[40];
    struct lsio_request request = api_request(&object, 1, chunks, 40, NULL);

    memset(memory, 0, BYTES);
    for (uint32_t i = 0; i < 40; i++) {
        uint64_t length = i % 2 ? 20000 : 3000;
        uint64_t at = i < 2 ? begin : i < 4 ? end - length : i < 6 ? end - length / 2 : i * 30000;
        chunks[i] = (struct lsio_chunk){
            .offset = (int64_t)(at / 2), .length = length, .dst = memory + at, .dst_bytes = length};
    }
    for (uint32_t i = 0; i < 40; i++) { /* one at a time: they overlap in memory */
        request.chunks = &chunks[i];
        request.chunk_count = 1;
        assert_int_equal(lsio_read_batch(api->context, &request), 0);
        api_check(chunks[i].dst, 0, (uint64_t)chunks[i].offset, chunks[i].length);
    }
    request.chunks = chunks + 8;
    request.chunk_count = 32;
    assert_int_equal(lsio_read_batch(api->context, &request), 0);
    for (uint32_t i = 8; i < 40; i++)
        api_check(chunks[i].dst, 0, (uint64_t)chunks[i].offset, chunks[i].length);
}

static void the_same_bytes(void **state)
{
    static const struct lsio_option options[] = {{"split_bytes", "8K"}};
    struct api *api = *state;
    uint8_t *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(memory != MAP_FAILED);
    api_put(api, "k", 0, BYTES);
    for (int i = 0; i < 2; i++) {
        api_remake(api, NULL, options, (size_t)i);
        assert_int_equal(lsio_memory_register(api->context, memory + 4096, MIB), 0);
        read_around(api, memory, 4096, 4096 + MIB);
        assert_int_equal(lsio_memory_unregister(api->context, memory + 4096), 0);
        read_around(api, memory, 4096, 4096 + MIB);
        assert_int_equal(lsio_memory_unregister(api->context, memory + 4096), -ENOENT);
    }
    munmap(memory, BYTES);
}

static void up_to_fifteen_ranges(void **state)
{
    struct api *api = *state;
    uint8_t *memory = aligned_alloc(4096, 20 * 4096);

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 15; i++)
            assert_int_equal(lsio_memory_register(api->context, memory + i * 4096, 4096), 0);
        int status = lsio_memory_register(api->context, memory + 15 * 4096, 4096);
        assert_true(status == 0 || status == LSIO_E_LIMIT);
        for (int i = 14; i >= 0; i--)
            assert_int_equal(lsio_memory_unregister(api->context, memory + i * 4096), 0);
        if (status == 0)
            assert_int_equal(lsio_memory_unregister(api->context, memory + 15 * 4096), 0);
    }
    assert_int_equal(lsio_memory_register(api->context, NULL, 4096), -EINVAL);
    assert_int_equal(lsio_memory_register(api->context, memory, 0), -EINVAL);
    assert_int_equal(lsio_memory_unregister(api->context, NULL), -EINVAL);
    free(memory);
}

/* Memory that cannot be registered is no error, and what is read into it neither. */
static void what_cannot_be_registered(void **state)
{
    struct api *api = *state;
    uint8_t dst[100];

    api_put(api, "k", 0, 1000);
    assert_int_equal(lsio_memory_register(api->context, (void *)(uintptr_t)4096, MIB), 0);
    assert_int_equal(lsio_memory_register(api->context, dst, sizeof(dst)), 0);
    assert_int_equal(lsio_read(api->context, api->store, "k", 0, 100, dst, 100, NULL), 0);
    api_check(dst, 0, 0, 100);
    assert_int_equal(lsio_memory_unregister(api->context, (void *)(uintptr_t)4096), 0);
    assert_int_equal(lsio_memory_unregister(api->context, dst), 0);
}

static void while_a_batch_runs(void **state)
{
    struct api *api = *state;
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk chunks[500];
    struct lsio_request request = api_request(&object, 1, chunks, 500, NULL);
    struct lsio_batch *batch;
    uint8_t *memory = aligned_alloc(4096, BYTES);

    api_put(api, "k", 0, BYTES);
    for (uint32_t i = 0; i < 500; i++)
        chunks[i] = (struct lsio_chunk){
            .offset = i * 4100, .length = 4000, .dst = memory + i * 4096, .dst_bytes = 4096};
    for (int round = 0; round < 20; round++) {
        memset(memory, 0, BYTES);
        assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(lsio_memory_register(api->context, memory, BYTES), 0);
            assert_int_equal(lsio_memory_unregister(api->context, memory), 0);
        }
        assert_int_equal(api_wait(batch), 0);
        assert_int_equal(lsio_batch_destroy(batch), 0);
        for (uint32_t i = 0; i < 500; i++)
            api_check(memory + i * 4096, 0, i * 4100, 4000);
    }
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_bytes), cmocka_unit_test(up_to_fifteen_ranges),
        cmocka_unit_test(what_cannot_be_registered), cmocka_unit_test(while_a_batch_runs)};

    return api_run_tests("memory_register", tests, COUNT(tests), API_ALL);
}
