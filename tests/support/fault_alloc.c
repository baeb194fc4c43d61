/* SPDX-License-Identifier: MIT */
/*
 * Design: the ledger is a table that is searched from its newest end, under one mutex: a few
 * hundred blocks live at a time. Mappings are only summed up, for the library cuts their ends off.
 */
#define _GNU_SOURCE
#include "fault_alloc.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fault_inject.h"

#define BLOCKS_MAX 65536u

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *block, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
char *__real_strdup(const char *text);
void __real_free(void *block);
void *__real_mmap(void *addr, size_t bytes, int access, int flags, int fd, off_t offset);
int __real_munmap(void *addr, size_t bytes);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *block, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
char *__wrap_strdup(const char *text);
void __wrap_free(void *block);
void *__wrap_mmap(void *addr, size_t bytes, int access, int flags, int fd, off_t offset);
int __wrap_munmap(void *addr, size_t bytes);

extern const char __executable_start[];

struct block {
    uintptr_t addr;
    size_t bytes;
    const char *caller;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
    struct block blocks[BLOCKS_MAX];
    size_t count;
    int64_t mapped_bytes;
    bool on;
} ledger;

/* ---------------------------------------------------------------------------------- ledger -- */

void ledger_begin(void)
{
    pthread_mutex_lock(&mutex);
    ledger.count = 0;
    ledger.mapped_bytes = 0;
    ledger.on = true;
    pthread_mutex_unlock(&mutex);
}

size_t ledger_end(void)
{
    size_t left;

    pthread_mutex_lock(&mutex);
    ledger.on = false;
    for (size_t i = 0; i < ledger.count; i++)
        (void)fprintf(stderr, "not freed: %zu bytes from +%#tx\n", ledger.blocks[i].bytes,
                      ledger.blocks[i].caller - __executable_start);
    if (ledger.mapped_bytes)
        (void)fprintf(stderr, "not unmapped: %lld bytes\n", (long long)ledger.mapped_bytes);
    left = ledger.count + (ledger.mapped_bytes != 0);
    pthread_mutex_unlock(&mutex);
    return left;
}

static void *block_add(uintptr_t addr, size_t bytes, void *caller)
{
    pthread_mutex_lock(&mutex);
    if (addr && ledger.on && ledger.count < BLOCKS_MAX)
        ledger.blocks[ledger.count++] = (struct block){addr, bytes, caller};
    pthread_mutex_unlock(&mutex);
    return (void *)addr;
}

/* Before the block is given back: afterwards another thread may get it. */
static void block_remove(uintptr_t addr)
{
    pthread_mutex_lock(&mutex);
    for (size_t i = ledger.count; i-- > 0;) {
        if (ledger.blocks[i].addr != addr)
            continue;
        ledger.blocks[i] = ledger.blocks[--ledger.count];
        break;
    }
    pthread_mutex_unlock(&mutex);
}

static void mapped_add(int64_t bytes)
{
    pthread_mutex_lock(&mutex);
    if (ledger.on)
        ledger.mapped_bytes += bytes;
    pthread_mutex_unlock(&mutex);
}

/* ------------------------------------------------------------------------------- stand-ins -- */

static bool memory_is_out(void)
{
    bool out = fault_strikes(FAULT_ALLOC);

    if (out)
        errno = ENOMEM;
    return out;
}

void *__wrap_malloc(size_t bytes)
{
    uintptr_t addr = memory_is_out() ? 0 : (uintptr_t)__real_malloc(bytes);

    return block_add(addr, bytes, __builtin_return_address(0));
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    uintptr_t addr = memory_is_out() ? 0 : (uintptr_t)__real_calloc(count, bytes);

    return block_add(addr, count * bytes, __builtin_return_address(0));
}

void *__wrap_realloc(void *block, size_t bytes)
{
    uintptr_t before = (uintptr_t)block;
    void *moved;

    if (memory_is_out())
        return NULL;
    block_remove(before);
    moved = __real_realloc(block, bytes);
    block_add(moved ? (uintptr_t)moved : before, bytes, __builtin_return_address(0));
    return moved;
}

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
    uintptr_t addr = memory_is_out() ? 0 : (uintptr_t)__real_aligned_alloc(align, bytes);

    return block_add(addr, bytes, __builtin_return_address(0));
}

char *__wrap_strdup(const char *text)
{
    uintptr_t addr = memory_is_out() ? 0 : (uintptr_t)__real_strdup(text);

    return block_add(addr, strlen(text) + 1, __builtin_return_address(0));
}

void __wrap_free(void *block)
{
    if (block)
        block_remove((uintptr_t)block);
    __real_free(block);
}

void *__wrap_mmap(void *addr, size_t bytes, int access, int flags, int fd, off_t offset)
{
    void *mapped =
        memory_is_out() ? MAP_FAILED : __real_mmap(addr, bytes, access, flags, fd, offset);

    if (mapped != MAP_FAILED)
        mapped_add((int64_t)bytes);
    return mapped;
}

int __wrap_munmap(void *addr, size_t bytes)
{
    mapped_add(-(int64_t)bytes);
    return __real_munmap(addr, bytes);
}
