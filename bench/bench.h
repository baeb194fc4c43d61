/* SPDX-License-Identifier: MIT */
/*
 * bench.h - what the benchmarks share: clocks, memory, files and their caching, a thread pool for
 * baselines, and the runner that sets LSIO beside a baseline.
 *
 * How a comparison is run. A "side" is one contender with a function that does a fixed amount of
 * work. bench_run() lets all sides work in turn, `pairs` times, turning the order each time, and
 * with the files warmed or dropped before each. A noisy neighbour then hits both sides of a pair
 * alike, and the median of the pair ratios is what is reported, with the lowest and the highest
 * pair in brackets.
 *
 * Errors end the program (bench_die): a benchmark that could not do its work has no figure.
 */
#ifndef LSIO_BENCH_BENCH_H
#define LSIO_BENCH_BENCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lsio/lsio.h"

#define BENCH_GIB         (1024.0 * 1024.0 * 1024.0)
#define BENCH_PAGE        4096u
#define BENCH_THREADS_MAX 256u

/* ------------------------------------------------------------------------ program, numbers -- */

struct bench_options {
    const char *dir;    /* where data files are kept */
    const char *loop;   /* lsio_config.loop */
    unsigned pairs;     /* 0: the benchmark's own default */
    unsigned workers;   /* LSIO's workers and the baselines' threads */
    const char *server; /* the program fault-server; NULL: beside this one */
    double seconds;     /* of one timed half, at least; 0: the benchmark's own default */
    bool json;
};

_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A remark on standard error. */
void bench_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Ends the program with LSIO's sentence if `status` is negative. */
void bench_check(int status, const char *what);

double bench_now(void); /* seconds, monotonic */
double bench_cpu(void); /* user and system seconds of this process, all threads */
double bench_median(const double *values, unsigned count);
uint64_t bench_random(uint64_t *state); /* splitmix64 */
void bench_shuffle(void *items, size_t count, size_t item_bytes, uint64_t seed);
uint64_t bench_hash(const void *bytes, size_t length, uint64_t seed);

/* ---------------------------------------------------------------------------------- memory -- */

/* Anonymous memory aligned to 2 MiB, in huge pages if the kernel has them, each page touched. Both
 * sides get theirs here, so that no side pays for first touch or for smaller pages. */
void *bench_alloc(size_t bytes);
void bench_free(void *memory, size_t bytes);
void bench_touch(void *memory, size_t bytes); /* writes one byte per page; content is lost */

/* ----------------------------------------------------------------------- files and caching -- */

/* Files of one data set, all open. */
struct bench_files {
    unsigned count;
    uint64_t file_bytes; /* of the largest */
    int *fds;            /* O_RDONLY */
    uint64_t *sizes;
    char **keys; /* below dir */
    char dir[512];
};

typedef void bench_fill_fn(uint8_t *bytes, uint64_t length, unsigned file, void *data);

/* Opens dir/set/NNN.bin for NNN < count, after making those that are missing or have another size.
 * `fill` NULL: pseudo-random bytes. */
void bench_files_open(struct bench_files *files, const char *dir, const char *set, unsigned count,
                      uint64_t file_bytes, bench_fill_fn *fill, void *data);
/* Opens files that exist, whatever their sizes: keys are dir/set/<index>.bin. False if one is
 * missing. */
bool bench_files_exist(struct bench_files *files, const char *dir, const char *set, unsigned count);
void bench_file_write(const char *path, const void *bytes, uint64_t length);
void bench_files_close(struct bench_files *files);
void bench_mkdirs(const char *path);

/* Brings the files into the page cache and checks that they are there, page by page. */
void bench_files_warm(const struct bench_files *files);
/* Drops them from the page cache and checks that they are gone. */
void bench_files_drop(const struct bench_files *files);
/* Pages of [0, bytes) of a file that are in the page cache. */
uint64_t bench_cached_pages(int fd, uint64_t bytes);

/* The 50 files of 41,214,400 pseudo-random bytes, the shape of light-speed-io's own benchmark. */
#define BENCH_GRID_FILES 50u
#define BENCH_GRID_BYTES 41214400u
void bench_grid_open(struct bench_files *files, const struct bench_options *options);

/* ----------------------------------------------------------------------------- thread pool -- */

/* Threads for baselines: made once, as a context's workers are, and reused by every run. */
struct bench_pool;
typedef void bench_pool_fn(void *data, unsigned thread);
struct bench_pool *bench_pool_create(unsigned threads);
void bench_pool_destroy(struct bench_pool *pool);
unsigned bench_pool_threads(const struct bench_pool *pool);
/* Runs fn(data, 0 .. threads - 1) on the pool's threads; returns when all have. */
void bench_pool_run(struct bench_pool *pool, bench_pool_fn *fn, void *data);

