/* SPDX-License-Identifier: MIT */
/*
 * plan_slab.c - plans one slab: in the caller's order, or sorted where that is worth it.
 *
 * The pass in the caller's order always runs; in order, it is all there is to do. It surveys what it
 * sees, and only for chunks that are out of order does the planner ask further: on storage that seeks
 * they are sorted in any case, elsewhere only if an estimate says that sorting would join at least one
 * chunk in eight more than the caller's order did. Chunks that no sorting can join stay in the order
 * in which the caller wants them.
 *
 * Nothing is allocated after planner_create(). A planner belongs to one thread at a time, as does a
 * slab while it is built. The planner's working memory is not touched, so takes no room, until a slab
 * is out of order.
 */
#include "plan/planner.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define PLANNER_ARRAYS 4

int planner_create(uint32_t slab_chunks, struct planner **out)
{
    size_t words = (size_t)slab_chunks * PLANNER_ARRAYS;
    struct planner *planner = malloc(sizeof(*planner));
    uint64_t *memory = slab_chunks ? malloc(words * sizeof(*memory)) : NULL;

    if (!planner || !memory) {
        free(planner);
        free(memory);
        return slab_chunks ? -ENOMEM : -EINVAL;
    }
    planner->capacity = slab_chunks;
    planner->memory = memory;
    planner->keys = memory;
    planner->keys_to = memory + slab_chunks;
    planner->places = memory + 2 * (size_t)slab_chunks;
    planner->groups = memory + 3 * (size_t)slab_chunks;
    *out = planner;
    return 0;
}

void planner_destroy(struct planner *planner)
{
    if (planner) {
        free(planner->memory);
        free(planner);
    }
}

size_t planner_bytes(const struct planner *planner)
{
    return sizeof(*planner) + (size_t)planner->capacity * PLANNER_ARRAYS * sizeof(uint64_t);
}

size_t plan_slab_bytes(uint32_t slab_chunks)
{
    return sizeof(struct plan_slab) +
           slab_chunks * (sizeof(struct plan_op) + sizeof(*((struct plan_slab *)0)->order));
}

static bool sorting_pays(struct planner *planner, const struct plan_input *input,
                         const struct plan_source *source, const struct plan_survey *survey,
                         uint32_t op_count)
{
    uint32_t joined = source->count - op_count;

    if (survey->seeks) {
        return survey->descents != 0 || survey->extents;
    }
    if (survey->descents == 0) {
        return false;
    }
    return plan_joins_estimate(planner, input, source, survey) > joined + source->count / 8;
}

/* slab->order holds the source's order by now, if it has one. */
static void slab_plan(struct planner *planner, const struct plan_input *input,
                      const struct plan_source *source, struct plan_slab *slab)
{
    struct plan_survey survey;

    plan_coalesce(input, source, slab, &survey);
    if (source->count < 2 || source->count > planner->capacity ||
        !sorting_pays(planner, input, source, &survey, slab->op_count)) {
        return;
    }
    if (plan_sort(planner, input, source, slab->order)) {
        struct plan_source sorted = {.order = slab->order, .count = source->count};

        slab->sorted = true;
        plan_coalesce(input, &sorted, slab, &survey);
    }
}

void plan_slab_build(struct planner *planner, const struct plan_input *input, uint64_t first,
                     uint32_t count, struct plan_slab *slab)
{
    struct plan_source source = {.first = first, .count = count};

    slab->first = first;
    slab->chunk_count = count;
    slab->sorted = false;
    slab_plan(planner, input, &source, slab);
}

void plan_resume(struct planner *planner, const struct plan_input *input,
                 const struct plan_slab *from, const struct plan_op *probe, struct plan_slab *slab)
{
    struct plan_source source = {.first = from->first + probe->first, .count = probe->count};

    slab->first = source.first;
    slab->chunk_count = probe->count;
    slab->sorted = from->sorted;
    if (from->sorted) {
        source.order = from->order + probe->first;
        memcpy(slab->order, source.order, probe->count * sizeof(*slab->order));
    }
    slab_plan(planner, input, &source, slab);
}
