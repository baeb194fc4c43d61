/* SPDX-License-Identifier: MIT */
/*
 * arena.h: blocks never overlap, lie inside, are aligned, come back newest first, and after any
 * sequence of gets and puts the whole arena can be had in one piece again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "buffer/pool.h"

#define PAGES 200u

static void newest_first(void **state)
{
    struct arena arena;
    void *a, *b;

    (void)state;
    assert_int_equal(arena_init(&arena, 16 * POOL_PAGE), 0);
    a = arena_get(&arena, POOL_PAGE);
    b = arena_get(&arena, POOL_PAGE);
    assert_non_null(a);
    assert_true(a != b);
    arena_put(&arena, a, POOL_PAGE);
    arena_put(&arena, b, POOL_PAGE);
    assert_ptr_equal(arena_get(&arena, 1), b);
    assert_ptr_equal(arena_get(&arena, POOL_PAGE), a);
    arena_finish(&arena, false);
}

static void limits(void **state)
{
    struct arena arena;
    void *all;

    (void)state;
    assert_int_equal(arena_init(&arena, 0), 0);
    assert_null(arena_get(&arena, 1));
    assert_false(arena_holds(&arena, &arena));
    arena_finish(&arena, false);
    assert_int_equal(arena_init(&arena, PAGES * POOL_PAGE + 100), 0);
    assert_int_equal(arena.pages, PAGES);
    assert_null(arena_get(&arena, 0));
    assert_null(arena_get(&arena, PAGES * POOL_PAGE + 1));
    assert_null(arena_get(&arena, UINT64_MAX));
    all = arena_get(&arena, PAGES * POOL_PAGE);
    assert_non_null(all);
    assert_true(arena_holds(&arena, (uint8_t *)all + PAGES * POOL_PAGE - 1));
    assert_false(arena_holds(&arena, (uint8_t *)all + PAGES * POOL_PAGE));
    assert_null(arena_get(&arena, 1));
    arena_put(&arena, all, PAGES * POOL_PAGE);
    arena_finish(&arena, false);
    assert_int_equal(arena_init(&arena, 3 * (uint64_t)ARENA_PAGES_MAX * POOL_PAGE), 0);
    assert_int_equal(arena.pages, ARENA_PAGES_MAX);
    assert_non_null(arena_get(&arena, (uint64_t)ARENA_PAGES_MAX * POOL_PAGE));
    arena_finish(&arena, false);
    arena_finish(&arena, false);
}

struct held {
    uint8_t *addr;
    uint64_t bytes;
    uint8_t mark;
};

static void held_check(const struct held *held)
{
    for (uint64_t i = 0; i < held->bytes; i += 512)
        assert_int_equal(held->addr[i], held->mark);
    assert_int_equal(held->addr[held->bytes - 1], held->mark);
}

static void any_sequence(void **state)
{
    struct held held[64] = {{0}};
    struct arena arena;
    uint32_t random = 5;

    (void)state;
    assert_int_equal(arena_init(&arena, PAGES * POOL_PAGE), 0);
    for (int step = 0; step < 20000; step++) {
        struct held *one = &held[(random = random * 1664525 + 1013904223) >> 26];
        if (one->addr) {
            held_check(one);
            arena_put(&arena, one->addr, one->bytes);
            one->addr = NULL;
            continue;
        }
        one->bytes = 1 + (random >> 8) % ((step / 1000) % 2 ? 60 * POOL_PAGE : 3 * POOL_PAGE);
        one->addr = arena_get(&arena, one->bytes);
        if (!one->addr)
            continue;
        assert_int_equal((uintptr_t)one->addr % POOL_PAGE, 0);
        assert_true(arena_holds(&arena, one->addr));
        assert_true(arena_holds(&arena, one->addr + one->bytes - 1));
        one->mark = (uint8_t)step;
        memset(one->addr, one->mark, one->bytes);
    }
    for (int i = 0; i < 64; i++)
        if (held[i].addr)
            arena_put(&arena, held[i].addr, held[i].bytes);
    assert_non_null(arena_get(&arena, PAGES * POOL_PAGE));
    arena_finish(&arena, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(newest_first), cmocka_unit_test(limits),
                                       cmocka_unit_test(any_sequence)};

    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
