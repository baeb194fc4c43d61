/* SPDX-License-Identifier: MIT */
/*
 * Memory runs out: every allocation of the library in turn fails, alone and with all later ones,
 * over one of everything. Each call returns, each chunk ends once and never with wrong bytes, the
 * same context works when there is memory again, and nothing is left.
 *
 * LSIO_TEST_LINK: -Wl,@$<TARGET_PROPERTY:SOURCE_DIR>/fault/wrap_all.txt
 * LSIO_TEST_TIMEOUT: 300
 *
 * LSIO_ROWS: L24
 */
#include "fault_torture.h"

static bool out_of_memory(int status)
{
    return status == -ENOMEM;
}

static void every_allocation_fails(void **state)
{
    const struct fault_torture torture = {
        .what = "allocations", .kinds = FAULT_ALLOC, .tolerates = out_of_memory, .runs_min = 60};

    (void)state;
    fault_torture_run(&torture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_fails)};

    return cmocka_run_group_tests_name("nth_alloc", tests, NULL, NULL);
}
