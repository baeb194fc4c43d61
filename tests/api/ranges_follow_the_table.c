/* SPDX-License-Identifier: MIT */
/*
 * Every form of range means the same on every store, with known and unknown size, in a batch and
 * alone, into dst and into allocated memory: what the oracle reads with pread().
 *
 * LSIO_ROWS: L4 L26
 */
#include "api_fixture.h"

#define DST_BYTES 16384u

static const uint64_t sizes[] = {0, 1, 4095, 4096, 10000};
static const int64_t offsets[] = {0,  1,    100,   4095,   4096,   9999,      10000,     10001,
                                  -1, -100, -4096, -10000, -10001, INT64_MAX, INT64_MIN, -20000};
static const uint64_t lengths[] = {0, 1, 100, 4096, 9999, 10000, 10001, LSIO_TO_END};

#define RANGES (COUNT(offsets) * COUNT(lengths))

static void compare(const struct api *api, const char *key, int64_t offset, uint64_t length,
                    int status, uint64_t bytes, const void *data)
{
    static uint8_t want[DST_BYTES];
    int64_t oracle = api_oracle(api, key, offset, length, want, sizeof(want));

    if (status != (oracle < 0 ? oracle : 0))
        fail_msg("%s: offset %lld, length %llu: status %d, oracle %lld", key, (long long)offset,
                 (unsigned long long)length, status, (long long)oracle);
    if (oracle < 0)
        return;
    assert_int_equal(bytes, oracle);
    if (oracle > 0)
        assert_memory_equal(data, want, (size_t)oracle);
}

static void one_by_one(struct api *api, const char *key)
{
    static uint8_t dst[DST_BYTES];

    for (size_t i = 0; i < RANGES; i++) {
        int64_t offset = offsets[i / COUNT(lengths)];
        uint64_t length = lengths[i % COUNT(lengths)], bytes = 77;
        int status =
            lsio_read(api->context, api->store, key, offset, length, dst, DST_BYTES, &bytes);
        compare(api, key, offset, length, status, bytes, dst);
        if (status < 0)
            assert_int_equal(bytes, 77);
    }
}

static int look(struct lsio_call *call)
{
    return call->in_bytes > DST_BYTES;
}

static void together(struct api *api, const char *key, uint64_t size, uint32_t flags, bool chain)
{
    struct lsio_object object = api_object(api, key);
    struct lsio_chunk chunks[RANGES];
    struct lsio_result results[RANGES];
    struct lsio_request request = api_request(&object, 1, chunks, RANGES, results);
    struct lsio_stage stage = api_stage(look, LSIO_STAGE_READS_ONLY, NULL);
    struct lsio_chain *made = NULL;
    struct lsio_batch *batch;
    uint8_t *dst = malloc(RANGES * DST_BYTES);

    object.size = size;
    for (size_t i = 0; i < RANGES; i++) {
        chunks[i] = (struct lsio_chunk){.flags = flags,
                                        .offset = offsets[i / COUNT(lengths)],
                                        .length = lengths[i % COUNT(lengths)]};
        if (!(flags & LSIO_CHUNK_ALLOC)) {
            chunks[i].dst = dst + i * DST_BYTES;
            chunks[i].dst_bytes = DST_BYTES;
        }
    }
    if (chain) {
        assert_int_equal(lsio_chain_create(api->context, &stage, 1, &made), 0);
        request.chain = made;
    }
    assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
    api_wait(batch);
    for (size_t i = 0; i < RANGES; i++) {
        compare(api, key, chunks[i].offset, chunks[i].length, results[i].status, results[i].bytes,
                results[i].data);
        if (results[i].status == 0 && !(flags & LSIO_CHUNK_ALLOC))
            assert_ptr_equal(results[i].data, chunks[i].dst);
        if (results[i].status == 0)
            assert_int_equal(results[i].flags, flags ? LSIO_RESULT_ALLOCATED : 0);
        if (results[i].status < 0)
            assert_null(results[i].data);
    }
    assert_int_equal(lsio_batch_destroy(batch), 0);
    lsio_chain_destroy(made);
    free(dst);
}

static void all_forms(void **state)
{
    struct api *api = *state;

    for (size_t i = 0; i < COUNT(sizes); i++) {
        char key[32];
        snprintf(key, sizeof(key), "size-%u", (unsigned)sizes[i]);
        api_put(api, key, (uint32_t)i, sizes[i]);
        one_by_one(api, key);
        for (int chain = 0; chain < 2; chain++) {
            together(api, key, LSIO_SIZE_UNKNOWN, 0, chain);
            together(api, key, 0, 0, chain); /* "not set" */
            if (sizes[i])
                together(api, key, sizes[i], 0, chain);
            together(api, key, LSIO_SIZE_UNKNOWN, LSIO_CHUNK_ALLOC, chain);
        }
    }
}

/* A wrong size is noticed: never fewer or other bytes than asked for. */
static void a_wrong_size_is_no_success(void **state)
{
    struct api *api = *state;
    struct lsio_object object = api_object(api, "k");
    uint8_t dst[4000];
    struct lsio_chunk chunk = {.length = LSIO_TO_END, .dst = dst, .dst_bytes = sizeof(dst)};
    struct lsio_request request = api_request(&object, 1, &chunk, 1, NULL);
    int status;

    api_put(api, "k", 0, 1000);
    object.size = 2000;
    status = lsio_read_batch(api->context, &request);
    assert_true(status == LSIO_E_TRUNCATED || status == LSIO_E_CHANGED);
    object.size = 500;
    chunk.offset = -100;
    status = lsio_read_batch(api->context, &request);
    assert_true(status == LSIO_E_TRUNCATED || status == LSIO_E_CHANGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_forms),
                                       cmocka_unit_test(a_wrong_size_is_no_success)};

    return api_run_tests("ranges_follow_the_table", tests, COUNT(tests), API_ALL);
}
