/* SPDX-License-Identifier: MIT */
/*
 * file_cache.c - the bookkeeping of open files: table, order of last use, limits. Pure but for one
 * thing: it looks at a descriptor (fstat) before it closes it between an object's reads.
 *
 * Invariants, under the lock
 *   - in_lru if and only if the file is READY, has no uses, and is not held by objects: its
 *     descriptors may be closed at any time;
 *   - a file that no object keeps, nobody uses and nobody can find is freed at once; if it has
 *     slots in rings it is first `dead`, until each worker has detached its own (its descriptors
 *     are closed at once);
 *   - fd_count counts descriptors from the moment an open is admitted;
 *   - a starved opener holds a use, so busy means use_count > starved_count; whatever sets a
 *     descriptor free wakes a starved opener, and when no use is left one is woken in any case.
 *
 * Files of local file systems are found again by later batches. On remote ones a name's file is
 * trusted for one object of one batch only, so it is listed only while it is being opened (so that
 * reads of that object share the opening).
 */
#include "driver/local/file.h"

#include <stdlib.h>
#include <string.h>

#include "base/mark.h"

/* ------------------------------------------------------------------------------ read lists -- */

void read_list_append(struct read_list *list, struct driver_read *read)
{
    read->next = NULL;
    if (list->last)
        list->last->next = read;
    else
        list->first = read;
    list->last = read;
}

bool read_list_remove(struct read_list *list, struct driver_read *read)
{
    struct driver_read *before = NULL;

    for (struct driver_read *at = list->first; at; before = at, at = at->next) {
        if (at != read)
            continue;
        if (before)
            before->next = read->next;
        else
            list->first = read->next;
        if (list->last == read)
            list->last = before;
        return true;
    }
    return false;
}

/* -------------------------------------------------------------------- lock, postponed work -- */

bool cache_is_busy(const struct local_cache *cache)
{
    return cache->use_count > (uint64_t)cache->starved_count + 1;
}

void cache_enter(struct local_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
}

void cache_leave(struct local_cache *cache, struct cache_later *later)
{
    struct driver_read *wake = cache->starved.first;

    if (wake && (later->freed || cache->use_count <= cache->starved_count)) {
        read_list_remove(&cache->starved, wake);
        cache->starved_count--;
        wake->state = (uint8_t)(wake->state & ~LOCAL_STATE_MASK);
    } else {
        wake = NULL;
    }
    pthread_mutex_unlock(&cache->lock);
    for (unsigned i = 0; i < later->fd_count; i++)
        cache->os->close(later->fds[i]);
    later->fd_count = 0;
    later->freed = false;
    if (wake)
        wake->env->post(wake->env, &wake->node);
}

void cache_close_fd(struct local_cache *cache, int fd, struct cache_later *later)
{
    if (later->fd_count < CACHE_LATER_FDS)
        later->fds[later->fd_count++] = fd;
    else
        cache->os->close(fd);
}

/* ------------------------------------------------------------------------- table and order -- */

uint64_t cache_hash(const struct local_store *store, const char *key)
{
    uint64_t hash = (uint64_t)(uintptr_t)store * 0x9e3779b97f4a7c15u;
    size_t left = strlen(key);

    for (; left >= 8; left -= 8, key += 8) {
        uint64_t word;
        memcpy(&word, key, 8);
        hash = (hash ^ word) * 0x9fb21c651e98df25u;
        hash ^= hash >> 32;
    }
    for (; left > 0; left--, key++)
        hash = (hash ^ (uint8_t)*key) * 0x100000001b3u;
    hash *= 0x9fb21c651e98df25u;
    return hash ^ hash >> 29;
}

struct local_file *cache_find(struct local_cache *cache, const struct local_store *store,
                              const char *key, uint64_t hash, const struct driver_object *object)
{
    struct local_file *file = cache->buckets[hash % CACHE_BUCKETS];

    for (; file; file = file->hash_next)
        if (file->hash == hash && file->store == store && (!file->owner || file->owner == object) &&
            strcmp(file->key, key) == 0)
            return file;
    return NULL;
}

void cache_unlist(struct local_cache *cache, struct local_file *file)
{
    struct local_file **at = &cache->buckets[file->hash % CACHE_BUCKETS];

    if (!file->listed)
        return;
    while (*at != file)
        at = &(*at)->hash_next;
    *at = file->hash_next;
    file->listed = false;
}

static void lru_remove(struct local_cache *cache, struct local_file *file)
{
    *(file->lru_prev ? &file->lru_prev->lru_next : &cache->lru_first) = file->lru_next;
    *(file->lru_next ? &file->lru_next->lru_prev : &cache->lru_last) = file->lru_prev;
    file->in_lru = false;
}

