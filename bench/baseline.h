/* SPDX-License-Identifier: MIT */
/*
 * baseline.h - the code that LSIO is compared with: what a good programmer writes for one purpose.
 *
 * None of it plans, retries, reports per chunk or checks that files change; it knows its files, its
 * sizes and the best depth before it starts. Each baseline_*.c says what makes it quick.
 */
#ifndef LSIO_BENCH_BASELINE_H
#define LSIO_BENCH_BASELINE_H

#include "bench.h"

/* ------------------------------------------------------------- baseline_uring.c: bare loop -- */

/* One read. */
struct bare_item {
    uint32_t file; /* index into the loop's files */
    uint32_t bytes;
    uint64_t offset;
    uint64_t place; /* with an array: where in it the bytes go */
};

/* Called on the thread that read, while the bytes are in its cache. `bytes` may be written. */
typedef void bare_consume_fn(void *user, unsigned thread, size_t item, uint8_t *bytes);

struct bare_config {
    const int *fds;
    unsigned fd_count;
    unsigned depth;        /* reads in flight per thread */
    unsigned wait;         /* completions to wait for at once; 0: all that are in flight */
    uint32_t buffer_bytes; /* of each of `depth` hot buffers per thread */
    uint8_t *array;        /* instead of hot buffers: read to array + item.place */
    uint64_t array_bytes;
    bare_consume_fn *consume; /* may be NULL */
    void *user;
};

struct bare_loop;
/* Makes one ring per thread of the pool, on that thread. */
struct bare_loop *bare_loop_create(struct bench_pool *pool, const struct bare_config *config);
void bare_loop_destroy(struct bare_loop *loop);
/* Reads all items once, shared out dynamically. */
void bare_loop_run(struct bare_loop *loop, const struct bare_item *items, size_t count);
/* False if the kernel refused to register the buffers (memlock limit). */
bool bare_loop_registered(const struct bare_loop *loop);

/* Tries depths (and waits) and sets the best in `config`. `direct`: the device decides, so waits
 * are tried, too, and of what is within 5 % of the best rate the cheapest in CPU wins. */
void bare_loop_tune(struct bench_pool *pool, struct bare_config *config,
                    const struct bare_item *items, size_t count, enum bench_metric metric,
                    bool direct);

/* ------------------------------------------------------------------------- baseline_http.c -- */

#define HTTP_BUFFER_BYTES (128 * 1024L) /* what LSIO has curl receive into, too */

struct http_item {
    uint64_t offset, bytes;
    uint8_t *to;
};
enum http_way { HTTP_SOCKET, HTTP_POLL };

struct http_client;
/* Ranges of the object at `url`; the pool's threads share out `connections` connections. */
struct http_client *http_client_create(struct bench_pool *pool, const char *url,
                                       unsigned connections, enum http_way way);
void http_client_destroy(struct http_client *client);
void http_client_run(struct http_client *client, const struct http_item *items, size_t count);

/* -------------------------------------------------------------------------- baseline_fio.c -- */

struct fio_config {
    const char *dir;
    const struct bench_files *files;
    unsigned depth, jobs;
    unsigned block_bytes;
};
/* Bytes per second of random O_DIRECT reads by fio; `cpu_s_per_gib` may be NULL. */
double fio_run(const struct fio_config *config, double seconds, double *cpu_s_per_gib);
/* Finds the best depth and number of jobs. */
void fio_tune(struct fio_config *config);

/* ------------------------------------------------------------------------ baseline_small.c -- */

/* Reads whole small files by openat, pread and close on the pool's threads; the sums get a word of
 * each. */
struct small_set {
    int root; /* the directory the keys are below */
    const char *const *keys;
    size_t count;
    uint32_t file_bytes;
};
void small_read(struct bench_pool *pool, const struct small_set *set, struct bench_sums *sums);
/* Drops the files' pages from the cache, in parallel; dies if some stay. */
void small_drop(struct bench_pool *pool, const struct small_set *set);
/* Reads all and checks a sample to be cached. */
void small_warm(struct bench_pool *pool, const struct small_set *set);

/* ----------------------------------------------------------------------- baseline_passes.c -- */

/* Chunks of big-endian 32-bit words with a crc32c behind each. */
struct passes_item {
    uint32_t file;
    uint32_t payload_bytes;
    uint64_t offset;
    uint64_t place;  /* in the array that all are read into; 64-byte aligned */
    uint8_t *target; /* scatter: where the chunk's first row goes */
};

/* The scatter of the comparison: rows of row_bytes, row_stride apart in the target. */
struct passes_geometry {
    uint64_t row_bytes, row_stride;
};

struct passes;
struct passes *passes_create(struct bench_pool *pool, const struct bench_files *files,
                             const struct passes_item *items, size_t count, uint8_t *array,
                             uint64_t array_bytes);
void passes_destroy(struct passes *passes);
/* Read all, then verify all, then swap all in place, then add up all: the sum. */
uint64_t passes_reduce(struct passes *passes);
/* Read all, then verify all, then swap all in place, then copy all with streaming stores. */
void passes_scatter(struct passes *passes, const struct passes_geometry *geometry);

/* ------------------------------------------------------------------------------- kernels.c -- */

/* The steps themselves, with vector instructions where the CPU has them; beside lsio_crc32c(). */
void kernel_byteswap4(void *out, const void *in, size_t length); /* out == in is allowed */
uint64_t kernel_sum4(const void *bytes, size_t length);          /* of 32-bit words */
/* Copies `rows` rows, packed at `in`, to `out` and every out_stride on, with streaming stores. */
void kernel_scatter_rows(uint8_t *out, uint64_t out_stride, const uint8_t *in, uint64_t row_bytes,
                         uint64_t rows);

/* ------------------------------------------------------------------------- baseline_era5.c -- */

/* One file per chunk, blosc-compressed, decoded into its place of one array of float32. */
struct decode_item {
    const char *key;
    uint64_t first;  /* element of the array where the chunk's box begins */
    uint32_t box[3]; /* its shape, in elements */
};
struct decode_set {
    int root;
    const struct decode_item *items;
    size_t count;
    float *array;
    uint64_t stride[2]; /* elements from one plane to the next, from one row to the next */
    uint64_t encoded_bytes_max;
    uint64_t decoded_bytes;
    bool in_place; /* each chunk is contiguous in the array: decode straight into it */
};
struct decode_pool;
struct decode_pool *decode_pool_create(struct bench_pool *pool, const struct decode_set *set);
void decode_pool_destroy(struct decode_pool *decode);
void decode_run(struct decode_pool *decode);

#endif
