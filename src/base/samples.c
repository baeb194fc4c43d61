/* SPDX-License-Identifier: MIT */
/*
 * Design: a ring; a quantile sorts a copy, which is a few microseconds and not done per sample.
 * The caller's lock orders all calls.
 */
#include "base/samples.h"

#include <stdlib.h>
#include <string.h>

void samples_add(struct samples *samples, uint64_t value)
{
    samples->last[samples->added++ % SAMPLES_MAX] = value;
}

uint32_t samples_count(const struct samples *samples)
{
    return samples->added < SAMPLES_MAX ? (uint32_t)samples->added : SAMPLES_MAX;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

uint64_t samples_quantile(const struct samples *samples, uint32_t percent)
{
    uint64_t sorted[SAMPLES_MAX];
    uint32_t count = samples_count(samples);

    if (count == 0)
        return 0;
    memcpy(sorted, samples->last, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare);
    return sorted[(count - 1) * percent / 100];
}
