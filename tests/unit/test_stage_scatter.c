/* SPDX-License-Identifier: MIT */
/* The scatter stage against a naive loop: random shapes, strides and boxes of rank 0 to 5; limits
 * of the chunk and of the array; the place hook. */
#include "stage_case.h"

#include <errno.h>

#define ARRAY_BYTES 200000u

struct geometry {
    uint32_t typesize, rank;
    uint64_t shape[LSIO_SCATTER_RANK_MAX], start[LSIO_SCATTER_RANK_MAX],
        extent[LSIO_SCATTER_RANK_MAX];
    int64_t strides[LSIO_SCATTER_RANK_MAX];
    uint64_t chunk_bytes;
};

struct user_data {
    char other[8];
    struct lsio_scatter_box box;
};

static uint8_t input[ARRAY_BYTES];

static struct lsio_scatter_options options_of(const struct geometry *g, void *array,
                                              uint32_t streaming)
{
    return (struct lsio_scatter_options){.struct_bytes = sizeof(struct lsio_scatter_options),
                                         .typesize = g->typesize,
                                         .rank = g->rank,
                                         .chunk_shape = g->shape,
                                         .strides = g->strides,
                                         .array = array,
                                         .array_bytes = array ? ARRAY_BYTES : 0,
                                         .streaming = streaming,
                                         .data_offset = offsetof(struct user_data, box)};
}

static void begin(struct stage_case *c, const struct lsio_scatter_options *options)
{
    struct lsio_stage stage;

    assert_int_equal(lsio_stage_scatter(options, &stage), 0);
    case_begin(c, &stage, 1, 0);
}

/* Shape, box, and strides of an array in which the dimensions lie in a random order, with random
 * gaps, some of them backwards. Returns where in the array the box's first element goes. */
static uint64_t geometry_draw(struct geometry *g, uint64_t *seed, uint32_t rank)
{
    uint32_t order[LSIO_SCATTER_RANK_MAX];
    uint64_t first = 0, step, most = rank ? (uint64_t[]){0, 3000, 60, 16, 8, 5}[rank] : 1;
    bool orderly = case_random(seed) % 2;

    g->rank = rank;
    g->typesize = 1 + (uint32_t)(case_random(seed) % (case_random(seed) % 3 ? 8 : 20));
    g->chunk_bytes = step = g->typesize;
    for (uint32_t i = 0; i < rank; i++) {
        uint32_t j = orderly ? i : (uint32_t)(case_random(seed) % (i + 1));
        order[i] = order[j];
        order[j] = i;
        g->shape[i] = 1 + case_random(seed) % (case_random(seed) % 4 ? most : 1);
        g->start[i] = case_random(seed) % 3 ? 0 : case_random(seed) % g->shape[i];
        g->extent[i] = case_random(seed) % 3 ? g->shape[i] - g->start[i]
                                             : case_random(seed) % (g->shape[i] - g->start[i] + 1);
        g->chunk_bytes *= g->shape[i];
    }
    for (uint32_t i = rank; i-- > 0;) {
        uint32_t d = order[i];
        bool backwards = case_random(seed) % 5 == 0;
        step += case_random(seed) % 4 ? 0 : case_random(seed) % 3;
        g->strides[d] = backwards ? -(int64_t)step : (int64_t)step;
        if (backwards && g->extent[d])
            first += step * (g->extent[d] - 1);
        step *= g->extent[d] ? g->extent[d] : 1;
    }
    if (step > ARRAY_BYTES || g->chunk_bytes > ARRAY_BYTES)
        return geometry_draw(g, seed, rank);
    return first + case_random(seed) % (ARRAY_BYTES - step + 1);
}

static void scatter_slowly(const struct geometry *g, uint8_t *to)
{
    uint64_t elements = 1;

    for (uint32_t i = 0; i < g->rank; i++)
        elements *= g->extent[i];
    for (uint64_t e = 0; e < elements; e++) {
        uint64_t left = e, from = 0, size = g->typesize;
        int64_t at = 0;
        for (uint32_t i = g->rank; i-- > 0;) {
            uint64_t index = left % g->extent[i];
            left /= g->extent[i];
            from += (g->start[i] + index) * size;
            at += (int64_t)index * g->strides[i];
            size *= g->shape[i];
        }
        memcpy(to + at, input + from, g->typesize);
    }
}

