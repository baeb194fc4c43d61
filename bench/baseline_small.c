/* SPDX-License-Identifier: MIT */
/*
 * baseline_small.c - many small files by the three system calls that it takes.
 *
 * What makes it quick: openat() below an open root (no long path to walk), no fstat (the size is
 * known), one hot buffer per thread, threads that exist already and take files in runs. Files of
 * one directory lie next to each other in the list, so their lookups share what is hot.
 */
#define _GNU_SOURCE 1
#include "baseline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct small_job {
    const struct small_set *set;
    struct bench_sums *sums;
    uint8_t *buffers; /* one page-aligned piece per thread */
    struct bench_claim claim;
    bool wait_clean;
    _Atomic size_t kept; /* files that stayed cached */
};

static void small_read_lane(void *data, unsigned thread)
{
    struct small_job *job = data;
    const struct small_set *set = job->set;
    uint8_t *buffer = job->buffers + (size_t)thread * set->file_bytes;
    size_t i, end;
    while (bench_claim_take(&job->claim, &i, &end)) {
        for (; i < end; i++) {
            int fd = openat(set->root, set->keys[i], O_RDONLY | O_CLOEXEC);
            if (fd < 0) {
                bench_die("open %s: %s", set->keys[i], strerror(errno));
            }
            if (pread(fd, buffer, set->file_bytes, 0) != (ssize_t)set->file_bytes) {
                bench_die("read %s: short or failed", set->keys[i]);
            }
            close(fd);
            bench_consume(job->sums, thread, buffer);
        }
    }
}

void small_read(struct bench_pool *pool, const struct small_set *set, struct bench_sums *sums)
{
    static uint8_t *buffers; /* kept: memory is reused on both sides */
    struct small_job job = {.set = set, .sums = sums};
    if (buffers == NULL) {
        buffers = bench_alloc((size_t)BENCH_THREADS_MAX * set->file_bytes);
    }
    job.buffers = buffers;
    bench_claim_reset(&job.claim, set->count, bench_pool_threads(pool));
    bench_pool_run(pool, small_read_lane, &job);
}

static void small_drop_lane(void *data, unsigned thread)
{
    struct small_job *job = data;
    size_t i, end;
    (void)thread;
    while (bench_claim_take(&job->claim, &i, &end)) {
        for (; i < end; i++) {
            int fd = openat(job->set->root, job->set->keys[i], O_RDONLY | O_CLOEXEC);
            if (fd < 0) {
                bench_die("open %s: %s", job->set->keys[i], strerror(errno));
            }
            if (job->wait_clean) {
                fsync(fd);
            }
            posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
            if (bench_cached_pages(fd, job->set->file_bytes) > 0) {
                atomic_fetch_add(&job->kept, 1);
            }
            close(fd);
        }
    }
}

void small_drop(struct bench_pool *pool, const struct small_set *set)
{
    for (unsigned attempt = 0;; attempt++) {
        struct small_job job = {.set = set, .wait_clean = attempt > 0};
        bench_claim_reset(&job.claim, set->count, bench_pool_threads(pool));
        bench_pool_run(pool, small_drop_lane, &job);
        size_t kept = atomic_load(&job.kept);
        if (kept == 0) {
            return;
        }
        if (attempt == 20) {
            bench_die("%zu small files cannot be dropped from the page cache", kept);
        }
        usleep(50000);
    }
}

static size_t small_missing(const struct small_set *set)
{
    size_t missing = 0;
    for (size_t i = 0; i < set->count; i += 101) {
        int fd = openat(set->root, set->keys[i], O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            bench_die("open %s: %s", set->keys[i], strerror(errno));
        }
        missing += bench_cached_pages(fd, set->file_bytes) == 0;
        close(fd);
    }
    return missing;
}

void small_warm(struct bench_pool *pool, const struct small_set *set)
{
    static struct bench_sums sums;
    for (unsigned attempt = 0; attempt < 10; attempt++) {
        small_read(pool, set, &sums);
        if (small_missing(set) == 0) {
            return;
        }
    }
    bench_die("the small files do not stay in the page cache");
}
