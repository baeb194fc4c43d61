/* SPDX-License-Identifier: MIT */
/*
 * space.h - what memory:// stores hold: named spaces of keys with immutable, ref-counted blobs.
 *
 * A blob never changes once it can be found: put() makes a new one. Whoever holds a reference may
 * read its bytes without a lock, and goes on with the old bytes when the key gets new ones.
 * Threads: all functions any thread, unless they say otherwise.
 */
#ifndef LSIO_DRIVER_MEMORY_SPACE_H
#define LSIO_DRIVER_MEMORY_SPACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lsio/lsio.h"

struct memory_spaces; /* all of a context */
struct memory_space;  /* one name */

struct memory_blob {
    /* frozen */
    uint64_t bytes;
    uint64_t generation; /* unique in its context, ascending */
    int64_t mtime_ns;
    /* shared */
    _Atomic uint32_t references;
    _Alignas(64) uint8_t data[];
};

/* One key as space_collect() saw it. */
struct memory_entry {
    char *key;
    uint64_t size, generation;
    int64_t mtime_ns;
};

int memory_spaces_create(struct memory_spaces **out);
void memory_spaces_destroy(struct memory_spaces *spaces, bool forked);
/* The space of a name, made when it is new; lives until memory_spaces_destroy(). */
int memory_space_open(struct memory_spaces *spaces, const char *name, struct memory_space **out);

/* A reference to the key's blob now, or NULL. */
struct memory_blob *memory_space_find(struct memory_space *space, const char *key);
void memory_blob_release(struct memory_blob *blob);

int memory_space_put(struct memory_space *space, const char *key, const void *bytes,
                     uint64_t length);
int memory_space_remove(struct memory_space *space, const char *key); /* -ENOENT */

/* All keys that begin with `prefix`, in bytewise order; to free with memory_entries_free(). */
int memory_space_collect(struct memory_space *space, const char *prefix, struct memory_entry **out,
                         size_t *count);
void memory_entries_free(struct memory_entry *entries, size_t count);

#endif
