/* SPDX-License-Identifier: MIT */
/*
 * chains.h - the chains of LSIO's side, made of its ready-made stages. Everything dies on errors.
 */
#ifndef LSIO_BENCH_CHAINS_H
#define LSIO_BENCH_CHAINS_H

#include "bench.h"
#include "lsio/stages.h"

/* crc32c (verified and stripped), swap of 4-byte words, then `run`, which only reads. */
struct lsio_chain *chain_crc_swap_user(struct lsio_context *context, lsio_stage_fn *run,
                                       void *user);
/* crc32c, swap of 4-byte words, scatter. A chunk's data is its struct lsio_scatter_box. */
struct lsio_chain *chain_crc_swap_scatter(struct lsio_context *context,
                                          const struct lsio_scatter_options *scatter);
/* blosc that gives `decoded_bytes`, scatter. */
struct lsio_chain *chain_blosc_scatter(struct lsio_context *context, uint64_t decoded_bytes,
                                       const struct lsio_scatter_options *scatter);
/* none, crc32c, zstd, lz4, blosc or gzip; then a stage that touches the result and drops it. */
struct lsio_chain *chain_by_name(struct lsio_context *context, const char *name,
                                 struct bench_sums *sums);
/* bench_consume() as a stage; `sums` is borrowed. */
struct lsio_stage chain_consume(struct bench_sums *sums);

#endif
