/* SPDX-License-Identifier: MIT */
/*
 * lsio_batch_add() grows a running batch from its own stages and on_chunk callbacks: the chunks are
 * numbered on, copied or borrowed, and on_done comes after all. Anywhere else it is -EINVAL and
 * adds nothing.
 */
#include "api_fixture.h"

#define FIRST 40u
#define WAVE  50u
#define ALL   (FIRST + FIRST * WAVE)

struct shared {
    struct api_seen seen; /* first */
    struct api *api;
    uint8_t *dst;                   /* of chunk i: dst + i * 64 */
    _Atomic uint64_t firsts[FIRST]; /* first index that wave i got */
    _Atomic int errors;
    _Atomic int done_error;  /* lsio_batch_add from on_done */
    _Atomic int other_error; /* from another batch's callback */
    struct lsio_batch *other;
    struct lsio_result results[FIRST][WAVE];
};

/* A wave's descriptors live on the stack: they must be copied. Where chunk j of wave i reads and
 * lands. */
static int wave_add(struct shared *shared, struct lsio_batch *batch, uint64_t wave)
{
    char key[8] = "k";
    struct lsio_object object = api_object(shared->api, key);
    struct lsio_chunk chunks[WAVE];
    struct lsio_request more = api_request(&object, 1, chunks, WAVE, shared->results[wave]);
    uint64_t first = 0;
    int status;

    for (uint32_t j = 0; j < WAVE; j++)
        chunks[j] = (struct lsio_chunk){.offset = (int64_t)(wave * 1000 + j * 3),
                                        .length = 64,
                                        .dst = shared->dst + (FIRST + wave * WAVE + j) * 64,
                                        .dst_bytes = 64};
    status = lsio_batch_add(batch, &more, &first);
    memset(chunks, 0xff, sizeof(chunks));
    memset(key, 0xff, sizeof(key));
    if (status)
        atomic_fetch_add(&shared->errors, 1);
    atomic_store(&shared->firsts[wave], first);
    return status;
}

static int stage_add(struct lsio_call *call)
{
    struct shared *shared = call->user;

    return call->index < FIRST && call->index % 2 ? wave_add(shared, call->batch, call->index) : 0;
}

static void on_chunk(struct lsio_batch *batch, uint64_t index, const struct lsio_result *result,
                     void *data)
{
    struct shared *shared = data;

    api_seen_on_chunk(batch, index, result, data);
    if (index < FIRST && index % 2 == 0)
        wave_add(shared, batch, index);
}

static void on_done(struct lsio_batch *batch, int status, void *data)
{
    struct shared *shared = data;
    struct lsio_object object = api_object(shared->api, "k");
    struct lsio_chunk chunk = {.length = 1};
    struct lsio_request more = api_request(&object, 1, &chunk, 1, NULL);

    atomic_store(&shared->done_error, lsio_batch_add(batch, &more, NULL));
    api_seen_on_done(batch, status, data);
}

static void results_check(struct shared *shared)
{
    bool used[FIRST] = {false};

    for (uint32_t i = 0; i < FIRST; i++) {
        uint64_t first = atomic_load(&shared->firsts[i]);
        assert_int_equal((first - FIRST) % WAVE, 0);
        assert_true(first >= FIRST && first < ALL);
        assert_false(used[(first - FIRST) / WAVE]);
        used[(first - FIRST) / WAVE] = true;
        for (uint32_t j = 0; j < WAVE; j++) {
            assert_int_equal(shared->results[i][j].status, 0);
            assert_int_equal(shared->results[i][j].bytes, 64);
            api_check(shared->dst + (FIRST + i * WAVE + j) * 64, 0, i * 1000 + j * 3, 64);
        }
    }
}

static void two_waves(void **state)
{
    struct api *api = *state;
    struct shared *shared = calloc(1, sizeof(*shared));
    struct lsio_stage stage = api_stage(stage_add, LSIO_STAGE_READS_ONLY, shared);
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk chunks[FIRST];
    struct lsio_request request = api_request(&object, 1, chunks, FIRST, NULL);
    struct lsio_chain *chain;
    struct lsio_batch *batch;

    api_put(api, "k", 0, 100000);
    shared->api = api;
    shared->dst = calloc(ALL, 64);
    api_seen_init(&shared->seen, ALL);
    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
    for (uint32_t i = 0; i < FIRST; i++)
        chunks[i] = (struct lsio_chunk){
            .offset = i * 64, .length = 64, .dst = shared->dst + i * 64, .dst_bytes = 64};
    request.chain = chain;
    request.on_chunk = on_chunk;
    request.on_done = on_done;
    request.data = shared;
    assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
    assert_int_equal(api_wait(batch), 0);
    assert_int_equal(shared->errors, 0);
    assert_int_equal(shared->done_error, -EINVAL);
    assert_int_equal(api_progress(batch).chunk_count, ALL);
    assert_int_equal(api_progress(batch).chunks_done, ALL);
    assert_int_equal(api_progress(batch).bytes_done, ALL * 64);
    for (uint32_t i = 0; i < FIRST; i++)
        api_check(shared->dst + i * 64, 0, i * 64, 64);
    results_check(shared);
    api_seen_check(&shared->seen);
    assert_int_equal(lsio_batch_destroy(batch), 0);
    free(shared->dst);
    free(shared);
}

static int stage_other(struct lsio_call *call)
{
    struct shared *shared = call->user;
    struct lsio_object object = api_object(shared->api, "k");
    struct lsio_chunk chunk = {.length = 1};
    struct lsio_request more = api_request(&object, 1, &chunk, 1, NULL);

    atomic_store(&shared->other_error, lsio_batch_add(shared->other, &more, NULL));
    return 0;
}

static void elsewhere_is_refused(void **state)
{
    struct api *api = *state;
    struct api_gate gate = {0};
    struct shared *shared = calloc(1, sizeof(*shared));
    struct lsio_stage stages[2] = {api_stage(api_gate_stage, LSIO_STAGE_READS_ONLY, &gate),
                                   api_stage(stage_other, LSIO_STAGE_READS_ONLY, shared)};
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk chunk = {.length = 10};
    struct lsio_request request = api_request(&object, 1, &chunk, 1, NULL);
    struct lsio_chain *chains[2];
    struct lsio_batch *batch;
    uint64_t first = 77;

    shared->api = api;
    api_put(api, "k", 0, 10);
    for (int i = 0; i < 2; i++)
        assert_int_equal(lsio_chain_create(api->context, &stages[i], 1, &chains[i]), 0);
    request.chain = chains[0];
    assert_int_equal(lsio_submit_batch(api->context, &request, &shared->other), 0);
    api_gate_wait(&gate, 1);
    assert_int_equal(lsio_batch_add(shared->other, &request, &first), -EINVAL);
    assert_int_equal(first, 77);
    request.chain = chains[1];
    assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
    assert_int_equal(api_wait(batch), 0);
    assert_int_equal(shared->other_error, -EINVAL);
    api_gate_open(&gate);
    assert_int_equal(api_wait(shared->other), 0);
    assert_int_equal(api_progress(shared->other).chunk_count, 1);
    assert_int_equal(lsio_batch_destroy(shared->other), 0);
    assert_int_equal(lsio_batch_destroy(batch), 0);
    free(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(two_waves),
                                       cmocka_unit_test(elsewhere_is_refused)};

    return api_run_tests("batch_add_from_callback", tests, COUNT(tests), API_ALL);
}
