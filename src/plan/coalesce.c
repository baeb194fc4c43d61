/* SPDX-License-Identifier: MIT */
/*
 * coalesce.c - one streaming pass over chunks that writes their operations.
 *
 * A group of consecutive positions is open; each chunk either joins it or closes it and opens the
 * next. A closed group is one operation. Invariants of a group that reads: one object; offsets
 * ascend; the span is at most request_bytes_max; at most waste_max percent of it are wanted by
 * nobody; and it is a vector as long as every member goes straight into its dst, none overlaps and
 * no gap exceeds the junk page. When the next chunk would end the vector, the group becomes a join
 * only if an overlap or a buffered chunk asks for it, or if the storage is slow enough for copying
 * to pay (limits.copies).
 *
 * The pass looks at each chunk once, never back, and allocates nothing: in order it is the whole
 * planning. On the way it surveys whether sorting could help. Pure; any thread, own slab each.
 */
#include "plan/planner.h"

#define AHEAD_CHUNKS 16   /* prefetch distance; a chunk and its object arrive in about 100 ns */
#define TRIAL_CHUNKS 1024 /* so often a pass asks itself whether the order is worth going on */

struct group {
    uint32_t first, count;
    uint32_t object;
    uint8_t kind;        /* enum plan_kind; a single READ until it closes */
    bool vector;         /* still fit for PLAN_VECTOR */
    bool last_direct;    /* the last member goes straight into its dst */
    uint64_t start, end; /* of all members */
    uint64_t last;       /* offset of the last member */
    uint64_t useful;     /* bytes of the span that somebody wants */
};

struct pass {
    struct viewer viewer;
    struct group group;
    struct plan_op *op;   /* the next to write */
    uint64_t asked, read; /* cannot overflow: each chunk is at most PLAN_READ_BYTES_MAX long */
    uint64_t alone;       /* bytes of chunks that are never joined; saturated */
    uint32_t object;      /* of the last piece that had one ... */
    uint64_t offset;      /* ... and where it was */
    uint32_t descents;
};

static inline void op_put(struct pass *pass, uint32_t first, uint32_t count, uint8_t kind,
                          uint32_t span_bytes, uint16_t parts)
{
    *pass->op++ = (struct plan_op){
        .first = first,
        .count = count,
        .span_bytes = span_bytes,
        .parts = parts,
        .kind = kind,
    };
}

static inline void group_close(struct pass *pass)
{
    struct group *group = &pass->group;
    uint8_t kind = group->kind;
    uint64_t span = 0;

    if (group->count == 0) {
        return;
    }
    if (kind == PLAN_READ) {
        span = group->end - group->start;
        pass->read += span;
        if (group->count > 1) {
            kind = group->vector ? PLAN_VECTOR : PLAN_JOIN;
        }
    }
    op_put(pass, group->first, group->count, kind, (uint32_t)span, 0);
    group->count = 0;
}

/* Takes the piece into the open group if the rules allow it. */
static inline bool group_take(struct group *group, const struct piece_limits *limits,
                              const struct piece *piece)
{
    uint64_t end = piece->offset + piece->length;
    uint64_t top = max_u64(group->end, end);
    uint64_t span = top - group->start;
    uint64_t gap = piece->offset > group->end ? piece->offset - group->end : 0;
    bool overlaps = piece->offset < group->end;
    bool direct = piece->kind == PIECE_DIRECT;
    bool vector = group->vector && direct && !overlaps;
    uint64_t useful = group->useful + (overlaps ? top - group->end : piece->length);

    if (piece->offset < group->last ||
        gap > (direct || group->last_direct ? limits->gap_direct : limits->gap_buffer)) {
        return false;
    }
    if (vector && (gap > limits->gap_vector || span > limits->vector_bytes_max ||
                   group->count == PLAN_VECTOR_MAX)) {
        if (!limits->copies || limits->long_vectors) {
            return false;
        }
        vector = false;
    }
    if (!vector && span > limits->join_bytes_max) {
        return false;
    }
    /* span is below 2 GiB by now */
    if ((span - useful) * 100 > limits->waste_max * span) {
        return false;
    }
    group->count++;
    group->vector = vector;
    group->last_direct = direct;
    group->end = top;
    group->last = piece->offset;
    group->useful = useful;
    return true;
}

static inline void group_open(struct pass *pass, uint32_t position, uint8_t kind)
{
    group_close(pass);
    pass->group.first = position;
    pass->group.count = 1;
    pass->group.kind = kind;
    pass->group.object = pass->viewer.index;
}

static inline void pass_data(struct pass *pass, uint32_t position, const struct piece *piece)
{
    struct group *group = &pass->group;

    pass->asked += piece->length;
    if (group->count != 0 && group->kind == PLAN_READ && group->object == pass->viewer.index &&
        group_take(group, &pass->viewer.limits, piece)) {
        return;
    }
    group_open(pass, position, PLAN_READ);
    group->start = group->last = piece->offset;
    group->end = piece->offset + piece->length;
    group->useful = piece->length;
    group->last_direct = group->vector = piece->kind == PIECE_DIRECT;
}

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* A chunk that is never joined: one read, or a split. */
static void pass_alone(struct pass *pass, uint32_t position, const struct piece *piece)
{
    const struct plan_profile *profile = pass->viewer.profile;

    group_close(pass);
    pass->alone = add_saturated(pass->alone, piece->length);
    if (piece->length <= pass->viewer.limits.read_bytes_max) {
        op_put(pass, position, 1, PLAN_READ, (uint32_t)piece->length, 0);
    } else {
        op_put(pass, position, 1, PLAN_SPLIT, 0, plan_part_count(profile, piece->length));
    }
}

