/* SPDX-License-Identifier: MIT */
/*
 * Stages, on_chunk and on_done may submit and cancel batches, also of another context; a chain of
 * batches, each submitted by the one before, comes to its end.
 *
 * LSIO_ROWS: L20
 */
#include "api_fixture.h"

#define DEPTH 300

struct relay {
    struct lsio_context *context;
    struct lsio_object object;
    struct lsio_chain *chain;
    _Atomic int left, errors, ended;
    uint8_t dst[64];
    struct lsio_chunk chunk;
    _Atomic bool over;
};

static void relay_submit(struct relay *relay);

static void relay_done(struct lsio_batch *batch, int status, void *data)
{
    struct relay *relay = data;

    if (status || api_mismatch(relay->dst, 0, 5, 64) != 64)
        atomic_fetch_add(&relay->errors, 1);
    memset(relay->dst, 0, sizeof(relay->dst));
    if (lsio_batch_destroy(batch) != 0)
        atomic_fetch_add(&relay->errors, 1);
    relay_submit(relay);
}

static void relay_submit(struct relay *relay)
{
    struct lsio_request request = api_request(&relay->object, 1, &relay->chunk, 1, NULL);
    struct lsio_batch *batch;

    if (atomic_fetch_sub(&relay->left, 1) <= 0) {
        atomic_store(&relay->over, true);
        return;
    }
    request.on_done = relay_done;
    request.data = relay;
    if (lsio_submit_batch(relay->context, &request, &batch) != 0) {
        atomic_fetch_add(&relay->errors, 1);
        atomic_store(&relay->over, true);
    }
}

static void a_relay_of_batches_ends(void **state)
{
    struct api *api = *state;
    struct relay relays[4];

    api_put(api, "k", 0, 1000);
    for (int i = 0; i < 4; i++) {
        relays[i] =
            (struct relay){.context = api->context, .object = api_object(api, "k"), .left = DEPTH};
        relays[i].chunk =
            (struct lsio_chunk){.offset = 5, .length = 64, .dst = relays[i].dst, .dst_bytes = 64};
        relay_submit(&relays[i]);
    }
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 60000 && !atomic_load(&relays[i].over); j++)
            api_sleep_ms(1);
        assert_true(atomic_load(&relays[i].over));
        assert_int_equal(relays[i].errors, 0);
        assert_int_equal(relays[i].left, -1);
    }
}

struct nested {
    struct lsio_context *context, *other;
    struct lsio_object object, other_object;
    struct lsio_batch *batches[64];
    _Atomic int errors;
    uint8_t dst[64][32];
};

static int stage_submits(struct lsio_call *call)
{
    struct nested *nested = call->user;
    struct lsio_chunk chunk = {.offset = (int64_t)call->index,
                               .length = 32,
                               .dst = nested->dst[call->index],
                               .dst_bytes = 32};
    struct lsio_request request = api_request(&nested->object, 1, &chunk, 1, NULL);
    uint8_t byte[8];

    if (lsio_submit_batch(nested->context, &request, &nested->batches[call->index]) != 0)
        atomic_fetch_add(&nested->errors, 1);
    /* another context may even be waited for, and this one's rules go on to hold after that */
    if (lsio_read(nested->other, nested->other_object.store, "k", 3, 8, byte, 8, NULL) != 0 ||
        api_mismatch(byte, 0, 3, 8) != 8)
        atomic_fetch_add(&nested->errors, 1);
    if (lsio_read(nested->other, nested->other_object.store, "k", 3, 8, NULL, 0, NULL) != 0)
        atomic_fetch_add(&nested->errors, 1);
    if (lsio_batch_wait(nested->batches[call->index], 1000, NULL) != LSIO_E_RECURSIVE)
        atomic_fetch_add(&nested->errors, 1);
    return 0;
}

static void from_a_stage_and_with_another_context(void **state)
{
    struct api *api = *state;
    struct lsio_config config = api_config(api);
    struct nested *nested = calloc(1, sizeof(*nested));
    struct lsio_stage stage = api_stage(stage_submits, LSIO_STAGE_READS_ONLY, nested);
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk chunks[64];
    struct lsio_request request = api_request(&object, 1, chunks, 64, NULL);
    struct lsio_store *store;
    struct lsio_chain *chain;
    uint8_t data[1000];

    api_put(api, "k", 0, 1000);
    api_fill(data, 0, 0, sizeof(data));
    assert_int_equal(lsio_context_create(&config, &nested->other), 0);
    assert_int_equal(lsio_store_open(nested->other, "memory://other", NULL, 0, &store), 0);
    assert_int_equal(lsio_memory_put(store, "k", data, sizeof(data)), 0);
    nested->context = api->context;
    nested->object = object;
    nested->other_object = (struct lsio_object){store, "k", LSIO_SIZE_UNKNOWN, NULL};
    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
    for (uint32_t i = 0; i < 64; i++)
        chunks[i] = (struct lsio_chunk){.offset = i, .length = 10};
    request.chain = chain;
    assert_int_equal(lsio_read_batch(api->context, &request), 0);
    assert_int_equal(nested->errors, 0);
    for (uint32_t i = 0; i < 64; i++) {
        assert_int_equal(api_wait(nested->batches[i]), 0);
        api_check(nested->dst[i], 0, i, 32);
        assert_int_equal(lsio_batch_destroy(nested->batches[i]), 0);
    }
    assert_int_equal(lsio_context_destroy(nested->other), 0);
    free(nested);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_relay_of_batches_ends),
                                       cmocka_unit_test(from_a_stage_and_with_another_context)};

    return api_run_tests("submit_from_callback", tests, COUNT(tests), API_ALL);
}
