/* SPDX-License-Identifier: MIT */
/*
 * A chain has room for the state of its own context's workers: in another context it is -EINVAL
 * with a sentence, and none of its stages runs. As a request's default it makes the request so, as
 * a chunk's that chunk alone, whose neighbours are read - also when a batch is added to.
 */
#include "api_fixture.h"

#define CHUNKS 400u

struct foreign {
    struct lsio_context *context; /* with fewer workers than the one that reads */
    struct lsio_chain *chain;
    _Atomic uint32_t runs;
};

static int state_make(void *user, uint32_t worker, void **state)
{
    (void)worker;
    *state = user;
    return 0;
}

static int stage_run(struct lsio_call *call)
{
    struct foreign *foreign = call->state;

    atomic_fetch_add(&foreign->runs, 1);
    return 0;
}

static void foreign_make(struct api *api, struct foreign *foreign)
{
    struct lsio_config config = api_config(api);
    struct lsio_stage stage = api_stage(stage_run, LSIO_STAGE_READS_ONLY, foreign);

    config.workers = 1;
    stage.init = state_make;
    atomic_init(&foreign->runs, 0);
    assert_int_equal(lsio_context_create(&config, &foreign->context), 0);
    assert_int_equal(lsio_chain_create(foreign->context, &stage, 1, &foreign->chain), 0);
    api_put(api, "k", 0, 100000);
}

static void foreign_finish(struct foreign *foreign)
{
    assert_int_equal(atomic_load(&foreign->runs), 0);
    assert_int_equal(lsio_context_destroy(foreign->context), 0);
}

static void of_a_request(void **state)
{
    struct api *api = *state;
    struct lsio_object object = api_object(api, "k");
    uint8_t dst[8][10];
    struct lsio_chunk chunks[8];
    struct lsio_result results[8] = {{.status = 77}};
    struct lsio_request request = api_request(&object, 1, chunks, 8, results);
    struct lsio_error error = {.struct_bytes = sizeof(error)};
    struct lsio_batch *batch = NULL;
    struct foreign foreign;
    char *text = NULL;

    foreign_make(api, &foreign);
    request.chain = foreign.chain;
    for (uint32_t i = 0; i < 8; i++)
        chunks[i] = (struct lsio_chunk){
            .offset = i * 5000, .length = 10, .dst = dst[i], .dst_bytes = sizeof(dst[i])};
    for (request.chunk_count = 1; request.chunk_count <= 8; request.chunk_count += 7) {
        assert_int_equal(lsio_read_batch(api->context, &request), -EINVAL);
        assert_int_equal(lsio_last_error(api->context, &error), 0);
        assert_int_equal(error.index, LSIO_NO_CHUNK);
        assert_non_null(strstr(error.text, "chain"));
        assert_int_equal(lsio_submit_batch(api->context, &request, &batch), -EINVAL);
        assert_int_equal(lsio_explain_batch(api->context, &request, LSIO_EXPLAIN_TEXT, &text),
                         -EINVAL);
    }
    assert_int_equal(results[0].status, 77);
    foreign_finish(&foreign);
}

/* Joined reads, longer ones by themselves, allocated results, sizes to be asked for: whichever way
 * a chunk goes. Every third has the chain. */
static void chunks_make(struct lsio_chunk *chunks, uint8_t *dst, const struct lsio_chain *chain)
{
    for (uint32_t i = 0; i < CHUNKS; i++) {
        chunks[i] = (struct lsio_chunk){.offset = i * 20,
                                        .length = i % 50 == 7 ? 50000 : 20,
                                        .chain = i % 3 ? NULL : chain};
        if (i % 40 == 9) {
            chunks[i].flags = LSIO_CHUNK_ALLOC;
        } else {
            chunks[i].dst = dst + i * 50000;
            chunks[i].dst_bytes = 50000;
        }
        if (i % 60 == 12) {
            chunks[i].offset = -90;
            chunks[i].length = LSIO_TO_END;
        }
    }
}

