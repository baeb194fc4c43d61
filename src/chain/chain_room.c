/* SPDX-License-Identifier: MIT */
/*
 * chain_room.c - memory for what lies between two stages.
 *
 * Design: a region is used from both ends. The running stage's input lies at one end (or outside),
 * its output grows from the other, and its scratch memory is stacked upon the input, on the input's
 * side. So when the stage ends, everything but one block goes away at once and nothing is ever
 * moved or searched. With no input in it, the output takes the low end: the memory that was used
 * last, and is still in cache, is used first.
 *
 * What does not fit the worker's region goes to the oversize lane, of which a chain holds at most
 * one grant: nobody may wait for memory while holding some. The grant is a second region. It is
 * asked for with twice the size if another stage behind this one will need room too. A stage that
 * needs much of both should ask for its output first.
 *
 * Threads: the worker that runs the chunk.
 */
#include <errno.h>

#include "base/mark.h"
#include "chain/chain_impl.h"

static uint64_t round_up(uint64_t bytes)
{
    return (bytes + CHAIN_ALIGN_BYTES - 1) & ~(uint64_t)(CHAIN_ALIGN_BYTES - 1);
}

static bool region_take(struct run *run, uint32_t index, uint64_t need, bool output, void **out,
                        struct block *block)
{
    struct region *region = &run->region[index];
    uint32_t out_end =
        run->in.region == index && run->in.end == REGION_LOW ? REGION_HIGH : REGION_LOW;
    uint32_t end = output ? out_end : !out_end;

    if (!region->base || need > region->bytes - region->used[0] - region->used[1])
        return false;
    *out = end == REGION_LOW ? region->base + region->used[REGION_LOW]
                             : region->base + (region->bytes - region->used[REGION_HIGH] - need);
    region->used[end] += need;
    *block = (struct block){index, end, need};
    return true;
}

static void oversize_release(struct run *run)
{
    const struct chain_oversize *lane = &run->env->oversize;

    lane->release(lane->context, run->oversize, run->oversize_bytes);
    run->region[1] = (struct region){0};
    run->oversize = NULL;
}

/* Is there a stage behind the running one whose output will not go to its final place? */
static bool intermediate_follows(const struct run *run)
{
    const struct lsio_chain *chain = run->chain;

    if (chain->last_writer == CHAIN_STAGE_NONE || run->stage >= chain->last_writer)
        return false;
    for (uint32_t i = run->stage + 1; i < chain->last_writer; i++)
        if (chain->stages[i].flags == LSIO_STAGE_WRITES)
            return true;
    return !run->call.chunk->dst && !(run->call.chunk->flags & LSIO_CHUNK_ALLOC);
}

/* Makes region 1 hold at least `need` bytes, or fails. */
static int oversize_acquire(struct run *run, uint64_t need)
{
    const struct chain_oversize *lane = &run->env->oversize;
    uint64_t bytes = need + CHAIN_ALIGN_BYTES;
    int status = LSIO_E_BUDGET;

    if (run->oversize) {
        if (run->region[1].used[0] || run->region[1].used[1])
            return LSIO_E_BUDGET;
        oversize_release(run);
    }
    if (!lane->acquire)
        return LSIO_E_BUDGET;
    LSIO_MARK(chain_room_beyond_scratch);
    if (intermediate_follows(run)) {
        run->oversize_bytes = bytes + need;
        status = lane->acquire(lane->context, run->oversize_bytes, &run->oversize);
    }
    if (status < 0) {
        run->oversize_bytes = bytes;
        status = lane->acquire(lane->context, bytes, &run->oversize);
    }
    if (status < 0) {
        run->oversize = NULL;
        return status;
    }
    run->region[1].base =
        (uint8_t *)run->oversize + (round_up((uintptr_t)run->oversize) - (uintptr_t)run->oversize);
    run->region[1].bytes =
        (run->oversize_bytes - CHAIN_ALIGN_BYTES) & ~(uint64_t)(CHAIN_ALIGN_BYTES - 1);
    run->region[1].used[0] = run->region[1].used[1] = 0;
    return 0;
}

int room_take(struct run *run, uint64_t bytes, bool output, void **out, struct block *block)
{
    uint64_t need = bytes > UINT64_MAX / 4 ? bytes : round_up(bytes);
    int status = LSIO_E_BUDGET;

    if (region_take(run, 0, need, output, out, block) ||
        region_take(run, 1, need, output, out, block))
        return 0;
    if (bytes <= UINT64_MAX / 4)
        status = oversize_acquire(run, need);
    if (status == 0 && region_take(run, 1, need, output, out, block))
        return 0;
    LSIO_MARK(chain_room_beyond_budget);
    return lsio_call_fail(
        &run->call, status == 0 ? LSIO_E_BUDGET : status,
        "stage %s: %llu bytes of room are more than scratch memory (%llu bytes) and "
        "the memory budget allow",
        run->chain->stages[run->stage].name, (unsigned long long)bytes,
        (unsigned long long)run->region[0].bytes);
}

void room_keep(struct run *run, struct block block)
{
    run->region[0].used[0] = run->region[0].used[1] = 0;
    run->region[1].used[0] = run->region[1].used[1] = 0;
    if (block.region != CHAIN_REGION_NONE)
        run->region[block.region].used[block.end] = block.reserved;
    if (run->oversize && block.region != 1)
        oversize_release(run);
}
