/* SPDX-License-Identifier: MIT */
/*
 * No thread can be had: the n-th pthread_create fails with EAGAIN, alone and with all later ones. A
 * context is then refused with -EAGAIN and leaves nothing, for one with fewer workers than was
 * asked for would be slow for reasons nobody sees; threads of the epoll loop's pool are done
 * without. A loop that was not chosen by name does not change because of it.
 *
 * LSIO_TEST_LINK: -Wl,@$<TARGET_PROPERTY:SOURCE_DIR>/fault/wrap_all.txt
 *
 * LSIO_ROWS: L25
 */
#include "fault_torture.h"

static bool no_thread(int status)
{
    return status == -EAGAIN;
}

static void every_thread_fails(void **state)
{
    const struct fault_torture torture = {
        .what = "threads", .kinds = FAULT_THREAD, .tolerates = no_thread, .runs_min = 3};

    (void)state;
    fault_torture_run(&torture);
}

/* Threads were short for a moment: that is no reason to do without io_uring from then on. */
static void the_default_loop_stays(void **state)
{
    struct lsio_config config = {.struct_bytes = sizeof(config), .workers = 3};
    struct lsio_context *context = NULL;

    (void)state;
    if (!mix_loops()[1])
        skip(); /* the default has a reason of its own to change */
    for (uint64_t nth = 1; nth <= config.workers; nth++) {
        fault_begin(FAULT_THREAD, nth, false);
        assert_int_equal(lsio_context_create(&config, &context), -EAGAIN);
        fault_pause();
        assert_null(context);
    }
    assert_int_equal(lsio_context_create(&config, &context), 0);
    assert_int_equal(lsio_context_destroy(context), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_thread_fails),
                                       cmocka_unit_test(the_default_loop_stays)};

    return cmocka_run_group_tests_name("nth_thread", tests, NULL, NULL);
}
