/* SPDX-License-Identifier: MIT */
/*
 * space.c - a hash table per name, one mutex each.
 *
 * Invariants
 *   - a slot's blob is never NULL; the slot holds one reference, each finder one more;
 *   - a blob's bytes are written before it is put under its key, with the lock's release between,
 *     so that finders need no barrier of their own;
 *   - the lock covers look-up and pointer exchange only: no copying of data under it.
 * In a forked child another thread's lock may be held for good: then the table may be half changed
 * and is leaked rather than walked.
 */
#define _GNU_SOURCE /* strdup */

#include "driver/memory/space.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct slot {
    struct slot *next;
    struct memory_blob *blob;
    uint64_t hash;
    char key[];
};

struct memory_space {
    struct memory_space *next; /* under the spaces' lock; frozen once listed */
    struct memory_spaces *spaces;
    char *name;
    pthread_mutex_t lock;
    struct slot **buckets; /* under lock, with those below */
    size_t bucket_count;   /* a power of two */
    size_t count;
};

struct memory_spaces {
    pthread_mutex_t lock;
    struct memory_space *first;
    _Atomic uint64_t generation;
};

static uint64_t key_hash(const char *key)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */

    for (; *key; key++)
        hash = (hash ^ (uint8_t)*key) * 0x100000001b3u;
    return hash ^ hash >> 29;
}

/* ----------------------------------------------------------------------------------- blobs -- */

static struct memory_blob *blob_create(const void *bytes, uint64_t length, uint64_t generation)
{
    size_t size;
    struct memory_blob *blob;
    struct timespec now = {0, 0};

    if (length > SIZE_MAX / 2)
        return NULL;
    size = (sizeof(*blob) + (size_t)length + 63) / 64 * 64;
    blob = aligned_alloc(64, size);
    if (!blob)
        return NULL;
    timespec_get(&now, TIME_UTC);
    blob->bytes = length;
    blob->generation = generation;
    blob->mtime_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    atomic_init(&blob->references, 1);
    if (length > 0)
        memcpy(blob->data, bytes, length);
    return blob;
}

void memory_blob_release(struct memory_blob *blob)
{
    if (blob && atomic_fetch_sub_explicit(&blob->references, 1, memory_order_acq_rel) == 1)
        free(blob);
}

/* ---------------------------------------------------------------------------------- spaces -- */

int memory_spaces_create(struct memory_spaces **out)
{
    struct memory_spaces *spaces = calloc(1, sizeof(*spaces));

    if (!spaces)
        return -ENOMEM;
    pthread_mutex_init(&spaces->lock, NULL);
    *out = spaces;
    return 0;
}

static void space_destroy(struct memory_space *space, bool forked)
{
    if (forked && pthread_mutex_trylock(&space->lock) != 0)
        return;
    if (forked)
        pthread_mutex_unlock(&space->lock);
    for (size_t i = 0; i < space->bucket_count; i++) {
        while (space->buckets[i]) {
            struct slot *slot = space->buckets[i];
            space->buckets[i] = slot->next;
            memory_blob_release(slot->blob);
            free(slot);
        }
    }
    pthread_mutex_destroy(&space->lock);
    free(space->buckets);
    free(space->name);
    free(space);
}

void memory_spaces_destroy(struct memory_spaces *spaces, bool forked)
{
    if (!spaces)
        return;
    while (spaces->first) {
        struct memory_space *space = spaces->first;
        spaces->first = space->next;
        space_destroy(space, forked);
    }
    if (!forked)
        pthread_mutex_destroy(&spaces->lock);
    free(spaces);
}

static struct memory_space *space_create(struct memory_spaces *spaces, const char *name)
{
    struct memory_space *space = calloc(1, sizeof(*space));

    if (!space)
        return NULL;
    space->spaces = spaces;
    space->bucket_count = 64;
    space->buckets = calloc(space->bucket_count, sizeof(*space->buckets));
    space->name = strdup(name);
    pthread_mutex_init(&space->lock, NULL);
    if (!space->buckets || !space->name) {
        space->bucket_count = 0;
        space_destroy(space, false);
        return NULL;
    }
    return space;
}

int memory_space_open(struct memory_spaces *spaces, const char *name, struct memory_space **out)
{
    struct memory_space *space;

    pthread_mutex_lock(&spaces->lock);
    for (space = spaces->first; space; space = space->next)
        if (strcmp(space->name, name) == 0)
            break;
    if (!space) {
        space = space_create(spaces, name);
        if (space) {
            space->next = spaces->first;
            spaces->first = space;
        }
    }
    pthread_mutex_unlock(&spaces->lock);
    if (!space)
        return -ENOMEM;
    *out = space;
    return 0;
}

/* ------------------------------------------------------------------------------------ keys -- */

