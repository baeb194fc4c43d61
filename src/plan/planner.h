/* SPDX-License-Identifier: MIT */
/* planner.h - what the files of src/plan share. Inside src/plan only. */
#ifndef LSIO_PLAN_PLANNER_H
#define LSIO_PLAN_PLANNER_H

#include "plan/plan.h"

/* Owner: one planning thread at a time. Untouched, hence not even resident, until a slab is sorted. */
struct planner {
    uint32_t capacity;  /* chunks */
    uint64_t *memory;   /* of the arrays below */
    uint64_t *keys;     /* packed sort keys */
    uint64_t *keys_to;  /* where a radix pass puts them; the two change places */
    uint64_t *places;   /* low part of the full key: offset or physical position */
    uint64_t *groups;   /* high part: store and object */
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

/* What a pass in the given order saw, to decide about sorting. */
struct plan_survey {
    uint32_t descents;       /* positions that come before their predecessor in (object, offset) */
    uint32_t joinable_count; /* chunks short enough for two of them to be joined */
    uint64_t joinable_bytes;
    bool seeks;              /* a store of the slab wants physical order */
    bool extents;            /* and physical positions are known */
};

/* coalesce.c: writes the operations for the chunks in the source's order. */
void plan_coalesce(const struct plan_input *input, const struct plan_source *source,
                   struct plan_slab *slab, struct plan_survey *survey);

/* density.c: how many chunks would, about, be joined to another if they were sorted. */
uint32_t plan_joins_estimate(struct planner *planner, const struct plan_input *input,
                             const struct plan_source *source, const struct plan_survey *survey);

/* sort.c: writes the chunks in storage order to `order` (not the source's); false, and nothing is
 * written, if they are in that order already. */
bool plan_sort(struct planner *planner, const struct plan_input *input,
               const struct plan_source *source, uint32_t *order);

#endif
