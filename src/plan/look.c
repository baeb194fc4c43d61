/* SPDX-License-Identifier: MIT */
/*
 * look.c - resolves the chunks of a slab once, for passes that go over them again.
 *
 * Only slabs that are out of order come here. Their chunks take 56 bytes each and point at objects
 * that may be anywhere; as pieces they take 16, which the level 2 cache can hold, and the objects
 * are not touched again if all have one profile. It also fixes what each chunk means: a size that
 * becomes known while a slab is planned cannot make two passes disagree.
 */
#include "plan/planner.h"

#define AHEAD_CHUNKS 16

void plan_look(struct planner *planner, const struct plan_input *input,
               const struct plan_source *source, struct plan_common *common)
{
    struct plan_common found = {0};
    struct viewer viewer;
    struct piece piece;

    viewer_init(&viewer, input);
    for (uint32_t i = 0; i < source->count; i++) {
        const struct lsio_chunk *chunk = input_chunk(input, source_chunk(source, i));

        if (i + AHEAD_CHUNKS < source->count) {
            uint64_t ahead = source_chunk(source, i + AHEAD_CHUNKS);
            uint32_t object = input_chunk(input, ahead)->object;

            if (object != viewer.index && object < input->object_count) {
                __builtin_prefetch(input_object(input, object));
            }
        }
        viewer_look(&viewer, chunk, &piece);
        if (piece.kind >= PIECE_BUFFER) {
            found.joinable_count++;
            found.joinable_bytes += piece.length;
        }
        planner->pieces[i] = (struct piece_compact){
            .offset = piece.offset,
            .object = chunk->object,
            .bits = compact_pack(&piece),
        };
    }
    found.profile = viewer.profiles == 1 ? viewer.profile : NULL;
    found.one_store = !viewer.stores;
    found.seeks = viewer.seeks;
    found.extents = viewer.extents;
    *common = found;
}
