/* SPDX-License-Identifier: MIT */
/*
 * Random planner inputs against the oracle of plan_case.h. Deterministic; a failure prints its
 * seed, and LSIO_PLAN_SEED=N runs that one alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "plan_case.h"

#define CASES 30000u

static uint64_t splitmix(void *state)
{
    uint64_t *at = state;
    uint64_t z = (*at += UINT64_C(0x9E3779B97F4A7C15));

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static struct plan_case c;

static void run_seed(uint64_t seed)
{
    uint64_t state = seed;

    c.draw = splitmix;
    c.state = &state;
    case_make(&c);
    if (!case_run(&c)) {
        fail_msg("seed %llu: %s", (unsigned long long)seed, c.what);
    }
}

static void every_chunk_in_one_operation(void **unused)
{
    const char *only = getenv("LSIO_PLAN_SEED");

    (void)unused;
    if (only) {
        run_seed(strtoull(only, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= CASES; seed++) {
        run_seed(seed);
    }
    for (int kind = PLAN_NONE; kind <= PLAN_PROBE; kind++) {
        assert_true(c.kinds[kind] > CASES / 8); /* the cases do reach everything */
    }
    assert_true(c.sorted > CASES / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_chunk_in_one_operation)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
