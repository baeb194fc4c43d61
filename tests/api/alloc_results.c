/* SPDX-License-Identifier: MIT */
/*
 * LSIO_CHUNK_ALLOC: the library's memory lives until the batch is destroyed, or for good once
 * taken; after lsio_read_batch() it is the caller's. What nobody wanted or took is freed (seen by
 * leak checkers).
 */
#include "api_fixture.h"

#define CHUNKS 200u
#define SIZE   100000u

static void chunks_make(struct lsio_chunk *chunks)
{
    for (uint32_t i = 0; i < CHUNKS; i++)
        chunks[i] = (struct lsio_chunk){.flags = LSIO_CHUNK_ALLOC,
                                        .offset = i * 400,
                                        .length = i % 10 == 9 ? LSIO_TO_END : 300 + i};
}

static int decode(struct lsio_call *call)
{
    void *out;
    int status = lsio_call_out(call, 2 * call->in_bytes, &out);

    if (status)
        return status;
    memcpy(out, call->in, call->in_bytes);
    memcpy((char *)out + call->in_bytes, call->in, call->in_bytes);
    return lsio_call_commit(call, 2 * call->in_bytes);
}

static void check(const struct lsio_chunk *chunks, const struct lsio_result *results, uint32_t i,
                  bool twice)
{
    uint64_t bytes =
        chunks[i].length == LSIO_TO_END ? SIZE - (uint64_t)chunks[i].offset : chunks[i].length;

    assert_int_equal(results[i].status, 0);
    assert_int_equal(results[i].flags, LSIO_RESULT_ALLOCATED);
    assert_int_equal(results[i].bytes, twice ? 2 * bytes : bytes);
    api_check(results[i].data, 0, (uint64_t)chunks[i].offset, bytes);
    if (twice)
        api_check((char *)results[i].data + bytes, 0, (uint64_t)chunks[i].offset, bytes);
}

static void run(struct api *api, bool chain)
{
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_result results[CHUNKS];
    struct lsio_request request = api_request(&object, 1, chunks, CHUNKS, results);
    struct lsio_stage stage = api_stage(decode, LSIO_STAGE_WRITES, NULL);
    struct lsio_chain *made = NULL;
    struct lsio_batch *batch;
    void *taken[CHUNKS];

    chunks_make(chunks);
    if (chain)
        assert_int_equal(lsio_chain_create(api->context, &stage, 1, &made), 0);
    request.chain = made;
    assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
    assert_int_equal(api_wait(batch), 0);
    for (uint32_t i = 0; i < CHUNKS; i++) {
        struct lsio_result copy = results[i];
        check(chunks, results, i, chain);
        taken[i] = i % 3 == 0 ? lsio_result_take(batch, i % 2 ? &copy : &results[i]) : NULL;
        if (i % 3 == 0)
            assert_ptr_equal(taken[i], copy.data);
    }
    assert_int_equal(lsio_batch_destroy(batch), 0);
    for (uint32_t i = 0; i < CHUNKS; i += 3) {
        results[i].data = taken[i];
        check(chunks, results, i, chain);
        lsio_result_free(taken[i]);
    }
    assert_int_equal(lsio_read_batch(api->context, &request), 0);
    for (uint32_t i = 0; i < CHUNKS; i++) {
        check(chunks, results, i, chain);
        lsio_result_free(results[i].data);
    }
    request.results = NULL; /* nobody can get at them: nothing may leak */
    assert_int_equal(lsio_read_batch(api->context, &request), 0);
    lsio_chain_destroy(made);
}

static void kept_taken_and_given(void **state)
{
    struct api *api = *state;

    api_put(api, "k", 0, SIZE);
    run(api, false);
    run(api, true);
    lsio_result_free(NULL);
}

struct adding {
    struct lsio_request more;
    _Atomic int error;
};

static void on_chunk_add(struct lsio_batch *batch, uint64_t index, const struct lsio_result *result,
                         void *data)
{
    struct adding *adding = data;
    uint64_t first;

    (void)result;
    if (index == 0)
        atomic_store(&adding->error, lsio_batch_add(batch, &adding->more, &first));
}

/* Chunks added to an lsio_read_batch() are the caller's like the others. */
static void added_chunks_too(void **state)
{
    struct api *api = *state;
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_result first[1], results[CHUNKS];
    struct adding adding = {.more = api_request(&object, 1, chunks, CHUNKS, results)};
    struct lsio_request request = api_request(&object, 1, chunks, 1, first);

    api_put(api, "k", 0, SIZE);
    chunks_make(chunks);
    request.on_chunk = on_chunk_add;
    request.data = &adding;
    assert_int_equal(lsio_read_batch(api->context, &request), 0);
    assert_int_equal(adding.error, 0);
    lsio_result_free(first[0].data);
    for (uint32_t i = 0; i < CHUNKS; i++) {
        check(chunks, results, i, false);
        lsio_result_free(results[i].data);
    }
}

static void only_allocated_results_can_be_taken(void **state)
{
    struct api *api = *state;
    struct lsio_object object = api_object(api, "k");
    uint8_t dst[100];
    struct lsio_chunk chunk = {.length = 100, .dst = dst, .dst_bytes = 100};
    struct lsio_result result;
    struct lsio_request request = api_request(&object, 1, &chunk, 1, &result);
    struct lsio_batch *batch;

    api_put(api, "k", 0, SIZE);
    assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
    assert_int_equal(api_wait(batch), 0);
    assert_null(lsio_result_take(batch, &result));
    assert_int_equal(lsio_batch_destroy(batch), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(kept_taken_and_given),
                                       cmocka_unit_test(added_chunks_too),
                                       cmocka_unit_test(only_allocated_results_can_be_taken)};

    return api_run_tests("alloc_results", tests, COUNT(tests), API_ALL);
}
