/* SPDX-License-Identifier: MIT */
/*
 * piece.h - a chunk as the planner sees it: which bytes of which object, and how it may be read.
 * Inline, since it is done several times per chunk in loops that may spend 10 ns. Inside src/plan
 * only.
 *
 * A viewer remembers what it last looked up (object, profile, chain), as chunks of one object tend
 * to come together. It lives on the stack of one pass.
 */
#ifndef LSIO_PLAN_PIECE_H
#define LSIO_PLAN_PIECE_H

#include "plan/parts.h"
#include "plan/plan.h"

/* Above this gap, one more request is known to cost more than copying out of a joined buffer. */
#define PLAN_COPY_GAP (UINT64_C(64) << 10)

enum piece_kind {
    PIECE_NONE,   /* nothing to read; from here on the order matters to struct piece_compact */
    PIECE_PROBE,  /* the object's size decides */
    PIECE_ALONE,  /* never joined: too long, or dst is too small and the chunk will fail */
    PIECE_BUFFER, /* read into a buffer, then through its chain */
    PIECE_DIRECT  /* read straight into its dst */
};

struct piece {
    uint64_t offset, length; /* the end is at most INT64_MAX; 0 for NONE and PROBE */
    enum piece_kind kind;
};

/*
 * A piece in 16 bytes, for slabs that are out of order and so are passed over several times: the
 * chunks would not stay in the cache meanwhile, and their objects' sizes might change. bits: kind
 * << 30 | low, where low is length - 1 for BUFFER and DIRECT, else the kind itself.
 */
struct piece_compact {
    uint64_t offset; /* 0 for NONE and PROBE */
    uint32_t object;
    uint32_t bits;
};

#define COMPACT_LOW ((UINT32_C(1) << 30) - 1)
_Static_assert(PLAN_READ_BYTES_MAX - 1 <= COMPACT_LOW, "a length must fit the low bits");

static inline uint32_t compact_pack(const struct piece *piece)
{
    if (piece->kind < PIECE_BUFFER) {
        return piece->kind;
    }
    return (uint32_t)(piece->kind - PIECE_ALONE) << 30 | (uint32_t)(piece->length - 1);
}

static inline enum piece_kind compact_kind(const struct piece_compact *compact)
{
    uint32_t high = compact->bits >> 30;

    return high ? (enum piece_kind)(PIECE_ALONE + high) : (enum piece_kind)compact->bits;
}

/* Of BUFFER and DIRECT. */
static inline uint64_t compact_length(const struct piece_compact *compact)
{
    return (uint64_t)(compact->bits & COMPACT_LOW) + 1;
}

/* What a profile means for joining. */
struct piece_limits {
    uint64_t gap_buffer; /* between chunks that go through a buffer */
    uint64_t gap_direct; /* where a chunk with a dst takes part */
    uint64_t gap_vector; /* inside a PLAN_VECTOR */
    uint64_t vector_bytes_max;
    uint64_t join_bytes_max;
    uint64_t read_bytes_max; /* longer ones are split */
    uint64_t waste_max;
    bool copies; /* chunks with a dst may be joined through a buffer */
    bool long_vectors; /* what a vector cannot hold begins another one, rather than a buffer */
};

struct viewer {
    const struct plan_input *input;
    const struct plan_object *object;
    const struct plan_profile *profile; /* that `limits` was made from */
    struct piece_limits limits;
    uint64_t size;
    uint64_t end_max;  /* min(size, INT64_MAX) */
    uint32_t index;    /* of the object; valid if object is set */
    uint32_t profiles; /* how many times the profile changed */
    uint32_t store_first;
    bool stores;   /* objects of more than one store were seen */
    bool into_dst; /* the answer for `chain` */
    bool seeks;    /* an object seen wants physical order ... */
    bool extents;  /* ... and its physical positions are known */
    const struct lsio_chain *chain;
};

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline const struct lsio_chunk *input_chunk(const struct plan_input *input, uint64_t index)
{
    const char *base = (const char *)input->chunks;
    return (const struct lsio_chunk *)(const void *)(base + index * input->chunk_bytes);
}

static inline const struct plan_object *input_object(const struct plan_input *input, uint32_t index)
{
    const char *base = (const char *)input->objects;
    return (const struct plan_object *)(const void *)(base + index * input->object_bytes);
}

