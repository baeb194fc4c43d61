/* SPDX-License-Identifier: MIT */
/*
 * on_chunk runs once per chunk and on_done once per batch, after them, on workers only; the result
 * is written before its on_chunk. With good, failing, empty and whole-object chunks of several
 * workers.
 */
#include "api_fixture.h"

#define CHUNKS 12000u
#define BYTES  512u

struct shared {
    struct api_seen seen; /* first */
    const struct lsio_result *results;
    _Atomic uint32_t differs;
};

static void on_chunk(struct lsio_batch *batch, uint64_t index, const struct lsio_result *result,
                     void *data)
{
    struct shared *shared = data;

    if (memcmp(result, &shared->results[index], sizeof(*result)) != 0)
        atomic_fetch_add(&shared->differs, 1);
    api_seen_on_chunk(batch, index, result, data);
}

static void chunks_make(struct lsio_chunk *chunks, uint8_t *dst)
{
    uint32_t random = 1;

    for (uint32_t i = 0; i < CHUNKS; i++) {
        random = random * 1664525 + 1013904223;
        chunks[i] = (struct lsio_chunk){.object = i % 7 == 3      ? 1
                                                  : i % 1001 == 5 ? 2
                                                                  : 0,
                                        .offset = random % (1000 * 1000),
                                        .length = i % 13 == 1 ? 0 : BYTES,
                                        .dst = dst + (size_t)i * BYTES,
                                        .dst_bytes = BYTES};
        if (chunks[i].object == 2) {
            chunks[i].offset = 0;
            chunks[i].length = LSIO_TO_END;
        }
    }
}

static void results_check(const struct lsio_chunk *chunks, const struct lsio_result *results,
                          uint32_t failed)
{
    uint32_t missing = 0;

    for (uint32_t i = 0; i < CHUNKS; i++) {
        bool absent = chunks[i].object == 1 && chunks[i].length;
        missing += absent;
        assert_int_equal(results[i].status, absent ? -ENOENT : 0);
        if (absent)
            continue;
        assert_int_equal(results[i].bytes,
                         chunks[i].object == 2 && chunks[i].length ? 100 : chunks[i].length);
        api_check(chunks[i].dst, chunks[i].object, (uint64_t)chunks[i].offset, results[i].bytes);
    }
    assert_int_equal(failed, missing);
}

static void run(struct api *api, bool submit)
{
    struct lsio_object objects[3];
    struct lsio_chunk *chunks = calloc(CHUNKS, sizeof(*chunks));
    struct lsio_result *results = calloc(CHUNKS, sizeof(*results));
    uint8_t *dst = calloc(CHUNKS, BYTES);
    struct lsio_request request = api_request(objects, 3, chunks, CHUNKS, results);
    struct shared shared = {.results = results};
    int status;

    api_put(api, "big", 0, MIB);
    api_put(api, "small", 2, 100);
    objects[0] = api_object(api, "big");
    objects[1] = api_object(api, "absent");
    objects[2] = api_object(api, "small");
    chunks_make(chunks, dst);
    api_seen_init(&shared.seen, CHUNKS);
    request.on_chunk = on_chunk;
    request.on_done = api_seen_on_done;
    request.data = &shared;
    if (submit) {
        struct lsio_batch *batch;
        assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
        status = api_wait(batch);
        assert_int_equal(lsio_batch_destroy(batch), 0);
    } else {
        status = lsio_read_batch(api->context, &request);
    }
    assert_int_equal(status, -ENOENT);
    assert_int_equal(shared.seen.status, -ENOENT);
    assert_int_equal(shared.differs, 0);
    results_check(chunks, results, shared.seen.failed);
    api_seen_check(&shared.seen);
    free(chunks);
    free(results);
    free(dst);
}

static void read_reports_once(void **state)
{
    run(*state, false);
}

static void submit_reports_once(void **state)
{
    run(*state, true);
}

static void tiny_and_empty_batches_report_once(void **state)
{
    struct api *api = *state;

    api_put(api, "k", 0, 100);
    for (uint32_t count = 0; count <= 5; count++) {
        struct lsio_object object = api_object(api, "k");
        struct lsio_chunk chunks[5] = {{0}};
        struct lsio_request request = api_request(&object, 1, chunks, count, NULL);
        struct api_seen seen;
        uint8_t dst[5][100];
        api_seen_init(&seen, count);
        for (uint32_t i = 0; i < count; i++)
            chunks[i] = (struct lsio_chunk){.length = 100, .dst = dst[i], .dst_bytes = 100};
        request.on_chunk = api_seen_on_chunk;
        request.on_done = api_seen_on_done;
        request.data = &seen;
        assert_int_equal(lsio_read_batch(api->context, &request), 0);
        for (uint32_t i = 0; i < count; i++)
            api_check(dst[i], 0, 0, 100);
        api_seen_check(&seen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(read_reports_once),
                                       cmocka_unit_test(submit_reports_once),
                                       cmocka_unit_test(tiny_and_empty_batches_report_once)};

    return api_run_tests("callback_exactly_once", tests, COUNT(tests), API_ALL);
}
