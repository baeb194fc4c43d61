/* SPDX-License-Identifier: MIT */
/*
 * compare_small.c - small-files-warm, small-files-cold: 100,000 whole files of 4 KiB in nested
 * directories (100 x 10 directories of 100 files), against openat + pread + close on as many
 * threads.
 *
 * Measures the cost of opening many objects. Both sides get the same list in the same order (by
 * name), read into hot buffers, and pass each file to the same consuming function. Cold: the files'
 * data is dropped before each half, on both sides alike; names and inodes stay cached, as the page
 * cache is all that an ordinary user can drop. LSIO is told the range (0, 4096), and no sizes.
 */
#define _GNU_SOURCE 1
#include "baseline.h"
#include "chains.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL_COUNT   100000u
#define SMALL_BYTES   4096u
#define SMALL_PER_DIR 100u

struct small {
    const struct bench_options *options;
    char dir[600];
    struct small_set set;
    char **keys;
    struct bench_pool *pool;
    struct bench_sums sums;
    uint64_t expected;
    struct lsio_context *context;
    struct lsio_store *store;
    struct lsio_chain *chain;
    struct lsio_object *objects;
    struct lsio_chunk *chunks;
};

/* ----------------------------------------------------------------------------------- files -- */

static void small_make(const struct small *small)
{
    uint64_t words[SMALL_BYTES / 8];
    char path[1024];
    snprintf(path, sizeof(path), "%s/complete", small->dir);
    if (access(path, F_OK) == 0) {
        return;
    }
    bench_note("making %u files of %u bytes in %s", SMALL_COUNT, SMALL_BYTES, small->dir);
    for (unsigned i = 0; i < SMALL_COUNT; i++) {
        snprintf(path, sizeof(path), "%s/%s", small->dir, small->keys[i]);
        if (i % SMALL_PER_DIR == 0) {
            *strrchr(path, '/') = '\0';
            bench_mkdirs(path);
            snprintf(path, sizeof(path), "%s/%s", small->dir, small->keys[i]);
        }
        uint64_t state = i;
        for (unsigned w = 0; w < SMALL_BYTES / 8; w++) {
            words[w] = bench_random(&state);
        }
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (fd < 0 || write(fd, words, SMALL_BYTES) != SMALL_BYTES || close(fd) != 0) {
            bench_die("write %s: %s", path, strerror(errno));
        }
    }
    int root = open(small->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || syncfs(root) != 0) {
        bench_die("syncfs %s: %s", small->dir, strerror(errno));
    }
    close(root);
    snprintf(path, sizeof(path), "%s/complete", small->dir);
    bench_file_write(path, "", 0);
}

static void small_open(struct small *small, const struct bench_options *options)
{
    memset(small, 0, sizeof(*small));
    small->options = options;
    snprintf(small->dir, sizeof(small->dir), "%s/small", options->dir);
    bench_mkdirs(small->dir);
    small->keys = calloc(SMALL_COUNT, sizeof(*small->keys));
    small->objects = calloc(SMALL_COUNT, sizeof(*small->objects));
    small->chunks = calloc(SMALL_COUNT, sizeof(*small->chunks));
    if (small->keys == NULL || small->objects == NULL || small->chunks == NULL) {
        bench_die("no memory for %u files", SMALL_COUNT);
    }
    for (unsigned i = 0; i < SMALL_COUNT; i++) {
        char key[64];
        unsigned dir = i / SMALL_PER_DIR;
        snprintf(key, sizeof(key), "%02u/%u/%02u.bin", dir / 10, dir % 10, i % SMALL_PER_DIR);
        small->keys[i] = strdup(key);
    }
    small_make(small);
    small->pool = bench_pool_create(options->workers);
    small->set = (struct small_set){open(small->dir, O_PATH | O_DIRECTORY | O_CLOEXEC),
                                    (const char *const *)small->keys, SMALL_COUNT, SMALL_BYTES};
    small->context = bench_context(options, options->workers, 0);
    const struct lsio_option gap = {"gap_bytes", "0"};
    small->store = bench_store(small->context, small->dir, &gap, 1);
    const struct lsio_stage stage = chain_consume(&small->sums);
    bench_check(lsio_chain_create(small->context, &stage, 1, &small->chain), "lsio_chain_create");
    for (unsigned i = 0; i < SMALL_COUNT; i++) {
        small->objects[i] =
            (struct lsio_object){small->store, small->keys[i], LSIO_SIZE_UNKNOWN, NULL};
        small->chunks[i] = (struct lsio_chunk){.object = i, .length = SMALL_BYTES};
    }
}

