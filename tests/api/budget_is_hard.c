/* SPDX-License-Identifier: MIT */
/*
 * memory_bytes_max bounds what is reserved at any time, however much is asked for at once; a chunk
 * that can never fit is LSIO_E_BUDGET and spares its neighbours; several batches that want all of
 * it come to an end.
 *
 * LSIO_ROWS: L21
 */
#include "api_fixture.h"

#define SIZE (12 * MIB)

static int sum(struct lsio_call *call)
{
    uint64_t at = (uint64_t)call->chunk->offset;

    return api_mismatch(call->in, 0, at, call->in_bytes) == call->in_bytes ? 0 : -1;
}

static struct lsio_chain *budget_make(struct api *api, uint64_t bytes, uint32_t workers)
{
    struct lsio_config config = api_config(api);
    struct lsio_stage stage = api_stage(sum, LSIO_STAGE_READS_ONLY, NULL);
    struct lsio_chain *chain;

    config.memory_bytes_max = bytes;
    config.workers = workers;
    api_remake(api, &config, NULL, 0);
    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
    return chain;
}

static void peak_check(struct api *api, uint64_t budget)
{
    struct lsio_stats stats = api_stats(api->context);

    assert_int_equal(stats.memory_bytes_max, budget);
    assert_true(stats.memory_bytes_peak <= budget);
    assert_true(stats.registered_bytes <= budget);
}

/* Chunks without dst: each needs a buffer of the library. */
static void many_big_chunks(void **state)
{
    static const uint64_t budgets[] = {1 * MIB, 2 * MIB, 4 * MIB};
    struct api *api = *state;
    struct lsio_object object;
    struct lsio_chunk chunks[150];
    struct lsio_request request = api_request(&object, 1, chunks, 150, NULL);

    api_put(api, "k", 0, SIZE);
    for (size_t i = 0; i < 9; i++) {
        uint64_t budget = budgets[i % 3];
        request.chain = budget_make(api, budget, 1 + (uint32_t)i / 3 * 3);
        object = api_object(api, "k");
        object.size = i % 2 ? SIZE : LSIO_SIZE_UNKNOWN;
        for (uint32_t j = 0; j < 150; j++)
            chunks[j] = (struct lsio_chunk){.offset = j * 4001,
                                            .length = j % 3 ? 4000 + j * 10 : budget / 5 + j};
        assert_int_equal(lsio_read_batch(api->context, &request), 0);
        peak_check(api, budget);
    }
}

static void what_never_fits_fails_alone(void **state)
{
    struct api *api = *state;
    struct lsio_object object;
    struct lsio_chunk chunks[100];
    struct lsio_result results[100];
    struct lsio_request request = api_request(&object, 1, chunks, 100, results);
    uint8_t *dst = malloc(SIZE);

    api_put(api, "k", 0, SIZE);
    request.chain = budget_make(api, 4 * MIB, 3);
    object = api_object(api, "k");
    for (uint32_t i = 0; i < 100; i++) {
        chunks[i] = (struct lsio_chunk){.offset = i * 100, .length = i % 10 == 5 ? 6 * MIB : 3000};
        if (i % 20 == 15) { /* the same, of a size that must be found first */
            chunks[i].offset = -6 * (int64_t)MIB;
            chunks[i].length = LSIO_TO_END;
        }
    }
    for (uint32_t i = 5; i < 100; i += 20)
        chunks[i].chain = NULL;
    assert_int_equal(lsio_read_batch(api->context, &request), LSIO_E_BUDGET);
    for (uint32_t i = 0; i < 100; i++)
        if (chunks[i].offset >= 0)
            assert_int_equal(results[i].status, i % 10 == 5 ? LSIO_E_BUDGET : 0);
        else
            assert_int_equal(results[i].status, LSIO_E_BUDGET);
    peak_check(api, 4 * MIB);
    /* into memory of the caller the same bytes go without any of the budget's */
    assert_int_equal(lsio_read(api->context, api->store, "k", 0, LSIO_TO_END, dst, SIZE, NULL), 0);
    api_check(dst, 0, 0, SIZE);
    peak_check(api, 4 * MIB);
    free(dst);
}

static void concurrent_batches_end(void **state)
{
    struct api *api = *state;
    struct lsio_object object;
    struct lsio_chunk chunks[60];
    struct lsio_request request = api_request(&object, 1, chunks, 60, NULL);
    struct lsio_batch *batches[8];

    api_put(api, "k", 0, SIZE);
    request.chain = budget_make(api, 3 * MIB, 4);
    object = api_object(api, "k");
    for (uint32_t i = 0; i < 60; i++)
        chunks[i] =
            (struct lsio_chunk){.offset = i * 1000, .length = i % 4 == 1 ? 700 * KIB : 90 * KIB};
    for (int i = 0; i < 8; i++)
        assert_int_equal(lsio_submit_batch(api->context, &request, &batches[i]), 0);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(api_wait(batches[i]), 0);
        assert_int_equal(lsio_batch_destroy(batches[i]), 0);
    }
    peak_check(api, 3 * MIB);
}

/* A split takes all its memory before its first part is read: parts must go before what waits for
 * memory. */
