/* SPDX-License-Identifier: MIT */
/*
 * fault_torture.h - everything the library can be asked for (fault_mix.h), over and over: first
 * with the 1st call of a kind failing, then the 2nd, and so on, until a run has fewer calls than
 * that; then the same with all calls from the n-th on failing.
 *
 * Each run makes a context, asks for everything while calls fail, asks for everything once more of
 * the same context with no call failing, and destroys it, with calls failing again. No run may
 * leave memory, mappings or descriptors behind, or take a minute.
 */
#ifndef LSIO_TESTS_FAULT_TORTURE_H
#define LSIO_TESTS_FAULT_TORTURE_H

#include "fault_inject.h"
#include "fault_mix.h"

struct fault_torture {
    const char *what;              /* "allocations" */
    unsigned kinds;                /* enum fault_kind */
    bool (*tolerates)(int status); /* what may come of such a failure */
    bool (*is_broken)(void);       /* the context cannot work any more, rightly; NULL: it must */
    void (*prepare)(struct mix *mix); /* changes what mix_make() made; NULL: nothing */
    void (*settle)(struct mix *mix);  /* waits until calls that failed are over; NULL: nothing */
    uint64_t step; /* every so many-th n is tried, on each loop other ones; 0: each */
    uint64_t runs_min;             /* per loop, if each n is tried; fewer, and the calls were not
                                      taken over */
};

/* On each loop that runs here, and with none named if there is more than one. */
void fault_torture_run(const struct fault_torture *torture);

#endif
