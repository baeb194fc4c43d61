/* SPDX-License-Identifier: MIT */
/*
 * What the engine asks of a driver for a request's chunks: seen through a table that notes calls
 * and hands them on to the driver of memory stores.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "engine/engine.h"

#define OBJECT_BYTES 4096u
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The one worker's, or the caller's while no worker has anything to do. */
static const struct driver_ops *real;
static struct inline_call {
    char key;
    size_t count;
    uint64_t offsets[ENGINE_INLINE_CHUNKS_MAX];
} inline_calls[8];
static unsigned inline_call_count;
static uint32_t chunk_counts[128]; /* by key, of the last read */
static unsigned probes, reads;

static int note_inline(struct lsio_store *store, const char *key, const struct driver_range *ranges,
                       size_t count)
{
    struct inline_call *call = &inline_calls[inline_call_count++ % COUNT(inline_calls)];

    call->key = key[0];
    call->count = count;
    for (size_t i = 0; i < count; i++)
        call->offsets[i] = ranges[i].offset;
    return real->read_inline(store, key, ranges, count);
}

static void note_read(struct driver_env *env, struct driver_read *read)
{
    chunk_counts[(unsigned char)read->object->key[0]] = read->object->chunk_count;
    probes += read->kind == DRIVER_PROBE;
    reads += read->kind == DRIVER_READ;
    real->read(env, read);
}

struct fixture {
    struct lsio_context *context;
    struct lsio_store *store;
    struct lsio_object objects[3]; /* "a", "b", "c" */
    uint8_t bytes[3][OBJECT_BYTES];
};

static int setup(void **state)
{
    static const char *const keys[] = {"a", "b", "c"};
    static struct driver_ops noting;
    static struct fixture fixture;
    struct fixture *f = *state = &fixture;
    struct lsio_config config = {.struct_bytes = sizeof(config), .workers = 1};

    assert_int_equal(lsio_context_create(&config, &f->context), 0);
    assert_int_equal(lsio_store_open(f->context, "memory://engine", NULL, 0, &f->store), 0);
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned k = 0; k < OBJECT_BYTES; k++)
            f->bytes[i][k] = (uint8_t)(k * 7 + k / 256 + i * 31);
        assert_int_equal(lsio_memory_put(f->store, keys[i], f->bytes[i], OBJECT_BYTES), 0);
        f->objects[i] = (struct lsio_object){f->store, keys[i], LSIO_SIZE_UNKNOWN, NULL};
    }
    real = f->store->driver;
    noting = *real;
    noting.read_inline = note_inline;
    noting.read = note_read;
    f->store->driver = &noting;
    inline_call_count = probes = reads = 0;
    memset(chunk_counts, 0xff, sizeof(chunk_counts));
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    return lsio_context_destroy(f->context);
}

static int read_chunks(struct fixture *f, size_t object_count, const struct lsio_chunk *chunks,
                       size_t chunk_count)
{
    const struct lsio_request request = {.struct_bytes = sizeof(request),
                                         .objects = f->objects,
                                         .object_count = object_count,
                                         .chunks = chunks,
                                         .chunk_count = chunk_count};

    return lsio_read_batch(f->context, &request);
}

/* Else they could be of two states of it. */
static void a_tiny_request_reads_each_object_in_one_call(void **state)
{
    struct fixture *f = *state;
    static const uint32_t objects[] = {0, 1, 0, 0};
    struct lsio_chunk chunks[4];
    uint8_t dst[4][10];

    for (uint32_t i = 0; i < 4; i++)
        chunks[i] = (struct lsio_chunk){.object = objects[i],
                                        .offset = 3000 - (int64_t)i * 700,
                                        .length = 10,
                                        .dst = dst[i],
                                        .dst_bytes = 10};
    assert_int_equal(read_chunks(f, 2, chunks, 4), 0);
    assert_int_equal(inline_call_count, 2);
    assert_int_equal(inline_calls[0].key, 'a');
    assert_int_equal(inline_calls[0].count, 3);
    assert_int_equal(inline_calls[0].offsets[1], chunks[2].offset);
    assert_int_equal(inline_calls[0].offsets[2], chunks[3].offset);
    assert_int_equal(inline_calls[1].key, 'b');
    assert_int_equal(inline_calls[1].count, 1);
    assert_int_equal(probes + reads, 0);
    for (uint32_t i = 0; i < 4; i++)
        assert_memory_equal(dst[i], &f->bytes[objects[i]][chunks[i].offset], 10);
}

