/* SPDX-License-Identifier: MIT */
/*
 * sort.c - brings a slab's chunks into the order in which their storage likes to be read.
 *
 * The key is (store, object, offset); or (store, physical position) for objects whose extents are
 * known on storage that seeks. Chunks without a read come first, together; those that wait for their
 * object's size come before the object's others. The sort is stable.
 *
 * Keys are made as two words, group and place, then squeezed: the least values and the zero bits that
 * all offsets end in carry nothing, so what is left nearly always fits, together with the chunk's
 * position, into one 64-bit word. Those are sorted by a byte-wise radix sort, which skips bytes that
 * are equal everywhere. Wider keys are sorted in rounds, from the low bits to the high ones.
 *
 * Chunks are looked at once, into the planner's arrays: a size that becomes known in between must not
 * make keys that disagree with the widths they were measured by.
 */
#include "plan/planner.h"

#include <string.h>

#include "plan/piece.h"

#define SMALL 32 /* up to so many, insertion is faster */

enum place_kind { PLACE_NONE, PLACE_PROBE, PLACE_LOGICAL, PLACE_PHYSICAL };

struct key_range {
    uint64_t place_min, place_max, place_bits; /* place_bits: all of them or-ed */
    uint32_t object_min, object_max;
    uint32_t store_min, store_max;
};

/* Where a byte of the object lies on the medium; past the extents, where the last one would go on. */
static uint64_t extent_place(const struct plan_object *object, uint64_t offset)
{
    uint32_t low = 0, high = object->extent_count;
    const struct plan_extent *extent;

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;

        if (object->extents[middle].logical <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    extent = &object->extents[low];
    return offset < extent->logical ? extent->physical
                                    : extent->physical + (offset - extent->logical);
}

static inline uint32_t width_of(uint64_t number)
{
    return number ? 64 - (uint32_t)__builtin_clzll(number) : 0;
}

/* Packs kind, object and store of position i for the second step. */
static void keys_look(struct planner *planner, const struct plan_input *input,
                      const struct plan_source *source, struct key_range *range)
{
    struct viewer viewer;
    struct piece piece;

    *range = (struct key_range){
        .place_min = UINT64_MAX, .object_min = UINT32_MAX, .store_min = UINT32_MAX};
    viewer_init(&viewer, input);
    for (uint32_t i = 0; i < source->count; i++) {
        enum place_kind kind = PLACE_PROBE;

        viewer_look(&viewer, input_chunk(input, source_chunk(source, i)), &piece);
        planner->keys[i] = PLACE_NONE;
        if (piece.kind == PIECE_NONE) {
            continue;
        }
        if (piece.kind != PIECE_PROBE) {
            const struct plan_object *object = viewer.object;
            uint64_t place = piece.offset;

            kind = PLACE_LOGICAL;
            if (viewer.profile->physical_order && object->extents && object->extent_count != 0) {
                kind = PLACE_PHYSICAL;
                place = extent_place(object, place);
            }
            planner->places[i] = place;
            range->place_min = min_u64(range->place_min, place);
            range->place_max = max_u64(range->place_max, place);
            range->place_bits |= place;
        }
        planner->keys[i] = kind;
        planner->groups[i] = (uint64_t)viewer.object->store << 32 | viewer.index;
        range->object_min = (uint32_t)min_u64(range->object_min, viewer.index);
        range->object_max = (uint32_t)max_u64(range->object_max, viewer.index);
        range->store_min = (uint32_t)min_u64(range->store_min, viewer.object->store);
        range->store_max = (uint32_t)max_u64(range->store_max, viewer.object->store);
    }
}

/* Squeezes groups and places; returns whether they ascend already. *group_bits and *place_bits get the
 * widths. Group 0 and place 0 are free for NONE and PROBE. */
static bool keys_squeeze(struct planner *planner, uint32_t count, const struct key_range *range,
                         uint32_t *group_bits, uint32_t *place_bits)
{
    uint64_t none_before = range->place_min == UINT64_MAX ? 0 : range->place_min;
    /* Bits below the lowest that differs from the least place's carry nothing. */
    uint64_t bits = range->place_bits;
    uint32_t zeros = bits ? (uint32_t)__builtin_ctzll(bits) : 0;
    uint64_t objects = (uint64_t)(range->object_max - range->object_min) + 2;
    uint32_t object_bits = width_of(objects);
    uint64_t group_max = 0, place_max = 0, group_before = 0, place_before = 0;
    bool ascends = true;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t kind = planner->keys[i];
        uint64_t group = 0, place = 0;

        if (kind != PLACE_NONE) {
            uint64_t store = (planner->groups[i] >> 32) - range->store_min;
            uint64_t object = (uint32_t)planner->groups[i] - range->object_min;

            group = (store << object_bits | (kind == PLACE_PHYSICAL ? 0 : object + 1)) + 1;
        }
        if (kind >= PLACE_LOGICAL) {
            place = ((planner->places[i] - none_before) >> zeros) + 1;
        }
        ascends &= group > group_before || (group == group_before && place >= place_before);
        planner->groups[i] = group_before = group;
        planner->places[i] = place_before = place;
        group_max = max_u64(group_max, group);
        place_max = max_u64(place_max, place);
    }
    *group_bits = width_of(group_max);
    *place_bits = width_of(place_max);
    return ascends;
}

