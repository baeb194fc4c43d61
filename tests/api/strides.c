/* SPDX-License-Identifier: MIT */
/*
 * Objects, chunks and results may be elements of larger structs, and stages too: what lies between
 * is not read and not written. Strides that cannot be are -EINVAL, and nothing happens.
 */
#include "api_fixture.h"

#define CHUNKS 500u

struct big_object {
    struct lsio_object object;
    char more[40];
};
struct big_chunk {
    struct lsio_chunk chunk;
    char more[16];
};
struct big_result {
    struct lsio_result result;
    uint64_t guard;
};
struct big_stage {
    struct lsio_stage stage;
    char more[64];
};

static int cut(struct lsio_call *call)
{
    return lsio_call_pass(call, (const char *)call->in + 1, call->in_bytes - 1);
}

static void larger_elements(void **state)
{
    struct api *api = *state;
    struct big_object objects[2];
    struct big_chunk *chunks = malloc(CHUNKS * sizeof(*chunks));
    struct big_result *results = malloc(CHUNKS * sizeof(*results));
    struct big_stage stages[2];
    uint8_t *dst = malloc(CHUNKS * 100);
    struct lsio_request request;
    struct lsio_chain *chain;

    api_put(api, "a", 0, 100000);
    api_put(api, "b", 1, 100000);
    memset(objects, 0xee, sizeof(objects));
    memset(chunks, 0xee, CHUNKS * sizeof(*chunks));
    memset(results, 0xee, CHUNKS * sizeof(*results));
    memset(stages, 0xee, sizeof(stages));
    for (uint32_t i = 0; i < 2; i++) {
        objects[i].object = api_object(api, i ? "b" : "a");
        stages[i].stage = api_stage(cut, LSIO_STAGE_PASSES_SLICE, NULL);
        stages[i].stage.struct_bytes = sizeof(stages[i]);
    }
    for (uint32_t i = 0; i < CHUNKS; i++)
        chunks[i].chunk = (struct lsio_chunk){.object = i % 2,
                                              .offset = i * 150,
                                              .length = 100,
                                              .dst = dst + i * 100,
                                              .dst_bytes = 100};
    request = api_request(&objects[0].object, 2, &chunks[0].chunk, CHUNKS, &results[0].result);
    request.object_bytes = sizeof(objects[0]);
    request.chunk_bytes = sizeof(chunks[0]);
    request.result_bytes = sizeof(results[0]);
    assert_int_equal(lsio_chain_create(api->context, &stages[0].stage, 2, &chain), 0);
    for (int round = 0; round < 4; round++) {
        struct lsio_batch *batch;
        uint64_t off = round & 1 ? 2 : 0;
        request.chain = off ? chain : NULL;
        memset(dst, 0, CHUNKS * 100);
        if (round < 2) {
            assert_int_equal(lsio_read_batch(api->context, &request), 0);
        } else {
            assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
            assert_int_equal(api_wait(batch), 0);
            assert_int_equal(lsio_batch_destroy(batch), 0);
        }
        for (uint32_t i = 0; i < CHUNKS; i++) {
            api_check(dst + i * 100, i % 2, i * 150 + off, 100 - off);
            assert_int_equal(results[i].result.bytes, 100 - off);
            assert_ptr_equal(results[i].result.data, dst + i * 100);
            assert_true(api_all(&results[i].guard, 0xee, 8));
        }
    }
    free(chunks);
    free(results);
    free(dst);
}

static void refused(struct api *api, const struct lsio_request *request, int status)
{
    struct lsio_batch *batch = (void *)api;
    char *text = (void *)api;

    assert_int_equal(lsio_read_batch(api->context, request), status);
    assert_int_equal(lsio_submit_batch(api->context, request, &batch), status);
    assert_int_equal(lsio_explain_batch(api->context, request, LSIO_EXPLAIN_TEXT, &text), status);
    assert_ptr_equal(batch, api);
    assert_ptr_equal(text, api);
}

static void requests_that_make_no_sense(void **state)
{
    struct api *api = *state;
    struct lsio_object object = api_object(api, "a"), bad;
    uint8_t dst[10];
    struct lsio_chunk chunk = {.length = 10, .dst = dst, .dst_bytes = 10};
    struct lsio_result result = {.status = 77};
    const struct lsio_request good = api_request(&object, 1, &chunk, 1, &result);
    struct lsio_request request;

    api_put(api, "a", 0, 10);
#define REFUSED(status, ...)                                                                       \
    do {                                                                                           \
        request = good;                                                                            \
        __VA_ARGS__;                                                                               \
        refused(api, &request, status);                                                            \
    } while (0)
    REFUSED(-EINVAL, request.struct_bytes = 0);
    REFUSED(-EINVAL, request.struct_bytes = 8);
    REFUSED(-EINVAL, request.object_bytes = sizeof(object) - 8);
    REFUSED(-EINVAL, request.chunk_bytes = sizeof(chunk) - 8);
    REFUSED(-EINVAL, request.chunk_bytes = sizeof(chunk) + 1);
    REFUSED(-EINVAL, request.result_bytes = 8);
    REFUSED(-EINVAL, request.objects = NULL);
    REFUSED(-EINVAL, request.chunks = NULL);
    REFUSED(-EINVAL, request.flags = 1u << 2);
    REFUSED(LSIO_E_LIMIT, request.chunk_count = UINT64_C(1) << 32);
    bad = (struct lsio_object){.store = NULL, .key = "a"};
    REFUSED(-EINVAL, request.objects = &bad);
    bad = (struct lsio_object){.store = api->store, .key = NULL};
    REFUSED(-EINVAL, request.objects = &bad);
    assert_int_equal(lsio_read_batch(api->context, NULL), -EINVAL);
    assert_int_equal(lsio_read_batch(NULL, &good), -EINVAL);
    assert_int_equal(lsio_submit_batch(api->context, &good, NULL), -EINVAL);
    assert_int_equal(result.status, 77);
    request = good;
    assert_int_equal(lsio_read_batch(api->context, &request), 0);
    /* objects are not needed by chunks that name none there is */
    request.objects = NULL;
    request.object_count = 0;
    assert_int_equal(lsio_read_batch(api->context, &request), -EINVAL);
    assert_int_equal(result.status, -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(larger_elements),
                                       cmocka_unit_test(requests_that_make_no_sense)};

    return api_run_tests("strides", tests, COUNT(tests), API_ALL);
}