static void small_close(struct small *small)
{
    lsio_chain_destroy(small->chain);
    bench_check(lsio_store_close(small->store), "lsio_store_close");
    bench_check(lsio_context_destroy(small->context), "lsio_context_destroy");
    bench_pool_destroy(small->pool);
    close(small->set.root);
    for (unsigned i = 0; i < SMALL_COUNT; i++) {
        free(small->keys[i]);
    }
    free(small->keys);
    free(small->objects);
    free(small->chunks);
}

/* ----------------------------------------------------------------------------------- sides -- */

static void side_done(struct small *small, unsigned rounds, const char *who,
                      struct bench_half *half)
{
    uint64_t sum = bench_sums_take(&small->sums);
    half->amount = (double)SMALL_COUNT * rounds;
    if (small->expected == 0) {
        small->expected = sum; /* the first run is one round */
    }
    if (sum != small->expected * rounds) {
        bench_die("small files: %s read wrong bytes", who);
    }
}

static void small_lsio_run(void *state, unsigned rounds, struct bench_half *half)
{
    struct small *small = state;
    const struct lsio_request request = {.struct_bytes = sizeof(request),
                                         .objects = small->objects,
                                         .object_count = SMALL_COUNT,
                                         .chunks = small->chunks,
                                         .chunk_count = SMALL_COUNT,
                                         .chain = small->chain};
    for (unsigned r = 0; r < rounds; r++) {
        bench_check(lsio_read_batch(small->context, &request), "small files");
    }
    side_done(small, rounds, "LSIO", half);
}

static void small_baseline_run(void *state, unsigned rounds, struct bench_half *half)
{
    struct small *small = state;
    for (unsigned r = 0; r < rounds; r++) {
        small_read(small->pool, &small->set, &small->sums);
    }
    side_done(small, rounds, "the baseline", half);
}

static void prepare_warm(void *state)
{
    struct small *small = state;
    small_warm(small->pool, &small->set);
}

static void prepare_cold(void *state)
{
    struct small *small = state;
    small_drop(small->pool, &small->set);
}

static void small_run(const struct bench_options *options, const struct bench_report *report,
                      bool cold)
{
    static struct bench_trial trial;
    static struct small small;
    struct bench_half half;
    small_open(&small, options);
    prepare_warm(&small);
    small_baseline_run(&small, 1, &half); /* sets what LSIO's bytes must add up to */
    small_lsio_run(&small, 1, &half);
    trial = (struct bench_trial){
        .sides = {{"lsio", small_lsio_run, &small, 1},
                  {"open+pread+close", small_baseline_run, &small, 1}},
        .side_count = 2,
        .pairs = options->pairs > 0 ? options->pairs
                 : cold             ? 5
                                    : 9,
        .prepare = cold ? prepare_cold : prepare_warm,
        .prepare_state = &small,
    };
    struct lsio_stats before = bench_stats(small.context);
    if (!cold) { /* a cold half is one round: a second would find the files cached */
        bench_calibrate(&trial, 0, 2, options->seconds > 0 ? options->seconds : 0.5);
    }
    bench_run(&trial);
    bench_expect_single(small.context, &before, report->name);
    bench_report(options, report, &trial, 0, 1);
    small_close(&small);
}

static void small_files_warm(const struct bench_options *options)
{
    const struct bench_report report = {.name = "small-files-warm",
                                        .unit = "kfiles/s",
                                        .metric = BENCH_WALL,
                                        .scale = 1e-3,
                                        .threshold = 0.95};
    small_run(options, &report, false);
}

static void small_files_cold(const struct bench_options *options)
{
    const struct bench_report report = {.name = "small-files-cold",
                                        .unit = "kfiles/s",
                                        .metric = BENCH_WALL,
                                        .scale = 1e-3,
                                        .threshold = 2.5};
    small_run(options, &report, true);
}

const struct bench_compare bench_small_compares[] = {
    {"small-files-warm",
     "100,000 cached files of 4 KiB; openat+pread+close on as many threads; wall", ">= 0.95",
     small_files_warm},
    {"small-files-cold", "the same, their data dropped from the page cache before each run",
     ">= 2.5", small_files_cold},
    {NULL, NULL, NULL, NULL},
};
