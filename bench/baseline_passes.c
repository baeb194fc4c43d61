/* SPDX-License-Identifier: MIT */
/*
 * baseline_passes.c - the usual way: read everything, then one pass over everything per step.
 *
 * What makes it quick: the read is the bare io_uring loop straight into one registered array; each
 * pass runs on all threads, takes chunks dynamically and uses the same step functions as LSIO's
 * side; bytes are swapped in place, which moves a third less memory than swapping into a second
 * array; the last copy uses the same streaming stores. All memory is there and touched before the
 * clock starts. What it does not do is what is measured: keep a chunk in cache between the steps.
 */
#include "baseline.h"
#include "lsio/stages.h"

#include <stdlib.h>
#include <string.h>

struct passes {
    struct bench_pool *pool;
    struct bare_loop *loop;
    struct bare_item *reads;
    const struct passes_item *items;
    size_t count;
    uint8_t *array;
    const struct passes_geometry *geometry;
    struct bench_claim claim;
    struct bench_sums sums;
};

struct passes *passes_create(struct bench_pool *pool, const struct bench_files *files,
                             const struct passes_item *items, size_t count, uint8_t *array,
                             uint64_t array_bytes)
{
    struct passes *passes = calloc(1, sizeof(*passes));
    struct bare_item *reads = calloc(count, sizeof(*reads));
    if (passes == NULL || reads == NULL) {
        bench_die("no memory for %zu chunks", count);
    }
    for (size_t i = 0; i < count; i++) {
        reads[i] = (struct bare_item){.file = items[i].file,
                                      .bytes = items[i].payload_bytes + 4,
                                      .offset = items[i].offset,
                                      .place = items[i].place};
    }
    passes->pool = pool;
    passes->reads = reads;
    passes->items = items;
    passes->count = count;
    passes->array = array;
    struct bare_config config = {
        .fds = files->fds, .fd_count = files->count, .array = array, .array_bytes = array_bytes};
    bare_loop_tune(pool, &config, reads, count, BENCH_WALL, false);
    passes->loop = bare_loop_create(pool, &config);
    return passes;
}

void passes_destroy(struct passes *passes)
{
    bare_loop_destroy(passes->loop);
    free(passes->reads);
    free(passes);
}

static void verify_lane(void *data, unsigned thread)
{
    struct passes *passes = data;
    size_t i, end;
    (void)thread;
    while (bench_claim_take(&passes->claim, &i, &end)) {
        for (; i < end; i++) {
            const struct passes_item *item = &passes->items[i];
            const uint8_t *bytes = passes->array + item->place;
            uint32_t want;
            memcpy(&want, bytes + item->payload_bytes, 4);
            if (lsio_crc32c(0, bytes, item->payload_bytes) != want) {
                bench_die("baseline: a chunk is corrupt");
            }
        }
    }
}

static void swap_lane(void *data, unsigned thread)
{
    struct passes *passes = data;
    size_t i, end;
    (void)thread;
    while (bench_claim_take(&passes->claim, &i, &end)) {
        for (; i < end; i++) {
            uint8_t *bytes = passes->array + passes->items[i].place;
            kernel_byteswap4(bytes, bytes, passes->items[i].payload_bytes);
        }
    }
}

static void sum_lane(void *data, unsigned thread)
{
    struct passes *passes = data;
    size_t i, end;
    while (bench_claim_take(&passes->claim, &i, &end)) {
        for (; i < end; i++) {
            const uint8_t *bytes = passes->array + passes->items[i].place;
            passes->sums.lanes[thread].value += kernel_sum4(bytes, passes->items[i].payload_bytes);
        }
    }
}

static void copy_lane(void *data, unsigned thread)
{
    struct passes *passes = data;
    const struct passes_geometry *geometry = passes->geometry;
    size_t i, end;
    (void)thread;
    while (bench_claim_take(&passes->claim, &i, &end)) {
        for (; i < end; i++) {
            const struct passes_item *item = &passes->items[i];
            kernel_scatter_rows(item->target, geometry->row_stride, passes->array + item->place,
                                geometry->row_bytes, item->payload_bytes / geometry->row_bytes);
        }
    }
}

static void pass(struct passes *passes, bench_pool_fn *lane)
{
    bench_claim_reset(&passes->claim, passes->count, bench_pool_threads(passes->pool));
    bench_pool_run(passes->pool, lane, passes);
}

uint64_t passes_reduce(struct passes *passes)
{
    bare_loop_run(passes->loop, passes->reads, passes->count);
    pass(passes, verify_lane);
    pass(passes, swap_lane);
    pass(passes, sum_lane);
    return bench_sums_take(&passes->sums);
}

void passes_scatter(struct passes *passes, const struct passes_geometry *geometry)
{
    passes->geometry = geometry;
    bare_loop_run(passes->loop, passes->reads, passes->count);
    pass(passes, verify_lane);
    pass(passes, swap_lane);
    pass(passes, copy_lane);
}
