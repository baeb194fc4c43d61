/* SPDX-License-Identifier: MIT */
/*
 * fused.h - chunks that are verified, byte-swapped, and then added up or copied into an array.
 *
 * A chunk is a record of one file: big-endian 32-bit words with a crc32c behind them. Records lie
 * at least a page apart.
 */
#ifndef LSIO_BENCH_FUSED_H
#define LSIO_BENCH_FUSED_H

#include "baseline.h"
#include "chains.h"

#define FUSED_TILES         16u   /* tiles side by side in the target */
#define FUSED_ROW_BYTES     1024u /* of a tile */
#define FUSED_SCATTER_BYTES (256u * 1024u)

struct fused {
    const struct bench_options *options;
    struct bench_files files;
    struct passes_item *items;
    struct lsio_chunk *chunks;
    struct lsio_scatter_box *boxes; /* scatter: the chunks' data */
    size_t count;
    uint64_t array_bytes; /* that reading everything takes */
    uint8_t *target;      /* scatter: rows of FUSED_TILES tiles */
    uint64_t target_bytes;
    double gib_per_round;
    uint64_t expected; /* sum of all words; 0: not known yet */
};

/* `scatter`: chunks of 256 KiB; else of 64, 128 and 256 KiB in turn. */
void fused_open(struct fused *fused, const struct bench_options *options, bool scatter);
void fused_close(struct fused *fused);
void fused_prepare(void *state); /* bench_trial.prepare */

struct fused_lsio {
    struct fused *fused;
    struct lsio_context *context;
    struct lsio_store *store;
    struct lsio_chain *chain;
    struct lsio_object *objects;
    struct bench_sums sums;
};
void fused_lsio_open(struct fused_lsio *lsio, struct fused *fused, unsigned workers);
void fused_lsio_close(struct fused_lsio *lsio);
void fused_lsio_run(void *state, unsigned rounds, struct bench_half *half);

/* The baseline of fused-*: one pass per step. */
struct fused_passes {
    struct fused *fused;
    struct bench_pool *pool;
    struct passes *passes;
    uint8_t *array;
};
void fused_passes_open(struct fused_passes *passes, struct fused *fused, unsigned threads);
void fused_passes_close(struct fused_passes *passes);
void fused_passes_run(void *state, unsigned rounds, struct bench_half *half);

/* The baseline of scale: the bare loop, with the same steps done by hand on each hot buffer. */
struct fused_bare {
    struct fused *fused;
    struct bench_pool *pool;
    struct bare_loop *loop;
    struct bare_item *items;
    struct bench_sums sums;
};
void fused_bare_open(struct fused_bare *bare, struct fused *fused, unsigned threads);
void fused_bare_close(struct fused_bare *bare);
void fused_bare_run(void *state, unsigned rounds, struct bench_half *half);

#endif
