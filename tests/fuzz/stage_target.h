/* SPDX-License-Identifier: MIT */
/*
 * stage_target.h - arbitrary bytes through a chain of ready-made stages, for the fuzz targets of
 * stages.
 *
 * The first byte of the input chooses among the target's options and how the chunk is delivered;
 * the rest is what arrived. Input and dst are blocks of exactly their size, so that a sanitizer
 * sees what reaches out of them. Whatever arrives, the chain must end, with either a result that
 * fits or a status and a sentence.
 */
#ifndef LSIO_TESTS_FUZZ_STAGE_TARGET_H
#define LSIO_TESTS_FUZZ_STAGE_TARGET_H

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "chain/chain.h"
#include "lsio/stages.h"

#define TARGET_DST_BYTES     20000u
#define TARGET_SCRATCH_BYTES (64u * 1024)

/* Makes the chain for a choice of options: fills `stages`, returns how many. */
typedef size_t target_make_fn(uint8_t choice, struct lsio_stage *stages);

static inline void target_run(struct lsio_chain *chain, const uint8_t *in, size_t in_bytes,
                              int alloc, void *data)
{
    static _Alignas(4096) uint8_t scratch[TARGET_SCRATCH_BYTES];
    struct chain_env env = {.scratch = scratch, .scratch_bytes = sizeof(scratch)};
    uint8_t *dst = alloc ? NULL : malloc(TARGET_DST_BYTES);
    struct lsio_chunk chunk = {.flags = alloc ? LSIO_CHUNK_ALLOC : 0,
                               .dst = dst,
                               .dst_bytes = alloc ? 0 : TARGET_DST_BYTES,
                               .data = data};
    struct chain_job job = {.chunk = &chunk, .in = in, .in_bytes = in_bytes};
    struct chain_outcome outcome;

    chain_run(&env, chain, &job, &outcome);
    if (outcome.status == 0) {
        assert(alloc || outcome.bytes <= TARGET_DST_BYTES);
        assert(outcome.data);
    } else {
        assert(outcome.status < 0 && outcome.text[0]);
        assert(memchr(outcome.text, 0, sizeof(outcome.text)));
    }
    if (alloc)
        free(outcome.status == 0 ? outcome.data : NULL);
    free(dst);
}

/* The whole of a target: one chain per choice, kept from run to run. */
static inline int target_one(const uint8_t *bytes, size_t count, target_make_fn *make,
                             uint8_t choices)
{
    static struct lsio_chain *chains[128];
    uint8_t choice, *block;
    int alloc;

    if (count < 1)
        return 0;
    choice = (uint8_t)((bytes[0] & 127) % choices);
    alloc = bytes[0] >> 7;
    if (!chains[choice]) {
        struct lsio_stage stages[4];
        size_t stage_count = make(choice, stages);
        if (stage_count == 0 || chain_create(NULL, 1, stages, stage_count, &chains[choice]) != 0)
            return 0;
    }
    block = malloc(count); /* the bytes end where the block does */
    memcpy(block + 1, bytes + 1, count - 1);
    target_run(chains[choice], block + 1, count - 1, alloc, NULL);
    free(block);
    return 0;
}

#endif
