/* SPDX-License-Identifier: MIT */
/*
 * direct.h - reading past the page cache: whether a read should, and how its range is cut for it.
 */
#ifndef LSIO_DRIVER_LOCAL_DIRECT_H
#define LSIO_DRIVER_LOCAL_DIRECT_H

#include "driver/local/file.h"

#define DIRECT_EXTENT_BYTES     (UINT64_C(16) << 20) /* what is judged cached or not as one */
#define DIRECT_MIDDLE_BYTES_MIN (UINT64_C(256) << 10)
#define DIRECT_BOUNCE_BYTES_MAX (UINT64_C(1) << 20)

enum direct_way {
    DIRECT_IN_PLACE, /* [begin, end) of the file by O_DIRECT to addr */
    DIRECT_BOUNCE,   /* the aligned range [begin, end) around what is wanted, through a buffer */
    DIRECT_CACHED    /* [begin, end) through the page cache, for it is not aligned */
};

struct direct_piece {
    enum direct_way way;
    uint64_t begin, end;
    uint8_t *addr; /* where the byte at `begin` goes; NULL with DIRECT_BOUNCE */
};

/*
 * PURE. The next piece to read of [offset, offset + bytes) -> addr; `align` is a power of two and
 * holds for offsets, lengths and addresses. `padded`: as in driver_read. `begun`: earlier pieces of
 * this read were read, so a rest that is not aligned is not worth a buffer. Pieces cover the range
 * in order; IN_PLACE of a padded read and BOUNCE reach beyond it at the ends, up to aligned
 * offsets.
 */
void direct_cut(uint64_t offset, uint64_t bytes, uint8_t *addr, bool padded, bool begun,
                uint32_t align, struct direct_piece *out);

/* The alignment that O_DIRECT wants from this file: a power of two. */
uint32_t direct_alignment(const struct os_stat *stat, const struct plan_profile *profile);

/* Judges a read of a file that is ready; see direct_wanted(). */
bool direct_decide(struct driver_env *env, const struct driver_read *read, struct local_file *file);

/* True if the read should go past the page cache. Cheap where the answer is always no. */
static inline bool direct_wanted(struct driver_env *env, const struct driver_read *read,
                                 struct local_file *file)
{
    const struct driver_object *object = read->object;
    uint32_t policy = object->store->profile.direct;

    if (policy == PLAN_DIRECT_OFF ||
        (policy == PLAN_DIRECT_AUTO && object->batch_bytes <= env->cache_bytes))
        return false;
    return direct_decide(env, read, file);
}

/* Reads what is left of `read` by O_DIRECT, falling back to local_read_cached(). */
void direct_read(struct driver_env *env, struct driver_read *read, struct local_file *file);

/* read.c, for direct.c */
/* Reads what is left through the page cache. */
void local_read_cached(struct driver_env *env, struct driver_read *read, struct local_file *file);
/* Takes in `bytes` more bytes of the read, which lie in their place. */
void local_read_advance(struct driver_read *read, uint64_t bytes);
/* Ends the read; gives back what it holds. */
void local_read_finish(struct driver_env *env, struct driver_read *read, int status,
                       const char *text);
/* A loop read of [read->offset + progress, ...) failed with `result` < 0. */
void local_read_failed(struct driver_env *env, struct driver_read *read, int64_t result);

#endif