static void lru_append(struct local_cache *cache, struct local_file *file,
                       struct cache_later *later)
{
    later->freed = true;
    file->lru_next = NULL;
    file->lru_prev = cache->lru_last;
    *(cache->lru_last ? &cache->lru_last->lru_next : &cache->lru_first) = file;
    cache->lru_last = file;
    file->in_lru = true;
}

static void all_remove(struct local_cache *cache, struct local_file *file)
{
    *(file->all_prev ? &file->all_prev->all_next : &cache->all) = file->all_next;
    if (file->all_next)
        file->all_next->all_prev = file->all_prev;
}

/* ------------------------------------------------------------------------- birth and death -- */

void cache_destroy_file(struct local_file *file)
{
    if (file->key != file->key_room)
        free(file->key);
    free(atomic_load_explicit(&file->map, memory_order_relaxed));
    free(file->slots);
    free(file);
}

void cache_free_file(struct local_cache *cache, struct local_file *file)
{
    struct file_slot *slots = file->slots;

    all_remove(cache, file);
    if (cache->free_count >= CACHE_CAPACITY_MAX) {
        cache_destroy_file(file);
        return;
    }
    if (file->key != file->key_room)
        free(file->key);
    free(atomic_load_explicit(&file->map, memory_order_relaxed));
    memset(file, 0, sizeof(*file));
    file->slots = slots;
    file->key = file->key_room;
    file->all_next = cache->free;
    cache->free = file;
    cache->free_count++;
}

static struct file_slot *slots_create(struct local_cache *cache, struct local_file *file)
{
    struct file_slot *slots = calloc(cache->worker_count, sizeof(*slots));

    for (uint32_t i = 0; slots && i < cache->worker_count; i++) {
        slots[i].file = file;
        slots[i].slot[FILE_PLAIN] = slots[i].slot[FILE_DIRECT] = FILE_SLOT_NEW;
    }
    return slots;
}

static bool has_slots(const struct local_cache *cache, const struct local_file *file)
{
    for (uint32_t i = 0; file->slots && i < cache->worker_count; i++)
        if (file->slots[i].slot[FILE_PLAIN] >= 0 || file->slots[i].slot[FILE_DIRECT] >= 0)
            return true;
    return false;
}

static void slots_reset(const struct local_cache *cache, struct local_file *file)
{
    for (uint32_t i = 0; file->slots && i < cache->worker_count; i++)
        file->slots[i].slot[FILE_PLAIN] = file->slots[i].slot[FILE_DIRECT] = FILE_SLOT_NEW;
}

struct local_file *cache_add(struct local_cache *cache, struct local_store *store, const char *key,
                             uint64_t hash, const struct driver_object *object)
{
    size_t key_bytes = strlen(key) + 1;
    struct local_file *file = cache->free;

    if (file) {
        cache->free = file->all_next;
        cache->free_count--;
    } else {
        file = calloc(1, sizeof(*file));
        if (!file)
            return NULL;
    }
    file->key = key_bytes <= sizeof(file->key_room) ? file->key_room : malloc(key_bytes);
    if (!file->key) {
        cache_destroy_file(file);
        return NULL;
    }
    memcpy(file->key, key, key_bytes);
    slots_reset(cache, file);
    file->fd = -1;
    atomic_store_explicit(&file->direct_fd, FILE_DIRECT_NONE, memory_order_relaxed);
    file->cache = cache;
    file->store = store;
    file->owner = store->remote ? object : NULL;
    file->hash = hash;
    file->hash_next = cache->buckets[hash % CACHE_BUCKETS];
    cache->buckets[hash % CACHE_BUCKETS] = file;
    file->listed = true;
    file->all_prev = NULL;
    file->all_next = cache->all;
    if (cache->all)
        cache->all->all_prev = file;
    cache->all = file;
    return file;
}

static void close_fds(struct local_cache *cache, struct local_file *file, struct cache_later *later)
{
    int direct_fd = atomic_load_explicit(&file->direct_fd, memory_order_relaxed);

    later->freed = true;
    if (file->fd >= 0) {
        cache_close_fd(cache, file->fd, later);
        cache->fd_count--;
        file->fd = -1;
    }
    if (direct_fd >= 0) {
        cache_close_fd(cache, direct_fd, later);
        cache->fd_count--;
        atomic_store_explicit(&file->direct_fd, FILE_DIRECT_NONE, memory_order_relaxed);
    }
    file->state = FILE_CLOSED;
}

