/* SPDX-License-Identifier: MIT */
/*
 * A joined read that fails because of one member is done again member by member: the others
 * succeed. One that fails for all alike is not tried again.
 */
#include "api_fixture.h"

#define SIZE   50000u
#define CHUNKS 100u

static const struct lsio_option options[] = {
    {"profile", "hdd"}, {"gap_bytes", "64K"}, {"waste_max", "90"}};

/* Statistics of a worker may lag until it has gone to sleep. */
static struct lsio_stats stats_when_retried(struct api *api, uint64_t before)
{
    struct lsio_stats stats = api_stats(api->context);

    for (int i = 0; i < 2000 && stats.retries == before; i++) {
        api_sleep_ms(1);
        stats = api_stats(api->context);
    }
    return stats;
}

static void run(struct api *api, bool shuffled)
{
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_result results[CHUNKS];
    struct lsio_request request = api_request(&object, 1, chunks, CHUNKS, results);
    struct lsio_stats before = api_stats(api->context), after;
    uint8_t *dst = calloc(CHUNKS, 600);

    for (uint32_t i = 0; i < CHUNKS; i++) {
        uint32_t at = shuffled ? i * 37 % CHUNKS : i;
        chunks[i] = (struct lsio_chunk){
            .offset = at * 500, .length = 300, .dst = dst + i * 600, .dst_bytes = 600};
        if (at == CHUNKS - 1)
            chunks[i].length = 600; /* 100 beyond the end */
    }
    assert_int_equal(lsio_read_batch(api->context, &request), LSIO_E_TRUNCATED);
    for (uint32_t i = 0; i < CHUNKS; i++) {
        assert_int_equal(results[i].status, chunks[i].length == 600 ? LSIO_E_TRUNCATED : 0);
        if (results[i].status == 0)
            api_check(chunks[i].dst, 0, (uint64_t)chunks[i].offset, 300);
    }
    after = stats_when_retried(api, before.retries);
    assert_true(after.operations_joined > before.operations_joined);
    assert_true(after.retries > before.retries);
    assert_int_equal(after.chunks_failed - before.chunks_failed, 1);
    assert_int_equal(after.chunks_done - before.chunks_done, CHUNKS);
    free(dst);
}

static void only_the_guilty_member_fails(void **state)
{
    struct api *api = *state;

    api_put(api, "k", 0, SIZE);
    api_remake(api, NULL, options, COUNT(options));
    for (int i = 0; i < 4; i++)
        run(api, i & 1);
}

static void absence_is_not_tried_again(void **state)
{
    struct api *api = *state;
    struct lsio_object object = api_object(api, "absent");
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_request request = api_request(&object, 1, chunks, CHUNKS, NULL);
    uint8_t dst[CHUNKS];

    api_remake(api, NULL, options, COUNT(options));
    object = api_object(api, "absent");
    for (uint32_t i = 0; i < CHUNKS; i++)
        chunks[i] = (struct lsio_chunk){.offset = i, .length = 1, .dst = dst + i, .dst_bytes = 1};
    assert_int_equal(lsio_read_batch(api->context, &request), -ENOENT);
    api_sleep_ms(20);
    assert_int_equal(api_stats(api->context).retries, 0);
    assert_int_equal(api_stats(api->context).bytes_read, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_the_guilty_member_fails),
                                       cmocka_unit_test(absence_is_not_tried_again)};

    return api_run_tests("joined_read_that_fails_is_read_unjoined", tests, COUNT(tests), API_ALL);
}
