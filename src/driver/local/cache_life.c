/* SPDX-License-Identifier: MIT */
/*
 * cache_life.c - a cache of open files from its creation to its end, and the devices that refuse
 * O_DIRECT.
 *
 * How many descriptors are kept follows from the limit on open files when the context is created: a
 * quarter of it, so that the application and the other parts of the library have the rest.
 *
 * cache_destroy() in a forked child must not wait for the lock: if another thread held it when the
 * process forked, the lists may be half changed, and are leaked instead of walked.
 *
 * Threads: any; destroy when no worker runs and all stores are closed.
 */
#include "driver/local/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ------------------------------------------------------------------------ O_DIRECT refused -- */

void cache_refuse_direct(struct local_cache *cache, uint64_t device)
{
    uint64_t empty = 0;
    uint64_t mark = device + 1;

    for (unsigned i = 0; i < CACHE_REFUSED_DEVICES; i++, empty = 0)
        if (atomic_load(&cache->refused[i]) == mark ||
            atomic_compare_exchange_strong(&cache->refused[i], &empty, mark))
            return;
    atomic_store(&cache->refused[device % CACHE_REFUSED_DEVICES], mark);
}

bool cache_refuses_direct(const struct local_cache *cache, uint64_t device)
{
    for (unsigned i = 0; i < CACHE_REFUSED_DEVICES; i++)
        if (atomic_load_explicit(&cache->refused[i], memory_order_relaxed) == device + 1)
            return true;
    return false;
}

/* ------------------------------------------------------------------------- create, destroy -- */

/* The soft limit on descriptors: /proc/self/limits, third column of its line. */
static uint64_t descriptor_limit(const struct loop_os *os)
{
    static const char line[] = "Max open files";
    char text[4096];
    const char *at;
    uint64_t limit = 1024;

    if (os->read_text("/proc/self/limits", text, sizeof(text)) <= 0)
        return limit;
    at = strstr(text, line);
    if (!at)
        return limit;
    at += sizeof(line) - 1;
    at += strspn(at, " ");
    if (strncmp(at, "unlimited", 9) == 0)
        return UINT32_MAX;
    return sscanf(at, "%" SCNu64, &limit) == 1 ? limit : 1024;
}

int cache_create(const struct loop_os *os, uint32_t worker_count, struct local_cache **out)
{
    struct local_cache *cache = calloc(1, sizeof(*cache));
    uint64_t limit;
    long page_bytes;

    if (!cache)
        return -ENOMEM;
    cache->watches = calloc(worker_count, sizeof(*cache->watches));
    if (!cache->watches) {
        free(cache);
        return -ENOMEM;
    }
    limit = descriptor_limit(os);
    page_bytes = sysconf(_SC_PAGESIZE);
    cache->os = os;
    cache->worker_count = worker_count;
    cache->page_bytes = page_bytes > 0 ? (uint32_t)page_bytes : 4096;
    cache->capacity = limit / 4 < CACHE_CAPACITY_MAX ? (uint32_t)(limit / 4) : CACHE_CAPACITY_MAX;
    if (cache->capacity == 0)
        cache->capacity = 1;
    cache->fds_max = cache->capacity * 2;
    /* With few descriptors none may be kept from those that need one. */
    cache->held_max = cache->capacity >= 32 ? cache->capacity / 8 * 7 : 0;
    pthread_mutex_init(&cache->lock, NULL);
    *out = cache;
    return 0;
}

void cache_forget_store(struct local_cache *cache, const struct local_store *store)
{
    struct cache_later later = {0};
    struct local_file *file;

    do {
        struct local_file *next;
        cache_enter(cache);
        for (file = cache->all; file; file = next) {
            next = file->all_next;
            if (file->store != store || file->state == FILE_DEAD)
                continue;
            if (later.fd_count + 2 > CACHE_LATER_FDS)
                break;
            cache_unlist(cache, file);
            cache_settle(cache, file, &later);
        }
        cache_leave(cache, &later);
    } while (file);
}

static void files_destroy(struct local_cache *cache, struct local_file *file)
{
    while (file) {
        struct local_file *next = file->all_next;
        int direct_fd = atomic_load_explicit(&file->direct_fd, memory_order_relaxed);
        if (file->state == FILE_READY && file->fd >= 0)
            cache->os->close(file->fd);
        if (file->state == FILE_READY && direct_fd >= 0)
            cache->os->close(direct_fd);
        cache_destroy_file(file);
        file = next;
    }
}

void cache_destroy(struct local_cache *cache, bool forked)
{
    if (!cache)
        return;
    if (pthread_mutex_trylock(&cache->lock) == 0) {
        files_destroy(cache, cache->all);
        files_destroy(cache, cache->free);
        pthread_mutex_unlock(&cache->lock);
    }
    if (!forked)
        pthread_mutex_destroy(&cache->lock);
    free(cache->watches);
    free(cache);
}
