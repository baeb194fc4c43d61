/* SPDX-License-Identifier: MIT */
/*
 * In a forked child every call on the inherited context is LSIO_E_FORKED, destroying it frees its
 * memory and descriptors, and a new context works; the parent, before, during and after a batch,
 * notices nothing.
 *
 * LSIO_ROWS: L17
 */
#define _GNU_SOURCE
#include "api_fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

struct world {
    struct api *api;
    struct lsio_batch *batch;
    struct lsio_chain *chain;
    uint8_t *dst;
    int descriptors; /* open before the context was made */
};

/* In the child: the number of the line that went wrong; 0: none. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__;                                                                       \
    } while (0)

static int no_entry(const struct lsio_list_entry *entries, size_t count, void *data)
{
    (void)entries;
    (void)count;
    (void)data;
    return 1;
}

static int calls_are_refused(struct world *world)
{
    struct lsio_context *context = world->api->context;
    struct lsio_store *store = world->api->store, *other = NULL;
    struct lsio_object object = {store, "k", LSIO_SIZE_UNKNOWN, NULL};
    char dst[8];
    struct lsio_chunk chunk = {.length = 8, .dst = dst, .dst_bytes = 8};
    struct lsio_request request = api_request(&object, 1, &chunk, 1, NULL);
    struct lsio_object_info info = {.struct_bytes = sizeof(info)};
    struct lsio_stats stats = {.struct_bytes = sizeof(stats)};
    struct lsio_error error = {.struct_bytes = sizeof(error)};
    struct lsio_progress progress = {.struct_bytes = sizeof(progress)};
    struct lsio_stage stage = api_stage(api_gate_stage, LSIO_STAGE_READS_ONLY, NULL);
    struct lsio_chain *chain = NULL;
    struct lsio_batch *batch = NULL;
    char *text = NULL;
    int fd, status;

    EXPECT(lsio_read_batch(context, &request) == LSIO_E_FORKED);
    EXPECT(lsio_read(context, store, "k", 0, 8, dst, 8, NULL) == LSIO_E_FORKED);
    EXPECT(lsio_submit_batch(context, &request, &batch) == LSIO_E_FORKED && !batch);
    EXPECT(lsio_store_open(context, "memory://x", NULL, 0, &other) == LSIO_E_FORKED && !other);
    EXPECT(lsio_store_close(store) == LSIO_E_FORKED);
    EXPECT(lsio_memory_put(store, "k", dst, 8) == LSIO_E_FORKED);
    EXPECT(lsio_memory_remove(store, "k") == LSIO_E_FORKED);
    EXPECT(lsio_list(store, "", 0, no_entry, NULL) == LSIO_E_FORKED);
    EXPECT(lsio_stat_batch(context, &object, 1, &info, 0, NULL) == LSIO_E_FORKED);
    EXPECT(lsio_explain_batch(context, &request, LSIO_EXPLAIN_TEXT, &text) == LSIO_E_FORKED &&
           !text);
    EXPECT(lsio_context_stats(context, &stats) == LSIO_E_FORKED);
    EXPECT(lsio_last_error(context, &error) == LSIO_E_FORKED);
    EXPECT(lsio_chain_create(context, &stage, 1, &chain) == LSIO_E_FORKED && !chain);
    EXPECT(lsio_memory_register(context, dst, 8) == LSIO_E_FORKED);
    EXPECT(lsio_memory_unregister(context, dst) == LSIO_E_FORKED);
    if (world->batch) {
        EXPECT(lsio_batch_wait(world->batch, LSIO_FOREVER, &status) == LSIO_E_FORKED);
        EXPECT(lsio_batch_notify(world->batch, &fd) == LSIO_E_FORKED);
        EXPECT(lsio_batch_cancel(world->batch) == LSIO_E_FORKED);
        EXPECT(lsio_batch_progress(world->batch, &progress) == LSIO_E_FORKED);
        EXPECT(lsio_batch_error(world->batch, 0, &error) == LSIO_E_FORKED);
        EXPECT(lsio_batch_object(world->batch, 0, &info) == LSIO_E_FORKED);
        EXPECT(lsio_batch_add(world->batch, &request, NULL) == LSIO_E_FORKED);
        EXPECT(lsio_batch_destroy(world->batch) == LSIO_E_FORKED);
    }
    lsio_chain_destroy(world->chain);
    return 0;
}

/* The child inherits the server's descriptors, too, if there is one. */
static bool nothing_is_open(const struct world *world)
{
    return world->api->kind == API_BUCKET ? api_connections(world->api) == 0
                                          : api_descriptors() == world->descriptors;
}

