/* SPDX-License-Identifier: MIT */
/*
 * When lsio_submit_batch() has returned, objects, keys and chunks are the caller's again:
 * overwritten and freed before the first is read, they change nothing. With LSIO_BORROW they stay
 * valid until the end.
 */
#include "api_fixture.h"

#define CHUNKS 3000u
#define KEYS   50u

struct tables {
    struct lsio_object *objects;
    struct lsio_chunk *chunks;
    char (*keys)[16];
};

static struct tables tables_make(struct api *api, uint8_t *dst)
{
    struct tables t = {malloc(KEYS * sizeof(*t.objects)), calloc(CHUNKS, sizeof(*t.chunks)),
                       malloc(KEYS * sizeof(*t.keys))};

    for (uint32_t i = 0; i < KEYS; i++) {
        snprintf(t.keys[i], sizeof(t.keys[i]), "key-%u", i);
        t.objects[i] = api_object(api, t.keys[i]);
    }
    for (uint32_t i = 0; i < CHUNKS; i++)
        t.chunks[i] = (struct lsio_chunk){.object = i % KEYS,
                                          .offset = i,
                                          .length = 100,
                                          .dst = dst + (size_t)i * 100,
                                          .dst_bytes = 100};
    return t;
}

static void tables_spoil(struct tables *t)
{
    memset(t->objects, 0xff, KEYS * sizeof(*t->objects));
    memset(t->chunks, 0xff, CHUNKS * sizeof(*t->chunks));
    memset(t->keys, 'x', KEYS * sizeof(*t->keys));
    free(t->objects);
    free(t->chunks);
    free(t->keys);
}

/* One worker, held in a stage: nothing of what is submitted meanwhile can begin. */
static struct lsio_batch *worker_hold(struct api *api, struct api_gate *gate)
{
    struct lsio_stage stage = api_stage(api_gate_stage, LSIO_STAGE_READS_ONLY, gate);
    struct lsio_object object = api_object(api, "key-0");
    struct lsio_chunk chunk = {.length = 1};
    struct lsio_request request = api_request(&object, 1, &chunk, 1, NULL);
    struct lsio_chain *chain;
    struct lsio_batch *batch;

    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
    request.chain = chain;
    assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
    api_gate_wait(gate, 1);
    return batch;
}

static void run(struct api *api, uint32_t flags)
{
    uint8_t *dst = calloc(CHUNKS, 100);
    struct api_gate gate = {0};
    struct lsio_batch *held = worker_hold(api, &gate), *batch;
    struct tables t = tables_make(api, dst);
    struct lsio_request request = api_request(t.objects, KEYS, t.chunks, CHUNKS, NULL);

    request.flags = flags;
    assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
    memset(&request, 0xff, sizeof(request));
    if (!(flags & LSIO_BORROW))
        tables_spoil(&t);
    assert_int_equal(api_progress(batch).chunks_done, 0);
    api_gate_open(&gate);
    assert_int_equal(api_wait(batch), 0);
    if (flags & LSIO_BORROW)
        tables_spoil(&t); /* at an end with wait's return */
    for (uint32_t i = 0; i < CHUNKS; i++)
        api_check(dst + (size_t)i * 100, i % KEYS, i, 100);
    assert_int_equal(lsio_batch_destroy(batch), 0);
    assert_int_equal(api_wait(held), 0);
    assert_int_equal(lsio_batch_destroy(held), 0);
    free(dst);
}

static void copied_or_borrowed(void **state)
{
    struct api *api = *state;
    struct lsio_config config = api_config(api);

    for (uint32_t i = 0; i < KEYS; i++) {
        char key[16];
        snprintf(key, sizeof(key), "key-%u", i);
        api_put(api, key, i, 5000);
    }
    config.workers = 1;
    api_remake(api, &config, NULL, 0);
    run(api, 0);
    run(api, LSIO_BORROW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(copied_or_borrowed)};

    return api_run_tests("submit_copies_its_descriptors", tests, COUNT(tests), API_ALL);
}
