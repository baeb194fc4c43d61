/* SPDX-License-Identifier: MIT */
/* With FAIL_FAST the first failing chunk cancels the rest; without it nothing else is canceled. */
#include "api_fixture.h"

#define CHUNKS 20000u

/* Slow enough that no worker gets through the batch while another is about to fail. */
static int dawdle(struct lsio_call *call)
{
    if (call->index % 100 == 0)
        api_sleep_ms(2);
    return 0;
}

static void run(struct api *api, uint32_t flags)
{
    struct lsio_stage stage = api_stage(dawdle, LSIO_STAGE_READS_ONLY, NULL);
    struct lsio_chain *chain;
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk *chunks = calloc(CHUNKS, sizeof(*chunks));
    struct lsio_result *results = calloc(CHUNKS, sizeof(*results));
    struct lsio_request request = api_request(&object, 1, chunks, CHUNKS, results);
    uint8_t *dst = malloc((size_t)CHUNKS * 64);
    struct lsio_batch *batch;
    struct api_seen seen;
    uint64_t canceled;

    for (uint32_t i = 0; i < CHUNKS; i++)
        chunks[i] = (struct lsio_chunk){.object = i == 5, /* no such object: fails at once */
                                        .offset = i * 7919 % 900000,
                                        .length = 64,
                                        .dst = dst + (size_t)i * 64,
                                        .dst_bytes = 64};
    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
    api_seen_init(&seen, CHUNKS);
    request.chain = chain;
    request.on_chunk = api_seen_on_chunk;
    request.on_done = api_seen_on_done;
    request.data = &seen;
    request.flags = flags;
    assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
    api_wait(batch);
    canceled = lsio_batch_status_count(batch, -ECANCELED);
    assert_int_equal(canceled, seen.canceled);
    assert_int_equal(lsio_batch_status_count(batch, -EINVAL), 1);
    assert_int_equal(lsio_batch_status_count(batch, 0), CHUNKS - 1 - canceled);
    assert_int_equal(results[5].status, -EINVAL);
    for (uint32_t i = 0; i < CHUNKS; i++) {
        if (results[i].status == 0)
            api_check(dst + (size_t)i * 64, 0, (uint64_t)chunks[i].offset, 64);
        else if (i != 5)
            assert_int_equal(results[i].status, -ECANCELED);
    }
    if (flags)
        assert_true(canceled > 1000);
    else
        assert_int_equal(canceled, 0);
    assert_int_equal(lsio_batch_destroy(batch), 0);
    api_seen_check(&seen);
    free(chunks);
    free(results);
    free(dst);
}

static void with_and_without(void **state)
{
    struct api *api = *state;

    api_put(api, "k", 0, MIB);
    run(api, 0);
    run(api, LSIO_FAIL_FAST);
}

/* What is reported as absent and may be is no failure. */
static void missing_ok_does_not_cancel(void **state)
{
    struct api *api = *state;
    struct lsio_object objects[2] = {api_object(api, "absent"), api_object(api, "k")};
    uint8_t dst[100][10];
    struct lsio_chunk chunks[100];
    struct lsio_request request = api_request(objects, 2, chunks, 100, NULL);

    api_put(api, "k", 0, 1000);
    for (uint32_t i = 0; i < 100; i++)
        chunks[i] = (struct lsio_chunk){.object = i > 0,
                                        .flags = LSIO_CHUNK_MISSING_OK,
                                        .offset = i,
                                        .length = 10,
                                        .dst = dst[i],
                                        .dst_bytes = 10};
    request.flags = LSIO_FAIL_FAST;
    assert_int_equal(lsio_read_batch(api->context, &request), 0);
    for (uint32_t i = 1; i < 100; i++)
        api_check(dst[i], 0, i, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(with_and_without),
                                       cmocka_unit_test(missing_ok_does_not_cancel)};

    return api_run_tests("fail_fast", tests, COUNT(tests), API_ALL);
}
