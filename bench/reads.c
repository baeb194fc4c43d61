/* SPDX-License-Identifier: MIT */
/*
 * reads.c - LSIO and the bare loop reading the same list of ranges.
 *
 * Why it is fair: same list, same order, same consuming function, same kind of memory (hot buffers
 * on both sides, or one array on both sides, known to the kernel on both sides), as many threads as
 * workers, all made before the clock starts. LSIO's time is that of whole lsio_read_batch() calls,
 * so validating and planning count; the bare loop has its list ready.
 */
#define _GNU_SOURCE 1
#include "reads.h"
#include "chains.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void reads_open(struct reads *reads, const struct bench_options *options, const char *name,
                uint32_t chunk_bytes, uint32_t step_bytes, size_t limit, bool with_array)
{
    memset(reads, 0, sizeof(*reads));
    reads->options = options;
    reads->name = name;
    reads->chunk_bytes = chunk_bytes;
    bench_grid_open(&reads->files, options);
    size_t per_file = (BENCH_GRID_BYTES - chunk_bytes) / step_bytes + 1;
    size_t all = per_file * reads->files.count;
    reads->count = limit > 0 && limit < all ? limit : all;
    reads->items = calloc(all, sizeof(*reads->items));
    reads->chunks = calloc(reads->count, sizeof(*reads->chunks));
    if (reads->items == NULL || reads->chunks == NULL) {
        bench_die("no memory for %zu ranges", all);
    }
    for (size_t i = 0; i < all; i++) {
        reads->items[i] = (struct bare_item){.file = (uint32_t)(i / per_file),
                                             .bytes = chunk_bytes,
                                             .offset = i % per_file * step_bytes};
    }
    bench_shuffle(reads->items, all, sizeof(*reads->items), 2026);
    if (with_array) {
        reads->array_bytes = (uint64_t)reads->count * chunk_bytes;
        reads->array = bench_alloc(reads->array_bytes);
    }
    for (size_t i = 0; i < reads->count; i++) {
        struct bare_item *item = &reads->items[i];
        item->place = (uint64_t)i * chunk_bytes;
        reads->chunks[i] = (struct lsio_chunk){
            .object = item->file, .offset = (int64_t)item->offset, .length = item->bytes};
        if (with_array) {
            reads->chunks[i].dst = reads->array + item->place;
            reads->chunks[i].dst_bytes = chunk_bytes;
        }
    }
    reads->amount_per_round = (double)reads->count * chunk_bytes / BENCH_GIB;
}

void reads_close(struct reads *reads)
{
    bench_files_close(&reads->files);
    bench_free(reads->array, reads->array_bytes);
    free(reads->items);
    free(reads->chunks);
    memset(reads, 0, sizeof(*reads));
}

void reads_prepare_warm(void *state)
{
    bench_files_warm(&((struct reads *)state)->files);
}

void reads_prepare_cold(void *state)
{
    bench_files_drop(&((struct reads *)state)->files);
}

/* ----------------------------------------------------------------------------- LSIO's side -- */

void reads_lsio_open(struct reads_lsio *lsio, struct reads *reads, struct lsio_context *context,
                     unsigned workers, const char *direct)
{
    const struct lsio_option options[] = {{"gap_bytes", "0"}, {"direct", direct}};
    memset(lsio, 0, sizeof(*lsio));
    lsio->reads = reads;
    lsio->own_context = context == NULL;
    lsio->context = context != NULL ? context : bench_context(reads->options, workers, 0);
    lsio->store = bench_store(lsio->context, reads->files.dir, options, 2);
    lsio->objects = bench_objects(lsio->store, &reads->files);
    if (reads->array == NULL) {
        const struct lsio_stage stage = chain_consume(&lsio->sums);
        bench_check(lsio_chain_create(lsio->context, &stage, 1, &lsio->chain), "lsio_chain_create");
        return;
    }
    int status = lsio_memory_register(lsio->context, reads->array, reads->array_bytes);
    if (status != 0) {
        bench_note("%s: lsio_memory_register: %s", reads->name, lsio_status_text(status));
    }
}

void reads_lsio_close(struct reads_lsio *lsio)
{
    if (lsio->reads->array != NULL) {
        lsio_memory_unregister(lsio->context, lsio->reads->array);
    }
    lsio_chain_destroy(lsio->chain);
    bench_check(lsio_store_close(lsio->store), "lsio_store_close");
    if (lsio->own_context) {
        bench_check(lsio_context_destroy(lsio->context), "lsio_context_destroy");
    }
    free(lsio->objects);
}

