/* SPDX-License-Identifier: MIT */
/*
 * fused.c - the data of fused-* and scale, and what LSIO and the baselines do with it.
 *
 * All sides check the same crc, swap the same words and end in the same sum or the same array; each
 * run is checked for it. The file is in the page cache before each half.
 */
#define _GNU_SOURCE 1
#include "fused.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUSED_BYTES ((uint64_t)512 << 20) /* of payload */

static const uint32_t mixed_sizes[] = {64u << 10, 128u << 10, 256u << 10};

static uint32_t payload_bytes(size_t index, bool scatter)
{
    return scatter ? FUSED_SCATTER_BYTES : mixed_sizes[index % 3];
}

/* A page that no chunk asks for lies between two records. */
static uint64_t record_bytes(uint32_t payload)
{
    return ((uint64_t)payload + 4 + 2 * BENCH_PAGE - 1) / BENCH_PAGE * BENCH_PAGE;
}

static void fused_fill(uint8_t *bytes, uint64_t length, unsigned file, void *data)
{
    struct fused *fused = data;
    uint64_t state = 7 + file;
    memset(bytes, 0, length);
    for (size_t i = 0; i < fused->count; i++) {
        uint8_t *record = bytes + fused->items[i].offset;
        uint32_t payload = fused->items[i].payload_bytes;
        for (uint32_t at = 0; at < payload; at += 8) {
            uint64_t word = bench_random(&state);
            memcpy(record + at, &word, 8);
        }
        uint32_t crc = lsio_crc32c(0, record, payload);
        memcpy(record + payload, &crc, 4);
    }
}

void fused_open(struct fused *fused, const struct bench_options *options, bool scatter)
{
    uint64_t total = 0, end = 0;
    memset(fused, 0, sizeof(*fused));
    fused->options = options;
    size_t room = FUSED_BYTES / mixed_sizes[0];
    fused->items = calloc(room, sizeof(*fused->items));
    fused->chunks = calloc(room, sizeof(*fused->chunks));
    fused->boxes = calloc(room, sizeof(*fused->boxes));
    if (fused->items == NULL || fused->chunks == NULL || fused->boxes == NULL) {
        bench_die("no memory for %zu chunks", room);
    }
    for (size_t i = 0; total < FUSED_BYTES; i++) {
        uint32_t payload = payload_bytes(i, scatter);
        fused->items[i] = (struct passes_item){
            .payload_bytes = payload, .offset = end, .place = fused->array_bytes};
        fused->chunks[i] = (struct lsio_chunk){.offset = (int64_t)end, .length = payload + 4u};
        end += record_bytes(payload);
        fused->array_bytes += ((uint64_t)payload + 4 + 63) & ~(uint64_t)63;
        total += payload;
        fused->count++;
    }
    fused->gib_per_round = (double)total / BENCH_GIB;
    bench_files_open(&fused->files, options->dir, scatter ? "fused256" : "fusedmix", 1, end,
                     fused_fill, fused);
    if (!scatter) {
        return;
    }
    fused->target_bytes = total;
    fused->target = bench_alloc(total);
    uint64_t rows = FUSED_SCATTER_BYTES / FUSED_ROW_BYTES;
    for (size_t i = 0; i < fused->count; i++) {
        uint64_t column = i % FUSED_TILES, row = i / FUSED_TILES * rows;
        fused->items[i].target = fused->target + (row * FUSED_TILES + column) * FUSED_ROW_BYTES;
        fused->boxes[i].dst = fused->items[i].target;
        fused->chunks[i].data = &fused->boxes[i];
    }
}

void fused_close(struct fused *fused)
{
    bench_files_close(&fused->files);
    bench_free(fused->target, fused->target_bytes);
    free(fused->items);
    free(fused->chunks);
    free(fused->boxes);
    memset(fused, 0, sizeof(*fused));
}

void fused_prepare(void *state)
{
    bench_files_warm(&((struct fused *)state)->files);
}

static void fused_check(struct fused *fused, uint64_t sum, unsigned rounds, const char *who)
{
    if (fused->target != NULL) {
        return; /* the arrays are compared once, before timing */
    }
    if (fused->expected == 0) {
        fused->expected = sum / rounds; /* the first run is one round */
    }
    if (sum != fused->expected * rounds) {
        bench_die("%s has a wrong sum", who);
    }
}

/* ----------------------------------------------------------------------------- LSIO's side -- */

static int sum_stage(struct lsio_call *call)
{
    struct bench_sums *sums = call->user;
    sums->lanes[call->worker].value += kernel_sum4(call->in, call->in_bytes);
    return 0;
}

