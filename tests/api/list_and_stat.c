/* SPDX-License-Identifier: MIT */
/*
 * lsio_list() names objects below a prefix in bytewise order, recursively or folded at '/', on the
 * calling thread, until told to stop. lsio_stat_batch() finds sizes and validators, each object for
 * itself; its etag is the one that lsio_object.etag wants, and lsio_batch_object() tells the same.
 */
#include "api_fixture.h"

struct names {
    char text[4096];
    uint64_t sizes;
    pthread_t thread;
    int wrong, pages, stop_after;
};

static int on_page(const struct lsio_list_entry *entries, size_t count, void *data)
{
    struct names *names = data;

    names->wrong += !pthread_equal(pthread_self(), names->thread) || count == 0;
    names->pages++;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(entries[i].key);
        names->wrong +=
            (entries[i].is_prefix != 0) != (length && entries[i].key[length - 1] == '/');
        names->wrong += !entries[i].etag || !entries[i].version || *entries[i].version;
        names->sizes += entries[i].is_prefix ? 0 : entries[i].size;
        if (strlen(names->text) + length + 2 < sizeof(names->text)) {
            strcat(names->text, entries[i].key);
            strcat(names->text, " ");
        }
    }
    return names->stop_after && names->pages >= names->stop_after ? 4242 : 0;
}

static void expect(struct api *api, const char *prefix, char delimiter, const char *want,
                   uint64_t sizes)
{
    struct names names = {.thread = pthread_self()};

    assert_int_equal(lsio_list(api->store, prefix, delimiter, on_page, &names), 0);
    assert_string_equal(names.text, want);
    assert_int_equal(names.sizes, sizes);
    assert_int_equal(names.wrong, 0);
}

static void lists(void **state)
{
    struct api *api = *state;
    struct names names = {.thread = pthread_self(), .stop_after = 1};

    expect(api, "", 0, "", 0);
    api_put(api, "a/b/c", 1, 10);
    api_put(api, "a/b.x", 2, 200);
    api_put(api, "a-1", 3, 3000);
    api_put(api, "z", 4, 40000);
    api_put(api, "a/Z", 5, 5);
    api_put(api, "a0", 6, 6);
    expect(api, "", 0, "a-1 a/Z a/b.x a/b/c a0 z ", 43221);
    expect(api, "", '/', "a-1 a/ a0 z ", 43006);
    expect(api, "a/", 0, "a/Z a/b.x a/b/c ", 215);
    expect(api, "a/", '/', "a/Z a/b.x a/b/ ", 205);
    expect(api, "nothing/", 0, "", 0);
    expect(api, "z/", '/', "", 0);
    assert_int_equal(lsio_list(api->store, "", 0, on_page, &names), 4242);
    assert_int_equal(names.pages, 1);
    assert_int_equal(lsio_list(api->store, "a", 0, on_page, &names),
                     -EINVAL); /* no '/' at its end */
    assert_int_equal(lsio_list(api->store, "", '.', on_page, &names), -EINVAL);
    assert_int_equal(lsio_list(api->store, "../", 0, on_page, &names),
                     api->kind == API_BUCKET ? 0 : -EINVAL); /* as keys are */
    assert_int_equal(lsio_list(api->store, NULL, 0, on_page, &names), -EINVAL);
    assert_int_equal(lsio_list(api->store, "", 0, NULL, &names), -EINVAL);
    assert_int_equal(lsio_list(NULL, "", 0, on_page, &names), -EINVAL);
}

static int count_entries(const struct lsio_list_entry *entries, size_t count, void *data)
{
    (void)entries;
    *(size_t *)data += count;
    return 0;
}

static void lists_many(void **state)
{
    struct api *api = *state;
    size_t count = 0;

    for (uint32_t i = 0; i < 1100; i++) {
        char key[32];
        snprintf(key, sizeof(key), "dir-%u/key-%u", i % 7, i);
        api_put(api, key, i, 1);
    }
    assert_int_equal(lsio_list(api->store, "", 0, count_entries, &count), 0);
    assert_int_equal(count, 1100);
    count = 0;
    assert_int_equal(lsio_list(api->store, "", '/', count_entries, &count), 0);
    assert_int_equal(count, 7);
}