static int context_of_its_own(struct world *world)
{
    struct lsio_config config = api_config(world->api);
    struct lsio_context *context;
    struct lsio_store *store;
    uint8_t dst[5000], *data = malloc(MIB);

    EXPECT(lsio_context_create(&config, &context) == 0);
    if (world->api->kind == API_BUCKET)
        EXPECT(api_try_open(world->api, context, NULL, 0, &store) == 0);
    else /* the objects of memory:// are another context's */
        EXPECT(lsio_store_open(context, world->api->dir, NULL, 0, &store) == 0);
    for (int i = 0; i < 20; i++) {
        EXPECT(lsio_read(context, store, "k", i * 777, 5000, dst, 5000, NULL) == 0);
        EXPECT(api_mismatch(dst, 0, (uint64_t)i * 777, 5000) == 5000);
    }
    EXPECT(lsio_read(context, store, "k", 0, LSIO_TO_END, data, MIB, NULL) == 0);
    EXPECT(api_mismatch(data, 0, 0, MIB) == MIB);
    EXPECT(lsio_context_destroy(context) == 0);
    EXPECT(nothing_is_open(world));
    free(data);
    return 0;
}

static int child(struct world *world)
{
    int line = calls_are_refused(world);

    if (line)
        return line;
#if defined(__SANITIZE_ADDRESS__) /* whose allocator a thread of the parent may have locked */
    if (world->api->kind == API_BUCKET)
        return 0;
#endif
    EXPECT(lsio_context_destroy(world->api->context) == 0);
    EXPECT(nothing_is_open(world));
#if !defined(__SANITIZE_THREAD__) /* which cannot follow threads that such a child makes */
    line = context_of_its_own(world);
#else
    (void)context_of_its_own;
#endif
    return line;
}

static void fork_and_check(struct world *world)
{
    int status = -1;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        int line = child(world);
        if (line)
            fprintf(stderr, "%s:%d: failed in the child\n", __FILE__, line);
        _exit(line ? 1 : 0);
    }
    for (int i = 0; i < 60000 && waitpid(pid, &status, WNOHANG) == 0; i++)
        api_sleep_ms(1);
    if (!WIFEXITED(status))
        kill(pid, 9);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define CHUNKS 3000u

static void submit(struct world *world, struct lsio_chain *chain)
{
    struct lsio_object object = api_object(world->api, "k");
    struct lsio_chunk *chunks = calloc(CHUNKS, sizeof(*chunks));
    struct lsio_request request = api_request(&object, 1, chunks, CHUNKS, NULL);

    for (uint32_t i = 0; i < CHUNKS; i++)
        chunks[i] = (struct lsio_chunk){
            .offset = i * 300, .length = 300, .dst = world->dst + i * 300, .dst_bytes = 300};
    request.chain = chain;
    assert_int_equal(lsio_submit_batch(world->api->context, &request, &world->batch), 0);
    free(chunks);
}

static void before_during_and_after_a_batch(void **state)
{
    struct api *api = *state;
    struct api_gate gate = {0};
    struct lsio_stage stage = api_stage(api_gate_stage, LSIO_STAGE_READS_ONLY, &gate);
    struct world world = {.api = api, .descriptors = api->descriptors, .dst = calloc(CHUNKS, 300)};

    api_put(api, "k", 0, MIB);
    assert_int_equal(lsio_chain_create(api->context, &stage, 1, &world.chain), 0);
    fork_and_check(&world); /* idle */
    assert_int_equal(lsio_read(api->context, api->store, "lost", 0, 1, world.dst, 1, NULL),
                     -ENOENT);
    submit(&world, world.chain);
    api_gate_wait(&gate, 1);
    fork_and_check(&world); /* held in a stage */
    api_gate_open(&gate);
    fork_and_check(&world); /* in full swing, or at its end */
    assert_int_equal(api_wait(world.batch), 0);
    fork_and_check(&world);
    for (uint32_t i = 0; i < CHUNKS; i++)
        api_check(world.dst + i * 300, 0, i * 300, 300);
    assert_int_equal(lsio_batch_destroy(world.batch), 0);
    world.batch = NULL;
    for (int i = 0; i < 3; i++) { /* at any moment */
        memset(world.dst, 0, CHUNKS * 300);
        submit(&world, NULL);
        fork_and_check(&world);
        assert_int_equal(api_wait(world.batch), 0);
        for (uint32_t j = 0; j < CHUNKS; j++)
            api_check(world.dst + j * 300, 0, j * 300, 300);
        assert_int_equal(lsio_batch_destroy(world.batch), 0);
    }
    free(world.dst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(before_during_and_after_a_batch)};

    return api_run_tests("fork", tests, COUNT(tests), API_ALL);
}
