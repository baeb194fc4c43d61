/* SPDX-License-Identifier: MIT */
/*
 * compare_scale.c - scale: what a second worker adds, over what a second thread adds to the bare
 * loop.
 *
 * Measures contention inside LSIO. The machine's own limits (shared cache, memory, a hyperthread
 * that is no core) slow both sides alike and cancel out. Each turn has four halves: LSIO with one
 * and with two workers, the bare loop with one and with two threads. Two lines, for warm-256k and
 * for fused-reduce (there the bare loop does the three steps by hand on each hot buffer), then the
 * lower one as `scale`.
 */
#include "fused.h"
#include "reads.h"

#include <stdio.h>
#include <string.h>

enum { LSIO_ONE, LSIO_TWO, BARE_ONE, BARE_TWO };

static double speed_up(const struct bench_half *one, const struct bench_half *two)
{
    return (one->wall_s / one->amount) / (two->wall_s / two->amount);
}

struct scale_result {
    double ratios[BENCH_PAIRS_MAX];
    unsigned count;
    double lsio, bare;
};

static void scale_measure(const struct bench_options *options, const char *name,
                          struct bench_trial *trial, struct scale_result *result)
{
    double lsio[BENCH_PAIRS_MAX], bare[BENCH_PAIRS_MAX];
    trial->side_count = 4;
    trial->pairs = options->pairs > 0 ? options->pairs : 9;
    bench_calibrate(trial, 0, 4, options->seconds > 0 ? options->seconds : 0.3);
    bench_run(trial);
    result->count = trial->pairs;
    for (unsigned i = 0; i < trial->pairs; i++) {
        lsio[i] = speed_up(&trial->halves[i][LSIO_ONE], &trial->halves[i][LSIO_TWO]);
        bare[i] = speed_up(&trial->halves[i][BARE_ONE], &trial->halves[i][BARE_TWO]);
        result->ratios[i] = lsio[i] / bare[i];
    }
    result->lsio = bench_median(lsio, trial->pairs);
    result->bare = bench_median(bare, trial->pairs);
    const struct bench_report report = {
        .name = name, .unit = "speedup", .metric = BENCH_WALL, .threshold = 0.95};
    bench_print(options, &report, result->ratios, result->count, result->lsio, result->bare);
}

static void scale_warm(const struct bench_options *options, struct scale_result *result)
{
    static struct bench_trial trial;
    static struct reads_lsio lsio[2];
    static struct reads_bare bare[2];
    struct reads reads;
    reads_open(&reads, options, "scale-warm-256k", 256u << 10, 264u << 10, 0, false);
    memset(&trial, 0, sizeof(trial));
    trial.prepare = reads_prepare_warm;
    trial.prepare_state = &reads;
    for (unsigned i = 0; i < 2; i++) {
        reads_bare_open(&bare[i], &reads, i + 1, BENCH_WALL, false);
        reads_lsio_open(&lsio[i], &reads, NULL, i + 1, "auto");
        reads_verify(&lsio[i], &bare[i]);
        trial.sides[LSIO_ONE + i] = (struct bench_side){"lsio", reads_lsio_run, &lsio[i], 1};
        trial.sides[BARE_ONE + i] = (struct bench_side){"bare", reads_bare_run, &bare[i], 1};
    }
    scale_measure(options, reads.name, &trial, result);
    for (unsigned i = 0; i < 2; i++) {
        reads_lsio_close(&lsio[i]);
        reads_bare_close(&bare[i]);
    }
    reads_close(&reads);
}

static void scale_fused(const struct bench_options *options, struct scale_result *result)
{
    static struct bench_trial trial;
    static struct fused_lsio lsio[2];
    static struct fused_bare bare[2];
    struct fused fused;
    fused_open(&fused, options, false);
    memset(&trial, 0, sizeof(trial));
    trial.prepare = fused_prepare;
    trial.prepare_state = &fused;
    for (unsigned i = 0; i < 2; i++) {
        fused_bare_open(&bare[i], &fused, i + 1);
        fused_lsio_open(&lsio[i], &fused, i + 1);
        trial.sides[LSIO_ONE + i] = (struct bench_side){"lsio", fused_lsio_run, &lsio[i], 1};
        trial.sides[BARE_ONE + i] = (struct bench_side){"bare", fused_bare_run, &bare[i], 1};
    }
    scale_measure(options, "scale-fused-reduce", &trial, result);
    for (unsigned i = 0; i < 2; i++) {
        fused_lsio_close(&lsio[i]);
        fused_bare_close(&bare[i]);
    }
    fused_close(&fused);
}

static void scale_run(const struct bench_options *options)
{
    struct scale_result warm, fused;
    scale_warm(options, &warm);
    scale_fused(options, &fused);
    bool warm_lower =
        bench_median(warm.ratios, warm.count) <= bench_median(fused.ratios, fused.count);
    const struct scale_result *lower = warm_lower ? &warm : &fused;
    const struct bench_report report = {.name = "scale",
                                        .unit = "speedup",
                                        .metric = BENCH_WALL,
                                        .threshold = 0.95,
                                        .remark = "the lower of the two lines before it"};
    bench_print(options, &report, lower->ratios, lower->count, lower->lsio, lower->bare);
}

const struct bench_compare bench_scale_compares[] = {
    {"scale",
     "speed-up from 1 to 2 workers, over the bare loop's own; warm-256k and fused-reduce, "
     "then the lower",
     ">= 0.95", scale_run},
    {NULL, NULL, NULL, NULL},
};
