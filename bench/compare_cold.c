/* SPDX-License-Identifier: MIT */
/*
 * compare_cold.c - cold-256k against fio, cold-256k-cpu against the bare loop: uncached files.
 *
 * Measures whether LSIO keeps the device as busy as the best pure I/O program, and what CPU it
 * spends. Each LSIO half reads the 50 files (7,600 distinct, non-adjacent chunks of 256 KiB, in
 * random order) as often as 3 s need, one blocking call after the other, so the run-out at the end
 * of each call counts against it; fio runs for 3 s without such ends. All files are dropped from
 * the page cache before each half, and O_DIRECT leaves none there. `direct=auto` chooses O_DIRECT
 * when a batch's cold bytes exceed what the page cache may hold; the benchmark sets
 * lsio_config.cache_bytes to 64 MiB to be in that case on every machine, and checks the statistics
 * for it.
 */
#define _GNU_SOURCE 1
#include "reads.h"

#include <stdio.h>
#include <string.h>

#define KIB              1024u
#define AUTO_CACHE_BYTES ((uint64_t)64 << 20)

struct fio_side {
    struct fio_config config;
    double seconds;
};

static void fio_side_run(void *state, unsigned rounds, struct bench_half *half)
{
    struct fio_side *fio = state;
    (void)rounds;
    double rate = fio_run(&fio->config, fio->seconds, NULL);
    half->amount = rate / BENCH_GIB;
    half->wall_s = 1;
}

struct direct_side {
    struct reads_lsio lsio;
    uint64_t operations, operations_direct;
};

static void direct_side_run(void *state, unsigned rounds, struct bench_half *half)
{
    struct direct_side *side = state;
    struct lsio_stats before = bench_stats(side->lsio.context);
    double cpu = bench_cpu(), wall = bench_now();
    reads_lsio_run(&side->lsio, rounds, half);
    half->wall_s = bench_now() - wall;
    half->cpu_s = bench_cpu() - cpu;
    struct lsio_stats after = bench_stats(side->lsio.context);
    side->operations += after.operations - before.operations;
    side->operations_direct += after.operations_direct - before.operations_direct;
}

static void direct_check(const struct direct_side *side, const char *what)
{
    double share = side->operations > 0
                       ? 100.0 * (double)side->operations_direct / (double)side->operations
                       : 0;
    if (side->operations_direct == 0) {
        bench_die("%s did not use O_DIRECT", what);
    }
    bench_note("%s: %.1f %% of LSIO's reads were O_DIRECT", what, share);
}

static void cold_256k(const struct bench_options *options)
{
    static struct bench_trial trial;
    static struct direct_side on, automatic;
    struct reads reads;
    double seconds = options->seconds > 0 ? options->seconds : 3.0;
    reads_open(&reads, options, "cold-256k", 256 * KIB, 264 * KIB, 0, false);
    struct fio_side fio = {{options->dir, &reads.files, 8, 1, 256 * KIB}, seconds};
    reads_prepare_cold(&reads);
    fio_tune(&fio.config);
    struct lsio_context *context = bench_context(options, options->workers, AUTO_CACHE_BYTES);
    memset(&on, 0, sizeof(on));
    memset(&automatic, 0, sizeof(automatic));
    reads_lsio_open(&on.lsio, &reads, context, 0, "on");
    reads_lsio_open(&automatic.lsio, &reads, context, 0, "auto");
    reads_prepare_cold(&reads);
    reads_verify(&on.lsio, NULL);
    trial = (struct bench_trial){
        .sides = {{"direct=on", direct_side_run, &on, 1},
                  {"direct=auto", direct_side_run, &automatic, 1},
                  {"fio", fio_side_run, &fio, 1}},
        .side_count = 3,
        .pairs = options->pairs > 0 ? options->pairs : 9,
        .prepare = reads_prepare_cold,
        .prepare_state = &reads,
    };
    struct lsio_stats before = bench_stats(context);
    bench_calibrate(&trial, 0, 2, seconds);
    bench_run(&trial);
    bench_expect_single(context, &before, "cold-256k");
    direct_check(&on, "direct=on");
    direct_check(&automatic, "direct=auto");
    bench_note("cold-256k-auto: lsio_config.cache_bytes was set to 64 MiB; a batch has %.2f GiB",
               reads.amount_per_round);
    struct bench_report report = {.name = "cold-256k",
                                  .unit = "GiB/s",
                                  .metric = BENCH_WALL,
                                  .threshold = 0.92,
                                  .remark = "direct=on"};
    bench_report(options, &report, &trial, 0, 2);
    report.name = "cold-256k-auto";
    report.remark = "direct=auto with lsio_config.cache_bytes = 64 MiB";
    bench_report(options, &report, &trial, 1, 2);
    reads_lsio_close(&automatic.lsio);
    reads_lsio_close(&on.lsio);
    bench_check(lsio_context_destroy(context), "lsio_context_destroy");
    reads_close(&reads);
}

static void cold_256k_cpu(const struct bench_options *options)
{
    static struct bench_trial trial;
    static struct direct_side on;
    static struct reads_bare bare;
    struct reads reads;
    reads_open(&reads, options, "cold-256k-cpu", 256 * KIB, 264 * KIB, 0, false);
    reads_bare_open(&bare, &reads, options->workers, BENCH_CPU, true);
    memset(&on, 0, sizeof(on));
    reads_lsio_open(&on.lsio, &reads, NULL, options->workers, "on");
    reads_verify(&on.lsio, &bare);
    trial = (struct bench_trial){
        .sides = {{"direct=on", direct_side_run, &on, 1}, {"bare loop", reads_bare_run, &bare, 1}},
        .side_count = 2,
        .pairs = options->pairs > 0 ? options->pairs : 9,
        .prepare = reads_prepare_cold,
        .prepare_state = &reads,
    };
    struct lsio_stats before = bench_stats(on.lsio.context);
    bench_calibrate(&trial, 0, 2, options->seconds > 0 ? options->seconds : 1.0);
    bench_run(&trial);
    bench_expect_single(on.lsio.context, &before, "cold-256k-cpu");
    direct_check(&on, "direct=on");
    const struct bench_report report = {.name = "cold-256k-cpu",
                                        .unit = "cpu_s/GiB",
                                        .metric = BENCH_CPU,
                                        .inverse = true,
                                        .threshold = 1.3,
                                        .remark = "ratio is LSIO / baseline: smaller is better"};
    bench_report(options, &report, &trial, 0, 1);
    reads_lsio_close(&on.lsio);
    reads_bare_close(&bare);
    reads_close(&reads);
}

const struct bench_compare bench_cold_compares[] = {
    {"cold-256k",
     "uncached random 256 KiB of 50 files, direct=on, and direct=auto as "
     "cold-256k-auto; fio at its best depth; wall",
     ">= 0.92", cold_256k},
    {"cold-256k-cpu", "the same, CPU per GiB, LSIO / bare O_DIRECT io_uring loop", "<= 1.3",
     cold_256k_cpu},
    {NULL, NULL, NULL, NULL},
};
