/* SPDX-License-Identifier: MIT */
/*
 * References: eight threads open and close stores, read files that the cache has no room to keep,
 * replace objects in memory that others read, destroy batches after their end, in the middle, from
 * on_chunk and from on_done, and make and destroy contexts of their own. Whatever is freed too
 * early is used by somebody soon; whatever is not freed is found by the fixture or the sanitizer.
 *
 * LSIO_TEST_TIMEOUT: 3600
 */
#include <sys/resource.h>
#include <unistd.h>

#include "stress.h"

#define THREADS         8u
#define FILES           96u
#define CHUNKS          6u
#define READ_BYTES      48u
#define DESCRIPTORS     96u /* the limit that the context sees: it keeps a quarter of them open */
#define UNATTENDED_MAX  16u /* batches of a thread that nobody waits for */
#define MEMORY_KEYS     4u

struct world {
    struct api *api;
    struct lsio_store *memory;
    char keys[FILES][16];
    pthread_mutex_t turn;
};

enum end {
    WAIT_AND_DESTROY,
    DESTROY_AT_ONCE,
    DESTROY_IN_ON_CHUNK,
    DESTROY_IN_ON_DONE,
    ENDS
};

/* One batch. Those that nobody waits for free it in on_done. */
struct round {
    enum end end;
    bool cancels; /* somebody may cancel it */
    _Atomic uint32_t *unattended; /* to count down when it is freed; NULL: the thread frees it */
    _Atomic bool destroyed;
    _Atomic uint32_t reported, done;
    uint32_t object[CHUNKS]; /* the files read */
    struct lsio_result results[CHUNKS];
    uint8_t dst[CHUNKS][READ_BYTES];
};

static uint64_t file_bytes(uint32_t file)
{
    return READ_BYTES + file * 1201u % 90000u; /* below and above what is read whole */
}

/* ----------------------------------------------------------------------------------- files -- */

static void on_chunk(struct lsio_batch *batch, uint64_t index, const struct lsio_result *result,
                     void *data)
{
    struct round *round = data;

    STRESS_CHECK(index < CHUNKS && round->done == 0);
    STRESS_CHECK(result->status == 0 || (result->status == -ECANCELED && round->cancels));
    if (result->status == 0)
        STRESS_CHECK(api_mismatch(result->data, round->object[index], 0, READ_BYTES) ==
                     READ_BYTES);
    atomic_fetch_add(&round->reported, 1);
    if (round->end == DESTROY_IN_ON_CHUNK && !atomic_exchange(&round->destroyed, true))
        STRESS_CHECK(lsio_batch_destroy(batch) == 0);
}

static void on_done(struct lsio_batch *batch, int status, void *data)
{
    struct round *round = data;
    _Atomic uint32_t *unattended = round->unattended;

    (void)status;
    STRESS_CHECK(round->reported == CHUNKS && atomic_fetch_add(&round->done, 1) == 0);
    if (round->end == DESTROY_IN_ON_DONE)
        STRESS_CHECK(lsio_batch_destroy(batch) == 0);
    if (unattended) {
        free(round);
        atomic_fetch_sub(unattended, 1);
    }
}

/* Submits a batch over random files, and ends it one way or another. */
static void round_files(struct stress_thread *thread, struct world *world,
                        struct lsio_context *context, struct lsio_store *store, enum end end)
{
    struct round *round = calloc(1, sizeof(*round));
    struct lsio_object objects[CHUNKS];
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_request request = api_request(objects, CHUNKS, chunks, CHUNKS, round->results);
    struct lsio_batch *batch;
    int status = 1;

    round->end = end;
    round->cancels = end == DESTROY_AT_ONCE || end == DESTROY_IN_ON_CHUNK ||
                     (end == DESTROY_IN_ON_DONE && context != world->api->context);
    if (end == DESTROY_IN_ON_CHUNK || end == DESTROY_IN_ON_DONE) {
        round->unattended = thread->own;
        atomic_fetch_add(round->unattended, 1);
    }
    for (uint32_t i = 0; i < CHUNKS; i++) {
        uint32_t file = round->object[i] = stress_random(thread, FILES);
        objects[i] = (struct lsio_object){store, world->keys[file], LSIO_SIZE_UNKNOWN, NULL};
        chunks[i] = (struct lsio_chunk){
            .object = i, .length = READ_BYTES, .dst = round->dst[i], .dst_bytes = READ_BYTES};
        if (file_bytes(file) == READ_BYTES)
            chunks[i].length = LSIO_TO_END; /* asks for the size first */
    }
    request.on_chunk = on_chunk;
    request.on_done = on_done;
    request.data = round;
    STRESS_CHECK(lsio_submit_batch(context, &request, &batch) == 0);
    if (end == WAIT_AND_DESTROY)
        STRESS_CHECK(lsio_batch_wait(batch, LSIO_FOREVER, &status) == 0 && status == 0);
    if (end == WAIT_AND_DESTROY || end == DESTROY_AT_ONCE) {
        STRESS_CHECK(lsio_batch_destroy(batch) == 0);
        STRESS_CHECK(round->done == 1);
        free(round);
    }
}