void reads_lsio_run(void *state, unsigned rounds, struct bench_half *half)
{
    struct reads_lsio *lsio = state;
    struct reads *reads = lsio->reads;
    const struct lsio_request request = {.struct_bytes = sizeof(request),
                                         .objects = lsio->objects,
                                         .object_count = reads->files.count,
                                         .chunks = reads->chunks,
                                         .chunk_count = reads->count,
                                         .chain = lsio->chain};
    bench_sums_take(&lsio->sums);
    for (unsigned i = 0; i < rounds; i++) {
        bench_check(lsio_read_batch(lsio->context, &request), reads->name);
    }
    half->amount = reads->amount_per_round * rounds;
    if (reads->array == NULL && bench_sums_take(&lsio->sums) != reads->expected * rounds) {
        bench_die("%s: LSIO delivered wrong bytes", reads->name);
    }
}

/* ------------------------------------------------------------------------------ baseline's -- */

static void bare_consume(void *user, unsigned thread, size_t item, uint8_t *bytes)
{
    (void)item;
    bench_consume(user, thread, bytes);
}

void reads_bare_open(struct reads_bare *bare, struct reads *reads, unsigned threads,
                     enum bench_metric metric, bool direct)
{
    memset(bare, 0, sizeof(*bare));
    bare->reads = reads;
    bare->pool = bench_pool_create(threads);
    if (direct) {
        bare->fds = calloc(reads->files.count, sizeof(*bare->fds));
        for (unsigned i = 0; bare->fds != NULL && i < reads->files.count; i++) {
            char path[1024];
            snprintf(path, sizeof(path), "%s/%s", reads->files.dir, reads->files.keys[i]);
            bare->fds[i] = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
            if (bare->fds[i] < 0) {
                bench_die("%s with O_DIRECT: %s", path, strerror(errno));
            }
        }
    }
    struct bare_config config = {.fds = direct ? bare->fds : reads->files.fds,
                                 .fd_count = reads->files.count,
                                 .buffer_bytes = reads->chunk_bytes,
                                 .array = reads->array,
                                 .array_bytes = reads->array_bytes,
                                 .consume = reads->array == NULL ? bare_consume : NULL,
                                 .user = &bare->sums};
    if (direct) {
        reads_prepare_cold(reads);
    } else {
        reads_prepare_warm(reads);
    }
    size_t sample = direct && reads->count > 2000 ? 2000 : reads->count;
    bare_loop_tune(bare->pool, &config, reads->items, sample, metric, direct);
    bare->loop = bare_loop_create(bare->pool, &config);
    if (!bare_loop_registered(bare->loop)) {
        bench_note("%s: the kernel does not register the baseline's memory (ulimit -l)",
                   reads->name);
    }
}

void reads_bare_close(struct reads_bare *bare)
{
    bare_loop_destroy(bare->loop);
    bench_pool_destroy(bare->pool);
    for (unsigned i = 0; bare->fds != NULL && i < bare->reads->files.count; i++) {
        close(bare->fds[i]);
    }
    free(bare->fds);
}

void reads_bare_run(void *state, unsigned rounds, struct bench_half *half)
{
    struct reads_bare *bare = state;
    struct reads *reads = bare->reads;
    bench_sums_take(&bare->sums);
    for (unsigned i = 0; i < rounds; i++) {
        bare_loop_run(bare->loop, reads->items, reads->count);
    }
    half->amount = reads->amount_per_round * rounds;
    if (reads->array == NULL && bench_sums_take(&bare->sums) != reads->expected * rounds) {
        bench_die("%s: the baseline read wrong bytes", reads->name);
    }
}

/* -------------------------------------------------------------------------------- checking -- */

/* What a round must add up to, from plain preads. */
static uint64_t reads_expected(const struct reads *reads)
{
    uint64_t sum = 0, word;
    for (size_t i = 0; i < reads->count; i++) {
        const struct bare_item *item = &reads->items[i];
        if (pread(reads->files.fds[item->file], &word, 8, (off_t)item->offset) != 8) {
            bench_die("pread: %s", strerror(errno));
        }
        sum += word;
    }
    return sum;
}

void reads_verify(struct reads_lsio *lsio, struct reads_bare *bare)
{
    struct reads *reads = lsio->reads;
    struct bench_half half;
    reads->expected = reads_expected(reads);
    if (reads->array != NULL) {
        memset(reads->array, 0, reads->array_bytes);
    }
    reads_lsio_run(lsio, 1, &half);
    if (bare == NULL) {
        return;
    }
    uint64_t hash = 0;
    if (reads->array != NULL) {
        hash = bench_hash(reads->array, reads->array_bytes, 0);
        memset(reads->array, 0, reads->array_bytes);
    }
    reads_bare_run(bare, 1, &half);
    if (reads->array != NULL && bench_hash(reads->array, reads->array_bytes, 0) != hash) {
        bench_die("%s: the two sides read different bytes", reads->name);
    }
}
