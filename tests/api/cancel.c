/* SPDX-License-Identifier: MIT */
/*
 * lsio_batch_cancel(): each chunk still completes exactly once, with -ECANCELED or with its real
 * result and bytes. Before anything has begun, at any moment during the batch, from callbacks,
 * after the end; splits too.
 *
 * LSIO_ROWS: L22
 */
#include "api_fixture.h"

#define CHUNKS 5000u
#define BYTES  400u

struct job {
    struct api_seen seen; /* first */
    struct lsio_chunk *chunks;
    struct lsio_result *results;
    uint8_t *dst;
    struct lsio_batch *batch;
    _Atomic uint32_t cancel_at; /* on_chunk's call that cancels; 0: none */
};

static void on_chunk(struct lsio_batch *batch, uint64_t index, const struct lsio_result *result,
                     void *data)
{
    struct job *job = data;

    api_seen_on_chunk(batch, index, result, data);
    if (atomic_load(&job->cancel_at) && atomic_fetch_sub(&job->cancel_at, 1) == 1)
        lsio_batch_cancel(batch);
}

static void job_submit(struct api *api, struct job *job, uint32_t cancel_at,
                       struct lsio_chain *chain)
{
    struct lsio_object object = api_object(api, "k");
    struct lsio_request request;

    memset(job, 0, sizeof(*job));
    job->chunks = calloc(CHUNKS, sizeof(*job->chunks));
    job->results = calloc(CHUNKS, sizeof(*job->results));
    job->dst = calloc(CHUNKS, BYTES);
    job->cancel_at = cancel_at;
    for (uint32_t i = 0; i < CHUNKS; i++) {
        job->results[i].status = 77;
        job->chunks[i] = (struct lsio_chunk){.offset = i * 7919 % 900000,
                                             .length = BYTES,
                                             .dst = job->dst + (size_t)i * BYTES,
                                             .dst_bytes = BYTES};
    }
    request = api_request(&object, 1, job->chunks, CHUNKS, job->results);
    api_seen_init(&job->seen, CHUNKS);
    request.chain = chain;
    request.on_chunk = on_chunk;
    request.on_done = api_seen_on_done;
    request.data = job;
    assert_int_equal(lsio_submit_batch(api->context, &request, &job->batch), 0);
}

/* Returns how many chunks were canceled. */
static uint32_t job_end(struct job *job)
{
    int status = api_wait(job->batch);
    uint32_t canceled = 0;

    for (uint32_t i = 0; i < CHUNKS; i++) {
        canceled += job->results[i].status == -ECANCELED;
        if (job->results[i].status == 0)
            api_check(job->chunks[i].dst, 0, (uint64_t)job->chunks[i].offset, BYTES);
        else
            assert_int_equal(job->results[i].status, -ECANCELED);
    }
    assert_int_equal(status, canceled ? -ECANCELED : 0);
    assert_int_equal(job->seen.status, status);
    assert_int_equal(job->seen.canceled, canceled);
    assert_int_equal(lsio_batch_status_count(job->batch, -ECANCELED), canceled);
    assert_int_equal(api_progress(job->batch).chunks_failed, canceled);
    assert_int_equal(lsio_batch_cancel(job->batch), 0); /* too late: no effect */
    assert_int_equal(lsio_batch_destroy(job->batch), 0);
    api_seen_check(&job->seen);
    free(job->chunks);
    free(job->results);
    free(job->dst);
    return canceled;
}

static void at_any_moment(void **state)
{
    struct api *api = *state;
    struct job job;

    api_put(api, "k", 0, MIB);
    for (int i = 0; i < 30; i++) {
        job_submit(api, &job, 0, NULL);
        for (int spin = 0; spin < i * i * 100; spin++)
            atomic_thread_fence(memory_order_seq_cst);
        assert_int_equal(lsio_batch_cancel(job.batch), 0);
        job_end(&job);
    }
}

static int nothing(struct lsio_call *call)
{
    (void)call;
    return 0;
}

/* No chain begins after that. */
static void from_a_callback(void **state)
{
    struct api *api = *state;
    struct lsio_stage stage = api_stage(nothing, LSIO_STAGE_READS_ONLY, NULL);
    struct lsio_chain *chain;
    struct job job;

    api_put(api, "k", 0, MIB);
    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
    job_submit(api, &job, 100, chain);
    assert_true(job_end(&job) > CHUNKS / 2);
}

static void before_the_first_read(void **state)
{
    struct api *api = *state;
    struct lsio_config config = api_config(api);
    struct api_gate gate = {0};
    struct lsio_stage stage = api_stage(api_gate_stage, LSIO_STAGE_READS_ONLY, &gate);
    struct lsio_object object;
    struct lsio_chunk chunk = {.length = 100};
    struct lsio_request request = api_request(&object, 1, &chunk, 1, NULL);
    struct lsio_chain *chain;
    struct lsio_batch *held;
    struct job job;

    api_put(api, "k", 0, MIB);
    config.workers = 1;
    api_remake(api, &config, NULL, 0);
    object = api_object(api, "k");
    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
    request.chain = chain;
    assert_int_equal(lsio_submit_batch(api->context, &request, &held), 0);
    api_gate_wait(&gate, 1);
    job_submit(api, &job, 0, NULL);
    assert_int_equal(lsio_batch_cancel(job.batch), 0);
    assert_int_equal(lsio_batch_cancel(job.batch), 0);
    assert_int_equal(lsio_batch_cancel(held), 0);
    api_gate_open(&gate);
    assert_int_equal(job_end(&job), CHUNKS);
    assert_int_equal(api_wait(held), 0); /* its bytes were there already */
    assert_int_equal(lsio_batch_destroy(held), 0);
}

static void cancel_now(struct lsio_batch *batch, uint64_t index, const struct lsio_result *result,
                       void *data)
{
    (void)result;
    (void)data;
    if (index == 0)
        lsio_batch_cancel(batch);
}

/* A chunk in parts is canceled as a whole, and the parts that have not begun are not read. */
static void a_split_chunk(void **state)
{
    static const struct lsio_option options[] = {{"split_bytes", "16K"}, {"inflight_max", "4"}};
    struct api *api = *state;
    struct lsio_config config = api_config(api);
    struct lsio_object objects[2];
    struct lsio_chunk chunks[2];
    struct lsio_result results[2];
    struct lsio_request request = api_request(objects, 2, chunks, 2, results);
    uint64_t size = 24 * MIB;
    uint8_t *dst = malloc(size), byte;

    api_put(api, "k", 0, size);
    api_put(api, "first", 1, 1);
    config.workers = 1;
    api_remake(api, &config, options, 2);
    objects[0] = api_object(api, "first");
    objects[1] = api_object(api, "k");
    chunks[0] = (struct lsio_chunk){.length = 1, .dst = &byte, .dst_bytes = 1};
    chunks[1] = (struct lsio_chunk){.object = 1, .length = size, .dst = dst, .dst_bytes = size};
    request.on_chunk = cancel_now;
    for (int i = 0; i < 10; i++) {
        uint64_t before = api_stats(api->context).bytes_read;
        assert_int_equal(lsio_read_batch(api->context, &request), -ECANCELED);
        assert_int_equal(results[0].status, 0);
        assert_int_equal(results[1].status, -ECANCELED);
        assert_true(api_stats(api->context).bytes_read - before < size / 2);
    }
    free(dst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_any_moment), cmocka_unit_test(from_a_callback),
        cmocka_unit_test(before_the_first_read), cmocka_unit_test(a_split_chunk)};

    return api_run_tests("cancel", tests, COUNT(tests), API_ALL);
}
