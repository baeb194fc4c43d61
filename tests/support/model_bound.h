/* SPDX-License-Identifier: MIT */
/*
 * model_bound.h - how fast a medium of model_medium.h could serve a list of ranges, whoever asks:
 * the least time over sets of requests, found by trying them all.
 *
 * A set is given by two numbers: ranges at most `gap` bytes apart are joined, up to `split` bytes.
 * As its time counts
 *
 *     latency + max(bytes / line,
 *                   sum(latency + size / stream) / connections,
 *                   sum(size x (latency + size / stream)) / memory,
 *                   requests / rate,
 *                   longest / stream)
 *
 * since each request keeps a connection busy, and its size of memory reserved, from its beginning
 * to its end. It is what a good schedule comes near to, and no limit of nature: where connections
 * or memory are scarce one latency is counted that could have been overlapped. For a rate it is
 * too little, as the last request begins only at its turn and still takes its time.
 */
#ifndef LSIO_TESTS_MODEL_BOUND_H
#define LSIO_TESTS_MODEL_BOUND_H

#include <stddef.h>
#include <stdint.h>

#include "model_medium.h"

struct model_range {
    uint64_t offset, length;
};

struct model_bound {
    double seconds;
    uint64_t gap, split; /* of the best set ... */
    uint64_t requests;   /* ... and how many it has */
};

/* `ranges` ascend and do not overlap; none is split. memory_bytes 0: as much as is wanted. */
struct model_bound model_bound_find(const struct model_config *config,
                                    const struct model_range *ranges, size_t count,
                                    uint64_t memory_bytes);

#endif
