/* SPDX-License-Identifier: MIT */
/*
 * Batches run side by side: a short one submitted after a long one ends long before it, and a stage
 * that blocks holds up only its worker.
 *
 * LSIO_ROWS: L21
 */
#include "api_fixture.h"

#define LONG   20000u /* chains of a millisecond: seconds, of which destroying it leaves most out */
#define STRIDE 1000u

static int slow(struct lsio_call *call)
{
    (void)call;
    api_sleep_ms(1);
    return 0;
}

static struct lsio_batch *submit(struct api *api, struct lsio_chain *chain, uint32_t count,
                                 uint8_t *dst)
{
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk *chunks = calloc(count, sizeof(*chunks));
    struct lsio_request request = api_request(&object, 1, chunks, count, NULL);
    struct lsio_batch *batch;

    for (uint32_t i = 0; i < count; i++) {
        chunks[i] = (struct lsio_chunk){.offset = i * STRIDE, .length = 100};
        if (dst) {
            chunks[i].dst = dst + i * 100;
            chunks[i].dst_bytes = 100;
        }
    }
    request.chain = chain;
    assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
    free(chunks);
    return batch;
}

static void a_short_one_overtakes(void **state)
{
    struct api *api = *state;
    struct lsio_stage stage = api_stage(slow, LSIO_STAGE_READS_ONLY, NULL);
    struct lsio_batch *longer, *shorter;
    struct lsio_chain *chain;
    uint8_t dst[1000];

    api_put(api, "k", 0, LONG * STRIDE);
    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
    longer = submit(api, chain, LONG, NULL);
    for (int i = 0; i < 5; i++) {
        shorter = submit(api, NULL, 10, dst);
        assert_int_equal(api_wait(shorter), 0);
        for (uint32_t j = 0; j < 10; j++)
            api_check(dst + j * 100, 0, j * STRIDE, 100);
        assert_int_equal(lsio_batch_destroy(shorter), 0);
    }
    assert_int_equal(lsio_batch_wait(longer, 0, NULL), -ETIMEDOUT);
    assert_int_equal(lsio_batch_destroy(longer), 0);
}

static void a_blocked_worker_holds_up_no_other(void **state)
{
    struct api *api = *state;
    struct api_gate gate = {0};
    struct lsio_stage stage = api_stage(api_gate_stage, LSIO_STAGE_READS_ONLY, &gate);
    struct lsio_batch *blocked, *batch;
    struct lsio_chain *chain;
    uint8_t *dst = malloc(500 * 100);

    api_put(api, "k", 0, 500 * STRIDE);
    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
    blocked = submit(api, chain, 1, NULL);
    api_gate_wait(&gate, 1);
    for (int i = 0; i < 50; i++) {
        batch = submit(api, NULL, 500, dst);
        assert_int_equal(api_wait(batch), 0);
        for (uint32_t j = 0; j < 500; j++)
            api_check(dst + j * 100, 0, j * STRIDE, 100);
        assert_int_equal(lsio_batch_destroy(batch), 0);
    }
    assert_int_equal(lsio_batch_wait(blocked, 0, NULL), -ETIMEDOUT);
    api_gate_open(&gate);
    assert_int_equal(api_wait(blocked), 0);
    assert_int_equal(lsio_batch_destroy(blocked), 0);
    free(dst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_short_one_overtakes),
                                       cmocka_unit_test(a_blocked_worker_holds_up_no_other)};

    return api_run_tests("two_batches_share_workers", tests, COUNT(tests), API_BOTH);
}