struct info_larger { /* a stride */
    struct lsio_object_info info;
    uint64_t guard;
};

static void stats(void **state)
{
    struct api *api = *state;
    struct lsio_object objects[50];
    struct info_larger infos[50];
    char keys[50][16];
    int statuses[50];

    memset(infos, 0, sizeof(infos));
    for (uint32_t i = 0; i < 50; i++) {
        snprintf(keys[i], sizeof(keys[i]),
                 i == 33      ? "../x"
                 : i % 5 == 4 ? "absent-%u"
                              : "key-%u",
                 i);
        if (i % 5 != 4 && i != 33)
            api_put(api, keys[i], i, i * 100);
        objects[i] = api_object(api, keys[i]);
        infos[i].info.struct_bytes = sizeof(infos[i].info);
        infos[i].guard = 77;
    }
    assert_int_equal(
        lsio_stat_batch(api->context, objects, 50, &infos[0].info, sizeof(infos[0]), statuses),
        -ENOENT);
    for (uint32_t i = 0; i < 50; i++) {
        assert_int_equal(infos[i].guard, 77);
        assert_int_equal(statuses[i], i == 33 ? api->bad_key : i % 5 == 4 ? -ENOENT : 0);
        if (statuses[i])
            continue;
        assert_int_equal(infos[i].info.size, i * 100);
        assert_true(infos[i].info.mtime_ns > INT64_C(1600000000) * 1000000000);
        assert_true(strlen(infos[i].info.etag) > 0);
    }
    assert_int_equal(
        lsio_stat_batch(api->context, objects, 4, &infos[0].info, sizeof(infos[0]), NULL), 0);
    assert_int_equal(lsio_stat_batch(api->context, NULL, 0, NULL, 0, NULL), 0);
    assert_int_equal(lsio_stat_batch(api->context, objects, 4, &infos[0].info, 8, NULL), -EINVAL);
    assert_int_equal(lsio_stat_batch(api->context, objects, 4, NULL, 0, NULL), -EINVAL);
}

/* The etag found is the one to ask for; another one is LSIO_E_CHANGED. */
static void etags_are_expected(void **state)
{
    struct api *api = *state;
    struct lsio_object object = api_object(api, "k");
    struct lsio_object_info info = {.struct_bytes = sizeof(info)},
                            again = {.struct_bytes = sizeof(again)};
    uint8_t dst[1000];
    struct lsio_chunk chunks[2] = {{.length = 10, .dst = dst, .dst_bytes = 1000},
                                   {.length = LSIO_TO_END, .dst = dst, .dst_bytes = 1000}};
    struct lsio_request request = api_request(&object, 1, chunks, 2, NULL);
    struct lsio_batch *batch;

    api_put(api, "k", 0, 1000);
    assert_int_equal(lsio_stat_batch(api->context, &object, 1, &info, 0, NULL), 0);
    object.etag = info.etag;
    for (int i = 0; i < 2; i++) {
        request.chunks = &chunks[i];
        request.chunk_count = 1;
        assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
        assert_int_equal(api_wait(batch), 0);
        assert_int_equal(lsio_batch_object(batch, 0, &again), 0);
        assert_string_equal(again.etag, info.etag);
        assert_int_equal(again.size, 1000);
        assert_int_equal(lsio_batch_object(batch, 1, &again), -EINVAL);
        assert_int_equal(lsio_batch_destroy(batch), 0);
    }
    api_sleep_ms(20);
    api_put(api, "k", 1, 1000); /* the same size */
    for (int i = 0; i < 2; i++) {
        request.chunks = &chunks[i];
        assert_int_equal(lsio_read_batch(api->context, &request), LSIO_E_CHANGED);
    }
    assert_int_equal(lsio_stat_batch(api->context, &object, 1, &again, 0, NULL), LSIO_E_CHANGED);
    object.etag = NULL;
    assert_int_equal(lsio_stat_batch(api->context, &object, 1, &again, 0, NULL), 0);
    assert_string_not_equal(again.etag, info.etag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lists), cmocka_unit_test(lists_many),
                                       cmocka_unit_test(stats),
                                       cmocka_unit_test(etags_are_expected)};

    return api_run_tests("list_and_stat", tests, COUNT(tests), API_ALL);
}
