/* SPDX-License-Identifier: MIT */
/*
 * compare_warm.c - warm-4k, warm-256k, warm-256k-dst, tiny: cached files against the bare loop.
 *
 * Measures what LSIO adds to the kernel's own work when nothing waits: validation, planning,
 * claiming, dispatch, chain. The baseline is the bare io_uring loop at its best depth (tiny:
 * pread), on the same ranges in the same order, see reads.c. Files are checked to be in the page
 * cache before each half.
 */
#define _GNU_SOURCE 1
#include "reads.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KIB 1024u

static double half_seconds(const struct bench_options *options, double fallback)
{
    return options->seconds > 0 ? options->seconds : fallback;
}

static void warm_run(const struct bench_options *options, const struct bench_report *report,
                     uint32_t chunk_bytes, uint32_t step_bytes, size_t limit, bool with_array)
{
    static struct bench_trial trial;
    static struct reads_lsio lsio;
    static struct reads_bare bare;
    struct reads reads;
    reads_open(&reads, options, report->name, chunk_bytes, step_bytes, limit, with_array);
    if (chunk_bytes < 64 * KIB) {
        reads.amount_per_round = (double)reads.count;
    }
    reads_bare_open(&bare, &reads, options->workers, report->metric, false);
    reads_lsio_open(&lsio, &reads, NULL, options->workers, "auto");
    reads_prepare_warm(&reads);
    reads_verify(&lsio, &bare);
    trial = (struct bench_trial){
        .sides = {{"lsio", reads_lsio_run, &lsio, 1}, {"bare loop", reads_bare_run, &bare, 1}},
        .side_count = 2,
        .pairs = options->pairs > 0 ? options->pairs : 9,
        .prepare = reads_prepare_warm,
        .prepare_state = &reads,
    };
    struct lsio_stats before = bench_stats(lsio.context);
    bench_calibrate(&trial, 0, 2, half_seconds(options, 0.5));
    bench_run(&trial);
    bench_expect_single(lsio.context, &before, report->name);
    bench_report(options, report, &trial, 0, 1);
    reads_lsio_close(&lsio);
    reads_bare_close(&bare);
    reads_close(&reads);
}

static void warm_4k(const struct bench_options *options)
{
    const struct bench_report report = {.name = "warm-4k",
                                        .unit = "Mchunks/s",
                                        .metric = BENCH_WALL,
                                        .scale = 1e-6,
                                        .threshold = 0.85};
    warm_run(options, &report, 4 * KIB, 8 * KIB, 0, false);
}

static void warm_256k(const struct bench_options *options)
{
    const struct bench_report report = {
        .name = "warm-256k", .unit = "cpu_s/GiB", .metric = BENCH_CPU, .threshold = 0.95};
    warm_run(options, &report, 256 * KIB, 264 * KIB, 0, false);
}

/* 3900 chunks: the array stays below 1 GiB, the most that the kernel registers in one piece. */
static void warm_256k_dst(const struct bench_options *options)
{
    const struct bench_report report = {
        .name = "warm-256k-dst", .unit = "cpu_s/GiB", .metric = BENCH_CPU, .threshold = 0.95};
    warm_run(options, &report, 256 * KIB, 264 * KIB, 3900, true);
}

/* ------------------------------------------------------------------------------------ tiny -- */

/* One thread, one chunk per call, always into the same 4 KiB. */
struct tiny {
    struct reads reads;
    struct reads_lsio lsio;
    uint8_t *buffer;
    uint64_t sum;
};

static void tiny_lsio_run(void *state, unsigned rounds, struct bench_half *half)
{
    struct tiny *tiny = state;
    struct lsio_chunk chunk = {.dst = tiny->buffer, .dst_bytes = 4 * KIB};
    const struct lsio_request request = {.struct_bytes = sizeof(request),
                                         .objects = tiny->lsio.objects,
                                         .object_count = tiny->reads.files.count,
                                         .chunks = &chunk,
                                         .chunk_count = 1};
    tiny->sum = 0;
    for (unsigned r = 0; r < rounds; r++) {
        for (size_t i = 0; i < tiny->reads.count; i++) {
            const struct bare_item *item = &tiny->reads.items[i];
            chunk.object = item->file;
            chunk.offset = (int64_t)item->offset;
            chunk.length = item->bytes;
            bench_check(lsio_read_batch(tiny->lsio.context, &request), "tiny");
            tiny->sum += *(const uint64_t *)(const void *)tiny->buffer;
        }
    }
    half->amount = (double)tiny->reads.count * rounds;
}

static void tiny_pread_run(void *state, unsigned rounds, struct bench_half *half)
{
    struct tiny *tiny = state;
    tiny->sum = 0;
    for (unsigned r = 0; r < rounds; r++) {
        for (size_t i = 0; i < tiny->reads.count; i++) {
            const struct bare_item *item = &tiny->reads.items[i];
            ssize_t n = pread(tiny->reads.files.fds[item->file], tiny->buffer, item->bytes,
                              (off_t)item->offset);
            if (n != (ssize_t)item->bytes) {
                bench_die("tiny: pread gave %zd", n);
            }
            tiny->sum += *(const uint64_t *)(const void *)tiny->buffer;
        }
    }
    half->amount = (double)tiny->reads.count * rounds;
}

static void tiny_prepare(void *state)
{
    reads_prepare_warm(&((struct tiny *)state)->reads);
}

static void tiny_run(const struct bench_options *options)
{
    static struct bench_trial trial;
    static struct tiny tiny;
    struct bench_half half;
    reads_open(&tiny.reads, options, "tiny", 4 * KIB, 8 * KIB, 20000, false);
    reads_lsio_open(&tiny.lsio, &tiny.reads, NULL, options->workers, "auto");
    tiny.buffer = bench_alloc(4 * KIB);
    tiny_prepare(&tiny);
    tiny_lsio_run(&tiny, 1, &half);
    uint64_t sum = tiny.sum;
    tiny_pread_run(&tiny, 1, &half);
    if (sum != tiny.sum) {
        bench_die("tiny: the two sides read different bytes");
    }
    trial = (struct bench_trial){
        .sides = {{"lsio", tiny_lsio_run, &tiny, 1}, {"pread", tiny_pread_run, &tiny, 1}},
        .side_count = 2,
        .pairs = options->pairs > 0 ? options->pairs : 9,
        .prepare = tiny_prepare,
        .prepare_state = &tiny,
    };
    bench_calibrate(&trial, 0, 2, half_seconds(options, 0.3));
    bench_run(&trial);
    const struct bench_report report = {
        .name = "tiny", .unit = "Mcalls/s", .metric = BENCH_WALL, .scale = 1e-6, .threshold = 0.35};
    bench_report(options, &report, &trial, 0, 1);
    reads_lsio_close(&tiny.lsio);
    reads_close(&tiny.reads);
    bench_free(tiny.buffer, 4 * KIB);
}

const struct bench_compare bench_warm_compares[] = {
    {"warm-4k", "cached random 4 KiB, consumed in pool buffers; bare io_uring loop; wall",
     ">= 0.85", warm_4k},
    {"warm-256k", "the same at 256 KiB; CPU per GiB", ">= 0.95", warm_256k},
    {"warm-256k-dst", "256 KiB into one array, registered on both sides; CPU per GiB", ">= 0.95",
     warm_256k_dst},
    {"tiny", "one cached 4 KiB chunk per call on one thread; pread; wall", ">= 0.35", tiny_run},
    {NULL, NULL, NULL, NULL},
};
