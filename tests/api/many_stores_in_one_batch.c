/* SPDX-License-Identifier: MIT */
/*
 * One batch reads from several stores of several kinds, each with its own profile; stores of the
 * same name share their objects, closing one is refused while a batch uses it.
 */
#include "api_fixture.h"

#define CHUNKS 3000u
#define SIZE   100000u

static void each_chunk_comes_from_its_store(void **state)
{
    static const char *const profiles[] = {"hdd", "nvme", "hpc", "memory"};
    struct api *api = *state;
    struct lsio_store *stores[6];
    struct lsio_object objects[6];
    struct lsio_chunk *chunks = calloc(CHUNKS, sizeof(*chunks));
    struct lsio_request request = api_request(objects, 6, chunks, CHUNKS, NULL);
    uint8_t *dst = malloc((size_t)CHUNKS * 300), *data = malloc(SIZE);

    api_put(api, "k", 0, SIZE);
    for (uint32_t i = 0; i < 4; i++) {
        const struct lsio_option option = {"profile", profiles[i]};
        stores[i] = api_open(api, api->context, &option, 1);
        objects[i] = (struct lsio_object){stores[i], "k", LSIO_SIZE_UNKNOWN, NULL};
    }
    for (uint32_t i = 4; i < 6; i++) {
        char url[32];
        snprintf(url, sizeof(url), "memory://other-%u", i);
        assert_int_equal(lsio_store_open(api->context, url, NULL, 0, &stores[i]), 0);
        api_fill(data, i, 0, SIZE);
        assert_int_equal(lsio_memory_put(stores[i], "k", data, SIZE), 0);
        objects[i] = (struct lsio_object){stores[i], "k", SIZE, NULL};
    }
    for (uint32_t i = 0; i < CHUNKS; i++)
        chunks[i] = (struct lsio_chunk){.object = i % 6,
                                        .offset = (i * 311) % (SIZE - 300),
                                        .length = 300,
                                        .dst = dst + (size_t)i * 300,
                                        .dst_bytes = 300};
    assert_int_equal(lsio_read_batch(api->context, &request), 0);
    for (uint32_t i = 0; i < CHUNKS; i++)
        api_check(chunks[i].dst, i % 6 < 4 ? 0 : i % 6, (uint64_t)chunks[i].offset, 300);
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(lsio_store_close(stores[i]), 0);
    free(chunks);
    free(dst);
    free(data);
}

static void a_store_in_use_is_busy(void **state)
{
    struct api *api = *state;
    struct api_gate gate = {0};
    struct lsio_stage stage = api_stage(api_gate_stage, LSIO_STAGE_READS_ONLY, &gate);
    struct lsio_store *store = api_open(api, api->context, NULL, 0);
    struct lsio_object object = {store, "k", LSIO_SIZE_UNKNOWN, NULL};
    struct lsio_chunk chunk = {.length = 10};
    struct lsio_request request = api_request(&object, 1, &chunk, 1, NULL);
    struct lsio_chain *chain;
    struct lsio_batch *batch;

    api_put(api, "k", 0, 10);
    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
    request.chain = chain;
    assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
    api_gate_wait(&gate, 1);
    assert_int_equal(lsio_store_close(store), -EBUSY);
    api_gate_open(&gate);
    assert_int_equal(api_wait(batch), 0);
    assert_int_equal(lsio_batch_destroy(batch), 0);
    assert_int_equal(lsio_store_close(store), 0);
    assert_int_equal(lsio_store_close(NULL), 0);
}

static void a_store_of_another_context_is_refused(void **state)
{
    struct api *api = *state;
    struct lsio_config config = api_config(api);
    struct lsio_context *other;
    struct lsio_object object = api_object(api, "k");
    char dst[10];
    struct lsio_chunk chunk = {.length = 10, .dst = dst, .dst_bytes = 10};
    struct lsio_request request = api_request(&object, 1, &chunk, 1, NULL);
    struct lsio_batch *batch = (void *)&object;

    api_put(api, "k", 0, 10);
    assert_int_equal(lsio_context_create(&config, &other), 0);
    assert_int_equal(lsio_read_batch(other, &request), -EINVAL);
    assert_int_equal(lsio_submit_batch(other, &request, &batch), -EINVAL);
    assert_ptr_equal(batch, &object); /* untouched on failure */
    assert_int_equal(lsio_context_destroy(other), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_chunk_comes_from_its_store),
                                       cmocka_unit_test(a_store_in_use_is_busy),
                                       cmocka_unit_test(a_store_of_another_context_is_refused)};

    return api_run_tests("many_stores_in_one_batch", tests, COUNT(tests), API_ALL);
}
