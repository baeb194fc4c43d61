/* SPDX-License-Identifier: MIT */
/*
 * scatter.c - the stage that copies a box of a chunk into a strided array.
 *
 * Design: a box is a list of dimensions, each with a count and with the distance in bytes from one
 * index to the next in the chunk and in the array. Dimensions of one index drop out, and two
 * neighbours that are one run in both the chunk and the array become one, so that what is left is
 * as few and as long rows as there can be: a whole chunk that lies in one piece in the array is one
 * row. For whole chunks, the usual case, this is done when the stage is made.
 *
 * Rows go past the cache where the array is large (copy.c); the fence is before the stage returns,
 * so that whoever learns of the chunk's end sees its bytes.
 *
 * Nothing is written before the box is known to be inside the chunk and, if the array's extent was
 * given, inside the array; all products are checked for overflow.
 *
 * Threads: the stage is frozen. Chunks go to different places of the array, which is the caller's
 * promise.
 */
#include "stage/stage.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mark.h"
#include "stage/copy.h"

#define CHUNK_BYTES_MAX (INT64_MAX / 64) /* so that sums of offsets cannot overflow */
#define STREAM_ARRAY_BYTES                                                                         \
    ((uint64_t)8 << 20) /* larger than what a core's share of the cache holds */

struct dimension {
    uint64_t count;
    int64_t from; /* bytes from one index to the next in the chunk */
    int64_t to;   /* and in the array */
};

/* The slowest dimension first. Elements of the last one are row_bytes long. */
struct layout {
    uint32_t rank;
    uint64_t row_bytes;
    struct dimension dimension[LSIO_SCATTER_RANK_MAX];
};

struct scatter_stage { /* frozen */
    uint32_t typesize;
    uint32_t rank;
    uint64_t chunk_bytes;
    uint64_t data_offset;
    uintptr_t array;
    uint64_t array_bytes;
    copy_fn *stream; /* NULL: ordinary stores */
    uint64_t shape[LSIO_SCATTER_RANK_MAX];
    int64_t from[LSIO_SCATTER_RANK_MAX];
    int64_t to[LSIO_SCATTER_RANK_MAX];
    struct layout whole; /* of a box that is the whole chunk */
    int64_t whole_first; /* the lowest byte it writes, counted from its dst, */
    int64_t whole_end;   /* and the byte behind its highest */
};

/* ------------------------------------------------------------------------------------- layouts --
 */

/* Is the last of `count` inner steps followed by where one outer step leads? */
static bool runs_on(int64_t outer, uint64_t count, int64_t inner)
{
    int64_t run;

    return !__builtin_mul_overflow((int64_t)count, inner, &run) && run == outer;
}

/* Rows as long as can be for a box of `extent` elements. */
static void layout_make(struct layout *layout, const struct scatter_stage *stage,
                        const uint64_t *extent)
{
    struct dimension *dimension = layout->dimension;
    uint32_t rank = 0;

    layout->row_bytes = stage->typesize;
    for (uint32_t i = 0; i < stage->rank; i++) {
        if (extent[i] == 1)
            continue;
        if (rank && runs_on(dimension[rank - 1].from, extent[i], stage->from[i]) &&
            runs_on(dimension[rank - 1].to, extent[i], stage->to[i])) {
            dimension[rank - 1].count *= extent[i];
            dimension[rank - 1].from = stage->from[i];
            dimension[rank - 1].to = stage->to[i];
            continue;
        }
        dimension[rank++] = (struct dimension){extent[i], stage->from[i], stage->to[i]};
    }
    if (rank && dimension[rank - 1].to == (int64_t)stage->typesize &&
        dimension[rank - 1].from == (int64_t)stage->typesize) {
        layout->row_bytes *= dimension[rank - 1].count;
        rank--;
    }
    layout->rank = rank;
}

/* The lowest byte that a box writes, and the one behind its highest, counted from its dst. False:
 * they overflow. */
