/* SPDX-License-Identifier: MIT */
/*
 * lsio_last_error(): the detail of this thread's last lsio_read_batch(), lsio_read(),
 * lsio_stat_batch() or lsio_list() on the context, if that failed - of the failing chunk or object
 * of lowest index, with a sentence - and -ENOENT if it did not. A request that is refused as a
 * whole has a sentence too, there and in the log, with LSIO_NO_CHUNK for an index: so it is told
 * from a chunk whose own status is -EINVAL.
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
    struct lsio_error error = {.struct_bytes = sizeof(error)};
    uint8_t dst[100];

    api_put(api, "some-key", 0, 100);
    none(api);
    assert_int_equal(lsio_read(api->context, api->store, "lost", 0, 10, dst, 100, NULL), -ENOENT);
    check(api, -ENOENT, 0, "lost");
    assert_int_equal(lsio_last_error(api->context, &error), 0);
    assert_int_equal(error.code, api->kind == API_BUCKET ? 404 : ENOENT);
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

static void log_keep(int level, const char *text, void *data)
{
    (void)level;
    snprintf(data, 512, "%s", text);
}

/* No call of the API takes the request, and each says why: all with the word `what`. */
static void refused(struct api *api, const struct lsio_request *request, char *log,
                    const char *what)
{
    struct lsio_batch *batch = NULL;
    char *text = NULL;

    assert_int_equal(lsio_read_batch(api->context, request), -EINVAL);
    check(api, -EINVAL, LSIO_NO_CHUNK, what);
    assert_int_equal(request->results->status, 77);
    for (int i = 0; i < 2; i++) {
        log[0] = '\0';
        if (i == 0)
            assert_int_equal(lsio_submit_batch(api->context, request, &batch), -EINVAL);
        else
            assert_int_equal(
                lsio_explain_batch(api->context, request, LSIO_EXPLAIN_TEXT, &text), -EINVAL);
        if (!strstr(log, what))
            fail_msg("the log says \"%s\", not \"%s\"", log, what);
    }
}

static void of_refused_requests(void **state)
{
    struct api *api = *state;
    char log[512] = "";
    struct lsio_config config = api_config(api);
    struct lsio_object objects[3], bad[3];
    uint8_t dst[2][10];
    struct lsio_chunk chunks[2];
    struct lsio_result results[2] = {{.status = 77}, {.status = 77}};
    struct lsio_request good = api_request(objects, 3, chunks, 2, results), request;

    config.log = log_keep;
    config.log_data = log;
    api_remake(api, &config, NULL, 0);
    api_put(api, "some-key", 0, 100);
    for (int i = 0; i < 3; i++)
        objects[i] = api_object(api, "some-key");
    for (int i = 0; i < 2; i++)
        chunks[i] = (struct lsio_chunk){.length = 10, .dst = dst[i], .dst_bytes = 10};
#define REFUSED(what, ...)                                                                         \
    do {                                                                                           \
        request = good;                                                                            \
        memcpy(bad, objects, sizeof(bad));                                                         \
        __VA_ARGS__;                                                                               \
        refused(api, &request, log, what);                                                         \
    } while (0)
    REFUSED("object 2 of the request has no store", request.objects = bad, bad[2].store = NULL);
    REFUSED("object 1 of the request has no key", request.objects = bad, bad[1].key = NULL);
    REFUSED("unknown flags 0x200", request.flags = 1u << 9 | LSIO_BORROW);
    REFUSED("chunk_bytes", request.chunk_bytes = sizeof(chunks[0]) + 1);
    REFUSED("struct_bytes", request.struct_bytes = 8);
    REFUSED("chunks is NULL", request.chunks = NULL);
    REFUSED("objects is NULL", request.objects = NULL);
    /* a chunk's own -EINVAL: its neighbour is read */
    chunks[0].offset = -5;
    assert_int_equal(lsio_read_batch(api->context, &good), -EINVAL);
    check(api, -EINVAL, 0, "some-key");
    assert_int_equal(results[0].status, -EINVAL);
    assert_int_equal(results[1].status, 0);
    api_check(dst[1], 0, 0, 10);
}

static int no_page(const struct lsio_list_entry *entries, size_t count, void *data)
{
    (void)entries;
    (void)count;
    (void)data;
    return 0;
}

/* Of stat the first object that fails, of a listing the listing. */
static void of_stat_and_list(void **state)
{
    struct api *api = *state;
    struct lsio_object objects[3] = {api_object(api, "some-key"), api_object(api, "lost"),
                                     api_object(api, "lost-too")};
    struct lsio_object_info infos[3];

    api_put(api, "some-key", 0, 100);
    for (int i = 0; i < 3; i++)
        infos[i].struct_bytes = sizeof(infos[i]);
    assert_int_equal(lsio_stat_batch(api->context, objects, 3, infos, 0, NULL), -ENOENT);
    check(api, -ENOENT, 1, "object 1, \"lost\"");
    assert_int_equal(lsio_stat_batch(api->context, objects, 1, infos, 0, NULL), 0);
    none(api);
    objects[0].store = NULL;
    assert_int_equal(lsio_stat_batch(api->context, objects, 3, infos, 0, NULL), -EINVAL);
    check(api, -EINVAL, LSIO_NO_CHUNK, "object 0 of the request has no store");
    assert_int_equal(lsio_list(api->store, "", 0, no_page, NULL), 0);
    none(api);
    if (api->kind != API_BUCKET) { /* there it is a name like any other */
        assert_int_equal(lsio_list(api->store, "../", 0, no_page, NULL), -EINVAL);
        check(api, -EINVAL, LSIO_NO_CHUNK, "the listing of \"../\"");
    }
    assert_int_equal(lsio_list(api->store, "no-prefix", 0, no_page, NULL), -EINVAL);
    none(api);
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
    check(api, -ENOENT, 0, "lost");
    assert_int_equal(lsio_read(other, api->store, "k", 0, 10, NULL, 0, NULL), -EINVAL);
    assert_int_equal(lsio_last_error(other, &error), 0);
    assert_non_null(strstr(error.text, "object 0 is of another context's store"));
    assert_int_equal(lsio_context_destroy(other), 0);
    none(api);
    assert_int_equal(lsio_last_error(NULL, &error), -EINVAL);
    assert_int_equal(lsio_last_error(api->context, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(of_single_reads),
                                       cmocka_unit_test(of_batches),
                                       cmocka_unit_test(of_stages_on_the_callers_thread),
                                       cmocka_unit_test(of_refused_requests),
                                       cmocka_unit_test(of_stat_and_list),
                                       cmocka_unit_test(each_thread_and_context_has_its_own)};

    return api_run_tests("last_error", tests, COUNT(tests), API_ALL);
}
