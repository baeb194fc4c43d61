/* SPDX-License-Identifier: MIT */
/*
 * A storm of signals, one a millisecond, whose handler does not ask for calls to be restarted,
 * while one of everything is asked for, and contexts come and go: every answer is right. (That no
 * handler runs on a thread of the library: tests/api.)
 *
 * LSIO_ROWS: L18
 */
#define _GNU_SOURCE
#include <signal.h>
#include <time.h>

#include "fault_child.h"

#define SIGNALS 300u

static _Atomic uint32_t signals;

static void handler(int number)
{
    (void)number;
    atomic_fetch_add(&signals, 1);
}

/* As many as it takes to be interrupted often. */
static void storm(void **state)
{
    const struct itimerspec every_ms = {{0, 1000000}, {0, 1000000}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct sigaction action = {.sa_handler = handler}; /* no SA_RESTART */
    struct mix mix;
    timer_t timer;

    mix_make(&mix, *state);
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    assert_int_equal(timer_settime(timer, 0, &every_ms, NULL), 0);
    while (atomic_load(&signals) < SIGNALS) {
        assert_true(mix_create(&mix));
        for (int i = 0; i < 4; i++)
            mix_round(&mix);
        mix_destroy(&mix);
    }
    assert_int_equal(timer_delete(timer), 0);
    mix_end(&mix);
}

static void everything_in_a_storm(void **state)
{
    (void)state;
    for (const char *const *loop = mix_loops(); *loop; loop++)
        child_run(*loop, storm, (void *)(uintptr_t)*loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(everything_in_a_storm)};

    return cmocka_run_group_tests_name("process_signals", tests, NULL, NULL);
}
