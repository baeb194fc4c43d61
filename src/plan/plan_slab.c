/* SPDX-License-Identifier: MIT */
/*
 * plan_slab.c - plans one slab: in the caller's order, or sorted where that is worth it.
 *
 * The pass in the caller's order always runs; in order, it is all there is to do. It surveys what
 * it sees, and only for chunks that are out of order does the planner ask further: on storage that
 * seeks they are sorted in any case, elsewhere only if an estimate says that sorting would join at
 * least one chunk in eight more than the caller's order did. Chunks that no sorting can join stay
 * in the order in which the caller wants them. The first pass gives up early when the order is
 * plainly random; then the chunks are resolved once into compact pieces, and all else goes over
 * those.
 *
 * Nothing is allocated after planner_create(). A planner belongs to one thread at a time, as does a
 * slab while it is built. The planner's working memory is not touched, so takes no room, until a
 * slab is out of order.
 */
#include "plan/planner.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define PLANNER_CHUNK_BYTES (sizeof(struct piece_compact) + 2 * sizeof(uint64_t))

int planner_create(uint32_t slab_chunks, struct planner **out)
{
    struct planner *planner = malloc(sizeof(*planner));
    void *memory = slab_chunks ? malloc(slab_chunks * PLANNER_CHUNK_BYTES) : NULL;

    if (!planner || !memory) {
        free(planner);
        free(memory);
        return slab_chunks ? -ENOMEM : -EINVAL;
    }
    planner->capacity = slab_chunks;
    planner->memory = memory;
    planner->pieces = memory;
    planner->keys = (uint64_t *)(void *)(planner->pieces + slab_chunks);
    planner->keys_to = planner->keys + slab_chunks;
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
    return sizeof(*planner) + planner->capacity * PLANNER_CHUNK_BYTES;
}

size_t plan_slab_bytes(uint32_t slab_chunks)
{
    return sizeof(struct plan_slab) +
           slab_chunks * (sizeof(struct plan_op) + sizeof(*((struct plan_slab *)0)->order));
}

static bool sorting_pays(struct planner *planner, const struct plan_input *input,
                         const struct plan_source *source, const struct plan_common *common,
                         const struct plan_survey *survey)
{
    uint64_t joined = survey->done - survey->op_count;

    if (common->seeks) {
        return true;
    }
    joined = joined * source->count / survey->done;
    return plan_joins_estimate(planner, input, source->count, common) > joined + source->count / 8;
}

/* slab->order holds the source's order by now, if it has one. */
static void slab_plan(struct planner *planner, const struct plan_input *input,
                      const struct plan_source *source, struct plan_slab *slab)
{
    struct plan_survey survey;
    struct plan_common common;
    uint32_t index_bits = 0;

    plan_coalesce(input, source, slab, &survey);
    if ((survey.descents == 0 && !survey.extents) || source->count < 2) {
        return;
    }
    plan_look(planner, input, source, &common);
    if (sorting_pays(planner, input, source, &common, &survey)) {
        index_bits = plan_sort(planner, input, source->count, &common);
    }
    if (index_bits != 0) {
        uint64_t mask = (UINT64_C(1) << index_bits) - 1;

        for (uint32_t i = 0; i < source->count; i++) {
            uint32_t position = (uint32_t)(planner->keys[i] & mask);
            slab->order[i] = (uint32_t)source_chunk(source, position);
        }
        slab->sorted = true;
    }
    if (index_bits != 0 || survey.done < source->count) {
        plan_coalesce_pieces(planner, input, source, &common, index_bits, slab);
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