static void random_boxes(void **state)
{
    uint64_t seed = 11;
    uint8_t *array = malloc(ARRAY_BYTES), *expected = malloc(ARRAY_BYTES);

    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct geometry g;
        uint64_t first = geometry_draw(&g, &seed, (uint32_t)round % 6);
        struct lsio_scatter_options options = options_of(&g, array, (uint32_t)(round / 6 % 3));
        struct user_data data = {.box = {array + first, g.start, g.extent}};
        struct lsio_chunk chunk = {.data = &data};
        struct stage_case c;
        bool from_0 = true, to_end = true;
        for (uint32_t i = 0; i < g.rank; i++) {
            from_0 = from_0 && g.start[i] == 0;
            to_end = to_end && g.start[i] + g.extent[i] == g.shape[i];
        }
        if (from_0 && round % 2)
            data.box.start = NULL;
        if (to_end && round % 4 < 2)
            data.box.extent = NULL;
        memset(array, 0xaa, ARRAY_BYTES);
        memset(expected, 0xaa, ARRAY_BYTES);
        scatter_slowly(&g, expected + first);
        begin(&c, &options);
        assert_int_equal(case_run(&c, input, g.chunk_bytes, &chunk), 0);
        assert_null(c.outcome.data);
        assert_memory_equal(array, expected, ARRAY_BYTES);
        if (g.chunk_bytes < ARRAY_BYTES) {
            assert_int_equal(case_run(&c, input, g.chunk_bytes + 1, &chunk), LSIO_E_CORRUPT);
            assert_int_equal(case_run(&c, input, g.chunk_bytes - 1, &chunk), LSIO_E_CORRUPT);
        }
        case_end(&c);
    }
    free(array);
    free(expected);
}

/* A 4 x 6 chunk of 2-byte elements in an array of rows of 100 bytes. */
static const struct geometry small = {
    .typesize = 2, .rank = 2, .shape = {4, 6}, .strides = {100, 2}, .chunk_bytes = 48};

static void boxes_that_reach_out(void **state)
{
    uint8_t *array = malloc(ARRAY_BYTES), *before = malloc(ARRAY_BYTES);
    struct lsio_scatter_options options = options_of(&small, array, 0);
    static const uint64_t boxes[][4] = {{4, 0, 1, 6}, {0, 6, 4, 1},          {5, 0, 0, 0},
                                        {0, 0, 5, 6}, {1, 0, UINT64_MAX, 6}, {UINT64_MAX, 0, 1, 6}};
    struct user_data data = {.box = {.dst = array}};
    struct lsio_chunk chunk = {.data = &data};
    struct stage_case c;

    (void)state;
    memset(array, 3, ARRAY_BYTES);
    memset(before, 3, ARRAY_BYTES);
    begin(&c, &options);
    for (size_t i = 0; i < 6; i++) {
        data.box.start = boxes[i];
        data.box.extent = boxes[i] + 2;
        assert_int_equal(case_run(&c, input, 48, &chunk), LSIO_E_CALLBACK);
        assert_int_equal(c.outcome.code, -EINVAL);
        case_expect_text(&c, "out of the chunk");
    }
    data.box = (struct lsio_scatter_box){NULL, NULL, NULL};
    assert_int_equal(case_run(&c, input, 48, &chunk), LSIO_E_CALLBACK);
    for (int i = 0; i < 3; i++) {
        uintptr_t at[] = {(uintptr_t)array - 1, (uintptr_t)array + ARRAY_BYTES - 311, 1};
        data.box.dst = (void *)at[i];
        assert_int_equal(case_run(&c, input, 48, &chunk), LSIO_E_CALLBACK);
        case_expect_text(&c, "out of the array");
    }
    assert_memory_equal(array, before, ARRAY_BYTES);
    data.box.dst = array + ARRAY_BYTES - 312; /* just inside */
    assert_int_equal(case_run(&c, input, 48, &chunk), 0);
    assert_memory_equal(array + ARRAY_BYTES - 12, input + 36, 12);
    case_end(&c);
    free(array);
    free(before);
}

