/* SPDX-License-Identifier: MIT */
/*
 * Chains: stages run in order, each sees what the one before passed on or put out; the last writer
 * writes into dst; with neither dst nor ALLOC the chain has consumed the bytes; init and finish run
 * once per worker that ran, destroy once; a status of LSIO stands, any other code is
 * LSIO_E_CALLBACK with the code.
 *
 * LSIO_ROWS: L19
 */
#include "api_fixture.h"

#define CHUNKS 1000u
#define LENGTH 600u

struct shared {
    _Atomic int inits, finishes, destroys, wrong;
    _Atomic uint64_t sum;
    _Atomic int live[64]; /* states by worker */
    uint32_t workers;
};

struct state {
    struct shared *shared;
    uint32_t worker;
    pthread_t thread;
    bool used;
};

static int init(void *user, uint32_t worker, void **out)
{
    struct shared *shared = user;
    struct state *state = calloc(1, sizeof(*state));

    if (worker > shared->workers || atomic_fetch_add(&shared->live[worker], 1) != 0)
        atomic_fetch_add(&shared->wrong, 1);
    atomic_fetch_add(&shared->inits, 1);
    state->shared = shared;
    state->worker = worker;
    *out = state;
    return 0;
}

static void finish(void *user, uint32_t worker, void *pointer)
{
    struct shared *shared = user;
    struct state *state = pointer;

    if (state->worker != worker || state->shared != shared || !state->used)
        atomic_fetch_add(&shared->wrong, 1);
    atomic_fetch_sub(&shared->live[worker], 1);
    atomic_fetch_add(&shared->finishes, 1);
    free(state);
}

static void destroy(void *user)
{
    atomic_fetch_add(&((struct shared *)user)->destroys, 1);
}

/* Reads only: the input is the chunk's raw bytes, the state this worker's. */
static int first(struct lsio_call *call)
{
    struct shared *shared = call->user;
    struct state *state = call->state;
    void *scratch;

    if (state->worker != call->worker || call->worker > shared->workers ||
        call->in_bytes != LENGTH ||
        api_mismatch(call->in, 0, (uint64_t)call->chunk->offset, LENGTH) != LENGTH ||
        call->data != call->chunk->data || (uint64_t)(uintptr_t)call->data != call->index)
        atomic_fetch_add(&shared->wrong, 1);
    if (state->used && call->worker < shared->workers &&
        !pthread_equal(state->thread, pthread_self()))
        atomic_fetch_add(&shared->wrong, 1);
    state->used = true;
    state->thread = pthread_self();
    if (lsio_call_scratch(call, 5000, &scratch) != 0 || (uintptr_t)scratch % 64)
        atomic_fetch_add(&shared->wrong, 1);
    else
        memset(scratch, 0xaa, 5000);
    return 0;
}

static int strip(struct lsio_call *call)
{
    return lsio_call_pass(call, (const char *)call->in + 10, call->in_bytes - 20);
}

/* Puts out each byte xor its argument, twice over. */
static int twice(struct lsio_call *call)
{
    const uint8_t *in = call->in;
    uint8_t *out;
    void *room;
    int status = lsio_call_out(call, 2 * call->in_bytes + 50, &room);

    if (status)
        return status;
    out = room;
    for (uint64_t i = 0; i < call->in_bytes; i++)
        out[i] = out[call->in_bytes + i] = in[i] ^ 0x5a;
    return lsio_call_commit(call, 2 * call->in_bytes);
}

static int add_up(struct lsio_call *call)
{
    struct shared *shared = call->user;

    atomic_fetch_add(&shared->sum, call->in_bytes);
    return 0;
}

static struct lsio_chain *chain_make(struct api *api, struct shared *shared)
{
    struct lsio_stage stages[5] = {api_stage(first, LSIO_STAGE_READS_ONLY, shared),
                                   api_stage(strip, LSIO_STAGE_PASSES_SLICE, NULL),
                                   api_stage(twice, LSIO_STAGE_WRITES, NULL),
                                   api_stage(twice, LSIO_STAGE_WRITES, NULL),
                                   api_stage(add_up, LSIO_STAGE_READS_ONLY, shared)};
    struct lsio_chain *chain;