static void drivers_know_what_is_read_once(void **state)
{
    struct fixture *f = *state;
    static const uint32_t objects[] = {1, 0, 1, 2, 1}; /* more than a tiny request has */
    static struct lsio_chunk many[100];
    struct lsio_chunk chunks[5];
    static uint8_t dst[100][4];

    for (uint32_t i = 0; i < 5; i++)
        chunks[i] = (struct lsio_chunk){
            .object = objects[i], .offset = i * 800, .length = 4, .dst = dst[i], .dst_bytes = 4};
    assert_int_equal(read_chunks(f, 3, chunks, 5), 0);
    assert_int_equal(inline_call_count, 0);
    assert_int_equal(chunk_counts['a'], 1);
    assert_int_equal(chunk_counts['b'], 3);
    assert_int_equal(chunk_counts['c'], 1);
    /* of a list that is long for its objects nobody counts */
    for (uint32_t i = 0; i < 100; i++)
        many[i] = (struct lsio_chunk){.object = i == 99,
                                      .offset = i == 99 ? 0 : i * 40,
                                      .length = 4,
                                      .dst = dst[i],
                                      .dst_bytes = 4};
    assert_int_equal(read_chunks(f, 2, many, 100), 0);
    assert_int_equal(chunk_counts['a'], 0);
    assert_int_equal(chunk_counts['b'], 0);
}

static uint64_t latency_count(const struct lsio_context *context)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        count += atomic_load(&context->workers[0].stats.latency[i]);
    return count;
}

/* Every sixteenth read is timed, and no other: what follows a timed probe in the same operation
 * may have waited for its turn. */
static void a_read_after_a_timed_probe_is_not_timed(void **state)
{
    struct fixture *f = *state;
    uint8_t dst[3][OBJECT_BYTES];
    struct lsio_chunk chunks[3];

    for (uint32_t i = 0; i < 3; i++) /* the last needs no probe: so the sixteenth may be either */
        chunks[i] = (struct lsio_chunk){.object = i,
                                        .length = i < 2 ? LSIO_TO_END : 100,
                                        .dst = dst[i],
                                        .dst_bytes = OBJECT_BYTES};
    for (unsigned i = 0; i < 48; i++)
        assert_int_equal(read_chunks(f, 3, chunks, 3), 0);
    assert_int_equal(probes, 96);
    assert_int_equal(reads, 144);
    assert_int_equal(latency_count(f->context), (probes + reads) / 16);
}

static unsigned measured;

static void note_measure(const struct lsio_store *store, struct plan_measured *out)
{
    (void)store;
    measured++; /* as far from the last time as to be followed */
    *out = (struct plan_measured){.latency_ns = UINT64_C(1000000) << measured % 16,
                                  .latency_count = 64};
}

/* However its objects take turns; else it would be planned with several profiles. */
static void a_request_measures_each_store_once(void **state)
{
    struct fixture *f = *state;
    struct lsio_store *stores[2] = {f->store, NULL};
    struct driver_ops measuring = *real;
    struct lsio_object objects[100];
    struct lsio_chunk chunk = {.length = 1};
    struct lsio_request request = {.struct_bytes = sizeof(request),
                                   .objects = objects,
                                   .object_count = COUNT(objects),
                                   .chunks = &chunk,
                                   .chunk_count = 1};
    struct lsio_error refusal;
    struct lsio_batch *batch;

    measuring.measure = note_measure;
    assert_int_equal(lsio_store_open(f->context, "memory://other", NULL, 0, &stores[1]), 0);
    for (unsigned i = 0; i < 2; i++) {
        stores[i]->driver = &measuring;
        assert_int_equal(plan_profile_builtin("cloud", &stores[i]->profile), 0);
    }
    for (unsigned i = 0; i < COUNT(objects); i++)
        objects[i] = (struct lsio_object){stores[i % 2], "a", LSIO_SIZE_UNKNOWN, NULL};
    measured = 0;
    assert_int_equal(batch_create(f->context, &request, true, &refusal, &batch), 0);
    assert_int_equal(measured, 2);
    for (unsigned i = 2; i < COUNT(objects); i++)
        assert_ptr_equal(batch->first.objects[i].plan.profile,
                         batch->first.objects[i % 2].plan.profile);
    assert_int_equal(stores[0]->users, 1);
    batch_free(batch, false);
    assert_int_equal(stores[0]->users, 0);
    stores[0]->driver = stores[1]->driver = real;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_tiny_request_reads_each_object_in_one_call),
        TEST(drivers_know_what_is_read_once),
        TEST(a_read_after_a_timed_probe_is_not_timed),
        TEST(a_request_measures_each_store_once),
    };

    return cmocka_run_group_tests_name("engine reads", tests, NULL, NULL);
}
