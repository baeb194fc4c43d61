/* SPDX-License-Identifier: MIT */
/*
 * compare_fused.c - fused-reduce, fused-scatter: a chunk's whole chain at once, against one pass
 * per step.
 *
 * Measures LSIO's core idea: that bytes are processed on the core that has just read them, while
 * they are in its cache. Both sides verify a crc32c, swap 32-bit words, and add them up (reduce) or
 * copy them into a strided array with streaming stores (scatter), on as many threads. See
 * baseline_passes.c.
 */
#include "fused.h"

#include <string.h>

static void fused_verify(struct fused *fused, struct fused_lsio *lsio, struct fused_passes *passes)
{
    struct bench_half half;
    uint64_t hash = 0;
    if (fused->target != NULL) {
        memset(fused->target, 0, fused->target_bytes);
    }
    fused_passes_run(passes, 1, &half);
    if (fused->target != NULL) {
        hash = bench_hash(fused->target, fused->target_bytes, 0);
        memset(fused->target, 0, fused->target_bytes);
    }
    fused_lsio_run(lsio, 1, &half);
    if (fused->target != NULL && bench_hash(fused->target, fused->target_bytes, 0) != hash) {
        bench_die("fused-scatter: the two sides made different arrays");
    }
}

static void fused_run(const struct bench_options *options, const struct bench_report *report,
                      bool scatter)
{
    static struct bench_trial trial;
    static struct fused_lsio lsio;
    struct fused_passes passes;
    struct fused fused;
    fused_open(&fused, options, scatter);
    fused_passes_open(&passes, &fused, options->workers);
    fused_lsio_open(&lsio, &fused, options->workers);
    fused_prepare(&fused);
    fused_verify(&fused, &lsio, &passes);
    trial = (struct bench_trial){
        .sides = {{"lsio", fused_lsio_run, &lsio, 1}, {"passes", fused_passes_run, &passes, 1}},
        .side_count = 2,
        .pairs = options->pairs > 0 ? options->pairs : 9,
        .prepare = fused_prepare,
        .prepare_state = &fused,
    };
    struct lsio_stats before = bench_stats(lsio.context);
    bench_calibrate(&trial, 0, 2, options->seconds > 0 ? options->seconds : 0.5);
    bench_run(&trial);
    bench_expect_single(lsio.context, &before, report->name);
    bench_report(options, report, &trial, 0, 1);
    fused_lsio_close(&lsio);
    fused_passes_close(&passes);
    fused_close(&fused);
}

static void fused_reduce(const struct bench_options *options)
{
    const struct bench_report report = {
        .name = "fused-reduce", .unit = "GiB/s", .metric = BENCH_WALL, .threshold = 2.2};
    fused_run(options, &report, false);
}

static void fused_scatter(const struct bench_options *options)
{
    const struct bench_report report = {
        .name = "fused-scatter", .unit = "GiB/s", .metric = BENCH_WALL, .threshold = 1.6};
    fused_run(options, &report, true);
}

const struct bench_compare bench_fused_compares[] = {
    {"fused-reduce",
     "crc32c, byteswap, sum of cached 64-256 KiB chunks; read all, then a pass per "
     "step; wall",
     ">= 2.2", fused_reduce},
    {"fused-scatter",
     "crc32c, byteswap, strided copy of 256 KiB chunks; the same with the same "
     "streaming stores; wall",
     ">= 1.6", fused_scatter},
    {NULL, NULL, NULL, NULL},
};
