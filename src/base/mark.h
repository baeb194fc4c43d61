/* SPDX-License-Identifier: MIT */
/*
 * mark.h - marks on the paths that only faults lead to, so that the tests can show that they led
 * there.
 *
 *     if (error == -EMFILE) {
 *         LSIO_MARK(open_no_descriptor);
 *         ...
 *
 * A mark is named by what happened, and stands in one place; h01_... belongs to row H1 of
 * tests/README.md, and a test of that row must reach one of them. In a build with the CMake option
 * LSIO_MARKS, which only tests use, the first passage tells mark_reached() of the test program;
 * otherwise a mark is nothing. tests/support/tools/marks.py lists the marks that no test reached,
 * and the rows without one; tests/run.sh fails then. Threads: any.
 */
#ifndef LSIO_BASE_MARK_H
#define LSIO_BASE_MARK_H

#ifdef LSIO_MARKS

/* Weak: examples and the shared library have none. Keeps errno. */
void mark_reached(const char *name) __attribute__((weak));

/* The compiler's atomics: those of stdatomic.h are where the simulation switches threads. */
#define LSIO_MARK(name)                                                                            \
    do {                                                                                           \
        static int mark_passed;                                                                    \
        if (!__atomic_load_n(&mark_passed, __ATOMIC_RELAXED) &&                                    \
            !__atomic_exchange_n(&mark_passed, 1, __ATOMIC_RELAXED) && mark_reached)               \
            mark_reached(#name);                                                                   \
    } while (0)

#else

#define LSIO_MARK(name) ((void)0)

#endif
#endif
