/* SPDX-License-Identifier: MIT */
/*
 * Where the kernel lets no more memory be registered - other contexts of the user hold it - a
 * context works all the same: reads of every size come to their end and have their bytes.
 *
 * LSIO_ROWS: L13
 */
#define _GNU_SOURCE
#include "api_fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONTEXTS 9
#define SIZE     (2 * MIB)

static int check_input(struct lsio_call *call)
{
    return api_mismatch(call->in, 0, (uint64_t)call->chunk->offset, call->in_bytes) ==
                   call->in_bytes
               ? 0
               : 1;
}

/* Chunks that need a buffer of the library, of all sizes. */
static int read_sizes(struct lsio_context *context, struct lsio_store *store)
{
    struct lsio_object object = {store, "k", LSIO_SIZE_UNKNOWN, NULL};
    struct lsio_stage stage = api_stage(check_input, LSIO_STAGE_READS_ONLY, NULL);
    struct lsio_chunk chunks[64];
    struct lsio_request request = api_request(&object, 1, chunks, 64, NULL);
    struct lsio_chain *chain;

    if (lsio_chain_create(context, &stage, 1, &chain) != 0)
        return __LINE__;
    request.chain = chain;
    for (uint64_t i = 0; i < 64; i++)
        chunks[i] = (struct lsio_chunk){.offset = (int64_t)i, .length = (i + 1) * 10 * KIB};
    return lsio_read_batch(context, &request) == 0 ? 0 : __LINE__;
}

static int child(struct api *api)
{
    struct rlimit limit = {MIB * 8, MIB * 8};
    struct lsio_config config = api_config(api);
    uint8_t *data = malloc(SIZE);

    config.workers = 1; /* whose arena is the one that reads wait for */

    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || setresuid(64321, 64321, 64321) != 0)
        return 0; /* not ours to try */
    api_fill(data, 0, 0, SIZE);
    for (int i = 0; i < CONTEXTS; i++) {
        struct lsio_context *context;
        struct lsio_store *store;
        int line = lsio_context_create(&config, &context);
        if (line == -ENOMEM && i)
            return 0; /* not even a ring can be had any more */
        if (line)
            return line;
        if (lsio_store_open(context, "memory://x", NULL, 0, &store) != 0 ||
            lsio_memory_put(store, "k", data, SIZE) != 0)
            return __LINE__;
        if ((line = read_sizes(context, store)) != 0)
            return line;
    }
    return 0; /* the contexts end with the process */
}

static void many_contexts(void **state)
{
    struct api *api = *state;
    int status = -1;
    pid_t pid;

    assert_int_equal(lsio_context_destroy(api->context), 0);
    api->context = NULL;
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int line = child(api);
        if (line)
            fprintf(stderr, "%s: line or status %d\n", __FILE__, line);
        _exit(line ? 1 : 0);
    }
    for (unsigned i = 0; i < 20000 * api_scale() && waitpid(pid, &status, WNOHANG) == 0; i++)
        api_sleep_ms(1);
    if (!WIFEXITED(status))
        kill(pid, SIGKILL);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(many_contexts)};

    return api_run_tests("small_memlock", tests, COUNT(tests), API_MEMORY);
}
