/* SPDX-License-Identifier: MIT */
/*
 * chain_impl.h - what the files of src/chain share: the chain itself, and one chunk's run through
 * it.
 */
#ifndef LSIO_CHAIN_CHAIN_IMPL_H
#define LSIO_CHAIN_CHAIN_IMPL_H

#include "chain/chain.h"

#define CHAIN_STAGES_MAX  16
#define CHAIN_ALIGN_BYTES 64u
#define CHAIN_STAGE_NONE  UINT32_MAX
#define CHAIN_REGION_NONE UINT32_MAX

/* What a stage keeps for one worker. Touched by that worker only. */
struct chain_slot {
    void *state;
    bool ready;
};

struct lsio_chain { /* frozen, but for the slots */
    struct lsio_context *context;
    uint32_t slots; /* workers + 1 */
    uint32_t count;
    uint32_t last_writer; /* stage, or CHAIN_STAGE_NONE */
    bool reads_into_dst;
    bool slices_after; /* a stage behind the last writer may pass a slice on */
    bool places;       /* the last stage may say where the last writer should write */
    size_t row;        /* slots per worker: count, rounded up to whole cache lines */
    struct lsio_stage stages[CHAIN_STAGES_MAX];
    struct chain_slot slot[]; /* slots rows */
};

/* Memory for intermediate results: blocks grow from both ends. */
enum region_end { REGION_LOW = 0, REGION_HIGH = 1 };
struct region {
    uint8_t *base; /* 64-byte aligned */
    uint64_t bytes;
    uint64_t used[2];
};

/* Where a block lies: in which region, at which end, how long; region CHAIN_REGION_NONE: elsewhere.
 */
struct block {
    uint32_t region;
    uint32_t end;
    uint64_t reserved;
};

enum run_result { RUN_UNCHANGED, RUN_PASSED, RUN_COMMITTED };

/* One chunk on its way. `call` is first: a stage's struct lsio_call * is a struct run *. */
struct run {
    struct lsio_call call;
    struct chain_env *env;
    const struct lsio_chain *chain;
    struct chain_outcome *outcome;
    struct block in;         /* where call.in lies */
    struct region region[2]; /* the worker's scratch, the oversize lane */
    void *oversize;          /* what acquire gave */
    uint64_t oversize_bytes;
    uint32_t stage;
    int library_status; /* the last failure that LSIO itself reported to the stage, or 0 */
    bool text_set;
    /* what the stage has done; valid from run_stage() on */
    enum run_result result;
    const void *next;
    uint64_t next_bytes;
    struct block next_block;
    void *room; /* NULL: lsio_call_out was not called */
    uint64_t room_bytes;
    struct block room_block;
    void *allocated; /* LSIO_CHUNK_ALLOC: the last writer's room */
    uint64_t allocated_bytes;
};

static inline struct run *run_of(struct lsio_call *call)
{
    return (struct run *)(void *)call;
}

/* The state of a stage on a worker, made now if this is its first use; a negative status if not. */
int chain_state(const struct lsio_chain *chain, uint32_t stage, uint32_t worker, void **state);

/* `bytes` of memory for the running stage: its output, or scratch that ends with it. */
int room_take(struct run *run, uint64_t bytes, bool output, void **out, struct block *block);
/* Keeps only `block` (the next stage's input) and gives the oversize lane back if it is not in it.
 */
void room_keep(struct run *run, struct block block);

#endif