static void split_chunks(void **state)
{
    static const struct lsio_option options[] = {{"split_bytes", "64K"}};
    struct api *api = *state;
    struct lsio_object object;
    struct lsio_chunk chunks[60];
    struct lsio_request request = api_request(&object, 1, chunks, 60, NULL);
    struct lsio_stage stage = api_stage(sum, LSIO_STAGE_READS_ONLY, NULL);
    struct lsio_config config = api_config(api);

    api_put(api, "k", 0, SIZE);
    for (uint32_t workers = 1; workers <= 4; workers++) {
        struct lsio_batch *batches[2];
        struct lsio_chain *chain;
        config.workers = workers;
        config.memory_bytes_max = 4 * MIB;
        api_remake(api, &config, options, 1);
        object = api_object(api, "k");
        assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
        request.chain = chain;
        for (uint32_t i = 0; i < 60; i++)
            chunks[i] = (struct lsio_chunk){.offset = i * 1001,
                                            .length = i % 7 == 3 ? 5000 : 300 * KIB + i * KIB};
        for (int i = 0; i < 2; i++)
            assert_int_equal(lsio_submit_batch(api->context, &request, &batches[i]), 0);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(api_wait(batches[i]), 0);
            assert_int_equal(lsio_batch_destroy(batches[i]), 0);
        }
        peak_check(api, 4 * MIB);
    }
}

static int grow(struct lsio_call *call)
{
    uint64_t bytes = *(const uint64_t *)call->user;
    void *out;
    int status = lsio_call_out(call, bytes, &out);

    if (status)
        return status;
    memset(out, 7, bytes);
    return lsio_call_commit(call, bytes);
}

/* A chain's outputs beyond the scratch memory go through one lane, or are LSIO_E_BUDGET. */
static void output_of_stages(void **state)
{
    struct api *api = *state;
    static const uint64_t sizes[] = {100, 300 * KIB, 400 * KIB, 3 * MIB, 64 * MIB};
    struct lsio_object object;
    struct lsio_chunk chunks[50];
    struct lsio_request request = api_request(&object, 1, chunks, 50, NULL);

    api_put(api, "k", 0, 10000);
    budget_make(api, 4 * MIB, 3);
    object = api_object(api, "k");
    for (size_t i = 0; i < COUNT(sizes); i++) {
        uint64_t bytes = sizes[i];
        struct lsio_stage stage = api_stage(grow, LSIO_STAGE_WRITES, &bytes);
        struct lsio_chain *chain;
        assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
        request.chain = chain;
        for (uint32_t j = 0; j < 50; j++)
            chunks[j] = (struct lsio_chunk){.offset = j, .length = 100};
        assert_int_equal(lsio_read_batch(api->context, &request), bytes > MIB ? LSIO_E_BUDGET : 0);
        lsio_chain_destroy(chain);
        peak_check(api, 4 * MIB);
    }
}

/* How much room one chain may have beyond its scratch memory is the user's to say. */
static void output_of_stages_as_configured(void **state)
{
    static const struct {
        uint64_t oversize_bytes_max, bytes;
        int status;
    } cases[] = {
        {0, 400 * KIB, 0},
        {0, 900 * KIB, LSIO_E_BUDGET},
        {1 * MIB, 900 * KIB, 0},
        {UINT64_MAX, 900 * KIB, 0}, /* a quarter is taken */
        {4096, 400 * KIB, LSIO_E_BUDGET},
        {4096, 200 * KIB, 0}, /* that is within scratch */
    };
    struct api *api = *state;

    api_put(api, "k", 0, 10000);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct lsio_config config = api_config(api);
        uint64_t bytes = cases[i].bytes;
        struct lsio_stage stage = api_stage(grow, LSIO_STAGE_WRITES, &bytes);
        struct lsio_chunk chunk = {.offset = 5, .length = 100};
        struct lsio_object object;
        struct lsio_request request = api_request(&object, 1, &chunk, 1, NULL);
        struct lsio_chain *chain;

        config.memory_bytes_max = 4 * MIB;
        config.oversize_bytes_max = cases[i].oversize_bytes_max;
        api_remake(api, &config, NULL, 0);
        object = api_object(api, "k");
        assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
        request.chain = chain;
        assert_int_equal(lsio_read_batch(api->context, &request), cases[i].status);
        lsio_chain_destroy(chain);
        peak_check(api, 4 * MIB);
    }
}

static void what_is_no_budget(void **state)
{
    struct api *api = *state;
    struct lsio_config config = api_config(api);
    struct lsio_context *context = (void *)&config;

    config.memory_bytes_max = MIB - 1;
    assert_int_equal(lsio_context_create(&config, &context), -EINVAL);
    assert_ptr_equal(context, &config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_big_chunks),        cmocka_unit_test(what_never_fits_fails_alone),
        cmocka_unit_test(concurrent_batches_end), cmocka_unit_test(split_chunks),
        cmocka_unit_test(output_of_stages),       cmocka_unit_test(output_of_stages_as_configured),
        cmocka_unit_test(what_is_no_budget)};

    return api_run_tests("budget_is_hard", tests, COUNT(tests), API_ALL);
}
