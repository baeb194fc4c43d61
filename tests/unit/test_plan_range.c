/* SPDX-License-Identifier: MIT */
/*
 * Every row of the table of range forms in lsio.h.
 *
 * LSIO_ROWS: L26
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "plan/plan.h"

#define ANY 77 /* what output parameters hold before; they must keep it on failure */

struct row {
    int64_t offset;
    uint64_t length;
    uint64_t size;
    int status;
    uint64_t at, bytes;
};

static void check(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct lsio_chunk chunk = {.offset = rows[i].offset, .length = rows[i].length};
        bool good = rows[i].status == 0;
        uint64_t at = ANY, bytes = ANY;
        int status = plan_chunk_range(&chunk, rows[i].size, &at, &bytes);

        if (status != rows[i].status || at != (good ? rows[i].at : ANY) ||
            bytes != (good ? rows[i].bytes : ANY)) {
            fail_msg("row %zu: status %d, [%llu, +%llu)", i, status, (unsigned long long)at,
                     (unsigned long long)bytes);
        }
    }
}

#define CHECK(...)                                                                                 \
    do {                                                                                           \
        static const struct row rows[] = {__VA_ARGS__};                                            \
        check(rows, sizeof(rows) / sizeof(rows[0]));                                               \
    } while (0)

#define UNKNOWN LSIO_SIZE_UNKNOWN
#define END     LSIO_TO_END

static void from_the_start(void **unused)
{
    (void)unused;
    CHECK({0, 10, 100, 0, 0, 10}, {90, 10, 100, 0, 90, 10}, {99, 1, 100, 0, 99, 1},
          {0, 100, 100, 0, 0, 100}, {91, 10, 100, LSIO_E_TRUNCATED, 0, 0},
          {100, 1, 100, LSIO_E_TRUNCATED, 0, 0}, {0, 101, 100, LSIO_E_TRUNCATED, 0, 0},
          {101, 1, 100, LSIO_E_TRUNCATED, 0, 0}, {0, 1, 0, LSIO_E_TRUNCATED, 0, 0},
          {5, 10, UNKNOWN, 0, 5, 10});
}

static void to_the_end(void **unused)
{
    (void)unused;
    CHECK({0, END, 100, 0, 0, 100}, {40, END, 100, 0, 40, 60}, {100, END, 100, 0, 100, 0},
          {0, END, 0, 0, 0, 0}, {101, END, 100, LSIO_E_TRUNCATED, 0, 0},
          {INT64_MAX, END, 100, LSIO_E_TRUNCATED, 0, 0}, {0, END, UNKNOWN, PLAN_NEEDS_SIZE, 0, 0},
          {7, END, UNKNOWN, PLAN_NEEDS_SIZE, 0, 0}, {INT64_MAX, END, INT64_MAX, 0, INT64_MAX, 0});
}

static void from_the_end(void **unused)
{
    (void)unused;
    CHECK({-10, 10, 100, 0, 90, 10}, {-10, 4, 100, 0, 90, 4}, {-100, 100, 100, 0, 0, 100},
          {-10, 11, 100, -EINVAL, 0, 0}, {-10, 11, UNKNOWN, -EINVAL, 0, 0},
          {-101, 1, 100, LSIO_E_TRUNCATED, 0, 0}, {-101, 101, 100, LSIO_E_TRUNCATED, 0, 0},
          {-1, 1, 0, LSIO_E_TRUNCATED, 0, 0}, {-10, 4, UNKNOWN, PLAN_NEEDS_SIZE, 0, 0});
}

static void last_bytes(void **unused)
{
    (void)unused;
    CHECK({-10, END, 100, 0, 90, 10}, {-100, END, 100, 0, 0, 100}, {-101, END, 100, 0, 0, 100},
          {INT64_MIN, END, 100, 0, 0, 100}, {-5, END, 0, 0, 0, 0},
          {-5, END, UNKNOWN, PLAN_NEEDS_SIZE, 0, 0});
}

/* An empty read succeeds wherever it points, and needs no size. */
static void empty(void **unused)
{
    (void)unused;
    CHECK({0, 0, 100, 0, 0, 0}, {100, 0, 100, 0, 100, 0}, {1000, 0, 100, 0, 1000, 0},
          {-5, 0, 100, 0, 0, 0}, {-5, 0, UNKNOWN, 0, 0, 0}, {INT64_MIN, 0, 0, 0, 0, 0},
          {3, 0, UNKNOWN, 0, 3, 0});
}

static void overflow(void **unused)
{
    (void)unused;
    CHECK({INT64_MAX, UINT64_MAX - 1, UNKNOWN, LSIO_E_TRUNCATED, 0, 0},
          {INT64_MAX, 1, UNKNOWN, LSIO_E_TRUNCATED, 0, 0},
          {INT64_MAX - 1, 1, UNKNOWN, 0, INT64_MAX - 1, 1},
          {1, UINT64_MAX - 1, 100, LSIO_E_TRUNCATED, 0, 0},
          {0, (uint64_t)INT64_MAX + 1, UNKNOWN, LSIO_E_TRUNCATED, 0, 0},
          {0, INT64_MAX, UNKNOWN, 0, 0, INT64_MAX},
          {INT64_MIN, (uint64_t)INT64_MAX + 1, 100, LSIO_E_TRUNCATED, 0, 0},
          {INT64_MIN, (uint64_t)INT64_MAX + 2, 100, -EINVAL, 0, 0},
          {INT64_MIN, UINT64_MAX - 1, UNKNOWN, -EINVAL, 0, 0},
          /* no object is that long: nothing is counted from an end that cannot be */
          {0, END, UINT64_MAX - 1, LSIO_E_TRUNCATED, 0, 0},
          {-1, 1, UINT64_MAX - 1, LSIO_E_TRUNCATED, 0, 0},
          {-1, END, (uint64_t)INT64_MAX + 1, LSIO_E_TRUNCATED, 0, 0},
          {-1, END, INT64_MAX, 0, INT64_MAX - 1, 1});
}

/* Flags that have no meaning yet: refused now, so that they can get one. */
static void unknown_flags(void **unused)
{
    (void)unused;
    for (uint32_t bit = 0; bit < 32; bit++) {
        struct lsio_chunk chunk = {.length = 5, .flags = UINT32_C(1) << bit};
        bool known = chunk.flags == LSIO_CHUNK_MISSING_OK || chunk.flags == LSIO_CHUNK_ALLOC;
        uint64_t at, bytes;

        assert_int_equal(plan_chunk_range(&chunk, 100, &at, &bytes), known ? 0 : -EINVAL);
        chunk.length = 0;
        assert_int_equal(plan_chunk_range(&chunk, 100, &at, &bytes), known ? 0 : -EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_the_start), cmocka_unit_test(to_the_end),
        cmocka_unit_test(from_the_end),   cmocka_unit_test(last_bytes),
        cmocka_unit_test(empty),          cmocka_unit_test(overflow),
        cmocka_unit_test(unknown_flags),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
