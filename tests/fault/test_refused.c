/* SPDX-License-Identifier: MIT */
/*
 * Refusals that the sweeps over all allocations, threads and system calls do not come by: one at
 * one place each. What was asked for still ends with a result or a status, and once.
 *
 * LSIO_TEST_LINK: -Wl,--wrap=malloc,--wrap=pthread_create
 */
#define _GNU_SOURCE /* O_DIRECTORY */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api_fixture.h"
#include "engine/engine.h"

/* ----------------------------------------------------------------------- what is refused -- */

static _Atomic uint64_t slab_pass; /* slabs that may still be had; counts down */
static _Atomic bool slab_limit;
static _Atomic bool no_threads;
static _Atomic uint32_t refused;

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *data), void *data);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *data), void *data);

void *__wrap_malloc(size_t bytes)
{
    const size_t slab_bytes = sizeof(struct slab) + ENGINE_SLAB_CHUNKS_SMALL *
                                                        (sizeof(struct plan_op) + sizeof(uint32_t));

    if (bytes == slab_bytes && atomic_load(&slab_limit) &&
        (atomic_load(&slab_pass) == 0 || atomic_fetch_sub(&slab_pass, 1) == 0)) {
        atomic_fetch_add(&refused, 1);
        return NULL;
    }
    return __real_malloc(bytes);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *data), void *data)
{
    if (!atomic_load(&no_threads))
        return __real_pthread_create(thread, attributes, run, data);
    atomic_fetch_add(&refused, 1);
    return EAGAIN;
}

/* ------------------------------------------------------------------------------------ tests -- */

/* A join that fails for one member is read again one by one; without memory for that list all its
 * members fail. */
static void no_memory_to_read_one_by_one(void **state)
{
    const struct lsio_option options[] = {
        {"profile", "hdd"}, {"gap_bytes", "64K"}, {"waste_max", "90"}};
    enum { COUNT_MAX = 20 };
    struct api *api = *state;
    struct lsio_config config = api_config(api);
    struct lsio_chunk chunks[COUNT_MAX];
    struct lsio_result results[COUNT_MAX];
    struct lsio_object object;
    struct lsio_request request = api_request(&object, 1, chunks, COUNT_MAX, results);
    uint8_t dst[COUNT_MAX][300];

    api_put(api, "k", 0, COUNT_MAX * 500 - 250);
    config.workers = 1; /* plans with one slab */
    api_remake(api, &config, options, COUNT(options));
    object = api_object(api, "k");
    for (uint32_t i = 0; i < COUNT_MAX; i++) /* the last one ends beyond the end */
        chunks[i] =
            (struct lsio_chunk){.offset = i * 500, .length = 300, .dst = dst[i], .dst_bytes = 300};
    atomic_store(&refused, 0);
    atomic_store(&slab_pass, 1);
    atomic_store(&slab_limit, true);
    assert_int_equal(lsio_read_batch(api->context, &request), -ENOMEM);
    atomic_store(&slab_limit, false);
    assert_int_equal(refused, 1);
    for (uint32_t i = 0; i < COUNT_MAX; i++)
        assert_int_equal(results[i].status, -ENOMEM);
    assert_int_equal(lsio_read_batch(api->context, &request), LSIO_E_TRUNCATED);
    assert_int_equal(results[0].status, 0);
}

/* What the epoll loop would give to a thread of its own, it does itself then. */
static void no_thread_for_what_blocks(void **state)
{
    struct api *api = *state;
    struct lsio_config config = api_config(api);
    uint8_t dst[100];

    api_put(api, "k", 0, sizeof(dst));
    config.loop = "epoll";
    api_remake(api, &config, NULL, 0);
    atomic_store(&refused, 0);
    atomic_store(&no_threads, true);
    /* a name that nobody has asked for is not in memory: looking it up may wait */
    assert_int_equal(
        lsio_read(api->context, api->store, "never/asked/for", 0, 10, dst, sizeof(dst), NULL),
        -ENOENT);
    atomic_store(&no_threads, false);
    assert_true(refused > 0);
    assert_int_equal(
        lsio_read(api->context, api->store, "k", 0, sizeof(dst), dst, sizeof(dst), NULL), 0);
    api_check(dst, 0, 0, sizeof(dst));
}

/* Waiting is no use where it is the system that has no memory. */
static void no_memory_for_the_pool(void **state)
{
    struct pool pool;
    bool hopeless = false;
    void *memory;

    (void)state;
    assert_int_equal(pool_init(&pool, UINT64_C(1) << 62), 0);
    assert_null(pool_get(&pool, UINT64_C(1) << 61, &hopeless));
    assert_true(hopeless);
    assert_int_equal(pool.bytes_used, 0);
    memory = pool_get(&pool, POOL_PAGE, &hopeless);
    assert_non_null(memory);
    assert_false(hopeless);
    pool_put(&pool, memory, POOL_PAGE);
    pool_finish(&pool, false);
}

static int page_count(const struct lsio_list_entry *entries, size_t count, void *data)
{
    (void)entries;
    *(size_t *)data += count;
    return 0;
}

/* Directories so deep that what lies in them has no key: the listing says so. */
static void no_key_is_so_long(void **state)
{
    enum { LEVELS = 18, NAME = 240 };
    struct api *api = *state;
    int fds[LEVELS + 1];
    char name[NAME + 1];
    size_t seen = 0;

    memset(name, 'd', NAME);
    name[NAME] = '\0';
    fds[0] = open(api->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fds[0] >= 0);
    for (int i = 0; i < LEVELS; i++) {
        assert_int_equal(mkdirat(fds[i], name, 0755), 0);
        fds[i + 1] = openat(fds[i], name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fds[i + 1] >= 0);
    }
    assert_int_equal(lsio_list(api->store, "", '/', page_count, &seen), 0);
    assert_int_equal(seen, 1);
    assert_int_equal(lsio_list(api->store, "", 0, page_count, &seen), -ENAMETOOLONG);
    for (int i = LEVELS; i > 0; i--) { /* no path is long enough to remove them by */
        close(fds[i]);
        assert_int_equal(unlinkat(fds[i - 1], name, AT_REMOVEDIR), 0);
    }
    close(fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_memory_to_read_one_by_one), cmocka_unit_test(no_thread_for_what_blocks),
        cmocka_unit_test(no_memory_for_the_pool), cmocka_unit_test(no_key_is_so_long)};

    return api_run_tests("refused", tests, COUNT(tests), API_LOCAL);
}
