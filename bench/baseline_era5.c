/* SPDX-License-Identifier: MIT */
/*
 * baseline_era5.c - reads, decodes and places the chunks of a Zarr-like array by a plain loop.
 *
 * What makes it quick: as many threads as LSIO has workers, taking chunk after chunk; the encoded
 * bytes land in one hot buffer per thread; contiguous chunks are decoded straight into the array,
 * with no copy; boxes are decoded into one hot buffer per thread and copied row by row. The codec
 * runs single-threaded per chunk, which is quickest when there are more chunks than threads. It is
 * the same libblosc as LSIO's.
 */
#define _GNU_SOURCE 1
#include "baseline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef LSIO_HAVE_BLOSC
#include <blosc.h>

struct decode_lane {
    uint8_t *encoded;
    uint8_t *decoded;
};

struct decode_pool {
    struct bench_pool *pool;
    struct decode_set set;
    struct decode_lane lanes[BENCH_THREADS_MAX];
    struct bench_claim claim;
};

struct decode_pool *decode_pool_create(struct bench_pool *pool, const struct decode_set *set)
{
    struct decode_pool *decode = calloc(1, sizeof(*decode));
    if (decode == NULL) {
        bench_die("no memory");
    }
    decode->pool = pool;
    decode->set = *set;
    for (unsigned i = 0; i < bench_pool_threads(pool); i++) {
        decode->lanes[i].encoded = bench_alloc(set->encoded_bytes_max);
        decode->lanes[i].decoded = bench_alloc(set->decoded_bytes);
    }
    return decode;
}

void decode_pool_destroy(struct decode_pool *decode)
{
    for (unsigned i = 0; i < bench_pool_threads(decode->pool); i++) {
        bench_free(decode->lanes[i].encoded, decode->set.encoded_bytes_max);
        bench_free(decode->lanes[i].decoded, decode->set.decoded_bytes);
    }
    free(decode);
}

static void decode_place(const struct decode_set *set, const struct decode_item *item,
                         const float *box)
{
    for (uint32_t z = 0; z < item->box[0]; z++) {
        for (uint32_t y = 0; y < item->box[1]; y++) {
            float *row = set->array + item->first + z * set->stride[0] + y * set->stride[1];
            memcpy(row, box, item->box[2] * sizeof(float));
            box += item->box[2];
        }
    }
}

static void decode_one(const struct decode_set *set, const struct decode_item *item,
                       struct decode_lane *lane)
{
    struct stat st;
    int fd = openat(set->root, item->key, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || (uint64_t)st.st_size > set->encoded_bytes_max) {
        bench_die("open %s: %s", item->key, strerror(errno));
    }
    if (pread(fd, lane->encoded, (size_t)st.st_size, 0) != st.st_size) {
        bench_die("read %s: short or failed", item->key);
    }
    close(fd);
    void *target = set->in_place ? (void *)(set->array + item->first) : lane->decoded;
    int n = blosc_decompress_ctx(lane->encoded, target, set->decoded_bytes, 1);
    if (n < 0 || (uint64_t)n != set->decoded_bytes) {
        bench_die("decode %s: %d", item->key, n);
    }
    if (!set->in_place) {
        decode_place(set, item, (const float *)target);
    }
}

static void decode_lane_run(void *data, unsigned thread)
{
    struct decode_pool *decode = data;
    size_t i, end;
    while (bench_claim_take(&decode->claim, &i, &end)) {
        for (; i < end; i++) {
            decode_one(&decode->set, &decode->set.items[i], &decode->lanes[thread]);
        }
    }
}

void decode_run(struct decode_pool *decode)
{
    bench_claim_reset(&decode->claim, decode->set.count, bench_pool_threads(decode->pool));
    bench_pool_run(decode->pool, decode_lane_run, decode);
}

#else

struct decode_pool *decode_pool_create(struct bench_pool *pool, const struct decode_set *set)
{
    (void)pool;
    (void)set;
    bench_die("this comparison needs libblosc, which this build lacks");
}

void decode_pool_destroy(struct decode_pool *decode)
{
    (void)decode;
}

void decode_run(struct decode_pool *decode)
{
    (void)decode;
}

#endif
