/* SPDX-License-Identifier: MIT */
/*
 * With MISSING_OK absence - of a file, of a folder on the way - is a flag in the result and no
 * failure; every other failure stays one, and what is not a regular file is unsupported, at once.
 *
 * LSIO_ROWS: L8 L9
 */
#define _GNU_SOURCE
#include "api_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

static void absence_is_a_flag(void **state)
{
    static const char *const keys[] = {"k", "absent", "absent/deeper", "k/below-a-file"};
    struct api *api = *state;
    struct lsio_object objects[4];
    struct lsio_chunk chunks[12];
    struct lsio_result results[12];
    struct lsio_request request = api_request(objects, 4, chunks, 12, results);
    uint8_t dst[12][100];
    struct lsio_batch *batch;

    api_put(api, "k", 0, 100);
    for (size_t i = 0; i < 4; i++)
        objects[i] = api_object(api, keys[i]);
    for (uint32_t i = 0; i < 12; i++)
        chunks[i] =
            (struct lsio_chunk){.object = i % 4,
                                .flags = LSIO_CHUNK_MISSING_OK | (i < 8 ? 0 : LSIO_CHUNK_ALLOC),
                                .length = i < 4 ? 100 : LSIO_TO_END,
                                .dst = i < 8 ? dst[i] : NULL,
                                .dst_bytes = 100};
    assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
    assert_int_equal(api_wait(batch), 0);
    for (uint32_t i = 0; i < 12; i++) {
        assert_int_equal(results[i].status, 0);
        if (i % 4 == 0) {
            assert_int_equal(results[i].flags & LSIO_RESULT_MISSING, 0);
            api_check(results[i].data, 0, 0, 100);
        } else {
            assert_int_equal(results[i].flags, LSIO_RESULT_MISSING);
            assert_int_equal(results[i].bytes, 0);
            assert_null(results[i].data);
        }
    }
    assert_int_equal(api_progress(batch).chunks_failed, 0);
    assert_int_equal(lsio_batch_status_count(batch, 0), 12);
    assert_int_equal(lsio_batch_destroy(batch), 0);
    for (uint32_t i = 0; i < 12; i++)
        chunks[i].flags &= ~(uint32_t)LSIO_CHUNK_MISSING_OK;
    request.chunk_count = 8;
    assert_int_equal(lsio_read_batch(api->context, &request), -ENOENT);
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(results[i].status, i % 4 ? -ENOENT : 0);
}

static void other_failures_are_failures(void **state)
{
    struct api *api = *state;
    struct lsio_object objects[2] = {api_object(api, "k"), api_object(api, "../k")};
    uint8_t dst[100];
    struct lsio_chunk chunks[3] = {
        {.flags = LSIO_CHUNK_MISSING_OK, .offset = 50, .length = 51, .dst = dst, .dst_bytes = 100},
        {.flags = LSIO_CHUNK_MISSING_OK, .length = 100, .dst = dst, .dst_bytes = 10},
        {.flags = LSIO_CHUNK_MISSING_OK, .length = 1, .dst = dst, .dst_bytes = 10, .object = 1}};
    struct lsio_result results[3];
    struct lsio_request request = api_request(objects, 2, chunks, 3, results);

    api_put(api, "k", 0, 100);
    assert_int_equal(lsio_read_batch(api->context, &request), LSIO_E_TRUNCATED);
    assert_int_equal(results[0].status, LSIO_E_TRUNCATED);
    assert_int_equal(results[1].status, LSIO_E_NO_SPACE);
    assert_int_equal(results[2].status, api->bad_key == -ENOENT ? 0 : api->bad_key);
}

/* Neither absent nor readable; a FIFO must not hang. (A device that answers a short explicit range
 * with all its bytes cannot be told from a file without one more system call per read: not asked
 * for here.) */
static void what_is_no_file_is_unsupported(void **state)
{
    struct api *api = *state;
    static const char *const keys[] = {"folder", "fifo", "link"};
    struct lsio_object objects[3];
    uint8_t dst[6][10];
    struct lsio_chunk chunks[6];
    struct lsio_result results[6];
    struct lsio_request request = api_request(objects, 3, chunks, 6, results);
    char path[256];

    if (!api->local)
        return;
    api_put(api, "folder/k", 0, 100);
    snprintf(path, sizeof(path), "%s/fifo", api->dir);
    assert_int_equal(mkfifo(path, 0644), 0);
    snprintf(path, sizeof(path), "%s/link", api->dir);
    assert_int_equal(symlink("/dev/zero", path), 0);
    for (uint32_t i = 0; i < 6; i++) {
        objects[i % 3] = api_object(api, keys[i % 3]);
        chunks[i] = (struct lsio_chunk){.object = i % 3,
                                        .flags = LSIO_CHUNK_MISSING_OK,
                                        .length = i < 3 ? 10 : LSIO_TO_END,
                                        .dst = dst[i],
                                        .dst_bytes = 10};
    }
    assert_int_equal(lsio_read_batch(api->context, &request), LSIO_E_UNSUPPORTED);
    for (uint32_t i = 0; i < 6; i++)
        if (i != 2 && results[i].status != LSIO_E_UNSUPPORTED)
            fail_msg("%s (%u): %s", keys[i % 3], i, lsio_status_name(results[i].status));
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(lsio_read(api->context, api->store, keys[i], 0, 10, dst[0], 10, NULL),
                         LSIO_E_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(absence_is_a_flag),
                                       cmocka_unit_test(other_failures_are_failures),
                                       cmocka_unit_test(what_is_no_file_is_unsupported)};

    return api_run_tests("missing_ok", tests, COUNT(tests), API_ALL);
}
