/* SPDX-License-Identifier: MIT */
/*
 * plan_case.h - random planner inputs and an oracle, shared by the property test and the fuzz
 * target.
 *
 * A case draws numbers from wherever they come (a seeded generator, the fuzzer's bytes) and makes
 * objects, profiles and chunks of them: mostly small and near one another, sometimes hostile. The
 * oracle is the contract of plan.h written as the simplest code that can be right; it shares
 * nothing with src/plan but the header (and parts.h, which is a contract too).
 */
#ifndef LSIO_TESTS_PLAN_CASE_H
#define LSIO_TESTS_PLAN_CASE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/parts.h"
#include "plan/plan.h"

#define CASE_OBJECTS    6u
#define CASE_CHUNKS     3000u
#define CASE_STRIDE_MAX 96u

struct plan_case {
    uint64_t (*draw)(void *state);
    void *state;
    struct plan_profile profiles[2];
    struct {
        struct plan_object plan;
        uint64_t true_size;
        uint64_t pad[2];
    } objects[CASE_OBJECTS];
    struct plan_extent extents[4];
    unsigned char chunks[CASE_CHUNKS * CASE_STRIDE_MAX + 64];
    struct plan_input input;
    uint32_t slab_chunks;
    uint64_t kinds[6], sorted; /* operations and sorted slabs seen so far, in all cases */
    char what[160];            /* what is wrong */
};

static char case_chain_direct, case_chain_decodes, case_memory;

static const struct lsio_chain *case_chain(const char *tag)
{
    return (const struct lsio_chain *)(const void *)tag;
}

static bool case_reads_into_dst(const struct lsio_chain *chain)
{
    return !chain || chain == case_chain(&case_chain_direct);
}

static uint64_t case_below(struct plan_case *c, uint64_t limit)
{
    return limit ? c->draw(c->state) % limit : 0;
}

static uint64_t case_pick(struct plan_case *c, const uint64_t *values, size_t count)
{
    return values[case_below(c, count)];
}
#define CASE_PICK(c, ...)                                                                          \
    case_pick(c, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8)

static void case_make_profile(struct plan_case *c, struct plan_profile *profile)
{
    static const char *const names[] = {"nvme", "ssd", "hdd", "hpc", "http", "cloud", "memory"};

    plan_profile_builtin(names[case_below(c, 7)], profile);
    if (case_below(c, 2)) {
        profile->gap_bytes = CASE_PICK(c, 0, 1, 100, 4096, 5000, 65536, 65537, 1 << 20, UINT64_MAX);
        profile->request_bytes_max = CASE_PICK(c, 1, 100, 4096, 65536, 1 << 20, UINT64_MAX);
        profile->split_bytes = CASE_PICK(c, 0, 1, 7, 4096, 65536, UINT64_MAX);
        profile->waste_max = (uint32_t)CASE_PICK(c, 0, 1, 10, 50, 90, 100);
        profile->discards = CASE_PICK(c, 0, 0, 1) != 0;
        profile->physical_order = case_below(c, 2);
    }
}

static void case_make_objects(struct plan_case *c)
{
    uint64_t at = 0;

    for (uint32_t i = 0; i < 4; i++) {
        c->extents[i].logical = at;
        c->extents[i].physical = case_below(c, UINT64_C(1) << 40);
        c->extents[i].bytes = 1 + case_below(c, 100000);
        at += c->extents[i].bytes;
    }
    for (uint32_t i = 0; i < CASE_OBJECTS; i++) {
        struct plan_object *object = &c->objects[i].plan;
        uint64_t size =
            CASE_PICK(c, 0, 1, 1000, 100000, 1 << 22, UINT64_C(1) << 40, INT64_MAX, UINT64_MAX - 1);

        c->objects[i].true_size = size;
        atomic_init(&object->size, case_below(c, 2) ? size : LSIO_SIZE_UNKNOWN);
        object->store = (uint32_t)case_below(c, 2);
        object->profile = &c->profiles[object->store];
        object->extents = case_below(c, 2) ? c->extents : NULL;
        object->extent_count = object->extents ? (uint32_t)case_below(c, 5) : 0;
    }
}