/* Chunks that need no read now: groups of either kind. */
static void pass_idle(struct pass *pass, uint32_t position, uint8_t kind)
{
    struct group *group = &pass->group;

    if (group->count != 0 && group->kind == kind &&
        (kind == PLAN_NONE || group->object == pass->viewer.index)) {
        group->count++;
        return;
    }
    group_open(pass, position, kind);
}

static inline void pass_piece(struct pass *pass, uint32_t position, const struct piece *piece)
{
    uint32_t object = pass->viewer.index;

    if (piece->kind == PIECE_NONE) {
        pass_idle(pass, position, PLAN_NONE);
        return;
    }
    if (piece->kind == PIECE_PROBE) {
        pass->descents += object < pass->object;
        pass->offset = object == pass->object ? pass->offset : 0;
        pass->object = object;
        pass_idle(pass, position, PLAN_PROBE);
        return;
    }
    pass->descents +=
        (object < pass->object) | ((object == pass->object) & (piece->offset < pass->offset));
    pass->object = object;
    pass->offset = piece->offset;
    if (piece->kind == PIECE_ALONE) {
        pass_alone(pass, position, piece);
    } else {
        pass_data(pass, position, piece);
    }
}

/* Asks the cache for the chunk at `ahead` and, as the one at `near` is there by now, for its
 * object. */
static inline void pass_prefetch(const struct pass *pass, const struct plan_source *source,
                                 uint32_t near, uint32_t ahead)
{
    const struct plan_input *input = pass->viewer.input;

    if (ahead < source->count) {
        const char *chunk = (const char *)input_chunk(input, source_chunk(source, ahead));
        __builtin_prefetch(chunk);
        __builtin_prefetch(chunk + sizeof(struct lsio_chunk) - 1);
    }
    if (near < source->count) {
        uint32_t object = input_chunk(input, source_chunk(source, near))->object;

        if (object != pass->viewer.index && object < input->object_count) {
            __builtin_prefetch(input_object(input, object));
        }
    }
}

static void pass_finish(struct pass *pass, struct plan_slab *slab)
{
    group_close(pass);
    slab->op_count = (uint32_t)(pass->op - slab->ops);
    slab->bytes_asked = add_saturated(pass->asked, pass->alone);
    slab->bytes_read = add_saturated(pass->read, pass->alone);
}

void plan_coalesce(const struct plan_input *input, const struct plan_source *source,
                   struct plan_slab *slab, struct plan_survey *survey)
{
    struct pass pass = {.op = slab->ops};
    struct piece piece;
    uint32_t done = 0;

    viewer_init(&pass.viewer, input);
    while (done < source->count) {
        uint32_t end = source->count - done < TRIAL_CHUNKS ? source->count : done + TRIAL_CHUNKS;

        for (; done < end; done++) {
            pass_prefetch(&pass, source, done + AHEAD_CHUNKS / 2, done + AHEAD_CHUNKS);
            viewer_look(&pass.viewer, input_chunk(input, source_chunk(source, done)), &piece);
            pass_piece(&pass, done, &piece);
        }
        if (pass.descents > done / 8) {
            break;
        }
    }
    pass_finish(&pass, slab);
    survey->done = done;
    survey->op_count = slab->op_count;
    survey->descents = pass.descents;
    survey->extents = pass.viewer.extents;
}

/* Unpacks; a chunk that is never joined may be too long for that, and is looked at again. */
static inline void piece_unpack(struct viewer *viewer, const struct piece_compact *compact,
                                const struct lsio_chunk *chunk, struct piece *piece)
{
    piece->kind = compact_kind(compact);
    piece->offset = compact->offset;
    if (piece->kind >= PIECE_BUFFER) {
        piece->length = compact_length(compact);
    } else if (piece->kind == PIECE_ALONE) {
        viewer_look(viewer, chunk, piece);
    }
}

void plan_coalesce_pieces(const struct planner *planner, const struct plan_input *input,
                          const struct plan_source *source, const struct plan_common *common,
                          uint32_t index_bits, struct plan_slab *slab)
{
    uint64_t mask = index_bits ? (UINT64_C(1) << index_bits) - 1 : 0;
    const uint64_t *keys = planner->keys;
    struct pass pass = {.op = slab->ops};
    struct piece piece = {.length = 0};

    viewer_init(&pass.viewer, input);
    for (uint32_t i = 0; i < source->count; i++) {
        uint32_t position = mask ? (uint32_t)(keys[i] & mask) : i;
        const struct piece_compact *compact = &planner->pieces[position];

        if (mask && i + AHEAD_CHUNKS < source->count) {
            __builtin_prefetch(&planner->pieces[keys[i + AHEAD_CHUNKS] & mask]);
        }
        viewer_face(&pass.viewer, compact, common->profile);
        piece_unpack(&pass.viewer, compact, input_chunk(input, source_chunk(source, position)),
                     &piece);
        pass_piece(&pass, i, &piece);
    }
    pass_finish(&pass, slab);
}
