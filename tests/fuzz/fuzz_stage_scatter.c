/* SPDX-License-Identifier: MIT */
/* Geometries and boxes drawn from the input through the scatter stage, into an array of known
 * extent. */
#include "source.h"
#include "stage_target.h"

#define ARRAY_BYTES 4096u
#define RANK_MAX    6u

/* Mostly small, sometimes anything. */
static uint64_t draw_number(struct source *source)
{
    uint8_t kind = (uint8_t)source_draw(source, 1);

    return kind < 250 ? kind % 12u : source_draw(source, kind == 255 ? 8 : 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct source source = {bytes, count};
    uint64_t shape[RANK_MAX], start[RANK_MAX], extent[RANK_MAX], chunk_bytes;
    int64_t strides[RANK_MAX];
    struct lsio_scatter_options options = {.struct_bytes = sizeof(options)};
    struct lsio_scatter_box box;
    struct lsio_chain *chain;
    struct lsio_stage stage;
    uint8_t *array = malloc(ARRAY_BYTES), *in;

    options.rank = (uint32_t)source_draw(&source, 1) % (RANK_MAX + 1);
    options.typesize = 1 + (uint32_t)draw_number(&source);
    options.streaming = (uint32_t)source_draw(&source, 1) % 3;
    options.array = array;
    options.array_bytes = ARRAY_BYTES;
    options.chunk_shape = shape;
    options.strides = strides;
    chunk_bytes = options.typesize;
    for (uint32_t i = 0; i < options.rank; i++) {
        shape[i] = draw_number(&source);
        start[i] = draw_number(&source);
        extent[i] = draw_number(&source);
        strides[i] = source_draw(&source, 1) % 2 ? -(int64_t)(draw_number(&source) >> 1)
                                                 : (int64_t)(draw_number(&source) >> 1);
        chunk_bytes = chunk_bytes > 1 << 20 ? chunk_bytes : chunk_bytes * (shape[i] & 0xffff);
    }
    box.dst = array + source_draw(&source, 2) % ARRAY_BYTES;
    box.start = source_draw(&source, 1) % 2 ? start : NULL;
    box.extent = source_draw(&source, 1) % 2 ? extent : NULL;
    if (chunk_bytes <= 1 << 20 && lsio_stage_scatter(&options, &stage) == 0) {
        if (chain_create(NULL, 1, &stage, 1, &chain) == 0) {
            in = calloc(1, (size_t)chunk_bytes + 1);
            target_run(chain, in + 1, chunk_bytes, 0, &box);
            free(in);
            chain_destroy(chain);
        }
    }
    free(array);
    return 0;
}