static void case_make_chunk(struct plan_case *c, struct lsio_chunk *chunk, uint64_t *at,
                            uint32_t *object, uint64_t shape)
{
    uint64_t scale = CASE_PICK(c, 1, 16, 512, 4096, 65536);
    uint64_t roll = case_below(c, 40);

    memset(chunk, 0, sizeof(*chunk));
    if (case_below(c, 8) == 0) {
        *object = (uint32_t)case_below(c, CASE_OBJECTS);
    }
    chunk->object = *object;
    chunk->length = 1 + case_below(c, scale);
    *at = shape == 0 ? *at + case_below(c, 3) * case_below(c, scale)
                     : case_below(c, CASE_PICK(c, 1000, 100000, 1 << 22));
    if (shape == 2) { /* a grid */
        chunk->length = 4096;
        *at = case_below(c, 400) * 4096;
    }
    chunk->offset = (int64_t)(*at & INT64_MAX);
    if (shape == 0) {
        *at += case_below(c, 8) ? chunk->length : chunk->length / 2;
    }
    if (roll == 0) {
        chunk->length = CASE_PICK(c, 0, LSIO_TO_END, INT64_MAX, UINT64_MAX - 1, UINT64_C(3) << 30);
    } else if (roll == 1) {
        chunk->offset = -1 - (int64_t)case_below(c, 2 * scale);
        chunk->length = case_below(c, 2) ? LSIO_TO_END : case_below(c, scale);
    } else if (roll == 2) {
        chunk->offset = (int64_t)CASE_PICK(c, INT64_MAX, (uint64_t)INT64_MIN, 0, UINT64_MAX,
                                           (uint64_t)INT64_MIN + 1, INT64_MAX - 1);
    } else if (roll == 3) {
        chunk->object = (uint32_t)CASE_PICK(c, CASE_OBJECTS, UINT32_MAX, 0);
    } else if (roll == 4) {
        chunk->length = LSIO_TO_END;
    }
    if (case_below(c, 2)) {
        chunk->dst = &case_memory;
        chunk->dst_bytes = case_below(c, 20) ? chunk->length : case_below(c, scale);
    }
    chunk->flags = case_below(c, 20) ? 0 : LSIO_CHUNK_ALLOC;
    chunk->chain = case_below(c, 4)
                       ? NULL
                       : case_chain(case_below(c, 2) ? &case_chain_direct : &case_chain_decodes);
}

static void case_make(struct plan_case *c)
{
    uint64_t shape = case_below(c, 3), at = case_below(c, 10000);
    uint32_t object = 0;

    case_make_profile(c, &c->profiles[0]);
    case_make_profile(c, &c->profiles[1]);
    case_make_objects(c);
    c->input = (struct plan_input){
        .chunks = (const struct lsio_chunk *)(const void *)c->chunks,
        .chunk_bytes = case_below(c, 4) ? sizeof(struct lsio_chunk) : CASE_STRIDE_MAX,
        .chunk_count =
            1 + case_below(c, CASE_PICK(c, 20, 60, 300, case_below(c, 16) ? 60 : CASE_CHUNKS)),
        .objects = &c->objects[0].plan,
        .object_bytes = sizeof(c->objects[0]),
        .object_count = CASE_OBJECTS,
        .chain = case_below(c, 2) ? NULL : case_chain(&case_chain_decodes),
        .reads_into_dst = case_reads_into_dst,
        .request_bytes_max = CASE_PICK(c, 0, 0, 1, 20000, 1 << 20),
        .join_bytes_max = CASE_PICK(c, 0, 1, 5000, 65536, 1 << 20),
    };
    c->slab_chunks = (uint32_t)c->input.chunk_count;
    if (case_below(c, 2)) {
        c->slab_chunks = 1 + (uint32_t)case_below(c, c->input.chunk_count);
    }
    for (uint64_t i = 0; i < c->input.chunk_count; i++) {
        void *place = c->chunks + i * c->input.chunk_bytes;
        case_make_chunk(c, place, &at, &object, shape);
    }
}