    memset(shared, 0, sizeof(*shared));
    shared->workers = lsio_context_workers(api->context);
    stages[0].init = init;
    stages[0].finish = finish;
    stages[0].destroy = destroy;
    assert_int_equal(lsio_chain_create(api->context, stages, 5, &chain), 0);
    memset(stages, 0xff, sizeof(stages)); /* copied */
    return chain;
}

static void output_check(const uint8_t *bytes, uint64_t offset)
{
    for (int i = 0; i < 4; i++) /* the two xors cancel out */
        api_check(bytes + (size_t)i * (LENGTH - 20), 0, offset + 10, LENGTH - 20);
}

static void run(struct api *api, uint32_t flags, uint32_t count, uint8_t *dst)
{
    struct shared shared;
    struct lsio_chain *chain = chain_make(api, &shared);
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk *chunks = calloc(count, sizeof(*chunks));
    struct lsio_result *results = calloc(count, sizeof(*results));
    struct lsio_request request = api_request(&object, 1, chunks, count, results);

    for (uint32_t i = 0; i < count; i++) {
        chunks[i] = (struct lsio_chunk){
            .flags = flags, .offset = i * 611, .length = LENGTH, .data = (void *)(uintptr_t)i};
        chunks[i].chain = i % 2 ? chain : NULL; /* named, or the request's */
        if (dst) {
            chunks[i].dst = dst + (size_t)i * 4 * LENGTH;
            chunks[i].dst_bytes = 4 * LENGTH;
        }
    }
    request.chain = chain;
    assert_int_equal(lsio_read_batch(api->context, &request), 0);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(results[i].bytes, 4 * (LENGTH - 20));
        assert_ptr_equal(flags ? NULL : results[i].data, flags ? NULL : chunks[i].dst);
        if (flags || dst)
            output_check(results[i].data, (uint64_t)chunks[i].offset);
        if (flags)
            lsio_result_free(results[i].data);
    }
    assert_int_equal(shared.sum, (uint64_t)count * 4 * (LENGTH - 20));
    assert_int_equal(shared.destroys, 0);
    lsio_chain_destroy(chain);
    assert_int_equal(shared.wrong, 0);
    assert_int_equal(shared.destroys, 1);
    assert_int_equal(shared.inits, shared.finishes);
    assert_between(shared.inits, 1, shared.workers + 1);
    free(chunks);
    free(results);
}

static void in_order_into_dst_memory_or_nowhere(void **state)
{
    struct api *api = *state;
    uint8_t *dst = malloc(CHUNKS * 4 * LENGTH);

    api_put(api, "k", 0, MIB);
    for (uint32_t count = 1; count <= CHUNKS; count = count == 1   ? 3
                                                      : count == 3 ? CHUNKS
                                                                   : CHUNKS + 1) {
        run(api, 0, count, dst);
        run(api, LSIO_CHUNK_ALLOC, count, NULL);
        run(api, 0, count, NULL);
    }
    free(dst);
}

static int returns(struct lsio_call *call)
{
    return (int)(intptr_t)call->data;
}

static int never(struct lsio_call *call)
{
    atomic_fetch_add((_Atomic int *)call->user, 1);
    return 0;
}

