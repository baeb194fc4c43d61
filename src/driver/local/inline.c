/* SPDX-License-Identifier: MIT */
/*
 * inline.c - a tiny read on the thread that called lsio_read_batch(): two system calls where file
 * and bytes are in memory (is the name's file still the one we have open? read it without waiting),
 * against a round trip through a worker.
 *
 * Several ranges are read through one descriptor, whatever the name leads to meanwhile, and then
 * the file is looked at once more, for it may have been written to between them.
 *
 * Anything unusual is -EAGAIN: the ordinary way then finds out, and reports. So this file never
 * decides that an object is absent, short or of the wrong kind. Remote file systems (an open
 * descriptor may show old content) and direct = on always go the ordinary way.
 *
 * Threads: any; the file is kept by a use, and no lock is held during system calls.
 */
#define _GNU_SOURCE

#include "driver/local/direct.h"

#include "base/mark.h"
#include "driver/key.h"

static void put(struct local_file *file, bool unlist)
{
    struct local_cache *cache = file->cache;
    struct cache_later later = {0};

    cache_enter(cache);
    if (unlist)
        cache_unlist(cache, file);
    cache_unuse(cache, file, &later);
    cache_leave(cache, &later);
}

/* Opens the file into the cache if that needs no waiting; in use, or NULL. */
static struct local_file *file_add(struct local_store *store, const char *key, uint64_t hash)
{
    struct local_cache *cache = store->cache;
    struct local_file *file = NULL;
    struct cache_later later = {0};
    struct os_stat stat;
    int fd = store->os->open_nowait(store->root_fd, key, LOCAL_OPEN_FLAGS, store->beneath);

    if (fd < 0)
        return NULL;
    if (local_opened(store->os, fd, &stat) != 0) {
        store->os->close(fd);
        return NULL;
    }
    cache_enter(cache);
    if (!cache_find(cache, store, key, hash, NULL) && cache->fd_count < cache->fds_max)
        file = cache_add(cache, store, key, hash, NULL);
    if (file) {
        file->fd = fd;
        file->stat = stat;
        file->direct_align = direct_alignment(&stat, &store->base.profile);
        file->state = FILE_READY;
        cache->fd_count++;
        cache_use(cache, file);
    } else {
        cache_close_fd(cache, fd, &later);
    }
    cache_leave(cache, &later);
    return file;
}

/* The key's file, in use and up to date, or NULL. */
static struct local_file *file_current(struct local_store *store, const char *key)
{
    struct local_cache *cache = store->cache;
    uint64_t hash = cache_hash(store, key);
    struct cache_later later = {0};
    struct local_file *file;
    bool busy;

    cache_enter(cache);
    file = cache_find(cache, store, key, hash, NULL);
    busy = file && file->state != FILE_READY;
    if (file && !busy)
        cache_use(cache, file);
    cache_leave(cache, &later);
    if (busy)
        return NULL;
    if (file && file_is_current(file))
        return file;
    if (file)
        put(file, true);
    return driver_key_check(key) == 0 ? file_add(store, key, hash) : NULL;
}

static bool read_ranges(const struct local_file *file, const struct driver_range *ranges,
                        size_t count)
{
    const struct loop_os *os = file->store->os;

    for (size_t i = 0; i < count; i++) {
        const struct driver_range *range = &ranges[i];
        int64_t got = os->read_nowait(file->fd, range->addr, range->bytes, range->offset);
        if (got < 0 || (uint64_t)got != range->bytes) {
            LSIO_MARK(inline_read_incomplete);
            return false;
        }
    }
    return true;
}

/* True if the file in use was not written to since it was found to be current. */
static bool file_unchanged(const struct local_file *file)
{
    struct os_stat now;

    if (file->store->os->stat_fd(file->fd, &now) == 0 && local_stat_same(&now, &file->stat))
        return true;
    LSIO_MARK(file_changed_while_read_inline);
    return false;
}

int local_read_inline(struct lsio_store *base, const char *key, const struct driver_range *ranges,
                      size_t count)
{
    struct local_store *store = local_store_of(base);
    struct local_file *file;
    bool good;

    if (store->remote || base->profile.direct == PLAN_DIRECT_ON)
        return -EAGAIN;
    file = file_current(store, key);
    if (!file)
        return -EAGAIN;
    good = read_ranges(file, ranges, count) &&
           (count == 1 || !store->change_check || file_unchanged(file));
    put(file, false);
    return good ? 0 : -EAGAIN;
}
