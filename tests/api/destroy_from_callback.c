/* SPDX-License-Identifier: MIT */
/*
 * lsio_batch_destroy() from a callback cancels and frees the batch after on_done - in a stage, in
 * on_chunk, in the batch's own on_done, and of another batch. on_done still runs once.
 */
#include "api_fixture.h"

#define CHUNKS 2000u

enum place { IN_STAGE, IN_ON_CHUNK, IN_ON_DONE, PLACES };

struct shared {
    struct api_seen seen; /* first */
    enum place place;
    struct lsio_batch *victim; /* another batch to destroy, or NULL: the own */
    _Atomic int destroyed, errors;
};

static void destroy_once(struct shared *shared, struct lsio_batch *batch)
{
    if (atomic_exchange(&shared->destroyed, 1) == 0 &&
        lsio_batch_destroy(shared->victim ? shared->victim : batch) != 0)
        atomic_fetch_add(&shared->errors, 1);
}

static int stage(struct lsio_call *call)
{
    struct shared *shared = call->user;

    if (shared->place == IN_STAGE)
        destroy_once(shared, call->batch);
    return 0;
}

static void on_chunk(struct lsio_batch *batch, uint64_t index, const struct lsio_result *result,
                     void *data)
{
    struct shared *shared = data;

    api_seen_on_chunk(batch, index, result, data);
    if (shared->place == IN_ON_CHUNK)
        destroy_once(shared, batch);
}

static void on_done(struct lsio_batch *batch, int status, void *data)
{
    struct shared *shared = data;

    if (shared->place == IN_ON_DONE)
        destroy_once(shared, batch);
    api_seen_on_done(batch, status, data);
}

static struct lsio_batch *submit(struct api *api, struct lsio_chunk *chunks,
                                 struct lsio_chain *chain, struct shared *shared, uint32_t count)
{
    struct lsio_object object = api_object(api, "k");
    struct lsio_request request = api_request(&object, 1, chunks, count, NULL);
    struct lsio_batch *batch;

    for (uint32_t i = 0; i < count; i++)
        chunks[i] = (struct lsio_chunk){.flags = LSIO_CHUNK_ALLOC, .offset = i, .length = 100};
    request.chain = chain;
    request.on_chunk = on_chunk;
    request.on_done = on_done;
    request.data = shared;
    assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
    return batch;
}

static void done_wait(struct shared *shared)
{
    for (int i = 0; i < 60000 && !atomic_load(&shared->seen.done); i++)
        api_sleep_ms(1);
    assert_int_equal(shared->errors, 0);
    api_seen_check(&shared->seen);
}

static void its_own_batch(void **state)
{
    struct api *api = *state;
    static struct lsio_chunk chunks[CHUNKS];

    api_put(api, "k", 0, 10000);
    for (int place = 0; place < PLACES; place++) {
        struct shared shared = {.place = (enum place)place};
        struct lsio_stage stages[1] = {api_stage(stage, LSIO_STAGE_READS_ONLY, &shared)};
        struct lsio_chain *chain;
        api_seen_init(&shared.seen, CHUNKS);
        assert_int_equal(lsio_chain_create(api->context, stages, 1, &chain), 0);
        submit(api, chunks, chain, &shared, CHUNKS);
        done_wait(&shared);
        /* the context must be rid of it before the chain may end */
        api_remake(api, NULL, NULL, 0);
    }
}

static void another_batch(void **state)
{
    struct api *api = *state;
    static struct lsio_chunk chunks[CHUNKS], one[1];

    api_put(api, "k", 0, 10000);
    for (int i = 0; i < 3; i++) { /* the victim runs, is held, or is done */
        struct api_gate gate = {0};
        struct shared victim = {.place = PLACES}, killer = {.place = IN_ON_CHUNK};
        struct lsio_stage stages[1] = {api_stage(api_gate_stage, LSIO_STAGE_READS_ONLY, &gate)};
        struct lsio_chain *chain;
        assert_int_equal(lsio_chain_create(api->context, stages, 1, &chain), 0);
        api_seen_init(&victim.seen, i == 1 ? 1 : CHUNKS);
        api_seen_init(&killer.seen, 1);
        killer.victim = submit(api, chunks, i == 1 ? chain : NULL, &victim, i == 1 ? 1 : CHUNKS);
        if (i == 1)
            api_gate_wait(&gate, 1);
        if (i == 2)
            api_wait(killer.victim);
        struct lsio_batch *batch = submit(api, one, NULL, &killer, 1);
        api_wait(batch);
        api_gate_open(&gate);
        done_wait(&victim);
        done_wait(&killer);
        assert_int_equal(lsio_batch_destroy(batch), 0);
        api_remake(api, NULL, NULL, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(its_own_batch),
                                       cmocka_unit_test(another_batch)};

    return api_run_tests("destroy_from_callback", tests, COUNT(tests), API_ALL);
}