/* Where the pointer to the key's slot is: at a NULL if there is none. Under the lock. */
static struct slot **slot_find(struct memory_space *space, const char *key, uint64_t hash)
{
    struct slot **at = &space->buckets[hash & (space->bucket_count - 1)];

    while (*at && ((*at)->hash != hash || strcmp((*at)->key, key) != 0))
        at = &(*at)->next;
    return at;
}

struct memory_blob *memory_space_find(struct memory_space *space, const char *key)
{
    uint64_t hash = key_hash(key);
    struct memory_blob *blob = NULL;
    struct slot *slot;

    pthread_mutex_lock(&space->lock);
    slot = *slot_find(space, key, hash);
    if (slot) {
        blob = slot->blob;
        atomic_fetch_add_explicit(&blob->references, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&space->lock);
    return blob;
}

/* Doubles the table; when there is no memory for that it only gets slower. Under the lock. */
static void space_grow(struct memory_space *space)
{
    size_t count = space->bucket_count * 2;
    struct slot **buckets = calloc(count, sizeof(struct slot *));

    if (!buckets)
        return;
    for (size_t i = 0; i < space->bucket_count; i++) {
        while (space->buckets[i]) {
            struct slot *slot = space->buckets[i];
            struct slot **to = &buckets[slot->hash & (count - 1)];
            space->buckets[i] = slot->next;
            slot->next = *to;
            *to = slot;
        }
    }
    free(space->buckets);
    space->buckets = buckets;
    space->bucket_count = count;
}

int memory_space_put(struct memory_space *space, const char *key, const void *bytes,
                     uint64_t length)
{
    uint64_t hash = key_hash(key);
    size_t key_bytes = strlen(key) + 1;
    uint64_t generation = atomic_fetch_add(&space->spaces->generation, 1) + 1;
    struct memory_blob *blob = blob_create(bytes, length, generation);
    struct memory_blob *old = NULL;
    struct slot *fresh = malloc(sizeof(*fresh) + key_bytes);
    struct slot **at;

    if (!blob || !fresh) {
        memory_blob_release(blob);
        free(fresh);
        return -ENOMEM;
    }
    memcpy(fresh->key, key, key_bytes);
    fresh->hash = hash;
    fresh->blob = blob;
    fresh->next = NULL;
    pthread_mutex_lock(&space->lock);
    at = slot_find(space, key, hash);
    if (*at) {
        old = (*at)->blob;
        (*at)->blob = blob;
    } else {
        *at = fresh;
        fresh = NULL;
        if (++space->count > space->bucket_count)
            space_grow(space);
    }
    pthread_mutex_unlock(&space->lock);
    memory_blob_release(old);
    free(fresh);
    return 0;
}

int memory_space_remove(struct memory_space *space, const char *key)
{
    uint64_t hash = key_hash(key);
    struct slot **at;
    struct slot *slot;

    pthread_mutex_lock(&space->lock);
    at = slot_find(space, key, hash);
    slot = *at;
    if (slot) {
        *at = slot->next;
        space->count--;
    }
    pthread_mutex_unlock(&space->lock);
    if (!slot)
        return -ENOENT;
    memory_blob_release(slot->blob);
    free(slot);
    return 0;
}

/* --------------------------------------------------------------------------------- listing -- */

void memory_entries_free(struct memory_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(entries[i].key);
    free(entries);
}

static int entry_compare(const void *left, const void *right)
{
    return strcmp(((const struct memory_entry *)left)->key,
                  ((const struct memory_entry *)right)->key);
}

/* Copies what matches into `entries`, which has room for all of the space. Under the lock. */
static int space_copy(const struct memory_space *space, const char *prefix,
                      struct memory_entry *entries, size_t *count)
{
    size_t prefix_bytes = strlen(prefix);

    for (size_t i = 0; i < space->bucket_count; i++) {
        for (const struct slot *slot = space->buckets[i]; slot; slot = slot->next) {
            struct memory_entry *entry = &entries[*count];
            if (strncmp(slot->key, prefix, prefix_bytes) != 0)
                continue;
            entry->key = strdup(slot->key);
            if (!entry->key)
                return -ENOMEM;
            entry->size = slot->blob->bytes;
            entry->generation = slot->blob->generation;
            entry->mtime_ns = slot->blob->mtime_ns;
            ++*count;
        }
    }
    return 0;
}

int memory_space_collect(struct memory_space *space, const char *prefix, struct memory_entry **out,
                         size_t *count)
{
    struct memory_entry *entries;
    size_t found = 0;
    int status = -ENOMEM;

    pthread_mutex_lock(&space->lock);
    entries = calloc(space->count + 1, sizeof(*entries));
    if (entries)
        status = space_copy(space, prefix, entries, &found);
    pthread_mutex_unlock(&space->lock);
    if (status < 0) {
        memory_entries_free(entries, found);
        return status;
    }
    qsort(entries, found, sizeof(*entries), entry_compare);
    *out = entries;
    *count = found;
    return 0;
}
