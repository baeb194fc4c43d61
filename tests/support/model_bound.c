/* SPDX-License-Identifier: MIT */
/*
 * model_bound.c - see model_bound.h.
 *
 * Sizes are tried in steps of 4 %, which is as far as the result may be above the true least.
 */
#include "model_bound.h"

#define SPLIT_STEP 1.04

/* Sums over a set of requests. */
struct tally {
    uint64_t requests;
    double bytes, squares, longest;
};

static void tally_add(struct tally *tally, uint64_t bytes)
{
    double size = (double)bytes;

    tally->requests++;
    tally->bytes += size;
    tally->squares += size * size;
    tally->longest = size > tally->longest ? size : tally->longest;
}

static struct tally tally_set(const struct model_range *ranges, size_t count, uint64_t gap,
                              uint64_t split)
{
    uint64_t start = ranges[0].offset, end = start + ranges[0].length;
    struct tally tally = {0};

    for (size_t i = 1; i < count; i++) {
        uint64_t next = ranges[i].offset + ranges[i].length;

        if (ranges[i].offset - end > gap || next - start > split) {
            tally_add(&tally, end - start);
            start = ranges[i].offset;
        }
        end = next;
    }
    tally_add(&tally, end - start);
    return tally;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double set_seconds(const struct model_config *config, const struct tally *tally,
                          uint64_t memory_bytes)
{
    double latency = (double)config->latency_ns / 1e9;
    double stream = (double)config->stream_bytes_per_second;
    double requests = (double)tally->requests;
    double seconds = tally->bytes / (double)config->line_bytes_per_second;

    seconds =
        larger(seconds, (requests * latency + tally->bytes / stream) / config->connections);
    seconds = larger(seconds, tally->longest / stream);
    if (config->requests_per_second)
        seconds = larger(seconds, requests / (double)config->requests_per_second);
    if (memory_bytes)
        seconds = larger(seconds, (tally->bytes * latency + tally->squares / stream) /
                                      (double)memory_bytes);
    return latency + seconds;
}

struct model_bound model_bound_find(const struct model_config *config,
                                    const struct model_range *ranges, size_t count,
                                    uint64_t memory_bytes)
{
    static const uint64_t gaps[] = {0, 4096, 65536, 1 << 20, 16 << 20, 256 << 20};
    uint64_t total = ranges[count - 1].offset + ranges[count - 1].length - ranges[0].offset;
    struct model_bound best = {.seconds = 0};

    for (size_t g = 0; g < sizeof(gaps) / sizeof(gaps[0]); g++) {
        double limit = (double)total * SPLIT_STEP;

        for (double split = (double)ranges[0].length; split < limit; split *= SPLIT_STEP) {
            struct tally tally = tally_set(ranges, count, gaps[g], (uint64_t)split);
            double seconds = set_seconds(config, &tally, memory_bytes);

            if (best.requests == 0 || seconds < best.seconds)
                best = (struct model_bound){seconds, gaps[g], (uint64_t)split, tally.requests};
        }
    }
    return best;
}
