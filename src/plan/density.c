/* SPDX-License-Identifier: MIT */
/*
 * density.c - would sorting bring chunks together? A guess that is cheaper than sorting.
 *
 * Every chunk's start is put into a set, as "object, start / gap", then each chunk asks whether the
 * set has a start right behind its end, where a join would find it. The set is a bitmap indexed by a
 * hash, at least 64 bits per chunk: of chunks that lie far apart about one in twenty is taken for a neighbour
 * by chance, well below the one in eight that makes us sort. Looking at the true distances rather than
 * at how much of the object the slab covers finds clusters, and is not fooled by chunks that are dense
 * but with gaps too large to join. A second entry, "object, start / length", finds overlaps: two
 * chunks of one such bucket cannot be disjoint.
 *
 * Only ever a hint: nothing depends on its being right, so it may see sizes that change meanwhile.
 */
#include "plan/planner.h"

#include <string.h>

#include "plan/piece.h"

struct set {
    uint64_t *words;
    uint32_t shift; /* 64 - log2(bits) */
};

/* Highest bit that is set; 0 for 0. */
static inline uint32_t log2_floor(uint64_t number)
{
    return number ? 63 - (uint32_t)__builtin_clzll(number) : 0;
}

static inline uint32_t log2_ceil(uint64_t number)
{
    return number > 1 ? log2_floor(number - 1) + 1 : 0;
}

static inline uint32_t set_slot(const struct set *set, uint32_t object, uint32_t kind, uint64_t bucket)
{
    uint64_t hash = bucket + ((uint64_t)object * 4 + kind) * UINT64_C(0x9E3779B97F4A7C15);

    hash = (hash ^ (hash >> 32)) * UINT64_C(0xD6E8FEB86659FD93);
    hash = (hash ^ (hash >> 32)) * UINT64_C(0xD6E8FEB86659FD93);
    return (uint32_t)(hash >> set->shift);
}

static inline bool set_has(const struct set *set, uint32_t slot)
{
    return (set->words[slot / 64] >> (slot % 64)) & 1;
}

/* Adds, and tells whether it was there. */
static inline bool set_add(struct set *set, uint32_t slot)
{
    uint64_t bit = UINT64_C(1) << (slot % 64);
    bool had = (set->words[slot / 64] & bit) != 0;

    set->words[slot / 64] |= bit;
    return had;
}

/* The largest gap that two chunks of `length` bytes can have within the waste bound. */
static uint64_t wasteful_gap(uint64_t length, uint64_t waste_max)
{
    if (waste_max >= 100) {
        return UINT64_MAX;
    }
    return min_u64(length, UINT64_C(1) << 40) * 2 * waste_max / (100 - waste_max);
}

/* Puts the piece into the set; true if that alone tells that it will be joined. Else *ask are the two
 * slots where a neighbour would be, 0 for none. */
static inline bool piece_enter(struct set *set, const struct viewer *viewer,
                               const struct piece *piece, uint64_t mean, uint64_t *ask)
{
    const struct piece_limits *limits = &viewer->limits;
    uint64_t end = piece->offset + piece->length;
    uint32_t object = viewer->index;
    bool direct = piece->kind == PIECE_DIRECT;
    uint64_t gap = direct ? limits->gap_direct : limits->gap_buffer;
    uint64_t span_max = direct ? limits->vector_bytes_max : limits->join_bytes_max;
    uint32_t shift;
    uint64_t start_bucket, end_bucket, far_bucket;
    bool near, overlaps = false;

    if (piece->length > span_max / 2) {
        return false;
    }
    gap = min_u64(min_u64(gap, INT64_MAX), wasteful_gap(mean, limits->waste_max));
    shift = log2_ceil(gap);
    start_bucket = piece->offset >> shift;
    end_bucket = end >> shift;
    far_bucket = (end + gap) >> shift;
    if (end_bucket != start_bucket) {
        *ask = set_slot(set, object, 0, end_bucket);
    }
    if (far_bucket != end_bucket) {
        *ask |= (uint64_t)set_slot(set, object, 0, far_bucket) << 32;
    }
    near = set_add(set, set_slot(set, object, 0, start_bucket));
    if (piece->length > gap) { /* else the slots above find overlaps, too */
        uint64_t bucket = piece->offset >> log2_floor(piece->length);
        overlaps = set_add(set, set_slot(set, object, 1, bucket));
    }
    return near || overlaps;
}

uint32_t plan_joins_estimate(struct planner *planner, const struct plan_input *input,
                             const struct plan_source *source, const struct plan_survey *survey)
{
    uint32_t bits_log2 = log2_ceil((uint64_t)source->count * 64);
    /* less than 128 bits per chunk: places and groups lie side by side */
    struct set set = {.words = planner->places, .shift = 64 - bits_log2};
    uint64_t mean = survey->joinable_bytes / max_u64(survey->joinable_count, 1);
    uint64_t *asks = planner->keys_to;
    uint32_t ask_count = 0, joins = 0;
    struct viewer viewer;
    struct piece piece;

    memset(set.words, 0, (size_t)1 << (bits_log2 - 3));
    viewer_init(&viewer, input);
    for (uint32_t i = 0; i < source->count; i++) {
        viewer_look(&viewer, input_chunk(input, source_chunk(source, i)), &piece);
        if (piece.kind == PIECE_PROBE) {
            joins += set_add(&set, set_slot(&set, viewer.index, 2, 0));
        } else if (piece.kind == PIECE_BUFFER || piece.kind == PIECE_DIRECT) {
            uint64_t ask = 0;

            if (piece_enter(&set, &viewer, &piece, mean, &ask)) {
                joins++;
            } else if (ask != 0) {
                asks[ask_count++] = ask;
            }
        }
    }
    for (uint32_t i = 0; i < ask_count; i++) {
        uint32_t near = (uint32_t)asks[i], far = (uint32_t)(asks[i] >> 32);

        joins += (near != 0 && set_has(&set, near)) || (far != 0 && set_has(&set, far));
    }
    return joins;
}