/* ---------------------------------------------------------------------------------- oracle -- */

#define CASE_FAIL(c, ...) (snprintf((c)->what, sizeof((c)->what), __VA_ARGS__), false)

static const struct lsio_chunk *case_chunk(const struct plan_case *c, uint64_t index)
{
    return (const struct lsio_chunk *)(const void *)(c->chunks + index * c->input.chunk_bytes);
}

enum case_state { CASE_BAD, CASE_UNKNOWN, CASE_DATA };

/* The table of lsio.h in exact arithmetic. */
static enum case_state case_range(const struct plan_case *c, uint64_t index, uint64_t *from,
                                  uint64_t *to)
{
    __extension__ typedef __int128 wide;
    const struct lsio_chunk *chunk = case_chunk(c, index);
    wide begin = chunk->offset, end, size;

    if (chunk->object >= c->input.object_count || chunk->length == 0) {
        return CASE_BAD;
    }
    size = atomic_load(&c->objects[chunk->object].plan.size);
    if (begin < 0 && chunk->length != LSIO_TO_END && begin + (wide)chunk->length > 0) {
        return CASE_BAD;
    }
    if (size == LSIO_SIZE_UNKNOWN) {
        if (begin < 0 || chunk->length == LSIO_TO_END) {
            return CASE_UNKNOWN;
        }
        size = INT64_MAX;
    }
    if (size > INT64_MAX && (begin < 0 || chunk->length == LSIO_TO_END)) {
        return CASE_BAD; /* counts from an end that cannot be */
    }
    if (begin < 0) {
        begin += size;
        if (begin < 0 && chunk->length == LSIO_TO_END) {
            begin = 0;
        }
    }
    end = chunk->length == LSIO_TO_END ? size : begin + (wide)chunk->length;
    if (begin < 0 || begin >= end || end > size || end > INT64_MAX) {
        return CASE_BAD;
    }
    *from = (uint64_t)begin;
    *to = (uint64_t)end;
    return CASE_DATA;
}

/* May be read into its dst, by its looks; `fits` if there is room. */
static bool case_direct(const struct plan_case *c, uint64_t index, uint64_t bytes, bool *fits)
{
    const struct lsio_chunk *chunk = case_chunk(c, index);
    const struct lsio_chain *chain = chunk->chain ? chunk->chain : c->input.chain;
    bool direct = chunk->dst && !(chunk->flags & LSIO_CHUNK_ALLOC) && case_reads_into_dst(chain);

    *fits = !direct || chunk->dst_bytes >= bytes;
    return direct;
}

