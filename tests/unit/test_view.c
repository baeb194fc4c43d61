/* SPDX-License-Identifier: MIT */
/*
 * view.h: a request's shape is checked, strides are resolved, and the copy shares nothing with the
 * caller: tables, keys and etags.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "request/view.h"

static struct lsio_store *const some_store = (struct lsio_store *)(uintptr_t)64;

static void shapes(void **state)
{
    struct lsio_object object = {.store = some_store, .key = "k"};
    struct lsio_chunk chunk = {.length = 1};
    struct lsio_request good = {.struct_bytes = sizeof(good),
                                .objects = &object,
                                .object_count = 1,
                                .chunks = &chunk,
                                .chunk_count = 1};
    struct lsio_request bad = good;
    struct request_view view;
    struct lsio_error why;

    (void)state;
    assert_int_equal(request_view_init(&view, &good, &why), 0);
    assert_int_equal(view.object_bytes, sizeof(object));
    assert_int_equal(view.chunk_bytes, sizeof(chunk));
    assert_int_equal(view.result_bytes, sizeof(struct lsio_result));
    assert_int_equal(request_view_init(&view, NULL, &why), -EINVAL);
    bad.struct_bytes = 0;
    assert_int_equal(request_view_init(&view, &bad, &why), -EINVAL);
    bad = good;
    bad.chunk_count = (size_t)REQUEST_CHUNKS_MAX + 1;
    assert_int_equal(request_view_init(&view, &bad, &why), LSIO_E_LIMIT);
    bad = good;
    bad.chunk_bytes = sizeof(chunk) + 4;
    assert_int_equal(request_view_init(&view, &bad, &why), -EINVAL);
    bad = good;
    bad.chunks = NULL;
    assert_int_equal(request_view_init(&view, &bad, &why), -EINVAL);
    bad.flags = LSIO_FAIL_FAST << 1;
    bad.chunk_count = 0;
    assert_int_equal(request_view_init(&view, &bad, &why), -EINVAL);
    bad.flags = LSIO_FAIL_FAST | LSIO_BORROW;
    assert_int_equal(request_view_init(&view, &bad, &why), 0);
    object.key = NULL;
    assert_int_equal(request_view_init(&view, &good, &why), -EINVAL);
    assert_int_equal(why.status, -EINVAL);
    assert_true(why.index == LSIO_NO_CHUNK);
    assert_string_equal(why.text, "object 0 of the request has no key");
}

struct wide_object {
    struct lsio_object object;
    char more[24];
};
struct wide_chunk {
    struct lsio_chunk chunk;
    uint64_t more;
};

static void the_copy_is_deep(void **state)
{
    struct wide_object *objects = calloc(20, sizeof(*objects));
    struct wide_chunk *chunks = calloc(50, sizeof(*chunks));
    struct lsio_request request = {.struct_bytes = sizeof(request),
                                   .objects = &objects->object,
                                   .object_count = 20,
                                   .object_bytes = sizeof(*objects),
                                   .chunks = &chunks->chunk,
                                   .chunk_count = 50,
                                   .chunk_bytes = sizeof(*chunks)};
    char(*strings)[40] = calloc(20, sizeof(*strings));
    struct request_view view;
    struct lsio_error why;

    (void)state;
    for (uint32_t i = 0; i < 20; i++) {
        for (uint32_t j = 0; j < i; j++)
            strings[i][j] = (char)('a' + i);
        objects[i].object =
            (struct lsio_object){some_store, strings[i], i, i % 3 ? strings[i] : NULL};
    }
    for (uint32_t i = 0; i < 50; i++)
        chunks[i].chunk = (struct lsio_chunk){.object = i % 20, .offset = i, .length = 2 * i};
    assert_int_equal(request_view_init(&view, &request, &why), 0);
    assert_ptr_equal(request_chunk(&view, 7), &chunks[7].chunk);
    assert_int_equal(request_view_copy(&view), 0);
    memset(objects, 0xff, 20 * sizeof(*objects));
    memset(chunks, 0xff, 50 * sizeof(*chunks));
    memset(strings, 0xff, 20 * sizeof(*strings));
    free(objects);
    free(chunks);
    free(strings);
    for (uint32_t i = 0; i < 20; i++) {
        const struct lsio_object *object = request_object(&view, i);
        assert_ptr_equal(object->store, some_store);
        assert_int_equal(object->size, i);
        assert_int_equal(strlen(object->key), i);
        assert_true(i == 0 || object->key[i - 1] == (char)('a' + i));
        if (i % 3)
            assert_string_equal(object->etag, object->key);
        else
            assert_null(object->etag);
    }
    for (uint32_t i = 0; i < 50; i++) {
        const struct lsio_chunk *chunk = request_chunk(&view, i);
        assert_int_equal(chunk->object, i % 20);
        assert_int_equal(chunk->offset, i);
        assert_int_equal(chunk->length, 2 * i);
    }
    request_view_finish(&view);
    request_view_finish(&view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes),
                                       cmocka_unit_test(the_copy_is_deep)};

    return cmocka_run_group_tests_name("view", tests, NULL, NULL);
}
