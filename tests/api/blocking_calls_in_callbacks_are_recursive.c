/* SPDX-License-Identifier: MIT */
/*
 * Each call that may block returns LSIO_E_RECURSIVE from stages, on_chunk and on_done, without
 * effect - also in a stage that the calling thread runs itself.
 *
 * LSIO_ROWS: L20
 */
#include "api_fixture.h"

struct shared {
    struct lsio_context *context;
    struct lsio_store *store;
    struct lsio_batch *other;
    _Atomic int wrong, calls;
};

static int no_entry(const struct lsio_list_entry *entries, size_t count, void *data)
{
    (void)entries;
    (void)count;
    (void)data;
    return 1;
}

static void try_all(struct shared *shared, struct lsio_batch *batch)
{
    struct lsio_object object = {shared->store, "k", LSIO_SIZE_UNKNOWN, NULL};
    char dst[8] = "xxxxxxx";
    struct lsio_chunk chunk = {.length = 4, .dst = dst, .dst_bytes = 8};
    struct lsio_result result = {.status = 77};
    struct lsio_request request = api_request(&object, 1, &chunk, 1, &result);
    struct lsio_object_info info = {.struct_bytes = sizeof(info)};
    uint64_t bytes = 77;
    int status = 77, wrong = 0;

    wrong += lsio_read_batch(shared->context, &request) != LSIO_E_RECURSIVE;
    wrong +=
        lsio_read(shared->context, shared->store, "k", 0, 4, dst, 8, &bytes) != LSIO_E_RECURSIVE;
    wrong += lsio_context_destroy(shared->context) != LSIO_E_RECURSIVE;
    wrong += batch && lsio_batch_wait(batch, 0, &status) != LSIO_E_RECURSIVE;
    wrong +=
        shared->other && lsio_batch_wait(shared->other, LSIO_FOREVER, &status) != LSIO_E_RECURSIVE;
    wrong += lsio_stat_batch(shared->context, &object, 1, &info, 0, NULL) != LSIO_E_RECURSIVE;
    wrong += lsio_list(shared->store, "", 0, no_entry, NULL) != LSIO_E_RECURSIVE;
    wrong += lsio_memory_register(shared->context, dst, 8) != LSIO_E_RECURSIVE;
    wrong += lsio_memory_unregister(shared->context, dst) != LSIO_E_RECURSIVE;
    wrong += strcmp(dst, "xxxxxxx") != 0 || status != 77 || bytes != 77 || result.status != 77;
    atomic_fetch_add(&shared->wrong, wrong);
    atomic_fetch_add(&shared->calls, 1);
}

static int stage(struct lsio_call *call)
{
    try_all(call->user, call->batch);
    return 0;
}

static void on_chunk(struct lsio_batch *batch, uint64_t index, const struct lsio_result *result,
                     void *data)
{
    (void)index;
    (void)result;
    try_all(data, batch);
}

static void on_done(struct lsio_batch *batch, int status, void *data)
{
    (void)status;
    try_all(data, batch);
}

static void in_every_callback(void **state)
{
    struct api *api = *state;
    struct shared shared = {.context = api->context, .store = api->store};
    struct lsio_stage stages[1] = {api_stage(stage, LSIO_STAGE_READS_ONLY, &shared)};
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk chunks[40];
    struct lsio_request request = api_request(&object, 1, chunks, 40, NULL);
    struct lsio_chain *chain;
    struct lsio_batch *batch;

    api_put(api, "k", 0, 1000);
    assert_int_equal(lsio_chain_create(api->context, stages, 1, &chain), 0);
    for (uint32_t i = 0; i < 40; i++)
        chunks[i] = (struct lsio_chunk){.offset = i, .length = 9};
    assert_int_equal(lsio_submit_batch(api->context, &request, &shared.other), 0);
    request.chain = chain;
    request.on_chunk = on_chunk;
    request.on_done = on_done;
    request.data = &shared;
    assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
    assert_int_equal(api_wait(batch), 0);
    assert_int_equal(shared.wrong, 0);
    assert_int_equal(shared.calls, 81);
    assert_int_equal(lsio_batch_destroy(batch), 0);
    assert_int_equal(api_wait(shared.other), 0);
    assert_int_equal(lsio_batch_destroy(shared.other), 0);
}

static void in_a_stage_on_the_callers_thread(void **state)
{
    struct api *api = *state;
    struct shared shared = {.context = api->context, .store = api->store};
    struct lsio_stage stages[1] = {api_stage(stage, LSIO_STAGE_READS_ONLY, &shared)};
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk chunk = {.length = 9};
    struct lsio_request request = api_request(&object, 1, &chunk, 1, NULL);
    struct lsio_chain *chain;
    uint64_t before = api_stats(api->context).operations_inline;
    uint8_t dst[9];

    api_put(api, "k", 0, 1000);
    assert_int_equal(lsio_chain_create(api->context, stages, 1, &chain), 0);
    request.chain = chain;
    for (int i = 0; i < 3; i++)
        assert_int_equal(lsio_read_batch(api->context, &request), 0);
    assert_int_equal(shared.wrong, 0);
    assert_int_equal(shared.calls, 3);
    assert_true((api_stats(api->context).operations_inline > before) == (api->kind != API_BUCKET));
    /* and the thread may block again afterwards */
    assert_int_equal(lsio_read(api->context, api->store, "k", 0, 9, dst, 9, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_every_callback),
                                       cmocka_unit_test(in_a_stage_on_the_callers_thread)};

    return api_run_tests("blocking_calls_in_callbacks_are_recursive", tests, COUNT(tests), API_ALL);
}