static int expand_run(struct lsio_call *call)
{
    void *out;
    int status = lsio_call_out(call, call->in_bytes, &out);

    if (status < 0)
        return status;
    memcpy(out, call->in, (size_t)call->in_bytes);
    *(void **)call->user = out;
    return lsio_call_commit(call, call->in_bytes);
}

/* A whole chunk that lies in one piece is written there by the stage before. */
static void place(void **state)
{
    struct geometry g = {.typesize = 2, .rank = 3, .shape = {4, 1, 6}, .strides = {12, 999, 2}};
    uint8_t array[48];
    void *room;
    struct user_data data = {.box = {.dst = array}};
    struct lsio_chunk chunk = {.data = &data};
    static const uint64_t start[] = {0, 0, 0}, extent[] = {3, 1, 6};

    (void)state;
    for (int contiguous = 0; contiguous < 2; contiguous++) {
        struct lsio_scatter_options options;
        struct lsio_stage stages[2] = {{.struct_bytes = sizeof(struct lsio_stage),
                                        .name = "expand",
                                        .run = expand_run,
                                        .user = &room,
                                        .flags = LSIO_STAGE_WRITES}};
        struct stage_case c;
        g.strides[0] = contiguous ? 12 : -12;
        data.box = (struct lsio_scatter_box){array + (contiguous ? 0 : 36), start, NULL};
        options = options_of(&g, NULL, 0);
        assert_int_equal(lsio_stage_scatter(&options, &stages[1]), 0);
        case_begin(&c, stages, 2, 4096);
        memset(array, 0, sizeof(array));
        assert_int_equal(case_run(&c, input, 48, &chunk), 0);
        assert_ptr_equal(room, contiguous ? array : c.env.scratch);
        assert_memory_equal(array + (contiguous ? 36 : 0), input + 36, 12);
        assert_memory_equal(array + (contiguous ? 0 : 36), input, 12);
        if (contiguous) {
            data.box.extent = extent; /* not all of it */
            assert_int_equal(case_run(&c, input, 48, &chunk), 0);
            assert_ptr_equal(room, c.env.scratch);
            assert_int_equal(case_run(&c, input, 47, &chunk), LSIO_E_CORRUPT);
        }
        case_end(&c);
    }
}

static void wrong_options(void **state)
{
    struct lsio_scatter_options options = options_of(&small, NULL, 0);
    const uint64_t huge[] = {UINT64_MAX / 2, 1 << 20}, empty[] = {0, UINT64_MAX};
    const int64_t far[] = {INT64_MAX, INT64_MAX};
    struct lsio_stage stage;

    (void)state;
#define WRONG(change)                                                                              \
    do {                                                                                           \
        change;                                                                                    \
        assert_int_equal(lsio_stage_scatter(&options, &stage), -EINVAL);                           \
        options = options_of(&small, NULL, 0);                                                     \
    } while (0)
    WRONG(options.typesize = 0);
    WRONG(options.rank = 33);
    WRONG(options.chunk_shape = NULL);
    WRONG(options.strides = NULL);
    WRONG(options.streaming = 3);
    WRONG(options.struct_bytes = 0);
    WRONG(options.chunk_shape = huge);
    WRONG(options.chunk_shape = empty);
    WRONG(options.strides = far);
    assert_int_equal(lsio_stage_scatter(NULL, &stage), -EINVAL);
}

static void empty_chunks(void **state)
{
    struct geometry g = {.typesize = 4, .rank = 2, .shape = {0, 7}, .strides = {28, 4}};
    struct lsio_scatter_options options = options_of(&g, NULL, LSIO_SCATTER_ON);
    struct user_data data = {.box = {0}};
    struct lsio_chunk chunk = {.data = &data};
    struct stage_case c;

    (void)state;
    begin(&c, &options);
    assert_int_equal(case_run(&c, input, 0, &chunk), 0);
    assert_int_equal(case_run(&c, input, 28, &chunk), LSIO_E_CORRUPT);
    case_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_boxes), cmocka_unit_test(boxes_that_reach_out),
        cmocka_unit_test(place),        cmocka_unit_test(wrong_options),
        cmocka_unit_test(empty_chunks),
    };
    uint64_t seed = 4;

    for (uint32_t i = 0; i < ARRAY_BYTES; i++)
        input[i] = (uint8_t)case_random(&seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
