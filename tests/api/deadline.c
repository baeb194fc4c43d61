/* SPDX-License-Identifier: MIT */
/*
 * When deadline_ms has passed since submit, what is left of the batch fails with -ETIMEDOUT - what
 * was delivered stays - and other batches are not touched. A deadline that is not reached changes
 * nothing.
 */
#include "api_fixture.h"

#define CHUNKS 500u

static int slow(struct lsio_call *call)
{
    (void)call;
    api_sleep_ms(5);
    return 0;
}

static struct lsio_batch *submit(struct api *api, struct lsio_chain *chain,
                                 struct lsio_chunk *chunks, struct lsio_result *results,
                                 uint64_t deadline_ms, struct api_seen *seen)
{
    struct lsio_object object = api_object(api, "k");
    struct lsio_request request = api_request(&object, 1, chunks, CHUNKS, results);
    struct lsio_batch *batch;

    for (uint32_t i = 0; i < CHUNKS; i++)
        chunks[i] = (struct lsio_chunk){.offset = i * 50000, .length = 100};
    api_seen_init(seen, CHUNKS);
    request.chain = chain;
    request.deadline_ms = deadline_ms;
    request.on_chunk = api_seen_on_chunk;
    request.on_done = api_seen_on_done;
    request.data = seen;
    assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
    return batch;
}

static void what_is_left_times_out(void **state)
{
    struct api *api = *state;
    struct lsio_stage stage = api_stage(slow, LSIO_STAGE_READS_ONLY, NULL);
    struct lsio_chunk chunks[2][CHUNKS];
    struct lsio_result results[2][CHUNKS];
    struct lsio_batch *batches[2];
    struct api_seen seen[2];
    struct lsio_chain *chain;
    uint64_t begin = api_now_ms(), left = 0;

    api_put(api, "k", 0, CHUNKS * 50000);
    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
    batches[0] = submit(api, chain, chunks[0], results[0], 100, &seen[0]); /* needs 800 ms */
    assert_int_equal(api_wait(batches[0]), -ETIMEDOUT);
    assert_true(api_now_ms() - begin >= 100);
    for (uint32_t i = 0; i < CHUNKS; i++) {
        left += results[0][i].status == -ETIMEDOUT;
        assert_true(results[0][i].status == 0 || results[0][i].status == -ETIMEDOUT);
    }
    assert_true(left > 0);
    assert_true(left < CHUNKS ||
                api->kind == API_BUCKET); /* a slow server may be too late for all */
    assert_int_equal(lsio_batch_status_count(batches[0], -ETIMEDOUT), left);
    assert_int_equal(lsio_batch_destroy(batches[0]), 0);
    api_seen_check(&seen[0]);

    batches[0] = submit(api, chain, chunks[0], results[0], 50, &seen[0]);
    batches[1] = submit(api, NULL, chunks[1], results[1], 60000, &seen[1]);
    assert_int_equal(api_wait(batches[1]), 0);
    assert_int_equal(api_wait(batches[0]), -ETIMEDOUT);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(lsio_batch_destroy(batches[i]), 0);
        api_seen_check(&seen[i]);
    }
}

/* Whoever sleeps until a deadline learns of an earlier one. */
static void an_earlier_one_comes_first(void **state)
{
    struct api *api = *state;
    struct lsio_stage stage = api_stage(slow, LSIO_STAGE_READS_ONLY, NULL);
    struct lsio_chunk chunks[2][CHUNKS];
    struct lsio_result results[2][CHUNKS];
    struct lsio_batch *batches[2];
    struct api_seen seen[2];
    struct lsio_chain *chain;

    api_put(api, "k", 0, CHUNKS * 50000);
    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
    batches[0] = submit(api, chain, chunks[0], results[0], 3600000, &seen[0]);
    batches[1] = submit(api, chain, chunks[1], results[1], 100, &seen[1]);
    assert_int_equal(api_wait(batches[1]), -ETIMEDOUT);
    assert_int_equal(api_wait(batches[0]), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(lsio_batch_destroy(batches[i]), 0);
        api_seen_check(&seen[i]);
    }
}

/* lsio_read_batch() heeds it as well. */
static void a_read_batch_has_one_too(void **state)
{
    struct api *api = *state;
    struct lsio_object object = api_object(api, "k");
    struct lsio_stage stage = api_stage(slow, LSIO_STAGE_READS_ONLY, NULL);
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_request request = api_request(&object, 1, chunks, CHUNKS, NULL);
    struct lsio_error error = {.struct_bytes = sizeof(error)};
    struct lsio_chain *chain;

    api_put(api, "k", 0, MIB);
    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
    for (uint32_t i = 0; i < CHUNKS; i++)
        chunks[i] = (struct lsio_chunk){.offset = i, .length = 1};
    request.chain = chain;
    request.deadline_ms = 50;
    assert_int_equal(lsio_read_batch(api->context, &request), -ETIMEDOUT);
    assert_int_equal(lsio_last_error(api->context, &error), 0);
    assert_int_equal(error.status, -ETIMEDOUT);
    request.deadline_ms = UINT64_MAX; /* as good as none */
    request.chunk_count = 20;
    assert_int_equal(lsio_read_batch(api->context, &request), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_left_times_out),
                                       cmocka_unit_test(an_earlier_one_comes_first),
                                       cmocka_unit_test(a_read_batch_has_one_too)};

    return api_run_tests("deadline", tests, COUNT(tests), API_ALL);
}