void fused_lsio_open(struct fused_lsio *lsio, struct fused *fused, unsigned workers)
{
    const struct lsio_option gap = {"gap_bytes", "0"};
    memset(lsio, 0, sizeof(*lsio));
    lsio->fused = fused;
    lsio->context = bench_context(fused->options, workers, 0);
    lsio->store = bench_store(lsio->context, fused->files.dir, &gap, 1);
    lsio->objects = bench_objects(lsio->store, &fused->files);
    if (fused->target != NULL) {
        const uint64_t shape[] = {FUSED_SCATTER_BYTES / FUSED_ROW_BYTES, FUSED_ROW_BYTES / 4};
        const int64_t strides[] = {FUSED_TILES * FUSED_ROW_BYTES, 4};
        const struct lsio_scatter_options scatter = {.struct_bytes = sizeof(scatter),
                                                     .typesize = 4,
                                                     .rank = 2,
                                                     .chunk_shape = shape,
                                                     .strides = strides,
                                                     .array = fused->target,
                                                     .array_bytes = fused->target_bytes};
        lsio->chain = chain_crc_swap_scatter(lsio->context, &scatter);
        return;
    }
    lsio->chain = chain_crc_swap_user(lsio->context, sum_stage, &lsio->sums);
}

void fused_lsio_close(struct fused_lsio *lsio)
{
    lsio_chain_destroy(lsio->chain);
    bench_check(lsio_store_close(lsio->store), "lsio_store_close");
    bench_check(lsio_context_destroy(lsio->context), "lsio_context_destroy");
    free(lsio->objects);
}

void fused_lsio_run(void *state, unsigned rounds, struct bench_half *half)
{
    struct fused_lsio *lsio = state;
    const struct lsio_request request = {.struct_bytes = sizeof(request),
                                         .objects = lsio->objects,
                                         .object_count = lsio->fused->files.count,
                                         .chunks = lsio->fused->chunks,
                                         .chunk_count = lsio->fused->count,
                                         .chain = lsio->chain};
    for (unsigned r = 0; r < rounds; r++) {
        bench_check(lsio_read_batch(lsio->context, &request), "fused");
    }
    fused_check(lsio->fused, bench_sums_take(&lsio->sums), rounds, "LSIO");
    half->amount = lsio->fused->gib_per_round * rounds;
}

/* ----------------------------------------------------------------------- one pass per step -- */

void fused_passes_open(struct fused_passes *passes, struct fused *fused, unsigned threads)
{
    passes->fused = fused;
    passes->pool = bench_pool_create(threads);
    passes->array = bench_alloc(fused->array_bytes);
    fused_prepare(fused);
    passes->passes = passes_create(passes->pool, &fused->files, fused->items, fused->count,
                                   passes->array, fused->array_bytes);
}

void fused_passes_close(struct fused_passes *passes)
{
    passes_destroy(passes->passes);
    bench_pool_destroy(passes->pool);
    bench_free(passes->array, passes->fused->array_bytes);
}

void fused_passes_run(void *state, unsigned rounds, struct bench_half *half)
{
    static const struct passes_geometry geometry = {FUSED_ROW_BYTES, FUSED_TILES * FUSED_ROW_BYTES};
    struct fused_passes *passes = state;
    uint64_t sum = 0;
    for (unsigned r = 0; r < rounds; r++) {
        if (passes->fused->target != NULL) {
            passes_scatter(passes->passes, &geometry);
        } else {
            sum += passes_reduce(passes->passes);
        }
    }
    fused_check(passes->fused, sum, rounds, "the baseline");
    half->amount = passes->fused->gib_per_round * rounds;
}

/* ----------------------------------------------------------------------- the bare loop, fused --
 */

static void fused_consume(void *user, unsigned thread, size_t item, uint8_t *bytes)
{
    struct fused_bare *bare = user;
    uint32_t payload = bare->fused->items[item].payload_bytes, want;
    memcpy(&want, bytes + payload, 4);
    if (lsio_crc32c(0, bytes, payload) != want) {
        bench_die("baseline: a chunk is corrupt");
    }
    kernel_byteswap4(bytes, bytes, payload);
    bare->sums.lanes[thread].value += kernel_sum4(bytes, payload);
}

void fused_bare_open(struct fused_bare *bare, struct fused *fused, unsigned threads)
{
    memset(bare, 0, sizeof(*bare));
    bare->fused = fused;
    bare->pool = bench_pool_create(threads);
    bare->items = calloc(fused->count, sizeof(*bare->items));
    for (size_t i = 0; bare->items != NULL && i < fused->count; i++) {
        bare->items[i] = (struct bare_item){.bytes = fused->items[i].payload_bytes + 4,
                                            .offset = fused->items[i].offset};
    }
    fused_prepare(fused);
    struct bare_config config = {.fds = fused->files.fds,
                                 .fd_count = fused->files.count,
                                 .buffer_bytes = FUSED_SCATTER_BYTES + BENCH_PAGE,
                                 .consume = fused_consume,
                                 .user = bare};
    bare_loop_tune(bare->pool, &config, bare->items, fused->count, BENCH_WALL, false);
    bare->loop = bare_loop_create(bare->pool, &config);
    bench_sums_take(&bare->sums);
}

void fused_bare_close(struct fused_bare *bare)
{
    bare_loop_destroy(bare->loop);
    bench_pool_destroy(bare->pool);
    free(bare->items);
}

void fused_bare_run(void *state, unsigned rounds, struct bench_half *half)
{
    struct fused_bare *bare = state;
    for (unsigned r = 0; r < rounds; r++) {
        bare_loop_run(bare->loop, bare->items, bare->fused->count);
    }
    fused_check(bare->fused, bench_sums_take(&bare->sums), rounds, "the bare loop");
    half->amount = bare->fused->gib_per_round * rounds;
}
