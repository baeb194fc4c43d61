/* SPDX-License-Identifier: MIT */
/*
 * Progress counts what is submitted, done, failed and delivered. The detail of the first 64 failing
 * chunks is kept - status, range, key, a sentence - and per status a count of all.
 */
#include "api_fixture.h"

#define CHUNKS 1000u

static void errors_check(struct lsio_batch *batch, const struct lsio_chunk *chunks)
{
    uint32_t kept = 0;

    for (uint64_t i = 0; i < CHUNKS; i++) {
        struct lsio_error error = {.struct_bytes = sizeof(error)};
        int status = lsio_batch_error(batch, i, &error);
        char offset[32];
        if (status == -ENOENT)
            continue;
        assert_int_equal(status, 0);
        assert_true(i % 2 == 1); /* the odd ones fail */
        kept++;
        assert_int_equal(error.index, i);
        assert_int_equal(error.status, i % 4 == 1 ? -ENOENT : LSIO_E_TRUNCATED);
        assert_int_equal(error.offset, chunks[i].offset);
        assert_int_equal(error.length, chunks[i].length);
        assert_true(error.attempts >= 1);
        snprintf(offset, sizeof(offset), "%lld", (long long)chunks[i].offset);
        assert_non_null(strstr(error.text, offset));
        assert_non_null(strstr(error.text, i % 4 == 1 ? "absent-key" : "present-key"));
        assert_non_null(strstr(error.url, i % 4 == 1 ? "absent-key" : "present-key"));
    }
    assert_between(kept, 64, 65);
}

static void counts_and_details(void **state)
{
    struct api *api = *state;
    struct lsio_object objects[2] = {api_object(api, "present-key"), api_object(api, "absent-key")};
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_request request = api_request(objects, 2, chunks, CHUNKS, NULL);
    struct lsio_error error = {.struct_bytes = sizeof(error)};
    uint8_t *dst = malloc(CHUNKS * 10);
    struct lsio_progress progress;
    struct lsio_batch *batch;

    api_put(api, "present-key", 0, 20000);
    for (uint32_t i = 0; i < CHUNKS; i++)
        chunks[i] = (struct lsio_chunk){.object = i % 4 == 1,
                                        .offset = i % 4 == 3 ? 20000 + i : i,
                                        .length = 10,
                                        .dst = dst + i * 10,
                                        .dst_bytes = 10};
    assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
    do {
        progress = api_progress(batch);
        assert_int_equal(progress.chunk_count, CHUNKS);
        assert_true(progress.chunks_done <= CHUNKS && progress.chunks_failed <= CHUNKS / 2);
        assert_true(progress.bytes_done <= CHUNKS / 2 * 10);
    } while (lsio_batch_wait(batch, 0, NULL) != 0);
    progress = api_progress(batch);
    assert_int_equal(progress.chunks_done, CHUNKS);
    assert_int_equal(progress.chunks_failed, CHUNKS / 2);
    assert_int_equal(progress.bytes_done, CHUNKS / 2 * 10);
    assert_int_equal(lsio_batch_status_count(batch, 0), CHUNKS / 2);
    assert_int_equal(lsio_batch_status_count(batch, -ENOENT), CHUNKS / 4);
    assert_int_equal(lsio_batch_status_count(batch, LSIO_E_TRUNCATED), CHUNKS / 4);
    assert_int_equal(lsio_batch_status_count(batch, -EIO), 0);
    errors_check(batch, chunks);
    assert_int_equal(lsio_batch_error(batch, CHUNKS, &error), -ENOENT);
    error.struct_bytes = 0;
    assert_int_equal(lsio_batch_error(batch, 1, &error), -EINVAL);
    assert_int_equal(lsio_batch_destroy(batch), 0);
    free(dst);
}

static int refuse(struct lsio_call *call)
{
    if (call->index % 3 == 0)
        return lsio_call_fail(call, -4321, "the value %d is no good", 42);
    return call->index % 3 == 1 ? LSIO_E_CORRUPT : 1234;
}

static void what_a_stage_says_is_kept(void **state)
{
    struct api *api = *state;
    struct lsio_stage stage = api_stage(refuse, LSIO_STAGE_READS_ONLY, NULL);
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk chunks[6];
    struct lsio_request request = api_request(&object, 1, chunks, 6, NULL);
    struct lsio_chain *chain;
    struct lsio_batch *batch;

    api_put(api, "k", 0, 100);
    stage.name = "picky";
    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
    for (uint32_t i = 0; i < 6; i++)
        chunks[i] = (struct lsio_chunk){.offset = i, .length = 10};
    request.chain = chain;
    assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
    assert_int_equal(api_wait(batch), LSIO_E_CALLBACK);
    for (uint32_t i = 0; i < 6; i++) {
        struct lsio_error error = {.struct_bytes = sizeof(error)};
        assert_int_equal(lsio_batch_error(batch, i, &error), 0);
        assert_int_equal(error.status, i % 3 == 1 ? LSIO_E_CORRUPT : LSIO_E_CALLBACK);
        assert_int_equal(error.code, i % 3 == 0 ? -4321 : i % 3 == 1 ? 0 : 1234);
        assert_non_null(strstr(error.text, i % 3 == 0 ? "the value 42 is no good" : "picky"));
        assert_non_null(strstr(error.text, "\"k\""));
    }
    assert_int_equal(lsio_batch_destroy(batch), 0);
}

struct adder {
    struct api *api;
    _Atomic bool stop;
};

static void on_chunk_add(struct lsio_batch *batch, uint64_t index, const struct lsio_result *result,
                         void *data)
{
    struct adder *adder = data;
    struct lsio_object object = api_object(adder->api, "k");
    struct lsio_chunk chunks[50];
    struct lsio_request more = api_request(&object, 1, chunks, 50, NULL);

    (void)result;
    for (uint32_t i = 0; i < 50; i++)
        chunks[i] = (struct lsio_chunk){.length = 10};
    if (index % 50 == 0 && index < 50 * 400)
        lsio_batch_add(batch, &more, NULL);
}

/* While chunks are added, progress never shows more done than there are. */
static void progress_while_chunks_are_added(void **state)
{
    struct api *api = *state;
    struct adder adder = {.api = api};
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk chunk = {.length = 10};
    struct lsio_request request = api_request(&object, 1, &chunk, 1, NULL);
    struct lsio_batch *batch;
    uint64_t last = 0;

    api_put(api, "k", 0, 100);
    request.on_chunk = on_chunk_add;
    request.data = &adder;
    assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
    do {
        struct lsio_progress progress = api_progress(batch);
        assert_true(progress.chunks_done <= progress.chunk_count);
        assert_true(progress.chunks_done >= last);
        last = progress.chunks_done;
        assert_true(lsio_batch_status_count(batch, 0) <= api_progress(batch).chunk_count);
    } while (lsio_batch_wait(batch, 0, NULL) != 0);
    assert_int_equal(api_progress(batch).chunk_count, 1 + 50 * 400);
    assert_int_equal(lsio_batch_destroy(batch), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts_and_details),
                                       cmocka_unit_test(what_a_stage_says_is_kept),
                                       cmocka_unit_test(progress_while_chunks_are_added)};

    return api_run_tests("progress_and_errors", tests, COUNT(tests), API_ALL);
}