static void unattended_wait(struct stress_thread *thread, uint32_t most)
{
    while (atomic_load((_Atomic uint32_t *)thread->own) > most)
        api_sleep_ms(1);
}

static void round_store(struct stress_thread *thread, struct world *world)
{
    struct lsio_context *context = world->api->context;
    struct lsio_store *store = NULL;

    STRESS_CHECK(lsio_store_open(context, world->api->dir, NULL, 0, &store) == 0);
    round_files(thread, world, context, store, (enum end)stress_random(thread, ENDS));
    while (lsio_store_close(store) == -EBUSY) /* a batch that destroys itself is still at it */
        api_sleep_ms(1);
}

/* One at a time: liburing maps rings by system calls that ThreadSanitizer does not see, so it takes
 * a new ring, at the address of one that was unmapped, for the old one. */
static void round_context(struct stress_thread *thread, struct world *world)
{
    struct lsio_config config = {.struct_bytes = sizeof(config),
                                 .workers = 2,
                                 .memory_bytes_max = 2 * MIB,
                                 .loop = world->api->loop};
    struct lsio_context *context;
    struct lsio_store *store;
    int status;

    pthread_mutex_lock(&world->turn);
    status = lsio_context_create(&config, &context);
    /* memory that a ring locked counts against a user's limit for a while after its end */
    STRESS_CHECK(status == 0 || (status == -ENOMEM && geteuid() != 0));
    if (status == 0) {
        STRESS_CHECK(lsio_store_open(context, world->api->dir, NULL, 0, &store) == 0);
        for (int i = 0; i < ENDS; i++)
            round_files(thread, world, context, store, (enum end)i);
        STRESS_CHECK(lsio_context_destroy(context) == 0);
    }
    pthread_mutex_unlock(&world->turn);
}

/* ---------------------------------------------------------------------------------- memory -- */

/* Objects of one byte value; whoever reads sees one version of it, or none. */
static void round_memory(struct stress_thread *thread, struct world *world)
{
    static const char *const keys[MEMORY_KEYS] = {"a", "b", "c", "d"};
    const char *key = keys[stress_random(thread, MEMORY_KEYS)];
    uint8_t bytes[2000];
    uint64_t count = 0;
    int status;

    switch (stress_random(thread, 4)) {
    case 0:
        status = lsio_memory_remove(world->memory, key);
        STRESS_CHECK(status == 0 || status == -ENOENT);
        break;
    case 1:
        memset(bytes, (int)stress_random(thread, 256), sizeof(bytes));
        STRESS_CHECK(lsio_memory_put(world->memory, key, bytes, sizeof(bytes)) == 0);
        break;
    default:
        status = lsio_read(world->api->context, world->memory, key, 0, LSIO_TO_END, bytes,
                           sizeof(bytes), &count);
        STRESS_CHECK(status == -ENOENT || (status == 0 && count == sizeof(bytes) &&
                                           api_all(bytes, bytes[0], count)));
        break;
    }
}

/* ------------------------------------------------------------------------------------ test -- */

static void *thread_main(void *data)
{
    struct stress_thread *thread = data;
    struct world *world = thread->data;
    _Atomic uint32_t unattended = 0;

    thread->own = &unattended;
    while (stress_goes_on(thread->stress)) {
        uint32_t way = stress_random(thread, 64);
        if (way == 0)
            round_context(thread, world);
        else if (way < 12)
            round_store(thread, world);
        else if (way < 24)
            round_memory(thread, world);
        else
            round_files(thread, world, world->api->context, world->api->store,
                        (enum end)stress_random(thread, ENDS));
        unattended_wait(thread, UNATTENDED_MAX);
    }
    unattended_wait(thread, 0);
    return NULL;
}

static void nothing_is_freed_early(void **state)
{
    struct world world = {.api = *state};
    struct lsio_config config = stress_config(world.api, 16 * MIB);
    struct rlimit limit, few;
    struct stress stress;

    for (uint32_t i = 0; i < FILES; i++) {
        snprintf(world.keys[i], sizeof(world.keys[i]), "files/%u", i);
        api_put(world.api, world.keys[i], i, file_bytes(i));
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    few = limit;
    few.rlim_cur = DESCRIPTORS;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    api_remake(world.api, &config, NULL, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(lsio_store_open(world.api->context, "memory://m", NULL, 0, &world.memory), 0);
    pthread_mutex_init(&world.turn, NULL);
    stress_begin(&stress, "references");
    stress_run(&stress, THREADS, thread_main, &world);
    stress_end(&stress);
    pthread_mutex_destroy(&world.turn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_freed_early)};

    return api_run_tests("stress references", tests, COUNT(tests), API_LOCAL);
}
