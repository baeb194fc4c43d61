/* SPDX-License-Identifier: MIT */
/*
 * lsio_last_error(): the detail of this thread's last lsio_read_batch() or lsio_read() on the
 * context, if that failed - of the failing chunk of lowest index, with a sentence - and -ENOENT if
 * it did not.
 */
#include "api_fixture.h"

static void check(struct api *api, int status, uint64_t index, const char *key)
{
    struct lsio_error error = {.struct_bytes = sizeof(error)};

    assert_int_equal(lsio_last_error(api->context, &error), 0);
    assert_int_equal(error.status, status);
    assert_int_equal(error.index, index);
    assert_non_null(strstr(error.text, key));
    assert_true(strlen(error.text) > 20);
}

static void none(struct api *api)
{
    struct lsio_error error = {.struct_bytes = sizeof(error)};

    assert_int_equal(lsio_last_error(api->context, &error), -ENOENT);
}

static void of_single_reads(void **state)
{
    struct api *api = *state;
    uint8_t dst[100];

    api_put(api, "some-key", 0, 100);
    none(api);
    assert_int_equal(lsio_read(api->context, api->store, "lost", 0, 10, dst, 100, NULL), -ENOENT);
    check(api, -ENOENT, 0, "lost");
    assert_int_equal(lsio_read(api->context, api->store, "some-key", 95, 10, dst, 100, NULL),
                     LSIO_E_TRUNCATED);
    check(api, LSIO_E_TRUNCATED, 0, "some-key");
    assert_int_equal(lsio_read(api->context, api->store, "some-key", 0, 10, dst, 100, NULL), 0);
    none(api);
}

static void of_batches(void **state)
{
    struct api *api = *state;
    struct lsio_object objects[2] = {api_object(api, "some-key"), api_object(api, "lost")};
    struct lsio_chunk chunks[3000];
    struct lsio_request request = api_request(objects, 2, chunks, 3000, NULL);
    static uint8_t dst[3000][10];

    api_put(api, "some-key", 0, 100000);
    for (uint32_t i = 0; i < 3000; i++)
        chunks[i] = (struct lsio_chunk){.object = i > 2000 || i == 777,
                                        .offset = i,
                                        .length = 10,
                                        .dst = dst[i],
                                        .dst_bytes = 10};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(lsio_read_batch(api->context, &request), -ENOENT);
        check(api, -ENOENT, 777, "lost");
    }
    chunks[776].dst_bytes = 9;
    assert_int_equal(lsio_read_batch(api->context, &request), LSIO_E_NO_SPACE);
    check(api, LSIO_E_NO_SPACE, 776, "some-key");
    request.chunk_count = 700;
    assert_int_equal(lsio_read_batch(api->context, &request), 0);
    none(api);
}

static int refuse(struct lsio_call *call)
{
    return lsio_call_fail(call, -7, "not liked");
}

static void of_stages_on_the_callers_thread(void **state)
{
    struct api *api = *state;
    struct lsio_stage stage = api_stage(refuse, LSIO_STAGE_READS_ONLY, NULL);
    struct lsio_object object = api_object(api, "some-key");
    struct lsio_chunk chunk = {.offset = 12, .length = 10};
    struct lsio_result result;
    struct lsio_request request = api_request(&object, 1, &chunk, 1, &result);
    struct lsio_error error = {.struct_bytes = sizeof(error)};
    struct lsio_chain *chain;

    api_put(api, "some-key", 0, 100);
    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
    request.chain = chain;
    assert_int_equal(lsio_read_batch(api->context, &request), LSIO_E_CALLBACK);
    check(api, LSIO_E_CALLBACK, 0, "not liked");
    assert_int_equal(lsio_last_error(api->context, &error), 0);
    assert_int_equal(error.code, -7);
    assert_int_equal(error.offset, 12);
    assert_int_equal(error.length, 10);
    assert_int_equal(result.status, LSIO_E_CALLBACK);
}

static void *other_thread(void *data)
{
    struct api *api = data;
    struct lsio_error error = {.struct_bytes = sizeof(error)};

    return lsio_last_error(api->context, &error) == -ENOENT ? NULL : data;
}

static void each_thread_and_context_has_its_own(void **state)
{
    struct api *api = *state;
    struct lsio_config config = api_config(api);
    struct lsio_error error = {.struct_bytes = sizeof(error)};
    struct lsio_context *other;
    pthread_t thread;
    void *wrong;

    assert_int_equal(lsio_read(api->context, api->store, "lost", 0, 10, NULL, 0, NULL), -ENOENT);
    assert_int_equal(pthread_create(&thread, NULL, other_thread, api), 0);
    pthread_join(thread, &wrong);
    assert_null(wrong);
    assert_int_equal(lsio_context_create(&config, &other), 0);
    assert_int_equal(lsio_last_error(other, &error), -ENOENT);
    assert_int_equal(lsio_context_destroy(other), 0);
    check(api, -ENOENT, 0, "lost");
    assert_int_equal(lsio_last_error(NULL, &error), -EINVAL);
    assert_int_equal(lsio_last_error(api->context, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(of_single_reads),
                                       cmocka_unit_test(of_batches),
                                       cmocka_unit_test(of_stages_on_the_callers_thread),
                                       cmocka_unit_test(each_thread_and_context_has_its_own)};

    return api_run_tests("last_error", tests, COUNT(tests), API_ALL);
}
