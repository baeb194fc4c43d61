/* SPDX-License-Identifier: MIT */
/*
 * fault_mix.h - one of everything that the library can be asked for, with an answer known for each:
 * what fault tests run while things fail, and then once more to see that all still works.
 *
 *     mix_make(&mix, "uring");
 *     ... faults on ...
 *     if (mix_create(&mix))          a context
 *         mix_round(&mix);           two stores, a chain, and every kind of call on them
 *     ... faults off ...
 *     mix_clean(&mix);               the same; now everything must be right
 *     mix_destroy(&mix);
 *     mix_end(&mix);
 *
 * While faults are on a call or a chunk may end with its proper status, with the right bytes, or
 * with one that `tolerates` accepts; nothing else, and in no case with wrong bytes or as absent.
 * Each chunk must end once. What is wrong fails the test, by cmocka.
 */
#ifndef LSIO_TESTS_FAULT_MIX_H
#define LSIO_TESTS_FAULT_MIX_H

#include "api_fixture.h"

#define MIX_CHUNKS  34u
#define MIX_ADDED   2u /* by lsio_batch_add, from the first chunk's callback */
#define MIX_OBJECTS 9u
#define MIX_WORKERS 2u

/* A chunk's proper end: a status and flags, or bytes of a pattern. */
struct mix_want {
    int status;
    uint32_t flags;
    uint32_t pattern;
    uint64_t offset, bytes;
};

struct mix {
    struct api files; /* only its directory: where api_put() makes the files */
    struct lsio_config config;
    bool (*tolerates)(int status); /* NULL: nothing but the proper status */
    const char *label;             /* of this run, for messages; or NULL */
    const char *url; /* of the store of the files: their directory, or what serves the same */
    const struct lsio_option *options;
    size_t option_count;
    struct lsio_context *context;
    struct lsio_store *local, *memory;
    struct lsio_chain *chain;
    bool registered; /* lsio_memory_register */
    uint8_t *packed; /* a pattern as a zstd frame with its CRC behind it ... */
    size_t packed_bytes;
    uint8_t *room; /* ... and where all chunks with a dst have theirs */
    struct lsio_object objects[MIX_OBJECTS];
    struct lsio_chunk chunks[MIX_CHUNKS + MIX_ADDED];
    struct lsio_result results[MIX_CHUNKS + MIX_ADDED];
    struct mix_want wants[MIX_CHUNKS + MIX_ADDED];
    _Atomic uint32_t seen[MIX_CHUNKS + MIX_ADDED], done, added;
    _Atomic int add_error;
};

/* Makes the files and the tables; allocates all that the program itself needs. */
void mix_make(struct mix *mix, const char *loop);
void mix_end(struct mix *mix);
/* Hands over each file that mix_make() made, for a store that serves the same. */
void mix_each_file(const struct mix *mix,
                   void (*take)(const char *key, const void *bytes, size_t count, void *data),
                   void *data);

/* False if there is no context, which is then fine: it was tolerated. */
bool mix_create(struct mix *mix);
void mix_round(struct mix *mix);
void mix_clean(struct mix *mix);
void mix_destroy(struct mix *mix);

/* The loops that run here, as api_run_tests() knows them; NULL ends. */
const char *const *mix_loops(void);

#endif
