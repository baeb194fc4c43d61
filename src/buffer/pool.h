/* SPDX-License-Identifier: MIT */
/*
 * pool.h - where read data lives: one hard budget, cut into an arena per worker and a shared pool.
 *
 * An arena is one small mapping that its worker alone uses; the worker may register it with its
 * ring. Freed blocks are handed out again newest first, so the same few hot pages are used over and
 * over. The shared pool serves what does not fit an arena; its mappings are kept for reuse and
 * given back to the system only to make room for other sizes. Both hand out 4096-aligned memory and
 * never block: no memory means that the caller does not start its read.
 *
 * Threads: arena: its worker. Shared pool: any (one lock, taken for large buffers only).
 */
#ifndef LSIO_BUFFER_POOL_H
#define LSIO_BUFFER_POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_PAGE 4096u
#define ARENA_PAGES_MAX 1024u

struct arena {
    uint8_t *base;
    uint32_t pages;
    uint32_t pages_free;
    uint32_t pages_cached; /* of these in `cached` lists */
    uint64_t free_map[ARENA_PAGES_MAX / 64]; /* 1: free and not cached */
    uint16_t cached[ARENA_PAGES_MAX + 1];    /* by size in pages: first block's page + 1; 0: none */
    uint16_t next[ARENA_PAGES_MAX];          /* links of those lists, likewise + 1 */
};

/* Maps an arena of `bytes` (rounded down to pages; 0 is allowed: an arena that has nothing). */
int arena_init(struct arena *arena, uint64_t bytes);
/* `forked`: the mapping is not inherited, so it must not be unmapped. */
void arena_finish(struct arena *arena, bool forked);
/* NULL if it does not fit now. */
void *arena_get(struct arena *arena, uint64_t bytes);
void arena_put(struct arena *arena, void *addr, uint64_t bytes);

static inline bool arena_holds(const struct arena *arena, const void *addr)
{
    return (uintptr_t)addr - (uintptr_t)arena->base < (uint64_t)arena->pages * POOL_PAGE;
}

struct pool_block;

struct pool {
    pthread_mutex_t lock;
    uint64_t bytes_max;
    /* under lock */
    uint64_t bytes_mapped; /* in use and idle */
    uint64_t bytes_used;
    uint64_t bytes_peak;
    struct pool_block *idle; /* newest first */
    _Atomic uint32_t waiters; /* workers that found no memory and will look again when woken */
};

int pool_init(struct pool *pool, uint64_t bytes_max);
void pool_finish(struct pool *pool, bool forked);
/* NULL if the budget does not allow it now; *hopeless: the system has no memory, waiting is no
 * use. */
void *pool_get(struct pool *pool, uint64_t bytes, bool *hopeless);
void pool_put(struct pool *pool, void *addr, uint64_t bytes);
/* What a request of `bytes` is charged. */
uint64_t pool_charge(uint64_t bytes);
/* The largest request that is charged at most `bytes` (<= UINT64_MAX / 2). */
uint64_t pool_fit(uint64_t bytes);

#endif