static inline void limits_derive(struct piece_limits *limits, const struct plan_profile *profile,
                                 const struct plan_input *input)
{
    uint64_t junk = profile->discards ? profile->gap_bytes
                                      : min_u64(profile->gap_bytes, PLAN_JUNK_BYTES);

    limits->copies = profile->gap_bytes > PLAN_COPY_GAP;
    limits->long_vectors = profile->discards;
    limits->gap_buffer = profile->gap_bytes;
    limits->gap_direct = limits->copies ? profile->gap_bytes : junk;
    limits->gap_vector = junk;
    limits->read_bytes_max = plan_read_bytes_max(profile);
    limits->vector_bytes_max = min_u64(profile->request_bytes_max, limits->read_bytes_max);
    if (input->request_bytes_max != 0) {
        limits->vector_bytes_max = min_u64(limits->vector_bytes_max, input->request_bytes_max);
    }
    limits->join_bytes_max = limits->vector_bytes_max;
    if (input->join_bytes_max != 0) {
        limits->join_bytes_max = min_u64(limits->join_bytes_max, input->join_bytes_max);
    }
    limits->waste_max = min_u64(profile->waste_max, 100);
}

static inline bool viewer_ask_chain(const struct plan_input *input, const struct lsio_chain *chain)
{
    return input->reads_into_dst ? input->reads_into_dst(chain) : chain == NULL;
}

static inline void viewer_init(struct viewer *viewer, const struct plan_input *input)
{
    *viewer = (struct viewer){.input = input, .chain = input->chain};
    viewer->into_dst = viewer_ask_chain(input, input->chain);
}

/* Makes `index` the current object; false if there is none of that index. */
static inline bool viewer_turn(struct viewer *viewer, uint32_t index)
{
    const struct plan_input *input = viewer->input;

    if (index >= input->object_count) {
        return false;
    }
    if (!viewer->object) {
        viewer->store_first = input_object(input, index)->store;
    }
    viewer->index = index;
    viewer->object = input_object(input, index);
    viewer->stores |= viewer->object->store != viewer->store_first;
    viewer->size = atomic_load_explicit(&viewer->object->size, memory_order_acquire);
    viewer->end_max = min_u64(viewer->size, INT64_MAX);
    if (viewer->profile != viewer->object->profile) {
        viewer->profile = viewer->object->profile;
        viewer->profiles++;
        limits_derive(&viewer->limits, viewer->profile, input);
    }
    if (viewer->profile->physical_order) {
        viewer->seeks = true;
        viewer->extents |= viewer->object->extents && viewer->object->extent_count != 0;
    }
    return true;
}

static inline enum piece_kind viewer_kind(struct viewer *viewer, const struct lsio_chunk *chunk,
                                          uint64_t length)
{
    const struct lsio_chain *chain = chunk->chain ? chunk->chain : viewer->input->chain;

    if (length > viewer->limits.read_bytes_max) {
        return PIECE_ALONE;
    }
    if (!chunk->dst || (chunk->flags & LSIO_CHUNK_ALLOC)) {
        return PIECE_BUFFER;
    }
    if (chain != viewer->chain) {
        viewer->chain = chain;
        viewer->into_dst = viewer_ask_chain(viewer->input, chain);
    }
    if (!viewer->into_dst) {
        return PIECE_BUFFER;
    }
    return length <= chunk->dst_bytes ? PIECE_DIRECT : PIECE_ALONE;
}

/* Looks at one chunk. For NONE of a bad object index the viewer's object is the one before. */
static inline void viewer_look(struct viewer *viewer, const struct lsio_chunk *chunk,
                               struct piece *piece)
{
    uint64_t offset = (uint64_t)chunk->offset;
    uint64_t length = chunk->length;

    if ((chunk->object != viewer->index || !viewer->object) &&
        !viewer_turn(viewer, chunk->object)) {
        *piece = (struct piece){.kind = PIECE_NONE};
        return;
    }
    /* The usual form, and inside the object; the wrap at length 0 and TO_END's value fail here. */
    if (offset > viewer->end_max || length - 1 >= viewer->end_max - offset ||
        (chunk->flags & ~PLAN_CHUNK_FLAGS)) {
        int status = plan_chunk_range(chunk, viewer->size, &offset, &length);

        if (status != 0 || length == 0) {
            *piece = (struct piece){.kind = status == PLAN_NEEDS_SIZE ? PIECE_PROBE : PIECE_NONE};
            return;
        }
    }
    piece->offset = offset;
    piece->length = length;
    piece->kind = viewer_kind(viewer, chunk, length);
}

/* Makes the piece's object the current one, but not its size. `profile`: of all objects, if known;
 * then the object, which may be far away, is not touched. */
static inline void viewer_face(struct viewer *viewer, const struct piece_compact *compact,
                               const struct plan_profile *profile)
{
    if (compact_kind(compact) == PIECE_NONE) {
        return;
    }
    if (!profile) {
        if (compact->object != viewer->index || !viewer->object) {
            viewer_turn(viewer, compact->object);
        }
        return;
    }
    if (viewer->profile != profile) {
        viewer->profile = profile;
        limits_derive(&viewer->limits, profile, viewer->input);
    }
    viewer->object = NULL; /* viewer_look() would have to turn to it */
    viewer->index = compact->object;
}

#endif