static void results_check(const struct lsio_chunk *chunks, const struct lsio_result *results,
                          uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(results[i].status, chunks[i].chain ? -EINVAL : 0);
        if (!chunks[i].chain)
            api_check(results[i].data, 0,
                      chunks[i].offset < 0 ? 100000 - 90 : (uint64_t)chunks[i].offset,
                      results[i].bytes);
    }
}

static void of_a_chunk(void **state)
{
    struct api *api = *state;
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk *chunks = malloc(CHUNKS * sizeof(*chunks));
    struct lsio_result *results = malloc(CHUNKS * sizeof(*results));
    uint8_t *dst = malloc(CHUNKS * 50000);
    struct lsio_request request = api_request(&object, 1, chunks, CHUNKS, results);
    struct lsio_error error = {.struct_bytes = sizeof(error)};
    struct foreign foreign;

    foreign_make(api, &foreign);
    chunks_make(chunks, dst, foreign.chain);
    assert_int_equal(lsio_read_batch(api->context, &request), -EINVAL);
    results_check(chunks, results, CHUNKS);
    assert_int_equal(lsio_last_error(api->context, &error), 0);
    assert_int_equal(error.index, 0);
    assert_non_null(strstr(error.text, "chain"));
    for (uint32_t i = 0; i < CHUNKS; i++)
        if (results[i].flags & LSIO_RESULT_ALLOCATED)
            lsio_result_free(results[i].data);
    /* few enough to be read by the calling thread, where that may be */
    request.chunk_count = 2;
    assert_int_equal(lsio_read_batch(api->context, &request), -EINVAL);
    results_check(chunks, results, 2);
    foreign_finish(&foreign);
    free(chunks);
    free(results);
    free(dst);
}

struct adding {
    struct api *api;
    const struct lsio_chain *chain;
    uint8_t dst[2][20];
    struct lsio_result results[2];
    _Atomic int as_default, as_chunks;
};

static void on_chunk(struct lsio_batch *batch, uint64_t index, const struct lsio_result *result,
                     void *data)
{
    struct adding *adding = data;
    struct lsio_object object = api_object(adding->api, "k");
    struct lsio_chunk chunks[2];
    struct lsio_request more = api_request(&object, 1, chunks, 2, adding->results);

    (void)result;
    if (index != 0)
        return;
    for (uint32_t i = 0; i < 2; i++)
        chunks[i] = (struct lsio_chunk){
            .offset = i * 20, .length = 20, .dst = adding->dst[i], .dst_bytes = 20};
    more.chain = adding->chain;
    atomic_store(&adding->as_default, lsio_batch_add(batch, &more, NULL));
    more.chain = NULL;
    chunks[1].chain = adding->chain;
    atomic_store(&adding->as_chunks, lsio_batch_add(batch, &more, NULL));
}

static void of_what_is_added(void **state)
{
    struct api *api = *state;
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk chunk = {.length = 20};
    struct lsio_request request = api_request(&object, 1, &chunk, 1, NULL);
    struct foreign foreign;
    struct adding adding = {.api = api, .results = {{.status = 77}, {.status = 77}}};
    struct lsio_batch *batch;

    foreign_make(api, &foreign);
    adding.chain = foreign.chain;
    request.on_chunk = on_chunk;
    request.data = &adding;
    assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
    assert_int_equal(api_wait(batch), -EINVAL);
    assert_int_equal(atomic_load(&adding.as_default), -EINVAL);
    assert_int_equal(atomic_load(&adding.as_chunks), 0);
    assert_int_equal(adding.results[0].status, 0);
    assert_int_equal(adding.results[1].status, -EINVAL);
    api_check(adding.dst[0], 0, 0, 20);
    assert_int_equal(lsio_batch_status_count(batch, -EINVAL), 1);
    assert_int_equal(lsio_batch_destroy(batch), 0);
    foreign_finish(&foreign);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(of_a_request), cmocka_unit_test(of_a_chunk),
                                       cmocka_unit_test(of_what_is_added)};

    return api_run_tests("chains_belong_to_their_context", tests, COUNT(tests), API_ALL);
}