static uint64_t case_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* READ, VECTOR, JOIN: the bounds, and that the span is exactly from the first byte to the last. */
static bool case_check_data(struct plan_case *c, const struct plan_slab *slab,
                            const struct plan_op *op)
{
    uint64_t object = case_chunk(c, plan_chunk_of(slab, op->first))->object;
    const struct plan_profile *profile = c->objects[object].plan.profile;
    uint64_t from, to, start = 0, top = 0, last = 0, useful = 0, gap_max = profile->gap_bytes;
    uint64_t span_max = case_min(profile->request_bytes_max, plan_read_bytes_max(profile));
    bool vector = op->kind == PLAN_VECTOR;

    for (uint32_t i = 0; i < op->count; i++) {
        uint64_t index = plan_chunk_of(slab, op->first + i);
        bool fits, direct;

        if (case_range(c, index, &from, &to) != CASE_DATA) {
            return CASE_FAIL(c, "a chunk without bytes is read");
        }
        direct = case_direct(c, index, to - from, &fits);
        if (i == 0) {
            start = last = top = from;
        }
        if (case_chunk(c, index)->object != object) {
            return CASE_FAIL(c, "objects mixed");
        }
        if (from < last || (vector && (from < top || !direct))) {
            return CASE_FAIL(c, "member out of order, or not for a vector");
        }
        if (from > top && from - top > (vector && !profile->discards
                                            ? case_min(gap_max, PLAN_JUNK_BYTES)
                                            : gap_max)) {
            return CASE_FAIL(c, "gap too large");
        }
        if (op->count > 1 && !fits) {
            return CASE_FAIL(c, "a chunk that will fail is joined");
        }
        useful += to > top ? to - (from > top ? from : top) : 0;
        top = to > top ? to : top;
        last = from;
    }
    if (op->span_bytes != top - start || op->span_bytes > PLAN_READ_BYTES_MAX) {
        return CASE_FAIL(c, "span is not from first to last byte");
    }
    if (op->kind == PLAN_READ) {
        return (op->count == 1 && top - start <= plan_read_bytes_max(profile)) ||
               CASE_FAIL(c, "a read of many, or one that should be split");
    }
    if (c->input.request_bytes_max) {
        span_max = case_min(span_max, c->input.request_bytes_max);
    }
    if (!vector && c->input.join_bytes_max) {
        span_max = case_min(span_max, c->input.join_bytes_max);
    }
    if (op->count < 2 || (vector && op->count > PLAN_VECTOR_MAX) || top - start > span_max) {
        return CASE_FAIL(c, "too few, too many or too much joined");
    }
    return (top - start - useful) * 100 <= (uint64_t)profile->waste_max * (top - start) ||
           CASE_FAIL(c, "too much waste");
}

static bool case_check_op(struct plan_case *c, const struct plan_slab *slab,
                          const struct plan_op *op)
{
    uint64_t first = plan_chunk_of(slab, op->first), from, to, part;
    const struct plan_profile *profile;

    switch (op->kind) {
    case PLAN_NONE:
        for (uint32_t i = 0; i < op->count; i++) {
            if (case_range(c, plan_chunk_of(slab, op->first + i), &from, &to) != CASE_BAD) {
                return CASE_FAIL(c, "a chunk with bytes is not read");
            }
        }
        return true;
    case PLAN_PROBE:
        for (uint32_t i = 0; i < op->count; i++) {
            uint64_t index = plan_chunk_of(slab, op->first + i);

            if (case_range(c, index, &from, &to) != CASE_UNKNOWN ||
                case_chunk(c, index)->object != case_chunk(c, first)->object) {
                return CASE_FAIL(c, "probed needlessly, or two objects at once");
            }
        }
        return true;
    case PLAN_SPLIT:
        if (op->count != 1 || case_range(c, first, &from, &to) != CASE_DATA) {
            return CASE_FAIL(c, "bad split");
        }
        profile = c->objects[case_chunk(c, first)->object].plan.profile;
        part = plan_part_bytes(profile, to - from);
        return (to - from > plan_read_bytes_max(profile) && part >= plan_read_bytes_max(profile) &&
                op->parts >= 2 && (to - from - 1) / part + 1 == op->parts) ||
               CASE_FAIL(c, "wrong number of parts");
    case PLAN_READ:
    case PLAN_VECTOR:
    case PLAN_JOIN:
        return case_check_data(c, slab, op);
    default:
        return CASE_FAIL(c, "unknown kind %d", op->kind);
    }
}

