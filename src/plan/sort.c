/* SPDX-License-Identifier: MIT */
/*
 * sort.c - brings a slab's chunks into the order in which their storage likes to be read.
 *
 * The key is (store, object, offset); or (store, physical position) for objects whose extents are
 * known on storage that seeks. Chunks without a read come first, together; those that wait for
 * their object's size come before the object's others. The sort is stable.
 *
 * A key has two words, group and place, squeezed: the least values and the zero bits that all
 * offsets end in carry nothing, so what is left nearly always fits, together with the piece's
 * position, into one 64-bit word. Those are sorted by a byte-wise radix sort, which skips bytes
 * that are equal everywhere. Wider keys are sorted in rounds, from the low bits to the high ones.
 */
#include "plan/planner.h"

#include <string.h>

#define SMALL 32 /* up to so many, insertion is faster */

/* What all keys have in common. */
struct key_range {
    uint64_t place_min, place_max;
    uint32_t object_min, object_max;
    uint32_t store_min, store_max;
    uint32_t zeros;       /* low bits that are zero in every place */
    uint32_t object_bits; /* of an object in a group */
    uint32_t group_bits, place_bits;
};

struct key {
    uint64_t group, place;
};

struct sorter {
    struct planner *planner;
    const struct plan_input *input;
    bool plain; /* one store, logical order: objects need not be touched */
    struct key_range range;
};

/* Where a byte lies on the medium; past the extents, where the last one would go on. */
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

/* Store and place of a piece that has an object; true if the place is physical. */
static inline bool piece_place(const struct sorter *sorter, const struct piece_compact *piece,
                               uint32_t *store, uint64_t *place)
{
    const struct plan_object *object;

    *store = 0;
    *place = piece->offset;
    if (sorter->plain) {
        return false;
    }
    object = input_object(sorter->input, piece->object);
    *store = object->store;
    if (!object->profile->physical_order || !object->extents || object->extent_count == 0) {
        return false;
    }
    *place = extent_place(object, piece->offset);
    return true;
}

static void range_measure(struct sorter *sorter, uint32_t count)
{
    struct key_range *range = &sorter->range;
    uint64_t bits = 0, places;

    *range = (struct key_range){
        .place_min = UINT64_MAX, .object_min = UINT32_MAX, .store_min = UINT32_MAX};
    for (uint32_t i = 0; i < count; i++) {
        const struct piece_compact *piece = &sorter->planner->pieces[i];
        enum piece_kind kind = compact_kind(piece);
        uint64_t place;
        uint32_t store;

        if (kind == PIECE_NONE) {
            continue;
        }
        piece_place(sorter, piece, &store, &place);
        range->object_min = (uint32_t)min_u64(range->object_min, piece->object);
        range->object_max = (uint32_t)max_u64(range->object_max, piece->object);
        range->store_min = (uint32_t)min_u64(range->store_min, store);
        range->store_max = (uint32_t)max_u64(range->store_max, store);
        if (kind != PIECE_PROBE) {
            range->place_min = min_u64(range->place_min, place);
            range->place_max = max_u64(range->place_max, place);
            bits |= place;
        }
    }
    places = range->place_max >= range->place_min ? range->place_max - range->place_min : 0;
    range->zeros = bits ? (uint32_t)__builtin_ctzll(bits) : 0;
    range->place_bits = width_of((places >> range->zeros) + 1);
    range->object_bits = width_of((uint64_t)(range->object_max - range->object_min) + 2);
    range->group_bits =
        width_of((((uint64_t)(range->store_max - range->store_min) + 1) << range->object_bits) - 1);
}

/* Group 0 is for NONE, place 0 for PROBE; within a store, physical places come before objects. */
static inline struct key key_of(const struct sorter *sorter, const struct piece_compact *piece)
{
    const struct key_range *range = &sorter->range;
    enum piece_kind kind = compact_kind(piece);
    struct key key = {0, 0};
    uint64_t place;
    uint32_t store;
    bool physical;

    if (kind == PIECE_NONE) {
        return key;
    }
    physical = piece_place(sorter, piece, &store, &place) && kind != PIECE_PROBE;
    key.group = (uint64_t)(store - range->store_min) << range->object_bits;
    key.group += physical ? 1 : (uint64_t)(piece->object - range->object_min) + 2;
    if (kind != PIECE_PROBE) {
        key.place = ((place - range->place_min) >> range->zeros) + 1;
    }
    return key;
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

/* Keys that fit one word. Returns whether they ascend already. */
static bool keys_pack(const struct sorter *sorter, uint32_t count, uint32_t index_bits)
{
    uint64_t *keys = sorter->planner->keys;
    uint32_t place_bits = sorter->range.place_bits;
    uint64_t before = 0;
    bool ascend = true;

    for (uint32_t i = 0; i < count; i++) {
        struct key key = key_of(sorter, &sorter->planner->pieces[i]);

        keys[i] = (key.group << place_bits | key.place) << index_bits | i;
        ascend &= keys[i] > before || i == 0;
        before = keys[i];
    }
    return ascend;
}

/* Keys that do not: the same bits, so many at a time, low ones first. */
static void keys_sort_wide(const struct sorter *sorter, uint32_t count, uint32_t index_bits)
{
    struct planner *planner = sorter->planner;
    uint32_t room = 64 - index_bits;
    uint64_t index_mask = (UINT64_C(1) << index_bits) - 1;
    uint64_t room_mask = (UINT64_C(1) << room) - 1;

    for (uint32_t i = 0; i < count; i++) {
        planner->keys[i] = i;
    }
    for (uint32_t word = 0; word < 2; word++) {
        uint32_t bits = word ? sorter->range.group_bits : sorter->range.place_bits;

        for (uint32_t low = 0; low < bits; low += room) {
            for (uint32_t i = 0; i < count; i++) {
                uint64_t position = planner->keys[i] & index_mask;
                struct key key = key_of(sorter, &planner->pieces[position]);
                uint64_t digit = ((word ? key.group : key.place) >> low) & room_mask;

                planner->keys[i] = digit << index_bits | position;
            }
            radix_sort(planner, count, index_bits, bits - low < room ? bits - low : room);
        }
    }
}

uint32_t plan_sort(struct planner *planner, const struct plan_input *input, uint32_t count,
                   const struct plan_common *common)
{
    struct sorter sorter = {
        .planner = planner, .input = input, .plain = common->one_store && !common->extents};
    uint32_t index_bits = width_of(count - 1);
    uint32_t bits;

    range_measure(&sorter, count);
    bits = sorter.range.group_bits + sorter.range.place_bits;
    if (bits > 64 - index_bits) {
        keys_sort_wide(&sorter, count, index_bits);
        return index_bits;
    }
    if (keys_pack(&sorter, count, index_bits)) {
        return 0;
    }
    radix_sort(planner, count, index_bits, bits);
    return index_bits;
}
