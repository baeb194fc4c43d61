/* SPDX-License-Identifier: MIT */
/*
 * density.c - would sorting bring chunks together? A guess that is cheaper than sorting.
 *
 * Every chunk's start is put into a set, as "object, start / gap", then each chunk asks whether the
 * set has a start right behind its end, where a join would find it. The set is a bitmap indexed by
 * a hash, at least 64 bits per chunk: of chunks that lie far apart about one in twenty is taken for
 * a neighbour by chance, well below the one in eight that makes us sort. Looking at the true
 * distances rather than at how much of the object the slab covers finds clusters, and is not fooled
 * by chunks that are dense but with gaps too large to join. A second entry, "object, start /
 * length", finds overlaps: two chunks of one such bucket cannot be disjoint.
 *
 * Only ever a hint: nothing depends on its being right. Asking costs more than entering, and a
 * sample of the pieces is enough for that.
 */
#include "plan/planner.h"

#include <string.h>

#define SAMPLE     7   /* one piece in so many asks for its neighbour ... */
#define SAMPLE_ALL 512 /* ... but all do, if there are so few */

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

static inline uint32_t set_slot(const struct set *set, uint32_t object, uint32_t kind,
                                uint64_t bucket)
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

/* Where a piece looks for its neighbours: width of a bucket, and the gap that it stands for. */
struct reach {
    uint64_t gap;
    uint64_t length_max; /* of pieces of which two can be joined */
    uint32_t shift;
};

/* One each for BUFFER and DIRECT pieces of a profile. */
static void reach_init(struct reach reach[2], const struct piece_limits *limits, uint64_t mean)
{
    uint64_t gap = min_u64(wasteful_gap(mean, limits->waste_max), INT64_MAX);

    reach[0].gap = min_u64(gap, limits->gap_buffer);
    reach[0].length_max = limits->join_bytes_max / 2;
    reach[1].gap = min_u64(gap, limits->gap_direct);
    reach[1].length_max = limits->vector_bytes_max / 2;
    reach[0].shift = log2_ceil(reach[0].gap);
    reach[1].shift = log2_ceil(reach[1].gap);
}

/* Puts the piece into the set; true if that alone tells that it will be joined. */
static inline bool piece_enter(struct set *set, const struct reach *reach,
                               const struct piece_compact *piece)
{
    uint64_t length = compact_length(piece);
    uint32_t object = piece->object;
    bool near = set_add(set, set_slot(set, object, 0, piece->offset >> reach->shift));

    if (length > reach->gap) { /* else the slots of kind 0 find overlaps, too */
        uint64_t bucket = piece->offset >> log2_floor(length);
        near |= set_add(set, set_slot(set, object, 1, bucket));
    }
    return near;
}

/* True if another piece seems to start where this one could be continued. */
static inline bool piece_continues(const struct set *set, const struct reach *reach,
                                   const struct piece_compact *piece)
{
    uint64_t end = piece->offset + compact_length(piece);
    uint64_t start_bucket = piece->offset >> reach->shift;
    uint64_t end_bucket = end >> reach->shift;
    uint64_t far_bucket = (end + reach->gap) >> reach->shift;

    return (end_bucket != start_bucket &&
            set_has(set, set_slot(set, piece->object, 0, end_bucket))) ||
           (far_bucket != end_bucket && set_has(set, set_slot(set, piece->object, 0, far_bucket)));
}

uint32_t plan_joins_estimate(struct planner *planner, const struct plan_input *input,
                             uint32_t count, const struct plan_common *common)
{
    uint32_t bits_log2 = log2_ceil((uint64_t)count * 64);
    /* less than 128 bits per chunk: the arrays of keys lie side by side, in either order */
    uint64_t *memory = planner->keys < planner->keys_to ? planner->keys : planner->keys_to;
    struct set set = {.words = memory, .shift = 64 - bits_log2};
    uint64_t mean = common->joinable_bytes / max_u64(common->joinable_count, 1);
    uint32_t step = count > SAMPLE_ALL ? SAMPLE : 1;
    uint64_t joins = 0;
    const struct plan_profile *profile = NULL;
    struct reach reach[2];
    struct viewer viewer;

    memset(set.words, 0, (size_t)1 << (bits_log2 - 3));
    viewer_init(&viewer, input);
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < count; i += round ? step : 1) {
            const struct piece_compact *piece = &planner->pieces[i];
            enum piece_kind kind = compact_kind(piece);
            const struct reach *way = &reach[kind == PIECE_DIRECT];

            viewer_face(&viewer, piece, common->profile);
            if (viewer.profile != profile) {
                profile = viewer.profile;
                reach_init(reach, &viewer.limits, mean);
            }
            if (kind == PIECE_PROBE && round == 0) {
                joins += set_add(&set, set_slot(&set, piece->object, 2, 0));
            }
            if (kind < PIECE_BUFFER || compact_length(piece) > way->length_max) {
                continue;
            }
            if (round == 0) {
                joins += piece_enter(&set, way, piece);
            } else {
                joins += piece_continues(&set, way, piece) ? step : 0;
            }
        }
    }
    return (uint32_t)min_u64(joins, count);
}
