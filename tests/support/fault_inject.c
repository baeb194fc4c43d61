/* SPDX-License-Identifier: MIT */
/*
 * Design: one plan for the whole program, for the stand-ins have no argument to find another by.
 * Counting is an atomic increment, so which call is the n-th may differ from run to run where
 * threads race; that every n is tried is what counts.
 */
#define _GNU_SOURCE
#include "fault_inject.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "api_fixture.h"

#define WATCH_SECONDS 60u

static struct {
    unsigned kinds;
    uint64_t nth;
    bool forever;
    _Atomic bool on;
    _Atomic uint64_t count, struck;
} plan;

static char watched[200];

void fault_begin(unsigned kinds, uint64_t nth, bool forever)
{
    plan.kinds = kinds;
    plan.nth = nth;
    plan.forever = forever;
    atomic_store(&plan.count, 0);
    atomic_store(&plan.struck, 0);
    atomic_store(&plan.on, true);
}

void fault_pause(void)
{
    atomic_store(&plan.on, false);
}

void fault_resume(void)
{
    atomic_store(&plan.on, true);
}

bool fault_strikes(enum fault_kind kind)
{
    uint64_t call;

    if (!atomic_load(&plan.on) || !(plan.kinds & kind))
        return false;
    call = atomic_fetch_add(&plan.count, 1) + 1;
    if (call != plan.nth && !(plan.forever && call > plan.nth))
        return false;
    atomic_fetch_add(&plan.struck, 1);
    return true;
}

uint64_t fault_counted(void)
{
    return atomic_load(&plan.count);
}

uint64_t fault_struck(void)
{
    return atomic_load(&plan.struck);
}

uint64_t fault_nth(void)
{
    return plan.nth;
}

bool fault_is_forever(void)
{
    return plan.forever;
}

static void too_long(int number)
{
    static const char text[] = "hangs: ";

    (void)number;
    fault_pause(); /* write() may be one of what fails */
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0 ||
        write(STDERR_FILENO, watched, strlen(watched)) < 0 || write(STDERR_FILENO, "\n", 1) < 0)
        _exit(3);
    abort();
}

void fault_watch(const char *label)
{
    struct sigaction action = {.sa_handler = too_long};

    snprintf(watched, sizeof(watched), "%s", label ? label : "");
    sigaction(SIGALRM, &action, NULL);
    alarm(label ? WATCH_SECONDS * api_scale() : 0);
}
