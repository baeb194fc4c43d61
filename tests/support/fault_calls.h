/* SPDX-License-Identifier: MIT */
/*
 * fault_calls.h - system calls, calls of liburing and pthread_create that fail with what their man
 * pages list, reads that are short, and completions of the ring that say that a read has failed.
 *
 * For programs linked with @tests/fault/wrap_all.txt. Which of a call's errors is taken depends
 * on n (fault_nth()) and the call. Errors that pass (EINTR, EAGAIN) do not come twice in a row even
 * where calls fail for ever: whoever repeats a call rightly would never end.
 */
#ifndef LSIO_TESTS_FAULT_CALLS_H
#define LSIO_TESTS_FAULT_CALLS_H

#include <stdbool.h>

#define FAULT_SHORT 1000 /* not an errno: the call gives less than it could */

/* Forgets what was injected. */
void fault_calls_begin(void);
/* True if that errno was. */
bool fault_calls_gave(int error);
/* True if a ring was told that submitting fails in a way that cannot pass. */
bool fault_calls_broke_a_ring(void);

/* For the stand-ins: 0, or what this call is to fail with, one of `errors`, which 0 ends. */
int fault_call_strikes(const int *errors);

/* fault_uring.c's half of fault_calls_begin(). */
void fault_uring_begin(void);

#endif
