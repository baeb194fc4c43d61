/* SPDX-License-Identifier: MIT */
/*
 * Design: large buffers are whole mappings. Sizes are rounded up to eighths of a power of two (at
 * most 12.5 % waste), so that a handful of sizes recur and idle mappings fit again. The budget
 * counts the rounded bytes, mapped whether idle or used, so memory never exceeds it; when a request
 * does not fit beside idle mappings of other sizes, those are unmapped, oldest first. Bookkeeping
 * of an idle block lies in the block itself: pages that are touched anyway.
 */
#include "buffer/pool.h"

#include "base/mark.h"
#include "buffer/pages.h"

struct pool_block {
    struct pool_block *next;
    uint64_t bytes;
};

/* Sizes of about `bytes` bytes are multiples of it; bytes <= UINT64_MAX / 2. */
static uint64_t charge_step(uint64_t bytes)
{
    uint64_t step = POOL_PAGE;

    while (step * 16 <= bytes)
        step *= 2;
    return step;
}

uint64_t pool_charge(uint64_t bytes)
{
    uint64_t step;

    if (bytes > UINT64_MAX / 2)
        return UINT64_MAX;
    step = charge_step(bytes);
    return (bytes + step - 1) / step * step;
}

uint64_t pool_fit(uint64_t bytes)
{
    return bytes - bytes % charge_step(bytes);
}

int pool_init(struct pool *pool, uint64_t bytes_max)
{
    *pool = (struct pool){.bytes_max = bytes_max};
    return -pthread_mutex_init(&pool->lock, NULL);
}

void pool_finish(struct pool *pool, bool forked)
{
    while (pool->idle && !forked) {
        struct pool_block *block = pool->idle;
        pool->idle = block->next;
        pages_unmap(block, block->bytes);
    }
    pool->idle = NULL;
    if (!forked)
        pthread_mutex_destroy(&pool->lock);
}

static struct pool_block *idle_take(struct pool *pool, uint64_t bytes)
{
    for (struct pool_block **link = &pool->idle; *link; link = &(*link)->next) {
        if ((*link)->bytes == bytes) {
            struct pool_block *block = *link;
            *link = block->next;
            return block;
        }
    }
    return NULL;
}

/* Unmaps idle blocks, oldest first, until `bytes` more fit the budget. */
static void idle_trim(struct pool *pool, uint64_t bytes)
{
    while (pool->idle && pool->bytes_mapped + bytes > pool->bytes_max) {
        struct pool_block **link = &pool->idle;
        while ((*link)->next)
            link = &(*link)->next;
        LSIO_MARK(pool_makes_room);
        pool->bytes_mapped -= (*link)->bytes;
        pages_unmap(*link, (*link)->bytes);
        *link = NULL;
    }
}

void *pool_get(struct pool *pool, uint64_t bytes, bool *hopeless)
{
    void *addr = NULL;

    *hopeless = false;
    bytes = pool_charge(bytes);
    pthread_mutex_lock(&pool->lock);
    if (bytes > pool->bytes_max || pool->bytes_used + bytes > pool->bytes_max) {
        LSIO_MARK(pool_used_up);
        goto out;
    }
    addr = idle_take(pool, bytes);
    if (!addr) {
        idle_trim(pool, bytes);
        addr = pages_map(bytes);
        if (!addr) {
            LSIO_MARK(pool_no_memory);
            *hopeless = true;
            goto out;
        }
        pool->bytes_mapped += bytes;
    }
    pool->bytes_used += bytes;
    if (pool->bytes_used > pool->bytes_peak)
        pool->bytes_peak = pool->bytes_used;
out:
    pthread_mutex_unlock(&pool->lock);
    return addr;
}

void pool_put(struct pool *pool, void *addr, uint64_t bytes)
{
    struct pool_block *block = addr;

    bytes = pool_charge(bytes);
    pthread_mutex_lock(&pool->lock);
    block->bytes = bytes;
    block->next = pool->idle;
    pool->idle = block;
    pool->bytes_used -= bytes;
    pthread_mutex_unlock(&pool->lock);
}