/* Shares out [0, count) in runs to threads that ask. */
struct bench_claim {
    _Atomic size_t next;
    size_t count, run;
};
void bench_claim_reset(struct bench_claim *claim, size_t count, unsigned threads);
bool bench_claim_take(struct bench_claim *claim, size_t *first, size_t *end);

/* What consumes bytes, the same function on both sides, and one sum per thread. */
struct bench_sum {
    uint64_t value;
    uint8_t padding[120]; /* no false sharing */
};
struct bench_sums {
    struct bench_sum lanes[BENCH_THREADS_MAX + 1];
};
static inline void bench_consume(struct bench_sums *sums, unsigned thread, const void *bytes)
{
    sums->lanes[thread].value += *(const uint64_t *)bytes;
}
uint64_t bench_sums_take(struct bench_sums *sums); /* the total; zeroes them */

/* ---------------------------------------------------------------------------------- runner -- */

struct bench_half {
    double amount; /* work done, in the unit of the report; set by the side */
    double wall_s; /* set by the runner, unless the side did */
    double cpu_s;
};

struct bench_side {
    const char *name;
    void (*run)(void *state, unsigned rounds, struct bench_half *half);
    void *state;
    unsigned rounds;
};

#define BENCH_SIDES_MAX 4u
#define BENCH_PAIRS_MAX 99u

struct bench_trial {
    struct bench_side sides[BENCH_SIDES_MAX];
    unsigned side_count;
    unsigned pairs;
    void (*prepare)(void *state); /* before each half, not timed; may be NULL */
    void *prepare_state;
    struct bench_half halves[BENCH_PAIRS_MAX][BENCH_SIDES_MAX];
};

/* Sets the rounds of all sides from [first, first + count) to the same number, so that each half of
 * the quickest takes `seconds` or more. Runs each side once or more: the warm-up. */
void bench_calibrate(struct bench_trial *trial, unsigned first, unsigned count, double seconds);
/* Runs all sides `pairs` times. */
void bench_run(struct bench_trial *trial);

enum bench_metric { BENCH_WALL, BENCH_CPU };

struct bench_report {
    const char *name;
    const char *unit; /* of the amount per second (wall), or seconds per amount (cpu) */
    enum bench_metric metric;
    bool inverse;       /* print LSIO's cost / the baseline's: smaller is better */
    double scale;       /* shown values are multiplied by it; 0: 1 */
    double threshold;   /* 0: none; for JSON */
    const char *remark; /* JSON only; may be NULL */
};

/* Prints the line for two sides of a trial that was run. */
void bench_report(const struct bench_options *options, const struct bench_report *report,
                  const struct bench_trial *trial, unsigned lsio_side, unsigned baseline_side);
/* The same from ratios that the caller worked out. */
void bench_print(const struct bench_options *options, const struct bench_report *report,
                 const double *ratios, unsigned count, double lsio, double baseline);

/* ------------------------------------------------------------------------- LSIO's own side -- */

/* A context and a store with one option set; dies on errors. */
struct lsio_context *bench_context(const struct bench_options *options, unsigned workers,
                                   uint64_t cache_bytes);
struct lsio_store *bench_store(struct lsio_context *context, const char *dir,
                               const struct lsio_option *options, size_t count);
struct lsio_stats bench_stats(struct lsio_context *context);
/* Dies unless each chunk since `before` was one operation: nothing was joined or split. */
void bench_expect_single(struct lsio_context *context, const struct lsio_stats *before,
                         const char *name);
/* Objects for all files of a set. */
struct lsio_object *bench_objects(struct lsio_store *store, const struct bench_files *files);

/* ------------------------------------------------------------------------- an HTTP server -- */

struct bench_server {
    int pid;
    FILE *out;
    char url[256];
    unsigned connections, requests; /* once stopped */
};
/* Starts the tests' fault-server with these arguments (NULL ends). */
void bench_server_start(struct bench_server *server, const struct bench_options *options,
                        const char *const *arguments);
void bench_server_stop(struct bench_server *server);

/* --------------------------------------------------------------------------------- compare -- */

struct bench_compare {
    const char *name;
    const char *against;   /* one clause */
    const char *threshold; /* as the project wants it */
    void (*run)(const struct bench_options *options);
};

extern const struct bench_compare bench_warm_compares[];
extern const struct bench_compare bench_cold_compares[];
extern const struct bench_compare bench_small_compares[];
extern const struct bench_compare bench_fused_compares[];
extern const struct bench_compare bench_era5_compares[];
extern const struct bench_compare bench_plan_compares[];
extern const struct bench_compare bench_scale_compares[];
extern const struct bench_compare bench_http_compares[]; /* only with HTTP */

int bench_read_main(int argc, char **argv);
int bench_compare_main(int argc, char **argv);

#endif
