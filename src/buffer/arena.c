/* SPDX-License-Identifier: MIT */
/*
 * Design: a page allocator over at most 1024 pages. A freed block goes onto the list of its exact
 * size, newest first: the common case, equal sizes again and again, is a pop and a push. Only when
 * no list has the size and the bitmap has no room are the lists emptied into the bitmap, which
 * merges neighbours. Pages are touched at creation by registration, or by the first read.
 */
#include "buffer/pool.h"

#include <errno.h>
#include <string.h>

#include "base/mark.h"
#include "buffer/pages.h"

int arena_init(struct arena *arena, uint64_t bytes)
{
    uint32_t pages = (uint32_t)(bytes / POOL_PAGE);
    void *base;

    memset(arena, 0, sizeof(*arena));
    if (pages > ARENA_PAGES_MAX)
        pages = ARENA_PAGES_MAX;
    if (pages == 0)
        return 0;
    base = pages_map((uint64_t)pages * POOL_PAGE);
    if (!base)
        return -ENOMEM;
    arena->base = base;
    arena->pages = arena->pages_free = pages;
    for (uint32_t page = 0; page < pages; page++)
        arena->free_map[page / 64] |= UINT64_C(1) << (page % 64);
    return 0;
}

void arena_finish(struct arena *arena, bool forked)
{
    if (!forked)
        pages_unmap(arena->base, (uint64_t)arena->pages * POOL_PAGE);
    memset(arena, 0, sizeof(*arena));
}

static void map_set(struct arena *arena, uint32_t page, uint32_t count, bool is_free)
{
    for (uint32_t i = page; i < page + count; i++) {
        uint64_t bit = UINT64_C(1) << (i % 64);
        if (is_free)
            arena->free_map[i / 64] |= bit;
        else
            arena->free_map[i / 64] &= ~bit;
    }
}

/* First fit; `count` pages in a row, or -1. */
static int32_t map_find(const struct arena *arena, uint32_t count)
{
    uint32_t run = 0;

    for (uint32_t page = 0; page < arena->pages; page++) {
        if (page % 64 == 0 && arena->free_map[page / 64] == 0) {
            run = 0;
            page += 63;
            continue;
        }
        run = (arena->free_map[page / 64] >> (page % 64)) & 1 ? run + 1 : 0;
        if (run == count)
            return (int32_t)(page + 1 - count);
    }
    return -1;
}

static void cache_empty(struct arena *arena)
{
    for (uint32_t size = 1; size <= arena->pages; size++) {
        while (arena->cached[size]) {
            uint32_t page = arena->cached[size] - 1u;
            arena->cached[size] = arena->next[page];
            map_set(arena, page, size, true);
        }
    }
    arena->pages_cached = 0;
}

void *arena_get(struct arena *arena, uint64_t bytes)
{
    uint64_t wanted = (bytes + POOL_PAGE - 1) / POOL_PAGE;
    uint32_t count = (uint32_t)wanted;
    int32_t page;

    if (wanted == 0 || wanted > arena->pages)
        return NULL;
    if (arena->cached[count]) {
        page = arena->cached[count] - 1;
        arena->cached[count] = arena->next[page];
        arena->pages_cached -= count;
        arena->pages_free -= count;
        return arena->base + (size_t)page * POOL_PAGE;
    }
    page = map_find(arena, count);
    if (page < 0 && arena->pages_cached && arena->pages_free >= count) {
        LSIO_MARK(arena_blocks_merged);
        cache_empty(arena);
        page = map_find(arena, count);
    }
    if (page < 0) {
        LSIO_MARK(arena_full);
        return NULL;
    }
    map_set(arena, (uint32_t)page, count, false);
    arena->pages_free -= count;
    return arena->base + (size_t)page * POOL_PAGE;
}

void arena_put(struct arena *arena, void *addr, uint64_t bytes)
{
    uint32_t count = (uint32_t)((bytes + POOL_PAGE - 1) / POOL_PAGE);
    uint32_t page = (uint32_t)(((uint8_t *)addr - arena->base) / POOL_PAGE);

    arena->next[page] = arena->cached[count];
    arena->cached[count] = (uint16_t)(page + 1);
    arena->pages_cached += count;
    arena->pages_free += count;
}
