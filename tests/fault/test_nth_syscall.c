/* SPDX-License-Identifier: MIT */
/*
 * System calls fail: each call that the library makes of the kernel in turn gives one of the errors
 * of its man page, or a short read, alone and with all later ones. What fails says with which
 * errno; nothing is taken for absent, no bytes are wrong, nothing hangs, and the same context works
 * afterwards - unless its ring was told that submitting is over for good.
 *
 * LSIO_TEST_LINK: -Wl,@$<TARGET_PROPERTY:SOURCE_DIR>/fault/wrap_all.txt
 * LSIO_TEST_TIMEOUT: 300
 *
 * LSIO_ROWS: L1 L2 L3 L14 L15 L24
 */
#include "fault_calls.h"
#include "fault_torture.h"

static bool was_injected(int status)
{
    switch (status) {
    case -ENOSYS: /* a loop that was named cannot run; the log has the errno */
        return true;
    case LSIO_E_UNSUPPORTED:
        return fault_calls_gave(ENODEV);
    case -EACCES: /* as a filter or a security module refuses */
        return fault_calls_gave(EACCES) || fault_calls_gave(EPERM);
    default:
        return status < 0 && status > LSIO_E_TRUNCATED && fault_calls_gave(-status);
    }
}

static void every_call_fails(void **state)
{
    const struct fault_torture torture = {.what = "system calls",
                                          .kinds = FAULT_CALL,
                                          .tolerates = was_injected,
                                          .is_broken = fault_calls_broke_a_ring,
                                          .runs_min = 100};

    (void)state;
    fault_torture_run(&torture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_call_fails)};

    return cmocka_run_group_tests_name("nth_syscall", tests, NULL, NULL);
}