/* The operations lie side by side over all positions, and the positions are exactly `members`. */
static bool case_check_slab(struct plan_case *c, const struct plan_slab *slab,
                            const uint32_t *members, uint32_t count)
{
    static unsigned char seen[CASE_CHUNKS];
    uint64_t asked = 0, read = 0, from, to;
    uint32_t position = 0;

    if (slab->chunk_count != count || slab->op_count > count) {
        return CASE_FAIL(c, "wrong counts");
    }
    c->sorted += slab->sorted;
    memset(seen, 0, sizeof(seen));
    for (uint32_t i = 0; i < count; i++) {
        uint64_t index = plan_chunk_of(slab, i);

        if (index >= c->input.chunk_count || seen[index]++) {
            return CASE_FAIL(c, "chunk planned twice");
        }
        if (case_range(c, index, &from, &to) == CASE_DATA) {
            asked = asked > UINT64_MAX - (to - from) ? UINT64_MAX : asked + (to - from);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!seen[members[i]]) {
            return CASE_FAIL(c, "chunk %u not planned", members[i]);
        }
    }
    for (uint32_t i = 0; i < slab->op_count; i++) {
        const struct plan_op *op = &slab->ops[i];
        uint64_t bytes = op->span_bytes;

        if (op->first != position || op->count == 0 || op->count > count - position) {
            return CASE_FAIL(c, "operation %u does not follow the one before", i);
        }
        position += op->count;
        c->kinds[op->kind <= PLAN_PROBE ? op->kind : 0]++;
        if (!case_check_op(c, slab, op)) {
            return false;
        }
        if (op->kind == PLAN_SPLIT && case_range(c, plan_chunk_of(slab, op->first), &from, &to)) {
            bytes = to - from;
        }
        read = read > UINT64_MAX - bytes ? UINT64_MAX : read + bytes;
    }
    if (position != count) {
        return CASE_FAIL(c, "chunks left over");
    }
    return (slab->bytes_asked == asked && slab->bytes_read == read) || CASE_FAIL(c, "wrong totals");
}

/* ---------------------------------------------------------------------------------- driver -- */

struct case_slab {
    struct plan_slab slab;
    uint32_t order[CASE_CHUNKS];
    struct plan_op ops[CASE_CHUNKS];
};

static void case_slab_init(struct case_slab *s, uint32_t count)
{
    memset(s->order, 0xa5, count * sizeof(s->order[0]));
    memset(s->ops, 0xa5, count * sizeof(s->ops[0]));
    s->slab.order = s->order;
    s->slab.ops = s->ops;
}

static bool case_check_resume(struct plan_case *c, struct planner *planner,
                              const struct case_slab *from, const struct plan_op *probe)
{
    static struct case_slab again;
    uint32_t members[CASE_CHUNKS];
    uint32_t object = case_chunk(c, plan_chunk_of(&from->slab, probe->first))->object;
    uint64_t size = c->objects[object].true_size;

    for (uint32_t i = 0; i < probe->count; i++) {
        members[i] = (uint32_t)plan_chunk_of(&from->slab, probe->first + i);
    }
    case_slab_init(&again, probe->count);
    atomic_store(&c->objects[object].plan.size, size);
    plan_resume(planner, &c->input, &from->slab, probe, &again.slab);
    for (uint32_t i = 0; i < again.slab.op_count; i++) {
        if (again.ops[i].kind == PLAN_PROBE) {
            return CASE_FAIL(c, "probed again");
        }
    }
    if (!case_check_slab(c, &again.slab, members, probe->count)) {
        return false;
    }
    atomic_store(&c->objects[object].plan.size, LSIO_SIZE_UNKNOWN);
    return true;
}

/* Plans a case slab by slab and checks everything; false leaves c->what. */
static bool case_run(struct plan_case *c)
{
    static struct case_slab s;
    struct planner *planner = NULL;
    uint32_t members[CASE_CHUNKS];
    bool good = true;

    if (planner_create(c->slab_chunks, &planner) != 0) {
        return CASE_FAIL(c, "no memory");
    }
    for (uint64_t first = 0; good && first < c->input.chunk_count; first += c->slab_chunks) {
        uint32_t count = (uint32_t)case_min(c->slab_chunks, c->input.chunk_count - first);

        for (uint32_t i = 0; i < count; i++) {
            members[i] = (uint32_t)first + i;
        }
        case_slab_init(&s, count);
        plan_slab_build(planner, &c->input, first, count, &s.slab);
        good = case_check_slab(c, &s.slab, members, count);
        for (uint32_t i = 0; good && i < s.slab.op_count; i++) {
            good = s.ops[i].kind != PLAN_PROBE || case_check_resume(c, planner, &s, &s.ops[i]);
        }
    }
    planner_destroy(planner);
    return good;
}

#endif
