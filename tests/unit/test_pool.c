/* SPDX-License-Identifier: MIT */
/*
 * pool.h: the shared pool never maps more than its budget, idle mappings are used again or make
 * room, charges waste little, and threads that take and give at once never share memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "buffer/pool.h"

#define MIB (UINT64_C(1) << 20)

static void charges(void **state)
{
    uint64_t last = 0;

    (void)state;
    for (uint64_t bytes = 1; bytes < 64 * MIB; bytes += bytes / 7 + 1) {
        uint64_t charge = pool_charge(bytes);
        assert_true(charge >= bytes && charge >= last);
        assert_int_equal(charge % POOL_PAGE, 0);
        assert_true(charge - bytes < POOL_PAGE || (charge - bytes) * 8 <= bytes);
        assert_int_equal(pool_charge(charge), charge);
        assert_int_equal(pool_fit(charge), charge);
        assert_true(pool_fit(bytes) <= bytes && pool_charge(pool_fit(bytes) + 1) > bytes);
        last = charge;
    }
    assert_int_equal(pool_charge(UINT64_MAX), UINT64_MAX);
}

static void the_budget_is_hard(void **state)
{
    struct pool pool;
    bool hopeless;
    void *a, *b;

    (void)state;
    assert_int_equal(pool_init(&pool, 4 * MIB), 0);
    a = pool_get(&pool, 2 * MIB, &hopeless);
    b = pool_get(&pool, 2 * MIB, &hopeless);
    assert_non_null(a);
    assert_non_null(b);
    memset(a, 1, 2 * MIB);
    memset(b, 2, 2 * MIB);
    assert_null(pool_get(&pool, 1, &hopeless));
    assert_false(hopeless);
    pool_put(&pool, a, 2 * MIB);
    assert_ptr_equal(pool_get(&pool, 2 * MIB, &hopeless), a); /* the same pages again */
    pool_put(&pool, a, 2 * MIB);
    pool_put(&pool, b, 2 * MIB);
    a = pool_get(&pool, 4 * MIB, &hopeless); /* idle blocks make room */
    assert_non_null(a);
    assert_int_equal(pool.bytes_mapped, 4 * MIB);
    assert_null(pool_get(&pool, 5 * MIB, &hopeless));
    assert_null(pool_get(&pool, UINT64_MAX, &hopeless));
    assert_false(hopeless);
    pool_put(&pool, a, 4 * MIB);
    assert_int_equal(pool.bytes_used, 0);
    assert_int_equal(pool.bytes_peak, 4 * MIB);
    pool_finish(&pool, false);
}

struct taker {
    struct pool *pool;
    pthread_t thread;
    uint32_t number;
    int errors, got;
};

static void *taker_main(void *data)
{
    struct taker *taker = data;
    uint32_t random = taker->number * 977;

    for (int i = 0; i < 3000; i++) {
        uint64_t bytes = 1 + ((random = random * 1664525 + 1013904223) >> 8) % (600 * 1024);
        bool hopeless;
        uint8_t *addr = pool_get(taker->pool, bytes, &hopeless);
        taker->errors += hopeless;
        if (!addr)
            continue;
        taker->got++;
        for (uint64_t at = 0; at < bytes; at += POOL_PAGE)
            addr[at] = (uint8_t)taker->number;
        addr[bytes - 1] = (uint8_t)taker->number;
        for (uint64_t at = 0; at < bytes; at += POOL_PAGE)
            taker->errors += addr[at] != (uint8_t)taker->number;
        pthread_mutex_lock(&taker->pool->lock);
        taker->errors += taker->pool->bytes_mapped > taker->pool->bytes_max ||
                         taker->pool->bytes_used > taker->pool->bytes_mapped;
        pthread_mutex_unlock(&taker->pool->lock);
        pool_put(taker->pool, addr, bytes);
    }
    return NULL;
}

static void many_threads(void **state)
{
    struct taker takers[8];
    struct pool pool;
    int got = 0;

    (void)state;
    assert_int_equal(pool_init(&pool, 2 * MIB), 0);
    for (uint32_t i = 0; i < 8; i++) {
        takers[i] = (struct taker){.pool = &pool, .number = i + 1};
        assert_int_equal(pthread_create(&takers[i].thread, NULL, taker_main, &takers[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(takers[i].thread, NULL);
        assert_int_equal(takers[i].errors, 0);
        got += takers[i].got; /* one that finds nothing each time is possible */
    }
    assert_true(got > 0);
    assert_int_equal(pool.bytes_used, 0);
    assert_true(pool.bytes_peak <= pool.bytes_max);
    pool_finish(&pool, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(charges),
                                       cmocka_unit_test(the_budget_is_hard),
                                       cmocka_unit_test(many_threads)};

    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
