/* SPDX-License-Identifier: MIT */
/*
 * lsio_bench.c - the program lsio-bench.
 *
 *   lsio-bench read ...       reads from a user's own store and says how quick that was
 *   lsio-bench compare NAME   sets LSIO beside a tuned baseline; --list names them; `all` runs them
 */
#include "bench.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct bench_compare *const compares[] = {
    bench_warm_compares, bench_cold_compares, bench_small_compares, bench_fused_compares,
    bench_era5_compares, bench_plan_compares, bench_scale_compares,
#ifdef LSIO_HAVE_HTTP
    bench_http_compares,
#endif
};

static void usage(FILE *out)
{
    fputs("usage: lsio-bench read --store URL --keys GLOB|@FILE [options]   (read --help)\n"
          "       lsio-bench compare NAME... | all [options]\n"
          "       lsio-bench compare --list\n"
          "options of compare:\n"
          "  --dir DIR      data files, made once and kept, about 4 GB (default: $TMPDIR or "
          "/var/tmp, "
          "/lsio-bench)\n"
          "  --pairs N      pairs of runs, at most 99 (default: 5 or 9)\n"
          "  --workers N    LSIO's workers and the baselines' threads (default: 2)\n"
          "  --seconds S    least length of a timed half (default: 0.3 to 3, by benchmark)\n"
          "  --loop NAME    LSIO's loop: uring or epoll\n"
          "  --server PATH  the program fault-server, for http-* (default: beside lsio-bench)\n"
          "  --json         one JSON object per line instead of text\n"
          "Output: NAME ratio=R [lowest-highest pair] lsio=X baseline=Y unit=U metric=wall|cpu\n"
          "R is the median over the pairs of baseline cost / LSIO cost: above 1, LSIO is better\n"
          "(cold-256k-cpu, http-64k, http-8m: LSIO / baseline; plan-*: LSIO's own figure). Wall\n"
          "shows rates, cpu costs.\n",
          out);
}

static void compare_list(void)
{
    for (size_t i = 0; i < sizeof(compares) / sizeof(*compares); i++) {
        for (const struct bench_compare *c = compares[i]; c->name != NULL; c++) {
            printf("%-18s %-8s %s\n", c->name, c->threshold, c->against);
        }
    }
}

static void compare_run(const char *name, const struct bench_options *options)
{
    bool all = strcmp(name, "all") == 0, found = false;
    for (size_t i = 0; i < sizeof(compares) / sizeof(*compares); i++) {
        for (const struct bench_compare *c = compares[i]; c->name != NULL; c++) {
            if (all || strcmp(name, c->name) == 0) {
                found = true;
                c->run(options);
            }
        }
    }
    if (!found) {
        bench_die("no comparison is called %s; lsio-bench compare --list names them", name);
    }
}

static unsigned number(const char *text, const char *what, unsigned max)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value == 0 || value > max) {
        bench_die("%s must be a number from 1 to %u, not \"%s\"", what, max, text);
    }
    return (unsigned)value;
}

int bench_compare_main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"json", no_argument, NULL, 'j'},
        {"pairs", required_argument, NULL, 'p'},
        {"dir", required_argument, NULL, 'd'},
        {"workers", required_argument, NULL, 'w'},
        {"seconds", required_argument, NULL, 's'},
        {"loop", required_argument, NULL, 'l'},
        {"server", required_argument, NULL, 'S'},
        {"list", no_argument, NULL, 'L'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct bench_options options = {.workers = 2};
    char dir[512];
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof(dir), "%s/lsio-bench", base != NULL && *base != '\0' ? base : "/var/tmp");
    options.dir = dir;
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        switch (c) {
        case 'j':
            options.json = true;
            break;
        case 'p':
            options.pairs = number(optarg, "--pairs", BENCH_PAIRS_MAX);
            break;
        case 'd':
            options.dir = optarg;
            break;
        case 'w':
            options.workers = number(optarg, "--workers", BENCH_THREADS_MAX);
            break;
        case 's':
            options.seconds = strtod(optarg, NULL);
            break;
        case 'l':
            options.loop = optarg;
            break;
        case 'S':
            options.server = optarg;
            break;
        case 'L':
            compare_list();
            return 0;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return 2;
        }
    }
    if (optind >= argc) {
        usage(stderr);
        return 2;
    }
    bench_mkdirs(options.dir);
    for (int i = optind; i < argc; i++) {
        compare_run(argv[i], &options);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "read") == 0) {
        return bench_read_main(argc - 1, argv + 1);
    }
    if (argc >= 2 && strcmp(argv[1], "compare") == 0) {
        return bench_compare_main(argc - 1, argv + 1);
    }
    bool help = argc >= 2 && strcmp(argv[1], "--help") == 0;
    usage(help ? stdout : stderr);
    return help ? 0 : 2;
}
