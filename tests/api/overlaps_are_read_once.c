/* SPDX-License-Identifier: MIT */
/* Chunks of one object that overlap, or repeat, are read from storage once and delivered to each.
 */
#include "api_fixture.h"

#define CHUNKS 400u
#define LENGTH 2000u
#define STEP   100u
#define SPAN   ((CHUNKS - 1) * STEP + LENGTH)

static int look(struct lsio_call *call)
{
    return call->in_bytes == LENGTH ? 0 : 1;
}

static void run(struct api *api, const char *profile, bool chain, bool same)
{
    const struct lsio_option option = {"profile", profile};
    struct lsio_object object;
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_result results[CHUNKS];
    struct lsio_request request = api_request(&object, 1, chunks, CHUNKS, results);
    struct lsio_stage stage = api_stage(look, LSIO_STAGE_PASSES_SLICE, NULL);
    struct lsio_chain *made = NULL;
    struct lsio_stats stats;
    uint8_t *dst = malloc((size_t)CHUNKS * LENGTH);

    api_remake(api, NULL, &option, 1);
    object = api_object(api, "k");
    for (uint32_t i = 0; i < CHUNKS; i++)
        chunks[i] = (struct lsio_chunk){.offset = same ? 4321 : i * STEP,
                                        .length = LENGTH,
                                        .dst = dst + (size_t)i * LENGTH,
                                        .dst_bytes = LENGTH};
    if (chain)
        assert_int_equal(lsio_chain_create(api->context, &stage, 1, &made), 0);
    request.chain = made;
    assert_int_equal(lsio_read_batch(api->context, &request), 0);
    for (uint32_t i = 0; i < CHUNKS; i++)
        api_check(chunks[i].dst, 0, (uint64_t)chunks[i].offset, LENGTH);
    stats = api_stats(api->context);
    assert_int_equal(stats.bytes_asked, (uint64_t)CHUNKS * LENGTH);
    assert_int_equal(stats.bytes_read, same ? LENGTH : SPAN);
    assert_int_equal(stats.bytes_wasted, 0);
    lsio_chain_destroy(made);
    free(dst);
}

static void in_every_profile(void **state)
{
    static const char *const profiles[] = {"nvme", "ssd", "hdd", "hpc"};
    struct api *api = *state;

    api_put(api, "k", 0, SPAN + 1000);
    for (size_t i = 0; i < COUNT(profiles); i++)
        for (int j = 0; j < 4; j++)
            run(api, profiles[i], j & 1, j & 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_every_profile)};

    return api_run_tests("overlaps_are_read_once", tests, COUNT(tests), API_ALL);
}
