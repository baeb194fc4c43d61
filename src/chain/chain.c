/* SPDX-License-Identifier: MIT */
/*
 * chain.c - what a chain is: a checked copy of its stages, and one slot of state per worker and
 * stage.
 *
 * Design: everything that can be known about the order of the stages is worked out once, here, so
 * that running a chunk asks only a few precomputed questions: which stage writes last (it gets
 * dst), whether slices follow it (then dst may be too small for what is written but large enough
 * for what is left), whether the last stage may name a better place (only if nothing between it and
 * the last writer changes the bytes).
 *
 * Threads: create and destroy by anyone, with nothing running. A slot belongs to the worker whose
 * index it has: it is made on that worker's first chunk, without a lock, because no one else looks
 * at it. Rows of different workers lie in different cache lines.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chain/chain_impl.h"

#define CACHE_LINE_BYTES 64

/* The i-th stage of the caller's array, whose elements may be longer than ours. */
static const struct lsio_stage *stage_at(const struct lsio_stage *stages, size_t i)
{
    return (const struct lsio_stage *)(const void *)((const char *)stages +
                                                     i * stages[0].struct_bytes);
}

static bool stage_valid(const struct lsio_stage *stage)
{
    return stage->run &&
           (stage->flags == LSIO_STAGE_READS_ONLY || stage->flags == LSIO_STAGE_PASSES_SLICE ||
            stage->flags == LSIO_STAGE_WRITES);
}

static void stages_describe(struct lsio_chain *chain)
{
    bool reads_only_after = true; /* the stages behind the last writer */

    chain->last_writer = CHAIN_STAGE_NONE;
    chain->reads_into_dst = true;
    for (uint32_t i = 0; i < chain->count; i++) {
        uint32_t flags = chain->stages[i].flags;
        if (flags != LSIO_STAGE_READS_ONLY) {
            chain->reads_into_dst = false;
            reads_only_after = false;
        }
        if (flags == LSIO_STAGE_PASSES_SLICE)
            chain->slices_after = true;
        if (flags == LSIO_STAGE_WRITES) {
            chain->last_writer = i;
            chain->slices_after = false;
            reads_only_after = true;
        }
    }
    chain->places = chain->last_writer != CHAIN_STAGE_NONE && reads_only_after &&
                    chain->last_writer != chain->count - 1 && chain->stages[chain->count - 1].place;
}

void chain_destroy_users(const struct lsio_stage *stages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct lsio_stage *stage = stage_at(stages, i);
        if (stage->destroy)
            stage->destroy(stage->user);
    }
}

int chain_create(struct lsio_context *context, uint32_t slots, const struct lsio_stage *stages,
                 size_t count, struct lsio_chain **out)
{
    const size_t per_line = CACHE_LINE_BYTES / sizeof(struct chain_slot);
    struct lsio_chain *chain = NULL;
    int status = -EINVAL;
    size_t row;

    /* With a stride that cannot be, nothing behind it can be read, nor taken. */
    if (!stages || stages[0].struct_bytes < sizeof(struct lsio_stage) ||
        stages[0].struct_bytes % _Alignof(struct lsio_stage))
        return -EINVAL;
    if (!out || !slots || count < 1 || count > CHAIN_STAGES_MAX)
        goto fail;
    for (size_t i = 0; i < count; i++)
        if (!stage_valid(stage_at(stages, i)))
            goto fail;
    status = -ENOMEM;
    row = (count + per_line - 1) / per_line * per_line;
    chain = calloc(1, sizeof(*chain) + slots * row * sizeof(struct chain_slot));
    if (!chain)
        goto fail;
    chain->context = context;
    chain->slots = slots;
    chain->count = (uint32_t)count;
    chain->row = row;
    for (size_t i = 0; i < count; i++) {
        chain->stages[i] = *stage_at(stages, i);
        if (!chain->stages[i].name)
            chain->stages[i].name = "(unnamed)";
    }
    stages_describe(chain);
    *out = chain;
    return 0;

fail: /* what was to be taken is taken */
    chain_destroy_users(stages, count);
    return status;
}

void chain_destroy(struct lsio_chain *chain)
{
    if (!chain)
        return;
    for (uint32_t worker = 0; worker < chain->slots; worker++) {
        for (uint32_t i = 0; i < chain->count; i++) {
            struct chain_slot *slot = &chain->slot[worker * chain->row + i];
            if (slot->ready && chain->stages[i].finish)
                chain->stages[i].finish(chain->stages[i].user, worker, slot->state);
        }
    }
    for (uint32_t i = 0; i < chain->count; i++)
        if (chain->stages[i].destroy)
            chain->stages[i].destroy(chain->stages[i].user);
    free(chain);
}

int chain_state(const struct lsio_chain *chain, uint32_t stage, uint32_t worker, void **state)
{
    /* The chain is const to those who share it; a slot is its worker's own. */
    struct chain_slot *slot = (struct chain_slot *)&chain->slot[worker * chain->row + stage];

    if (!slot->ready) {
        void *made = NULL;
        int status = chain->stages[stage].init(chain->stages[stage].user, worker, &made);
        if (status < 0)
            return status;
        slot->state = made;
        slot->ready = true;
    }
    *state = slot->state;
    return 0;
}

struct lsio_context *chain_context(const struct lsio_chain *chain)
{
    return chain->context;
}

bool chain_reads_into_dst(const struct lsio_chain *chain)
{
    return !chain || chain->reads_into_dst;
}
