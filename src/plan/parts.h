/* SPDX-License-Identifier: MIT */
/*
 * parts.h - how a PLAN_SPLIT is cut. Part i of a split of [offset, offset + length) reads
 * [offset + i * part, min(offset + (i + 1) * part, offset + length)) with part = plan_part_bytes().
 */
#ifndef LSIO_PLAN_PARTS_H
#define LSIO_PLAN_PARTS_H

#include "plan/plan.h"

/* No single read is longer: the kernel ends one at 2 GiB. */
#define PLAN_READ_BYTES_MAX (UINT64_C(1) << 30)
#define PLAN_PARTS_MAX      65535u

/* The longest chunk that is read in one piece. */
static inline uint64_t plan_read_bytes_max(const struct plan_profile *profile)
{
    uint64_t split = profile->split_bytes;

    return split != 0 && split < PLAN_READ_BYTES_MAX ? split : PLAN_READ_BYTES_MAX;
}

/* Parts grow, in steps of 4096 so that they stay aligned, when there would be too many. */
static inline uint64_t plan_part_bytes(const struct plan_profile *profile, uint64_t length)
{
    const uint64_t step = 4096;
    uint64_t part = plan_read_bytes_max(profile);

    if (length / part >= PLAN_PARTS_MAX) {
        part = (length / PLAN_PARTS_MAX / step + 1) * step;
    }
    return part;
}

static inline uint16_t plan_part_count(const struct plan_profile *profile, uint64_t length)
{
    uint64_t part = plan_part_bytes(profile, length);

    return (uint16_t)(length / part + (length % part != 0));
}

#endif
