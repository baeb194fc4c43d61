/* SPDX-License-Identifier: MIT */
/*
 * Design: the system aligns mappings to small pages, so a large one is made longer by a huge page
 * and its ends are cut off again. Whether huge pages are really given is the kernel's decision;
 * nothing depends on it. Threads: any.
 */
#define _GNU_SOURCE
#include "buffer/pages.h"

#include <stddef.h>
#include <sys/mman.h>

static void *map(uint64_t bytes)
{
    void *addr = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return addr == MAP_FAILED ? NULL : addr;
}

static uint8_t *map_aligned(uint64_t bytes)
{
    uint8_t *addr = map(bytes + PAGES_HUGE_BYTES);
    uint64_t head;

    if (!addr)
        return NULL;
    head = (PAGES_HUGE_BYTES - (uintptr_t)addr % PAGES_HUGE_BYTES) % PAGES_HUGE_BYTES;
    if (head)
        munmap(addr, head);
    munmap(addr + head + bytes, PAGES_HUGE_BYTES - head);
    return addr + head;
}

void *pages_map(uint64_t bytes)
{
    void *addr = bytes >= PAGES_HUGE_BYTES ? map_aligned(bytes) : map(bytes);

    if (!addr)
        return NULL;
    madvise(addr, bytes, MADV_DONTFORK);
    if (bytes >= PAGES_HUGE_BYTES)
        madvise(addr, bytes, MADV_HUGEPAGE);
    return addr;
}

void pages_unmap(void *addr, uint64_t bytes)
{
    if (addr)
        munmap(addr, bytes);
}
