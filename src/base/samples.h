/* SPDX-License-Identifier: MIT */
/*
 * samples.h - the last SAMPLES_MAX measurements of one thing, and their quantiles. A quantile of a
 * window is not moved by a few wild values, and forgets what was long ago.
 *
 * Zero it before use. No lock of its own.
 */
#ifndef LSIO_BASE_SAMPLES_H
#define LSIO_BASE_SAMPLES_H

#include <stdint.h>

#define SAMPLES_MAX 64u

struct samples {
    uint64_t last[SAMPLES_MAX];
    uint64_t added; /* ever */
};

void samples_add(struct samples *samples, uint64_t value);
/* How many there are, at most SAMPLES_MAX. */
uint32_t samples_count(const struct samples *samples);
/* The value that `percent` (0 .. 100) of them do not exceed; 0 if there are none. */
uint64_t samples_quantile(const struct samples *samples, uint32_t percent);

#endif
