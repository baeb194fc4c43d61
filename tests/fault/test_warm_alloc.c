/* SPDX-License-Identifier: MIT */
/*
 * No allocation once warm: a batch that is read for the second time makes its own few tables, one
 * of each whatever the number of its chunks, and nothing else is allocated: not for operations,
 * buffers, chains or open files.
 *
 * LSIO_TEST_LINK: -Wl,@$<TARGET_PROPERTY:SOURCE_DIR>/fault/wrap_alloc.txt
 */
#include "api_fixture.h"
#include "fault_inject.h"

#define CHUNKS     20000u
#define OBJECTS    20u
#define SIZE       200000u
#define TABLES_MAX 4u /* the batch, its objects, the copy of what was submitted, and one to spare */

static int look(struct lsio_call *call)
{
    return call->in_bytes ? 0 : LSIO_E_CORRUPT;
}

/* Puts out bytes of its own, which need room. */
static int rewrite(struct lsio_call *call)
{
    const uint8_t *in = call->in;
    uint8_t *bytes;
    void *out;
    int error = lsio_call_out(call, call->in_bytes, &out);

    if (error)
        return error;
    bytes = out;
    for (uint64_t i = 0; i < call->in_bytes; i++)
        bytes[i] = in[i] ^ 0x20;
    return lsio_call_commit(call, call->in_bytes);
}

struct tables {
    char keys[OBJECTS][8];
    struct lsio_object objects[OBJECTS];
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_result results[CHUNKS];
    uint8_t bytes[CHUNKS * 100];
};

/* Reads the request twice, the second time without more than a table or two of its own. */
static void read_twice(struct api *api, const struct lsio_request *request, bool submit,
                       const char *what)
{
    uint64_t counted;

    for (int round = 0; round < 2; round++) {
        struct lsio_batch *batch = NULL;
        fault_begin(FAULT_ALLOC, UINT64_MAX, false);
        if (submit) {
            assert_int_equal(lsio_submit_batch(api->context, request, &batch), 0);
            assert_int_equal(lsio_batch_wait(batch, LSIO_FOREVER, NULL), 0);
            assert_int_equal(lsio_batch_destroy(batch), 0);
        } else {
            assert_int_equal(lsio_read_batch(api->context, request), 0);
        }
        fault_pause();
        counted = fault_counted();
        assert_true(counted > 0 || request->chunk_count == 1); /* they are taken over */
    }
    if (counted > TABLES_MAX)
        fail_msg("%s, %zu chunks: %llu allocations when warm", what, request->chunk_count,
                 (unsigned long long)counted);
}

static void tables_fill(struct api *api, struct tables *t, int64_t stride)
{
    for (uint32_t i = 0; i < OBJECTS; i++) {
        t->objects[i] = api_object(api, t->keys[i]);
        t->objects[i].size = i % 2 ? SIZE : LSIO_SIZE_UNKNOWN;
    }
    for (uint32_t i = 0; i < CHUNKS; i++)
        t->chunks[i] = (struct lsio_chunk){.object = i / (CHUNKS / OBJECTS),
                                           .offset = i % (CHUNKS / OBJECTS) * stride,
                                           .length = 100,
                                           .dst = t->bytes + i * 100,
                                           .dst_bytes = 100};
}

static void second_batches(void **state)
{
    static const size_t counts[] = {1, 100, CHUNKS};
    struct api *api = *state;
    struct lsio_config config = api_config(api);
    struct lsio_stage stages[2];
    struct tables *t = calloc(1, sizeof(*t));
    struct lsio_chain *chain;

    assert_non_null(t);
    config.workers = 1; /* so that all there is to warm is warm after one batch */
    api_remake(api, &config, NULL, 0);
    for (uint32_t i = 0; i < OBJECTS; i++) {
        snprintf(t->keys[i], sizeof(t->keys[i]), "k%u", i);
        api_put(api, t->keys[i], i, SIZE);
    }
    stages[0] = api_stage(look, LSIO_STAGE_READS_ONLY, NULL);
    stages[1] = api_stage(rewrite, LSIO_STAGE_WRITES, NULL);
    assert_int_equal(lsio_chain_create(api->context, stages, 2, &chain), 0);
    for (size_t i = 0; i < COUNT(counts); i++) {
        struct lsio_request request =
            api_request(t->objects, OBJECTS, t->chunks, counts[i], t->results);
        tables_fill(api, t, 100);
        read_twice(api, &request, false, "neighbours");
        read_twice(api, &request, true, "neighbours, submitted");
        tables_fill(api, t, 190); /* gaps to read through */
        read_twice(api, &request, false, "joins");
        request.chain = chain;
        read_twice(api, &request, false, "a chain");
        read_twice(api, &request, true, "a chain, submitted");
    }
    lsio_chain_destroy(chain);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(second_batches)};

    return api_run_tests("warm_alloc", tests, COUNT(tests), API_BOTH);
}
