/* SPDX-License-Identifier: MIT */
/*
 * Destroying a batch, or the whole context with batches, stores and chains, while it runs: each
 * chunk is still reported once, on_done runs, and afterwards nothing writes to the caller's memory
 * any more.
 *
 * LSIO_ROWS: L23
 */
#include <sched.h>

#include "api_fixture.h"

#define CHUNKS 4000u
#define BYTES  1000u

static struct lsio_batch *submit(struct api *api, uint8_t *dst, struct api_seen *seen)
{
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk *chunks = calloc(CHUNKS, sizeof(*chunks));
    struct lsio_request request = api_request(&object, 1, chunks, CHUNKS, NULL);
    struct lsio_batch *batch;

    for (uint32_t i = 0; i < CHUNKS; i++)
        chunks[i] = (struct lsio_chunk){.offset = i * 7919 % (1000 * 1000),
                                        .length = BYTES,
                                        .dst = dst + (size_t)i * BYTES,
                                        .dst_bytes = BYTES};
    api_seen_init(seen, CHUNKS);
    request.on_chunk = api_seen_on_chunk;
    request.on_done = api_seen_on_done;
    request.data = seen;
    assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
    free(chunks);
    return batch;
}

static void at_any_moment(void **state)
{
    struct api *api = *state;
    uint8_t *dst = malloc((size_t)CHUNKS * BYTES);

    api_put(api, "k", 0, MIB);
    for (int i = 0; i < 40; i++) {
        struct api_seen seen;
        struct lsio_batch *batch = submit(api, dst, &seen);
        for (int spin = 0; spin < i * i * 100; spin++)
            atomic_thread_fence(memory_order_seq_cst);
        assert_int_equal(lsio_batch_destroy(batch), 0);
        memset(dst, i, (size_t)CHUNKS * BYTES);
        api_seen_check(&seen);
        assert_true(api_all(dst, (uint8_t)i, (size_t)CHUNKS * BYTES));
    }
    assert_int_equal(lsio_batch_destroy(NULL), 0);
    free(dst);
}

static void the_context_ends_all(void **state)
{
    struct api *api = *state;
    uint8_t *dst = malloc(3 * (size_t)CHUNKS * BYTES);

    api_put(api, "k", 0, MIB);
    for (int i = 0; i < 12; i++) {
        struct api_seen seen[3];
        struct lsio_stage stage = api_stage(api_gate_stage, LSIO_STAGE_READS_ONLY, NULL);
        struct lsio_chain *chain;
        assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
        api_open(api, api->context, NULL, 0);
        for (int j = 0; j < 3; j++)
            submit(api, dst + (size_t)j * CHUNKS * BYTES, &seen[j]);
        for (int spin = 0; spin < i * i * 500; spin++)
            atomic_thread_fence(memory_order_seq_cst);
        assert_int_equal(lsio_context_destroy(api->context), 0);
        api->context = NULL;
        memset(dst, i, 3 * (size_t)CHUNKS * BYTES);
        for (int j = 0; j < 3; j++)
            api_seen_check(&seen[j]);
        assert_true(api_all(dst, (uint8_t)i, 3 * (size_t)CHUNKS * BYTES));
        api_remake(api, NULL, NULL, 0);
    }
    assert_int_equal(lsio_context_destroy(NULL), 0);
    free(dst);
}

struct slow {
    struct api_gate gate;
    struct api_seen seen;
    struct lsio_batch *batch;
};

static void *gate_opener(void *data)
{
    struct slow *slow = data;

    api_sleep_ms(100);
    api_gate_open(&slow->gate);
    return NULL;
}

/* Destroy waits for callbacks that run. */
static void running_callbacks_are_waited_for(void **state)
{
    struct api *api = *state;
    struct slow slow = {{0}};
    struct lsio_stage stage = api_stage(api_gate_stage, LSIO_STAGE_READS_ONLY, &slow.gate);
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk chunk = {.length = 100};
    struct lsio_request request = api_request(&object, 1, &chunk, 1, NULL);
    struct lsio_chain *chain;
    pthread_t thread;

    api_put(api, "k", 0, MIB);
    api_seen_init(&slow.seen, 1);
    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
    request.chain = chain;
    request.on_chunk = api_seen_on_chunk;
    request.on_done = api_seen_on_done;
    request.data = &slow.seen;
    assert_int_equal(lsio_submit_batch(api->context, &request, &slow.batch), 0);
    api_gate_wait(&slow.gate, 1);
    assert_int_equal(pthread_create(&thread, NULL, gate_opener, &slow), 0);
    assert_int_equal(lsio_batch_destroy(slow.batch), 0);
    assert_true(atomic_load(&slow.gate.open));
    api_seen_check(&slow.seen);
    assert_int_equal(slow.seen.status, 0); /* its bytes were there: the real result */
    pthread_join(thread, NULL);
}

struct relay {
    struct lsio_context *context;
    struct lsio_object object;
    _Atomic uint32_t done, canceled, late; /* batches: all, canceled, read after one was canceled */
};

static void relay_submit(struct relay *relay);

/* Goes on after a few cancels, too. */
static void relay_done(struct lsio_batch *batch, int status, void *data)
{
    struct relay *relay = data;

    (void)batch; /* the context's end frees it */
    atomic_fetch_add(&relay->done, 1);
    if (status == -ECANCELED)
        atomic_fetch_add(&relay->canceled, 1);
    else if (atomic_load(&relay->canceled))
        atomic_fetch_add(&relay->late, 1);
    if (atomic_load(&relay->canceled) < 5 && atomic_load(&relay->late) == 0)
        relay_submit(relay);
}

static void relay_submit(struct relay *relay)
{
    struct lsio_chunk chunk = {.offset = 5, .length = 64};
    struct lsio_request request = api_request(&relay->object, 1, &chunk, 1, NULL);
    struct lsio_batch *batch;

    request.on_done = relay_done;
    request.data = relay;
    if (lsio_submit_batch(relay->context, &request, &batch) != 0)
        atomic_fetch_add(&relay->late, 1);
}

/* Else a relay of batches would keep the context from its end. */
static void what_callbacks_submit_then_is_canceled(void **state)
{
    struct api *api = *state;
    struct relay relay = {.context = api->context};

    api_put(api, "k", 0, 1000);
    relay.object = api_object(api, "k");
    relay_submit(&relay);
    while (atomic_load(&relay.done) < 10)
        sched_yield();
    assert_int_equal(lsio_context_destroy(api->context), 0);
    api->context = NULL;
    assert_int_equal(relay.late, 0);
    assert_int_equal(relay.canceled, 5);
    api_remake(api, NULL, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(at_any_moment),
                                       cmocka_unit_test(the_context_ends_all),
                                       cmocka_unit_test(running_callbacks_are_waited_for),
                                       cmocka_unit_test(what_callbacks_submit_then_is_canceled)};

    return api_run_tests("destroy_while_running", tests, COUNT(tests), API_ALL);
}
