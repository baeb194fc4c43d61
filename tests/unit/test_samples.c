/* SPDX-License-Identifier: MIT */
/* test_samples.c - quantiles of the last so many values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/samples.h"

static void none_is_nothing(void **unused)
{
    struct samples samples = {0};

    (void)unused;
    assert_int_equal(samples_count(&samples), 0);
    assert_int_equal(samples_quantile(&samples, 50), 0);
}

static void quantiles_are_of_values_that_occurred(void **unused)
{
    static const uint64_t values[] = {50, 10, UINT64_MAX, 40, 20};
    struct samples samples = {0};

    (void)unused;
    for (size_t i = 0; i < 5; i++)
        samples_add(&samples, values[i]);
    assert_int_equal(samples_count(&samples), 5);
    assert_int_equal(samples_quantile(&samples, 0), 10);
    assert_int_equal(samples_quantile(&samples, 49), 20);
    assert_int_equal(samples_quantile(&samples, 50), 40);
    assert_int_equal(samples_quantile(&samples, 99), 50);
    assert_true(samples_quantile(&samples, 100) == UINT64_MAX);
}

static void the_oldest_are_forgotten(void **unused)
{
    struct samples samples = {0};

    (void)unused;
    for (uint64_t i = 1; i <= 3 * SAMPLES_MAX + 7; i++)
        samples_add(&samples, i);
    assert_int_equal(samples_count(&samples), SAMPLES_MAX);
    assert_int_equal(samples_quantile(&samples, 0), 2 * SAMPLES_MAX + 8);
    assert_int_equal(samples_quantile(&samples, 100), 3 * SAMPLES_MAX + 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_is_nothing),
        cmocka_unit_test(quantiles_are_of_values_that_occurred),
        cmocka_unit_test(the_oldest_are_forgotten),
    };

    return cmocka_run_group_tests_name("samples", tests, NULL, NULL);
}
