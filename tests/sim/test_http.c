/* SPDX-License-Identifier: MIT */
/*
 * The whole engine and the whole HTTP driver - transfers, hosts, versions, dialects - on simulated
 * threads and time, over a simulated transport (transport_sim.h) whose server fails in all the ways
 * that a seed can draw. Scenarios and what is checked: scenario.h, scenario_http.c, check.h. How to
 * run seeds: seeds.h.
 *
 * LSIO_ROWS: H1 H2 H3 H4 H7 H9 H11 H12 H13 H16 H17 H21 H22
 * LSIO_TEST_LINK: -Wl,@$<TARGET_PROPERTY:SOURCE_DIR>/sim/wrap_alloc.txt -Wl,--wrap=curl_global_init
 * LSIO_TEST_TIMEOUT: 3000
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "ledger.h"
#include "scenario.h"
#include "seeds.h"

#define SEEDS 2000

int __wrap_curl_global_init(long flags);

/* Before its first use: nobody is to come here. */
int __wrap_curl_global_init(long flags)
{
    (void)flags;
    abort();
}

/* No kind of fault has become one that never happens. */
static void every_fault_has_struck(void **state)
{
    (void)state;
    if (!seeds_are_usual())
        skip();
    assert_int_equal(seeds_seen(), world_http_all());
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_replay),
        cmocka_unit_test(seeds_pass),
        cmocka_unit_test(every_fault_has_struck),
    };

    /* nothing of the machine's settings may matter */
    if (setenv("AWS_CONFIG_FILE", "/dev/null", 1) ||
        setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1))
        return 1;
    if (seeds_begin(&world_http, SEEDS, count, arguments))
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