/* Puts the file where its counts say it belongs; it may be gone afterwards. */
void cache_settle(struct local_cache *cache, struct local_file *file, struct cache_later *later)
{
    bool idle = file->uses == 0 && file->state != FILE_OPENING;
    bool open = file->state == FILE_READY;

    if (idle && file->objects == 0 && (!open || !file->listed)) {
        if (file->in_lru)
            lru_remove(cache, file);
        close_fds(cache, file, later);
        cache_unlist(cache, file);
        if (has_slots(cache, file)) {
            LSIO_MARK(file_dies_with_slots);
            file->state = FILE_DEAD;
            file->hash_next = cache->dead;
            cache->dead = file;
            atomic_store_explicit(&cache->has_dead, true, memory_order_relaxed);
        } else {
            cache_free_file(cache, file);
        }
        return;
    }
    idle = idle && open && !(file->objects > 0 && file->held);
    if (idle && !file->in_lru)
        lru_append(cache, file, later);
    else if (!idle && file->in_lru)
        lru_remove(cache, file);
}

/* ---------------------------------------------------------------------------- use and hold -- */

bool cache_evict(struct local_cache *cache, struct cache_later *later)
{
    struct local_file *file = cache->lru_first;
    struct os_stat now;

    if (!file)
        return false;
    lru_remove(cache, file);
    cache_unlist(cache, file);
    /* Its content is compared while there is a descriptor to compare by. */
    if (file->objects > 0 && cache->os->stat_fd(file->fd, &now) == 0 &&
        !local_stat_same(&now, &file->stat)) {
        LSIO_MARK(evicted_file_changed);
        file->changed = true;
    }
    close_fds(cache, file, later);
    cache_settle(cache, file, later);
    return true;
}

static void trim(struct local_cache *cache, struct cache_later *later)
{
    while (cache->fd_count > cache->capacity && later->fd_count + 2 <= CACHE_LATER_FDS)
        if (!cache_evict(cache, later))
            return;
}

void cache_use(struct local_cache *cache, struct local_file *file)
{
    file->uses++;
    cache->use_count++;
    if (file->in_lru)
        lru_remove(cache, file);
}

void cache_unuse(struct local_cache *cache, struct local_file *file, struct cache_later *later)
{
    file->uses--;
    cache->use_count--;
    cache_settle(cache, file, later);
    trim(cache, later);
}

/* The first object of a batch takes the file: what earlier batches left is forgotten. */
static void file_take(struct local_cache *cache, struct local_file *file)
{
    struct direct_map *map = atomic_load_explicit(&file->map, memory_order_relaxed);

    /* what was short then may be there now; a device that refuses is remembered elsewhere */
    if (atomic_load_explicit(&file->direct_fd, memory_order_relaxed) == FILE_DIRECT_REFUSED)
        atomic_store_explicit(&file->direct_fd, FILE_DIRECT_NONE, memory_order_relaxed);
    for (size_t i = 0; map && i < map->count; i++)
        atomic_store_explicit(&map->state[i], 0, memory_order_relaxed);
    file->held = cache->held_count < cache->held_max;
    if (file->held)
        cache->held_count++;
    if (file->held && !file->slots)
        file->slots = slots_create(cache, file);
}

int cache_install(struct local_cache *cache, struct driver_object *object, struct local_file *file)
{
    struct local_file *now = atomic_load_explicit(&object->handle, memory_order_relaxed);
    uint64_t size = LSIO_SIZE_UNKNOWN;
    char etag[LOCAL_ETAG_BYTES];

    if (now)
        return now == file ? 0 : LOCAL_RESTART;
    if (object->etag) {
        local_etag_write(&file->stat, etag);
        if (strcmp(etag, object->etag) != 0) {
            LSIO_MARK(file_has_other_etag);
            return LSIO_E_CHANGED;
        }
    }
    if (!atomic_compare_exchange_strong(&object->plan.size, &size, file->stat.size) &&
        size != file->stat.size) {
        LSIO_MARK(file_has_other_size);
        return LSIO_E_CHANGED;
    }
    if (file->objects++ == 0)
        file_take(cache, file);
    atomic_store_explicit(&object->handle, file, memory_order_release);
    return 0;
}

void cache_release(struct local_cache *cache, struct driver_object *object,
                   struct cache_later *later)
{
    struct local_file *file = atomic_load_explicit(&object->handle, memory_order_relaxed);

    atomic_store_explicit(&object->handle, NULL, memory_order_relaxed);
    if (--file->objects == 0 && file->held) {
        cache->held_count--;
        file->held = false;
    }
    cache_settle(cache, file, later);
    trim(cache, later);
}

bool cache_admit(struct local_cache *cache, struct cache_later *later)
{
    if (cache->fd_count >= cache->fds_max && !cache_evict(cache, later) && cache_is_busy(cache))
        return false;
    cache->fd_count++;
    return true;
}
