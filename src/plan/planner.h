/* SPDX-License-Identifier: MIT */
/* planner.h - what the files of src/plan share. Inside src/plan only. */
#ifndef LSIO_PLAN_PLANNER_H
#define LSIO_PLAN_PLANNER_H

#include "plan/piece.h"
#include "plan/plan.h"

/* Owner: one planning thread at a time. Untouched, hence not even resident, until a slab is out of
 * order. */
struct planner {
    uint32_t capacity;            /* chunks */
    void *memory;                 /* of the arrays below */
    struct piece_compact *pieces; /* of the slab, by position in the source */
    uint64_t *keys;               /* packed sort keys */
    uint64_t *keys_to;            /* where a radix pass puts them; the two change places */
};

/* The chunks to plan: those listed, or else `count` of them from `first` on. */
struct plan_source {
    const uint32_t *order;
    uint64_t first;
    uint32_t count;
};

static inline uint64_t source_chunk(const struct plan_source *source, uint32_t position)
{
    return source->order ? source->order[position] : source->first + position;
}

/* What a pass over chunks in the source's order saw, to decide about sorting. */
struct plan_survey {
    uint32_t done;     /* chunks looked at: all of them, or the pass gave up on the order */
    uint32_t op_count; /* operations they became */
    uint32_t descents; /* positions that come before their predecessor in (object, offset) */
    bool extents;      /* a store wants physical order, and physical positions are known */
};

/* What is common to the pieces of a slab. */
struct plan_common {
    const struct plan_profile *profile; /* of all of them, or NULL: they differ */
    bool one_store;
    bool seeks;   /* a store of the slab wants physical order ... */
    bool extents; /* ... and physical positions are known */
    uint32_t joinable_count;
    uint64_t joinable_bytes;
};

/* coalesce.c: writes the operations for the chunks in the source's order. Gives up, leaving the
 * slab unfinished, if it is plain that the chunks are out of order. */
void plan_coalesce(const struct plan_input *input, const struct plan_source *source,
                   struct plan_slab *slab, struct plan_survey *survey);

/* coalesce.c: the same from planner->pieces, which need no resolving any more; in the order of the
 * positions in the low `index_bits` bits of planner->keys; if that is 0, in the source's order. */
void plan_coalesce_pieces(const struct planner *planner, const struct plan_input *input,
                          const struct plan_source *source, const struct plan_common *common,
                          uint32_t index_bits, struct plan_slab *slab);

/* look.c: fills planner->pieces. */
void plan_look(struct planner *planner, const struct plan_input *input,
               const struct plan_source *source, struct plan_common *common);

/* density.c: how many pieces would, about, be joined to another if they were sorted. */
uint32_t plan_joins_estimate(struct planner *planner, const struct plan_input *input,
                             uint32_t count, const struct plan_common *common);

/* sort.c: brings positions into storage order, in planner->keys; returns the width of a position
 * there, or 0 if the pieces are in order already. count >= 2. */
uint32_t plan_sort(struct planner *planner, const struct plan_input *input, uint32_t count,
                   const struct plan_common *common);

#endif
