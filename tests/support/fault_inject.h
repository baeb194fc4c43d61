/* SPDX-License-Identifier: MIT */
/*
 * fault_inject.h - lets the n-th call of the library fail, once or from there on.
 *
 * A test program names the functions to take over in its LSIO_TEST_LINK line (the linker's --wrap:
 * tests/fault/wrap_*.txt), and fault_alloc.c or fault_calls.c stand in for them. Each such call
 * asks fault_strikes(), from whatever thread. fault_torture.h tries every n.
 */
#ifndef LSIO_TESTS_FAULT_INJECT_H
#define LSIO_TESTS_FAULT_INJECT_H

#include <stdbool.h>
#include <stdint.h>

/* Of what kinds calls are counted and fail. */
enum fault_kind {
    FAULT_ALLOC = 1,  /* memory: fault_alloc.c */
    FAULT_CALL = 2,   /* system calls: fault_calls.c */
    FAULT_THREAD = 4, /* pthread_create: fault_calls.c */
};

/* Calls of these kinds are counted from here on; the nth (from 1) fails, with `forever` all later
 * ones too. */
void fault_begin(unsigned kinds, uint64_t nth, bool forever);
/* Between these calls pass and are not counted. */
void fault_pause(void);
void fault_resume(void);

/* For the stand-ins: counts a call, and says whether it is to fail. Any thread. */
bool fault_strikes(enum fault_kind kind);
/* How many calls were counted since fault_begin(). */
uint64_t fault_counted(void);
/* How many have failed since fault_begin(), which is the first of them, and whether all later ones
 * do. */
uint64_t fault_struck(void);
uint64_t fault_nth(void);
bool fault_is_forever(void);

/* From now on the program ends with this label if it takes longer than a minute (times
 * LSIO_TEST_SCALE) to the next call: it hangs. NULL: no limit any more. */
void fault_watch(const char *label);

#endif
