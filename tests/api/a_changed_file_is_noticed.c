/* SPDX-License-Identifier: MIT */
/*
 * A file that changes between a batch's first look and its last read is LSIO_E_CHANGED for all of
 * its chunks that had succeeded, counted once; other files are not touched, and with
 * change_check=off nobody looks. Of a file that is replaced all chunks are of the old one.
 *
 * LSIO_ROWS: L6 L7
 */
#include "api_fixture.h"

struct shared {
    struct api *api;
    uint64_t at; /* the chunk after which the file is written */
    _Atomic int wrote;
};

static void on_chunk(struct lsio_batch *batch, uint64_t index, const struct lsio_result *result,
                     void *data)
{
    struct shared *shared = data;
    char path[300];
    FILE *file;

    (void)batch;
    (void)result;
    if (index != shared->at)
        return;
    snprintf(path, sizeof(path), "%s/victim", shared->api->dir);
    file = fopen(path, "a");
    if (file) {
        fputs("more", file);
        fclose(file);
        atomic_store(&shared->wrote, 1);
    }
}

static void run(struct api *api, bool check, bool by_whole)
{
    const struct lsio_option option = {"change_check", check ? "on" : "off"};
    struct shared shared = {.api = api, .at = 0};
    struct lsio_object objects[2];
    uint8_t dst[4][1000];
    struct lsio_chunk chunks[4];
    struct lsio_result results[4];
    struct lsio_request request = api_request(objects, 2, chunks, 4, results);
    struct lsio_batch *batch;

    api_put(api, "victim", 0, 100000);
    api_put(api, "other", 1, 100000);
    api_remake(api, NULL, &option, 1);
    objects[0] = api_object(api, "victim");
    objects[1] = api_object(api, "other");
    for (uint32_t i = 0; i < 4; i++)
        chunks[i] = (struct lsio_chunk){.object = i == 3,
                                        .offset = by_whole ? -500 : (int64_t)i * 30000,
                                        .length = by_whole ? LSIO_TO_END : 500,
                                        .dst = dst[i],
                                        .dst_bytes = i == 1 ? 10 : 1000};
    request.on_chunk = on_chunk;
    request.data = &shared;
    assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
    api_wait(batch);
    assert_int_equal(shared.wrote, 1);
    assert_int_equal(results[3].status, 0);
    api_check(dst[3], 1, by_whole ? 99500 : 90000, 500);
    assert_int_equal(results[1].status, LSIO_E_NO_SPACE); /* its own failure stands */
    if (check && by_whole)
        assert_int_equal(results[0].status, LSIO_E_CHANGED);
    if (!check && !by_whole)
        assert_int_equal(results[0].status, 0);
    assert_int_equal(api_progress(batch).chunks_failed,
                     lsio_batch_status_count(batch, LSIO_E_CHANGED) + 1);
    assert_int_equal(lsio_batch_status_count(batch, LSIO_E_CHANGED),
                     (results[0].status == LSIO_E_CHANGED) + (results[2].status == LSIO_E_CHANGED));
    assert_int_equal(lsio_batch_status_count(batch, 0),
                     (results[0].status == 0) + (results[2].status == 0) + 1);
    assert_int_equal(lsio_batch_destroy(batch), 0);
}

static void with_and_without_the_check(void **state)
{
    for (int i = 0; i < 4; i++)
        run(*state, i & 1, i & 2);
}

struct swap {
    struct api *api;
    _Atomic int reports, failed;
};

static void on_chunk_swap(struct lsio_batch *batch, uint64_t index,
                          const struct lsio_result *result, void *data)
{
    struct swap *swap = data;
    char from[300], to[300];

    (void)batch;
    (void)index;
    (void)result;
    if (atomic_fetch_add(&swap->reports, 1) != 0)
        return;
    snprintf(from, sizeof(from), "%s/new", swap->api->dir);
    snprintf(to, sizeof(to), "%s/victim", swap->api->dir);
    if (rename(from, to) != 0)
        atomic_store(&swap->failed, 1);
}

/* One read at a time, so that all but the first begin after the name leads elsewhere. */
static void a_replaced_file_stays_what_it_was(void **state)
{
    struct api *api = *state;
    static const struct lsio_option options[] = {{"inflight_max", "1"}, {"gap_bytes", "0"}};
    struct lsio_config config = api_config(api);
    struct swap swap = {.api = api};
    struct lsio_object object;
    uint8_t dst[5][1000];
    struct lsio_chunk chunks[5];
    struct lsio_request request = api_request(&object, 1, chunks, 5, NULL);

    config.workers = 1;
    api_put(api, "victim", 0, 100000);
    api_put(api, "new", 1, 100000);
    api_remake(api, &config, options, COUNT(options));
    object = api_object(api, "victim");
    for (uint32_t i = 0; i < 5; i++)
        chunks[i] = (struct lsio_chunk){
            .offset = i * 20000, .length = 1000, .dst = dst[i], .dst_bytes = 1000};
    request.on_chunk = on_chunk_swap;
    request.data = &swap;
    assert_int_equal(lsio_read_batch(api->context, &request), 0);
    assert_int_equal(swap.reports, 5);
    assert_int_equal(swap.failed, 0);
    for (uint32_t i = 0; i < 5; i++)
        api_check(dst[i], 0, i * 20000, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(with_and_without_the_check),
                                       cmocka_unit_test(a_replaced_file_stays_what_it_was)};

    return api_run_tests("a_changed_file_is_noticed", tests, COUNT(tests), API_LOCAL);
}
