/* SPDX-License-Identifier: MIT */
/*
 * reads.h - one list of ranges of the grid files, for LSIO and for the bare loop.
 *
 * Both sides read the same ranges in the same random order and pass the bytes to the same function.
 * Ranges are distinct and never adjacent, and the store's gap is 0, so that nothing can be joined.
 */
#ifndef LSIO_BENCH_READS_H
#define LSIO_BENCH_READS_H

#include "baseline.h"

struct reads {
    const struct bench_options *options;
    const char *name;
    struct bench_files files;
    struct bare_item *items;
    struct lsio_chunk *chunks;
    size_t count;
    uint32_t chunk_bytes;
    double amount_per_round; /* GiB, or chunks */
    uint8_t *array;          /* NULL: hot buffers and a consuming function */
    uint64_t array_bytes;
    uint64_t expected; /* the sum of a round */
};

/* `step_bytes` > `chunk_bytes`: from one range to the next; `limit`: at most so many ranges (0:
 * all). */
void reads_open(struct reads *reads, const struct bench_options *options, const char *name,
                uint32_t chunk_bytes, uint32_t step_bytes, size_t limit, bool with_array);
void reads_close(struct reads *reads);

/* LSIO reading them. */
struct reads_lsio {
    struct reads *reads;
    struct lsio_context *context;
    struct lsio_store *store;
    struct lsio_chain *chain; /* NULL with an array */
    struct lsio_object *objects;
    struct bench_sums sums;
    bool own_context;
};
/* `context` NULL: one of its own with `workers`. `direct`: value of that store option. */
void reads_lsio_open(struct reads_lsio *lsio, struct reads *reads, struct lsio_context *context,
                     unsigned workers, const char *direct);
void reads_lsio_close(struct reads_lsio *lsio);
void reads_lsio_run(void *state, unsigned rounds, struct bench_half *half);

/* The bare loop reading them. */
struct reads_bare {
    struct reads *reads;
    struct bench_pool *pool;
    struct bare_loop *loop;
    int *fds; /* O_DIRECT, opened anew; else NULL */
    struct bench_sums sums;
};
/* Finds the best depth for `metric` first. */
void reads_bare_open(struct reads_bare *bare, struct reads *reads, unsigned threads,
                     enum bench_metric metric, bool direct);
void reads_bare_close(struct reads_bare *bare);
void reads_bare_run(void *state, unsigned rounds, struct bench_half *half);

/* Runs both once and dies if they read different bytes. */
void reads_verify(struct reads_lsio *lsio, struct reads_bare *bare);

/* bench_trial.prepare with a struct reads. */
void reads_prepare_warm(void *state);
void reads_prepare_cold(void *state);

#endif
