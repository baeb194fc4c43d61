/* SPDX-License-Identifier: MIT */
/*
 * Whole objects of unknown and very different sizes come to an end in a budget that holds only a
 * few of them: sizes are found, long ones are cut into parts, short ones wait for memory that parts
 * hold, and each is seen whole and once.
 */
#include "api_fixture.h"

#define OBJECTS 120u
#define ROUNDS  12u

static uint64_t size_of(uint32_t object)
{
    return object % 3 == 0 ? 300 * KIB + object * 1000 : 20 * KIB + object * 777;
}

/* The object's number is in chunk.data. */
static int check(struct lsio_call *call)
{
    uint32_t object = *(const uint32_t *)call->data;
    _Atomic uint32_t *seen = call->user;

    atomic_fetch_add(&seen[call->index], 1);
    return call->in_bytes == size_of(object) &&
                   api_mismatch(call->in, object, 0, call->in_bytes) == call->in_bytes
               ? 0
               : -1;
}

static void all_come_to_an_end(void **state)
{
    const struct lsio_option options[] = {{"split_bytes", "64K"}};
    struct api *api = *state;
    struct lsio_config config = api_config(api);
    static _Atomic uint32_t seen[OBJECTS];
    struct lsio_stage stage = api_stage(check, LSIO_STAGE_READS_ONLY, (void *)seen);
    struct lsio_object objects[OBJECTS];
    struct lsio_chunk chunks[OBJECTS];
    struct lsio_request request = api_request(objects, OBJECTS, chunks, OBJECTS, NULL);
    char keys[OBJECTS][16];
    uint32_t numbers[OBJECTS];
    struct lsio_chain *chain;

    for (uint32_t i = 0; i < OBJECTS; i++) {
        snprintf(keys[i], sizeof(keys[i]), "k%u", i);
        api_put(api, keys[i], i, size_of(i));
        numbers[i] = i;
    }
    config.memory_bytes_max = 2 * MIB;
    api_remake(api, &config, options, COUNT(options));
    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
    request.chain = chain;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct lsio_batch *batch;
        for (uint32_t i = 0; i < OBJECTS; i++) {
            uint32_t at = (i * 7 + round * 31) % OBJECTS; /* 7 has no factor in common with 120 */
            objects[i] = api_object(api, keys[at]);
            chunks[i] =
                (struct lsio_chunk){.object = i, .length = LSIO_TO_END, .data = &numbers[at]};
            atomic_store(&seen[i], 0);
        }
        assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
        assert_int_equal(api_wait(batch), 0);
        assert_int_equal(lsio_batch_destroy(batch), 0);
        for (uint32_t i = 0; i < OBJECTS; i++)
            assert_int_equal(atomic_load(&seen[i]), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_come_to_an_end)};

    return api_run_tests("whole_files_in_a_small_budget", tests, COUNT(tests), API_ALL);
}
