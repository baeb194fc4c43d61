/* SPDX-License-Identifier: MIT */
/*
 * Eight threads read from one context at once - alone, a few chunks, many chunks, with and without
 * a chain, submitted and waited for - while others put objects and open and close stores; each gets
 * its own bytes.
 */
#include "api_fixture.h"

#define THREADS 8
#define BIG     1500u

struct caller {
    struct api *api;
    pthread_t thread;
    struct lsio_chain *chain;
    uint32_t number;
    int rounds;
    int errors; /* read after join */
};

static int check_input(struct lsio_call *call)
{
    return api_mismatch(call->in, 0, (uint64_t)call->chunk->offset, call->in_bytes) ==
                   call->in_bytes
               ? 0
               : 1;
}

static int one_read(struct caller *caller, uint32_t random)
{
    uint8_t dst[3000];
    uint64_t offset = random % 900000, length = random % sizeof(dst), bytes = 0;
    int status = lsio_read(caller->api->context, caller->api->store, "k", (int64_t)offset, length,
                           dst, sizeof(dst), &bytes);

    return status || bytes != length || api_mismatch(dst, 0, offset, length) != length;
}

static int one_batch(struct caller *caller, uint32_t count, bool chain, bool submit)
{
    struct lsio_object object = api_object(caller->api, "k");
    struct lsio_chunk *chunks = calloc(count, sizeof(*chunks));
    struct lsio_request request = api_request(&object, 1, chunks, count, NULL);
    uint8_t *dst = malloc((size_t)count * 200);
    int errors = 0;

    for (uint32_t i = 0; i < count; i++)
        chunks[i] = (struct lsio_chunk){.offset = (i * 613 + caller->number * 7) % 900000,
                                        .length = 200,
                                        .dst = dst + i * 200,
                                        .dst_bytes = 200};
    request.chain = chain ? caller->chain : NULL;
    if (submit) {
        struct lsio_batch *batch;
        errors += lsio_submit_batch(caller->api->context, &request, &batch) != 0;
        errors += api_wait(batch) != 0;
        errors += lsio_batch_destroy(batch) != 0;
    } else {
        errors += lsio_read_batch(caller->api->context, &request) != 0;
    }
    for (uint32_t i = 0; i < count; i++)
        errors += api_mismatch(dst + i * 200, 0, (uint64_t)chunks[i].offset, 200) != 200;
    free(chunks);
    free(dst);
    return errors;
}

static int one_store(struct caller *caller)
{
    struct lsio_store *store;
    char url[32], bytes[4] = "abc", dst[4];
    int errors;

    snprintf(url, sizeof(url), "memory://mine-%u", caller->number);
    errors = lsio_store_open(caller->api->context, url, NULL, 0, &store) != 0;
    errors += lsio_memory_put(store, "x", bytes, 4) != 0;
    errors += lsio_read(caller->api->context, store, "x", 0, 4, dst, 4, NULL) != 0 ||
              strcmp(dst, "abc") != 0;
    errors += lsio_read(caller->api->context, store, "y", 0, 4, dst, 4, NULL) != -ENOENT;
    errors += lsio_memory_remove(store, "x") != 0;
    return errors + (lsio_store_close(store) != 0);
}

static void *caller_main(void *data)
{
    struct caller *caller = data;
    uint32_t random = caller->number;

    for (int i = 0; i < caller->rounds; i++) {
        random = random * 1664525 + 1013904223;
        caller->errors += one_read(caller, random >> 3);
        switch (random >> 28) {
        case 0:
            caller->errors += one_batch(caller, BIG, random & 1, random & 2);
            break;
        case 1:
        case 2:
        case 3:
            caller->errors += one_batch(caller, 1 + random % 5, random & 256, random & 512);
            break;
        case 4:
            caller->errors += one_store(caller);
            break;
        default:
            break;
        }
    }
    return NULL;
}

static void all_get_their_bytes(void **state)
{
    struct api *api = *state;
    struct lsio_stage stage = api_stage(check_input, LSIO_STAGE_READS_ONLY, NULL);
    struct caller callers[THREADS];

    api_put(api, "k", 0, MIB);
    for (uint32_t i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){.api = api, .number = i, .rounds = 300};
        assert_int_equal(lsio_chain_create(api->context, &stage, 1, &callers[i].chain), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&callers[i].thread, NULL, caller_main, &callers[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].errors, 0);
    }
    assert_true(api_stats(api->context).operations_inline > 0);
}

struct race {
    struct api *api;
    _Atomic bool stop;
    _Atomic int torn;
};

/* Objects A and B have the same length and other bytes. */
static void *reader(void *data)
{
    struct race *race = data;
    uint8_t dst[5000];

    while (!atomic_load(&race->stop)) {
        uint64_t bytes = 0;
        int status = lsio_read(race->api->context, race->api->store, "swap", 0, LSIO_TO_END, dst,
                               sizeof(dst), &bytes);
        if (status || bytes != 5000 ||
            (api_mismatch(dst, 1, 0, 5000) != 5000 && api_mismatch(dst, 2, 0, 5000) != 5000))
            atomic_fetch_add(&race->torn, 1);
    }
    return NULL;
}

static void an_object_that_is_replaced_is_one_or_the_other(void **state)
{
    struct api *api = *state;
    struct race race = {.api = api};
    pthread_t threads[3];

    if (api->local)
        return; /* the file would be written in place */
    api_put(api, "swap", 1, 5000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader, &race), 0);
    for (int i = 0; i < 3000; i++)
        api_put(api, "swap", 1 + (uint32_t)i % 2, 5000);
    atomic_store(&race.stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(race.torn, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_get_their_bytes),
        cmocka_unit_test(an_object_that_is_replaced_is_one_or_the_other)};

    return api_run_tests("many_threads_call_at_once", tests, COUNT(tests), API_ALL);
}
