/* SPDX-License-Identifier: MIT */
/*
 * deque.h: the owner takes the newest, thieves the oldest and only when enough are left; under a
 * storm of thieves each item is taken by exactly one. LSIO_TEST_SECONDS: how long the storm lasts
 * (default 2).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/deque.h"

#define SLOTS   64u
#define THIEVES 7

static void orders(void **state)
{
    _Atomic(void *) slots[8];
    struct deque deque;
    int items[8];

    (void)state;
    deque_init(&deque, slots, 8);
    assert_null(deque_pop(&deque));
    assert_null(deque_steal(&deque, 1));
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 8; i++)
            deque_push(&deque, &items[i]);
        assert_int_equal(deque_count(&deque), 8);
        assert_ptr_equal(deque_pop(&deque), &items[7]);
        assert_ptr_equal(deque_steal(&deque, 2), &items[0]);
        assert_ptr_equal(deque_steal(&deque, 6), &items[1]);
        assert_null(deque_steal(&deque, 6));
        assert_int_equal(deque_count(&deque), 5);
        for (int i = 6; i > 1; i--)
            assert_ptr_equal(deque_pop(&deque), &items[i]);
        assert_null(deque_pop(&deque));
        deque_push(&deque, &items[0]);
        assert_null(deque_steal(&deque, 2));
        assert_ptr_equal(deque_steal(&deque, 1), &items[0]);
        assert_null(deque_pop(&deque));
        assert_int_equal(deque_count(&deque), 0);
    }
}

struct item {
    _Atomic uint32_t taken; /* by whom, this round; 0: not yet */
    uint64_t payload;       /* written by the owner before push: must be seen */
};

struct storm {
    struct deque deque;
    _Atomic(void *) slots[SLOTS];
    struct item items[SLOTS];
    _Atomic bool stop;
    _Atomic uint64_t stolen, errors, out; /* out: items not given back */
};

static void take(struct storm *storm, struct item *item)
{
    if (item->payload != (uint64_t)(item - storm->items) * 3 + 1 ||
        atomic_exchange(&item->taken, 1) != 0)
        atomic_fetch_add(&storm->errors, 1);
    item->payload = 0;
    atomic_fetch_sub(&storm->out, 1);
}

static void *thief(void *data)
{
    struct storm *storm = data;

    while (!atomic_load(&storm->stop)) {
        struct item *item = deque_steal(&storm->deque, 2);
        if (!item)
            continue;
        take(storm, item);
        atomic_fetch_add(&storm->stolen, 1);
    }
    return NULL;
}

/* One batch of pushes and pops, then waits until the thieves have let go of all. */
static uint64_t owner_round(struct storm *storm, uint32_t count, uint32_t pops)
{
    uint64_t popped = 0;
    struct item *item;

    atomic_store(&storm->out, count);
    for (uint32_t i = 0; i < count; i++) {
        storm->items[i].payload = (uint64_t)i * 3 + 1;
        atomic_store_explicit(&storm->items[i].taken, 0, memory_order_relaxed);
        deque_push(&storm->deque, &storm->items[i]);
        if (pops && i % pops == pops - 1 && (item = deque_pop(&storm->deque)) != NULL) {
            take(storm, item);
            popped++;
        }
    }
    while (atomic_load(&storm->out)) {
        item = deque_pop(&storm->deque);
        if (item) {
            take(storm, item);
            popped++;
        }
    }
    return popped;
}

static void each_item_once(void **state)
{
    const char *text = getenv("LSIO_TEST_SECONDS");
    time_t until = time(NULL) + (text ? atoi(text) : 2);
    struct storm *storm = calloc(1, sizeof(*storm));
    pthread_t threads[THIEVES];
    uint64_t popped = 0, pushed = 0;

    (void)state;
    deque_init(&storm->deque, storm->slots, SLOTS);
    for (int i = 0; i < THIEVES; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, thief, storm), 0);
    for (uint32_t round = 0; round % 64 || time(NULL) <= until; round++) {
        uint32_t count = 1 + round * 7 % SLOTS;
        popped += owner_round(storm, count, round % 5);
        pushed += count;
    }
    atomic_store(&storm->stop, true);
    for (int i = 0; i < THIEVES; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(storm->errors, 0);
    assert_int_equal(popped + storm->stolen, pushed);
    assert_true(storm->stolen > 0 && popped > 0);
    free(storm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(orders), cmocka_unit_test(each_item_once)};

    return cmocka_run_group_tests_name("deque", tests, NULL, NULL);
}
