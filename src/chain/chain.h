/* SPDX-License-Identifier: MIT */
/*
 * chain.h - runs a chunk's stages over its bytes and delivers what comes out.
 *
 * A chain is immutable after lsio_chain_create() and shared by all workers; what a stage keeps per
 * worker lies in the chain, one slot per worker index, made on that worker's first use. A chain_env
 * belongs to one worker: it holds the scratch memory that intermediate results live in. chain_run()
 * allocates nothing once warm, except for LSIO_CHUNK_ALLOC results.
 *
 * Scratch: one region of scratch_bytes per worker. At most one stage's input, its output and its
 * lsio_call_scratch() memory live at a time, so outputs alternate between the region's two ends and
 * the most recently used memory is used again first. What does not fit goes through the oversize
 * lane.
 *
 * Threads: chain_run() on one env from one thread at a time; a chain on many envs at once.
 */
#ifndef LSIO_CHAIN_CHAIN_H
#define LSIO_CHAIN_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lsio/lsio.h"

/* Memory beyond the scratch region: charged to the context's budget, one holder at a time. acquire
 * returns 0, LSIO_E_BUDGET or -ENOMEM and may block only on another chain that will end. */
struct chain_oversize {
    int (*acquire)(void *context, uint64_t bytes, void **out);
    void (*release)(void *context, void *memory, uint64_t bytes);
    void *context;
};

struct chain_env {
    uint32_t worker;       /* 0 .. workers: index of per-worker state */
    uint8_t *scratch;      /* 4096-aligned; borrowed */
    uint64_t scratch_bytes;
    struct chain_oversize oversize;
    void *oversize_owner; /* for the functions behind oversize */
};

/* One chunk's bytes on their way through a chain. */
struct chain_job {
    const struct lsio_chunk *chunk; /* flags, dst, dst_bytes, data are read from here */
    uint64_t index;
    struct lsio_batch *batch; /* may be NULL */
    const void *in;           /* may lie in chunk->dst already (chain_reads_into_dst) */
    uint64_t in_bytes;
};

struct chain_outcome {
    int32_t status;
    int32_t code;     /* a user's stage's own code */
    uint32_t flags;   /* enum lsio_result_flags */
    uint64_t bytes;   /* as lsio_result */
    void *data;       /* as lsio_result */
    char text[192];   /* why, when status < 0; only then written (text[0] = 0 if there is none) */
};

/* True if the chunk's raw bytes may be read straight into its dst and the chain run over them
 * there: no stage writes or slices. A NULL chain qualifies. */
bool chain_reads_into_dst(const struct lsio_chain *chain);

/* Runs `chain` (NULL: none) over the job's bytes and delivers: into dst, into allocated memory, or
 * nowhere. outcome is always written (text only on failure). */
void chain_run(struct chain_env *env, const struct lsio_chain *chain, const struct chain_job *job,
               struct chain_outcome *outcome);

/* The context that a chain was made for, and how many chains exist of it: engine's bookkeeping. */
struct lsio_context *chain_context(const struct lsio_chain *chain);
/* True if the context's workers may run it, for it has room for their state; a NULL chain has. */
static inline bool chain_is_of(const struct lsio_chain *chain, const struct lsio_context *context)
{
    return !chain || chain_context(chain) == context;
}

/* lsio_chain_create without the context's own checks: `slots` = workers + 1. */
int chain_create(struct lsio_context *context, uint32_t slots, const struct lsio_stage *stages,
                 size_t count, struct lsio_chain **out);
void chain_destroy(struct lsio_chain *chain);
/* Ends what stages took, when no chain came of them. */
void chain_destroy_users(const struct lsio_stage *stages, size_t count);

#endif