static void codes_of_stages(void **state)
{
    static const int codes[] = {LSIO_E_CORRUPT, LSIO_E_CHANGED, -EIO, -1, -99999, 5, LSIO_E_TLS};
    struct api *api = *state;
    _Atomic int called = 0;
    struct lsio_stage stages[2] = {api_stage(returns, LSIO_STAGE_READS_ONLY, NULL),
                                   api_stage(never, LSIO_STAGE_READS_ONLY, &called)};
    struct lsio_object object = api_object(api, "k");
    struct lsio_chunk chunks[COUNT(codes)];
    struct lsio_result results[COUNT(codes)];
    struct lsio_request request = api_request(&object, 1, chunks, COUNT(codes), results);
    struct lsio_batch *batch;
    struct lsio_chain *chain;

    api_put(api, "k", 0, 1000);
    assert_int_equal(lsio_chain_create(api->context, stages, 2, &chain), 0);
    for (uint32_t i = 0; i < COUNT(codes); i++)
        chunks[i] =
            (struct lsio_chunk){.offset = i, .length = 10, .data = (void *)(intptr_t)codes[i]};
    request.chain = chain;
    assert_int_equal(lsio_submit_batch(api->context, &request, &batch), 0);
    assert_int_equal(api_wait(batch), LSIO_E_CORRUPT);
    for (uint32_t i = 0; i < COUNT(codes); i++) {
        struct lsio_error error = {.struct_bytes = sizeof(error)};
        bool ours = codes[i] <= LSIO_E_TRUNCATED && codes[i] >= LSIO_E_TLS;
        assert_int_equal(results[i].status, ours ? codes[i] : LSIO_E_CALLBACK);
        assert_int_equal(lsio_batch_error(batch, i, &error), 0);
        assert_int_equal(error.code, ours ? 0 : codes[i]);
    }
    assert_int_equal(called, 0);
    assert_int_equal(lsio_batch_destroy(batch), 0);
}

static int misuse(struct lsio_call *call)
{
    _Atomic int *wrong = call->user;
    void *out, *again;

    *wrong += lsio_call_commit(call, 1) >= 0;
    *wrong += lsio_call_pass(call, (const char *)call->in - 1, 2) != -EINVAL;
    *wrong += lsio_call_pass(call, call->in, call->in_bytes + 1) != -EINVAL;
    *wrong += lsio_call_pass(call, (const char *)call->in + call->in_bytes, 0) != 0;
    *wrong += lsio_call_out(call, 20, &out) != 0;
    *wrong += lsio_call_out(call, 20, &again) >= 0;
    *wrong += lsio_call_commit(call, 21) != -EINVAL;
    memset(out, 1, 20);
    return lsio_call_commit(call, 20);
}

static void misuse_is_refused(void **state)
{
    struct api *api = *state;
    struct shared shared = {0};
    _Atomic int wrong = 0;
    struct lsio_stage stage = api_stage(misuse, LSIO_STAGE_WRITES, &wrong), bad[17];
    struct lsio_object object = api_object(api, "k");
    uint8_t dst[100];
    struct lsio_chunk chunk = {.length = 10, .dst = dst, .dst_bytes = 100};
    struct lsio_request request = api_request(&object, 1, &chunk, 1, NULL);
    struct lsio_chain *chain;

    api_put(api, "k", 0, 1000);
    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &chain), 0);
    request.chain = chain;
    lsio_read_batch(api->context, &request);
    assert_int_equal(wrong, 0);
    for (int i = 0; i < 17; i++)
        bad[i] = api_stage(never, LSIO_STAGE_READS_ONLY, &shared);
    chain = (void *)api;
    assert_int_equal(lsio_chain_create(api->context, bad, 17, &chain), -EINVAL);
    assert_int_equal(lsio_chain_create(api->context, bad, 0, &chain), -EINVAL);
    assert_int_equal(lsio_chain_create(api->context, NULL, 1, &chain), -EINVAL);
    bad[0].destroy = destroy; /* taken also by a call that fails */
    bad[1].flags = LSIO_STAGE_WRITES | LSIO_STAGE_READS_ONLY;
    assert_int_equal(lsio_chain_create(api->context, bad, 2, &chain), -EINVAL);
    assert_int_equal(shared.destroys, 1);
    bad[1].flags = 0;
    assert_int_equal(lsio_chain_create(api->context, bad, 2, &chain), -EINVAL);
    bad[1] = bad[2];
    bad[1].run = NULL;
    assert_int_equal(lsio_chain_create(api->context, bad, 2, &chain), -EINVAL);
    assert_int_equal(shared.destroys, 3);
    assert_ptr_equal(chain, api);
    lsio_chain_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_order_into_dst_memory_or_nowhere),
                                       cmocka_unit_test(codes_of_stages),
                                       cmocka_unit_test(misuse_is_refused)};

    return api_run_tests("stages_chain", tests, COUNT(tests), API_ALL);
}
