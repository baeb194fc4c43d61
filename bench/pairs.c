/* SPDX-License-Identifier: MIT */
/*
 * pairs.c - lets the sides of a comparison work in turn, and prints what came out.
 *
 * Each turn holds one half per side, and the order is reversed (two sides) or rotated (more) from
 * turn to turn, so that no side always follows the same other one. The ratio of a turn compares
 * halves that lie seconds apart; the median over the turns is reported, with the lowest and the
 * highest.
 */
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void half_run(struct bench_trial *trial, unsigned index, struct bench_half *half)
{
    struct bench_side *side = &trial->sides[index];
    if (trial->prepare != NULL) {
        trial->prepare(trial->prepare_state);
    }
    *half = (struct bench_half){0};
    double cpu = bench_cpu(), wall = bench_now();
    side->run(side->state, side->rounds, half);
    wall = bench_now() - wall;
    cpu = bench_cpu() - cpu;
    if (half->wall_s == 0) {
        half->wall_s = wall;
    }
    if (half->cpu_s == 0) {
        half->cpu_s = cpu;
    }
    if (half->amount <= 0) {
        bench_die("%s did no work", side->name);
    }
}

void bench_calibrate(struct bench_trial *trial, unsigned first, unsigned count, double seconds)
{
    struct bench_half half;
    unsigned rounds = 1;
    for (;;) {
        double quickest = INFINITY;
        for (unsigned i = first; i < first + count; i++) {
            trial->sides[i].rounds = rounds;
            half_run(trial, i, &half);
            quickest = half.wall_s < quickest ? half.wall_s : quickest;
        }
        if (quickest >= seconds || rounds >= 1u << 20) {
            return;
        }
        /* A first round is slower than those to come: approach the aim, but do not trust it. */
        double want = seconds / quickest * rounds * 1.1;
        unsigned limit = rounds * 16;
        rounds = want > limit ? limit : (unsigned)ceil(want);
    }
}

void bench_run(struct bench_trial *trial)
{
    if (trial->pairs == 0 || trial->pairs > BENCH_PAIRS_MAX) {
        bench_die("pairs must be 1 .. %u", BENCH_PAIRS_MAX);
    }
    unsigned n = trial->side_count;
    for (unsigned pair = 0; pair < trial->pairs; pair++) {
        for (unsigned i = 0; i < n; i++) {
            unsigned index = pair % 2 == 0 ? (i + pair / 2) % n : (n - 1 - i + pair / 2) % n;
            if (n == 2) {
                index = pair % 2 == 0 ? i : 1 - i;
            }
            half_run(trial, index, &trial->halves[pair][index]);
        }
    }
}

/* -------------------------------------------------------------------------------- printing -- */

static double half_cost(const struct bench_half *half, enum bench_metric metric)
{
    return (metric == BENCH_WALL ? half->wall_s : half->cpu_s) / half->amount;
}

static void json_string(const char *text)
{
    putchar('"');
    for (; text != NULL && *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            putchar('\\');
        }
        if ((unsigned char)*text >= 0x20) {
            putchar(*text);
        }
    }
    putchar('"');
}

void bench_print(const struct bench_options *options, const struct bench_report *report,
                 const double *ratios, unsigned count, double lsio, double baseline)
{
    double low = INFINITY, high = -INFINITY;
    for (unsigned i = 0; i < count; i++) {
        low = ratios[i] < low ? ratios[i] : low;
        high = ratios[i] > high ? ratios[i] : high;
    }
    double median = bench_median(ratios, count);
    const char *metric = report->metric == BENCH_WALL ? "wall" : "cpu";
    if (!options->json) {
        printf("%s ratio=%.3f [%.3f-%.3f] lsio=%.4g baseline=%.4g unit=%s metric=%s\n",
               report->name, median, low, high, lsio, baseline, report->unit, metric);
        fflush(stdout);
        return;
    }
    printf("{\"name\": \"%s\", \"ratio\": %.4f, \"low\": %.4f, \"high\": %.4f, \"lsio\": %.6g, "
           "\"baseline\": %.6g, \"unit\": \"%s\", \"metric\": \"%s\", \"workers\": %u, "
           "\"threshold\": %g, \"smaller_is_better\": %s, \"ratios\": [",
           report->name, median, low, high, lsio, baseline, report->unit, metric, options->workers,
           report->threshold, report->inverse ? "true" : "false");
    for (unsigned i = 0; i < count; i++) {
        printf("%s%.4f", i == 0 ? "" : ", ", ratios[i]);
    }
    printf("], \"remark\": ");
    json_string(report->remark);
    printf("}\n");
    fflush(stdout);
}

void bench_report(const struct bench_options *options, const struct bench_report *report,
                  const struct bench_trial *trial, unsigned lsio_side, unsigned baseline_side)
{
    double ratios[BENCH_PAIRS_MAX], lsio[BENCH_PAIRS_MAX], baseline[BENCH_PAIRS_MAX];
    double scale = report->scale == 0 ? 1 : report->scale;
    for (unsigned i = 0; i < trial->pairs; i++) {
        lsio[i] = half_cost(&trial->halves[i][lsio_side], report->metric);
        baseline[i] = half_cost(&trial->halves[i][baseline_side], report->metric);
        ratios[i] = report->inverse ? lsio[i] / baseline[i] : baseline[i] / lsio[i];
    }
    double x = bench_median(lsio, trial->pairs), y = bench_median(baseline, trial->pairs);
    if (report->metric == BENCH_WALL) {
        x = 1 / x;
        y = 1 / y;
    }
    bench_print(options, report, ratios, trial->pairs, x * scale, y * scale);
}