static void insertion_sort(uint64_t *keys, uint32_t count, uint32_t skip_bits)
{
    for (uint32_t i = 1; i < count; i++) {
        uint64_t key = keys[i];
        uint32_t j = i;

        for (; j > 0 && keys[j - 1] >> skip_bits > key >> skip_bits; j--) {
            keys[j] = keys[j - 1];
        }
        keys[j] = key;
    }
}

/* Sorts planner->keys by `bits` bits above `skip_bits`, stably. */
static void radix_sort(struct planner *planner, uint32_t count, uint32_t skip_bits, uint32_t bits)
{
    uint32_t digits = (bits + 7) / 8;
    uint32_t counts[8][256];

    if (count <= SMALL) {
        insertion_sort(planner->keys, count, skip_bits);
        return;
    }
    memset(counts, 0, digits * sizeof(counts[0]));
    for (uint32_t i = 0; i < count; i++) {
        uint64_t key = planner->keys[i] >> skip_bits;

        for (uint32_t digit = 0; digit < digits; digit++, key >>= 8) {
            counts[digit][key & 255]++;
        }
    }
    for (uint32_t digit = 0; digit < digits; digit++) {
        uint32_t shift = skip_bits + 8 * digit;
        uint32_t *next = counts[digit];
        uint64_t *from = planner->keys, *to = planner->keys_to;
        uint32_t sum = 0;

        if (next[(from[0] >> shift) & 255] == count) {
            continue; /* equal everywhere */
        }
        for (uint32_t value = 0; value < 256; value++) {
            uint32_t here = next[value];
            next[value] = sum;
            sum += here;
        }
        for (uint32_t i = 0; i < count; i++) {
            to[next[(from[i] >> shift) & 255]++] = from[i];
        }
        planner->keys = to;
        planner->keys_to = from;
    }
}

/* Sorts by the squeezed keys; planner->keys[i] ends with the position that comes i-th, in its low
 * `index_bits` bits. */
static void keys_sort(struct planner *planner, uint32_t count, uint32_t index_bits,
                      uint32_t group_bits, uint32_t place_bits)
{
    uint32_t room = 64 - index_bits;
    uint64_t index_mask = (UINT64_C(1) << index_bits) - 1;
    uint64_t room_mask = (UINT64_C(1) << room) - 1;

    if (group_bits + place_bits <= room) {
        for (uint32_t i = 0; i < count; i++) {
            uint64_t key = place_bits < 64 ? planner->groups[i] << place_bits : 0;
            planner->keys[i] = (key | planner->places[i]) << index_bits | i;
        }
        radix_sort(planner, count, index_bits, group_bits + place_bits);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        planner->keys[i] = i;
    }
    for (uint32_t word = 0; word < 2; word++) {
        const uint64_t *words = word ? planner->groups : planner->places;
        uint32_t bits = word ? group_bits : place_bits;

        for (uint32_t low = 0; low < bits; low += room) {
            for (uint32_t i = 0; i < count; i++) {
                uint64_t position = planner->keys[i] & index_mask;
                uint64_t digit = (words[position] >> low) & room_mask;
                planner->keys[i] = digit << index_bits | position;
            }
            radix_sort(planner, count, index_bits, bits - low < room ? bits - low : room);
        }
    }
}

bool plan_sort(struct planner *planner, const struct plan_input *input,
               const struct plan_source *source, uint32_t *order)
{
    uint32_t index_bits = width_of(source->count - 1);
    uint64_t index_mask = (UINT64_C(1) << index_bits) - 1;
    uint32_t group_bits, place_bits;
    struct key_range range;

    keys_look(planner, input, source, &range);
    if (keys_squeeze(planner, source->count, &range, &group_bits, &place_bits)) {
        return false;
    }
    keys_sort(planner, source->count, index_bits, group_bits, place_bits);
    for (uint32_t i = 0; i < source->count; i++) {
        uint32_t position = (uint32_t)(planner->keys[i] & index_mask);
        order[i] = (uint32_t)source_chunk(source, position);
    }
    return true;
}