static bool box_span(const struct scatter_stage *stage, const uint64_t *extent, int64_t *first,
                     int64_t *end)
{
    *first = 0;
    *end = stage->typesize;
    for (uint32_t i = 0; i < stage->rank; i++) {
        int64_t reach;
        if (extent[i] == 0) {
            *first = *end = 0;
            return true;
        }
        if (extent[i] - 1 > INT64_MAX ||
            __builtin_mul_overflow((int64_t)(extent[i] - 1), stage->to[i], &reach) ||
            __builtin_add_overflow(reach < 0 ? *first : *end, reach, reach < 0 ? first : end))
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------------- copying --
 */

/* One dimension of single elements, the fixed sizes in registers. */
static void copy_elements(uint8_t *out, const uint8_t *in, uint64_t row_bytes,
                          const struct dimension *dimension)
{
    const int64_t from = dimension->from, to = dimension->to;

#define COPY_ELEMENTS(SIZE)                                                                        \
    for (uint64_t i = 0; i < dimension->count; i++, in += from, out += to)                         \
    memcpy(out, in, SIZE)
    switch (row_bytes) {
    case 1:
        COPY_ELEMENTS(1);
        return;
    case 2:
        COPY_ELEMENTS(2);
        return;
    case 4:
        COPY_ELEMENTS(4);
        return;
    case 8:
        COPY_ELEMENTS(8);
        return;
    case 16:
        COPY_ELEMENTS(16);
        return;
    default:
        COPY_ELEMENTS((size_t)row_bytes);
    }
#undef COPY_ELEMENTS
}

static void copy_rows(const struct scatter_stage *stage, uint8_t *out, const uint8_t *in,
                      uint64_t row_bytes, const struct dimension *dimension)
{
    if (!stage->stream || row_bytes < COPY_STREAM_MIN) {
        copy_elements(out, in, row_bytes, dimension);
        return;
    }
    for (uint64_t i = 0; i < dimension->count; i++) {
        stage->stream(out, in, (size_t)row_bytes);
        in += dimension->from;
        out += dimension->to;
    }
}

/* All rows of a box with no empty dimension, counting through its dimensions like a clock. */
static void layout_copy(const struct scatter_stage *stage, const struct layout *layout,
                        uint8_t *out, const uint8_t *in)
{
    static const struct dimension one = {1, 0, 0};
    const struct dimension *dimension = layout->dimension;
    uint64_t index[LSIO_SCATTER_RANK_MAX];
    uint32_t rank = layout->rank;

    for (uint32_t i = 0; i < rank; i++)
        index[i] = 0;
    for (;;) {
        uint32_t i = rank ? rank - 1 : 0;
        copy_rows(stage, out, in, layout->row_bytes, rank ? &dimension[rank - 1] : &one);
        for (;;) {
            if (i == 0)
                return;
            i--;
            if (++index[i] < dimension[i].count)
                break;
            index[i] = 0;
            in -= (int64_t)(dimension[i].count - 1) * dimension[i].from;
            out -= (int64_t)(dimension[i].count - 1) * dimension[i].to;
        }
        in += dimension[i].from;
        out += dimension[i].to;
    }
}

/* ------------------------------------------------------------------------------- the stage -- */

/* A box as it applies to this chunk: what is wanted, where it begins, and whether it is everything.
 */
struct wanted {
    uint8_t *dst;
    int64_t offset; /* in the chunk */
    bool whole;
    bool empty;
    const uint64_t *extent;
    uint64_t clipped[LSIO_SCATTER_RANK_MAX];
};

static const struct lsio_scatter_box *box_of(const struct lsio_call *call)
{
    const struct scatter_stage *stage = call->user;

    return (const struct lsio_scatter_box *)(const void *)((const char *)call->data +
                                                           stage->data_offset);
}

/* Checks the box against the chunk and the array: NULL, or what is wrong with it. */
static const char *box_check(const struct scatter_stage *stage, const struct lsio_scatter_box *box,
                             struct wanted *wanted)
{
    int64_t first = stage->whole_first, end = stage->whole_end;
    uintptr_t low;
    uint64_t span;

    wanted->dst = box->dst;
    wanted->offset = 0;
    wanted->whole = true;
    wanted->empty = false;
    wanted->extent = stage->shape;
    if (box->start || box->extent) {
        for (uint32_t i = 0; i < stage->rank; i++) {
            uint64_t start = box->start ? box->start[i] : 0;
            if (start > stage->shape[i] ||
                (box->extent && box->extent[i] > stage->shape[i] - start))
                return "the box reaches out of the chunk";
            wanted->clipped[i] = box->extent ? box->extent[i] : stage->shape[i] - start;
            wanted->offset += (int64_t)start * stage->from[i];
            wanted->whole = wanted->whole && wanted->clipped[i] == stage->shape[i];
        }
        wanted->extent = wanted->clipped;
        if (!wanted->whole && !box_span(stage, wanted->clipped, &first, &end))
            return "the box spans more than the address space";
    }
    if (first == end) {
        wanted->empty = true;
        return NULL;
    }
    if (!box->dst)
        return "the box has no dst";
    low = (uintptr_t)box->dst + (uintptr_t)first;
    span = (uint64_t)end - (uint64_t)first;
    if (stage->array && (low < stage->array || span > stage->array_bytes ||
                         low - stage->array > stage->array_bytes - span))
        return "the box reaches out of the array";
    return NULL;
}

static int scatter_run(struct lsio_call *call)
{
    const struct scatter_stage *stage = call->user;
    const struct layout *layout = &stage->whole;
    struct layout partial;
    struct wanted wanted;
    const char *wrong;

    if (call->in_bytes != stage->chunk_bytes) {
        LSIO_MARK(scatter_of_other_size);
        return lsio_call_fail(call, LSIO_E_CORRUPT, "scatter: %llu bytes arrived; a chunk has %llu",
                              (unsigned long long)call->in_bytes,
                              (unsigned long long)stage->chunk_bytes);
    }
    wrong = box_check(stage, box_of(call), &wanted);
    if (wrong) {
        LSIO_MARK(scatter_box_refused);
        return lsio_call_fail(call, -EINVAL, "scatter: %s", wrong);
    }
    if (wanted.empty)
        return 0;
    if (!wanted.whole) {
        layout_make(&partial, stage, wanted.extent);
        layout = &partial;
    }
    if (layout->rank == 0 && (const uint8_t *)call->in + wanted.offset == wanted.dst)
        return 0; /* the stage before has written it in place */
    layout_copy(stage, layout, wanted.dst, (const uint8_t *)call->in + wanted.offset);
    if (stage->stream)
        copy_fence();
    return 0;
}

static void *scatter_place(const struct lsio_call *call, uint64_t bytes)
{
    const struct scatter_stage *stage = call->user;
    struct wanted wanted;

    if (bytes != stage->chunk_bytes || stage->whole.rank != 0 ||
        box_check(stage, box_of(call), &wanted) || wanted.empty || !wanted.whole)
        return NULL;
    return wanted.dst;
}

/* Fills in what follows from shape and strides; false if a product overflows. */
static bool stage_describe(struct scatter_stage *stage)
{
    uint64_t bytes = stage->typesize;

    for (uint32_t i = stage->rank; i-- > 0;) {
        stage->from[i] = (int64_t)bytes;
        /* An empty dimension makes an empty chunk, and must not hide an overflow. */
        if (__builtin_mul_overflow(bytes, stage->shape[i] ? stage->shape[i] : 1, &bytes) ||
            bytes > CHUNK_BYTES_MAX)
            return false;
    }
    stage->chunk_bytes = bytes;
    for (uint32_t i = 0; i < stage->rank; i++)
        if (stage->shape[i] == 0)
            stage->chunk_bytes = 0;
    if (!box_span(stage, stage->shape, &stage->whole_first, &stage->whole_end))
        return false;
    layout_make(&stage->whole, stage, stage->shape);
    return true;
}

int lsio_stage_scatter(const struct lsio_scatter_options *options, struct lsio_stage *out)
{
    struct lsio_scatter_options known;
    struct scatter_stage stage = {0};
    uint64_t array_bytes;
    int status = stage_options_read(&known, sizeof(known), options);

    if (status < 0 || !out || known.typesize < 1 || known.rank > LSIO_SCATTER_RANK_MAX ||
        (known.rank && (!known.chunk_shape || !known.strides)) ||
        known.streaming > LSIO_SCATTER_OFF)
        return -EINVAL;
    stage.typesize = known.typesize;
    stage.rank = known.rank;
    stage.data_offset = known.data_offset;
    stage.array = (uintptr_t)known.array;
    stage.array_bytes = known.array_bytes;
    for (uint32_t i = 0; i < known.rank; i++) {
        stage.shape[i] = known.chunk_shape[i];
        stage.to[i] = known.strides[i];
    }
    if (!stage_describe(&stage))
        return -EINVAL;
    array_bytes = known.array_bytes ? known.array_bytes
                                    : (uint64_t)stage.whole_end - (uint64_t)stage.whole_first;
    if (known.streaming == LSIO_SCATTER_ON ||
        (known.streaming == LSIO_SCATTER_AUTO && array_bytes > STREAM_ARRAY_BYTES))
        stage.stream = copy_stream_find();
    status = stage_make(out, "scatter", scatter_run, LSIO_STAGE_READS_ONLY, &stage, sizeof(stage));
    if (status == 0)
        out->place = scatter_place;
    return status;
}
