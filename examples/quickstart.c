/* SPDX-License-Identifier: MIT */
/*
 * quickstart.c - reads all chunks of a Zarr v2 array by one call, into one array in memory.
 *
 * Each chunk is an object of its own; its chain decompresses it (blosc) and copies it to its place
 * in the merged array (scatter). The result is compared with what the program that wrote the array
 * says about it, and the speed with that of the loop one would write: threads that take a chunk
 * each, read its file, decompress it into a buffer and copy that into the array.
 *
 * usage: quickstart FOLDER     (made by quickstart_write.py; quickstart.sh does both)
 */
#define _POSIX_C_SOURCE 200809L
#include "lsio/lsio.h"
#include "lsio/stages.h"

#include <blosc.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PAIRS = 7, KEY_BYTES = 64 };

/* A three-dimensional array of float32 and the grid of its chunks. */
struct array {
    char folder[512];
    uint64_t shape[3];
    uint64_t chunk[3];
    uint64_t grid[3];
    uint64_t chunk_count;
    uint64_t chunk_bytes; /* decompressed; chunks at the edge are as large as all others */
    uint64_t bytes;
    float *values;
};

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* --------------------------------------------------------------------------- the array's shape --
 * */

/* Finds `"name": [a, b, c]`. */
static int parse_three(const char *text, const char *name, uint64_t *out)
{
    unsigned long long n[3];
    const char *at = strstr(text, name);

    at = at != NULL ? strchr(at, '[') : NULL;
    if (at == NULL || sscanf(at, "[ %llu , %llu , %llu ]", &n[0], &n[1], &n[2]) != 3)
        return LSIO_E_CORRUPT;
    for (int d = 0; d < 3; d++)
        out[d] = n[d];
    return 0;
}

static int read_shape(struct lsio_context *context, struct lsio_store *store, struct array *array)
{
    char text[4096] = "";
    int status = lsio_read(context, store, ".zarray", 0, LSIO_TO_END, text, sizeof(text) - 1, NULL);

    if (status == 0)
        status = parse_three(text, "\"shape\"", array->shape);
    if (status == 0)
        status = parse_three(text, "\"chunks\"", array->chunk);
    if (status == 0 && (strstr(text, "\"<f4\"") == NULL || strstr(text, "\"blosc\"") == NULL))
        status = LSIO_E_UNSUPPORTED;
    array->chunk_count = 1;
    array->chunk_bytes = array->bytes = sizeof(float);
    for (int d = 0; status == 0 && d < 3; d++) {
        if (array->chunk[d] == 0 || array->shape[d] == 0)
            return LSIO_E_CORRUPT;
        array->grid[d] = (array->shape[d] + array->chunk[d] - 1) / array->chunk[d];
        array->chunk_count *= array->grid[d];
        array->chunk_bytes *= array->chunk[d];
        array->bytes *= array->shape[d];
    }
    return status;
}

/* Where in the array the i-th chunk begins, and its key: "1.0.3". */
static void locate(const struct array *array, uint64_t i, uint64_t *at, char *key)
{
    uint64_t c[3] = {i / array->grid[2] / array->grid[1], i / array->grid[2] % array->grid[1],
                     i % array->grid[2]};

    for (int d = 0; d < 3; d++)
        at[d] = c[d] * array->chunk[d];
    snprintf(key, KEY_BYTES, "%llu.%llu.%llu", (unsigned long long)c[0], (unsigned long long)c[1],
             (unsigned long long)c[2]);
}

/* How much of the chunk that begins there lies inside the array. */
static void clip(const struct array *array, const uint64_t *at, uint64_t *extent)
{
    for (int d = 0; d < 3; d++) {
        uint64_t left = array->shape[d] - at[d];

        extent[d] = left < array->chunk[d] ? left : array->chunk[d];
    }
}

static float *place(const struct array *array, const uint64_t *at)
{
    return array->values + (at[0] * array->shape[1] + at[1]) * array->shape[2] + at[2];
}

/* ------------------------------------------------------------------------------- with LSIO -- */

/* One request for the whole array, made once. */
struct reading {
    struct lsio_chain *chain;
    struct lsio_object *objects;
    struct lsio_chunk *chunks;
    struct lsio_scatter_box *boxes;
    uint64_t (*extents)[3];
    char (*keys)[KEY_BYTES];
    struct lsio_request request;
};

/* blosc -> scatter. Where a chunk is one piece of the array, blosc decodes straight into that. */
static int make_chain(struct lsio_context *context, const struct array *array,
                      struct lsio_chain **chain)
{
    int64_t strides[3] = {(int64_t)(array->shape[1] * array->shape[2] * sizeof(float)),
                          (int64_t)(array->shape[2] * sizeof(float)), sizeof(float)};
    struct lsio_blosc_options blosc = {.struct_bytes = sizeof(blosc),
        .expected_bytes = array->chunk_bytes};
    struct lsio_scatter_options scatter = {.struct_bytes = sizeof(scatter),
        .typesize = sizeof(float), .rank = 3, .chunk_shape = array->chunk, .strides = strides,
        .array = array->values, .array_bytes = array->bytes};
    struct lsio_stage stages[2];
    int status = lsio_stage_blosc(&blosc, &stages[0]);

    if (status != 0)
        return status;
    status = lsio_stage_scatter(&scatter, &stages[1]);
    if (status != 0) {
        stages[0].destroy(stages[0].user);
        return status;
    }
    return lsio_chain_create(context, stages, 2, chain);
}

static int prepare(struct lsio_context *context, struct lsio_store *store,
                   const struct array *array, struct reading *r)
{
    uint64_t count = array->chunk_count;

    r->objects = calloc(count, sizeof(*r->objects));
    r->chunks = calloc(count, sizeof(*r->chunks));
    r->boxes = calloc(count, sizeof(*r->boxes));
    r->extents = calloc(count, sizeof(*r->extents));
    r->keys = calloc(count, sizeof(*r->keys));
    if (!r->objects || !r->chunks || !r->boxes || !r->extents || !r->keys)
        return -ENOMEM;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t at[3];

        locate(array, i, at, r->keys[i]);
        clip(array, at, r->extents[i]);
        r->boxes[i].extent = r->extents[i];
        r->boxes[i].dst = place(array, at);
        r->objects[i] = (struct lsio_object){.store = store, .key = r->keys[i],
            .size = LSIO_SIZE_UNKNOWN};
        r->chunks[i] = (struct lsio_chunk){.object = (uint32_t)i, .length = LSIO_TO_END,
            .data = &r->boxes[i]};
    }
    r->request = (struct lsio_request){.struct_bytes = sizeof(r->request), .objects = r->objects,
        .object_count = count, .chunks = r->chunks, .chunk_count = count};
    return make_chain(context, array, &r->chain);
}

static void finish(struct reading *r)
{
    lsio_chain_destroy(r->chain);
    free(r->objects);
    free(r->chunks);
    free(r->boxes);
    free(r->extents);
    free(r->keys);
}

static int read_by_lsio(struct lsio_context *context, struct reading *r, double *seconds)
{
    double began = now();
    int status;

    r->request.chain = r->chain;
    status = lsio_read_batch(context, &r->request);
    *seconds = now() - began;
    return status;
}

/* The sentence about the chunk that failed, if it was a chunk. */
static void report(struct lsio_context *context, int status)
{
    struct lsio_error error = {.struct_bytes = sizeof(error)};

    fprintf(stderr, "quickstart: %s\n", lsio_status_text(status));
    if (context != NULL && lsio_last_error(context, &error) == 0)
        fprintf(stderr, "chunk %llu, %s: %s\n", (unsigned long long)error.index, error.url,
                error.text);
}

/* -------------------------------------------------------------------------- the plain loop -- */

struct plain {
    const struct array *array;
    _Atomic uint64_t next;
    _Atomic int status;
};

/* The whole file into *memory, which grows as needed. */
static ssize_t read_file(const char *path, uint8_t **memory, size_t *capacity)
{
    struct stat info;
    ssize_t length = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && fstat(fd, &info) == 0) {
        if ((size_t)info.st_size > *capacity) {
            free(*memory);
            *capacity = (size_t)info.st_size;
            *memory = malloc(*capacity);
        }
        length = *memory != NULL ? read(fd, *memory, (size_t)info.st_size) : -1;
        length = length == info.st_size ? length : -1;
    }
    if (fd >= 0)
        close(fd);
    return length;
}

/* Copies a decompressed chunk to its place; what lies beyond the array's end is left out. */
static void copy_chunk(const struct array *array, const uint64_t *at, const float *chunk)
{
    float *to = place(array, at);
    uint64_t n[3];

    clip(array, at, n);
    for (uint64_t z = 0; z < n[0]; z++) {
        for (uint64_t y = 0; y < n[1]; y++)
            memcpy(to + (z * array->shape[1] + y) * array->shape[2],
                   chunk + (z * array->chunk[1] + y) * array->chunk[2], n[2] * sizeof(float));
    }
}

static void *plain_thread(void *data)
{
    struct plain *plain = data;
    const struct array *array = plain->array;
    float *chunk = malloc(array->chunk_bytes);
    uint8_t *file = NULL;
    size_t capacity = 0;
    uint64_t i;

    while (chunk != NULL && (i = atomic_fetch_add(&plain->next, 1)) < array->chunk_count) {
        char key[KEY_BYTES], path[sizeof(array->folder) + KEY_BYTES];
        uint64_t at[3];

        locate(array, i, at, key);
        snprintf(path, sizeof(path), "%s/%s", array->folder, key);
        if (read_file(path, &file, &capacity) < 0 ||
            blosc_decompress_ctx(file, chunk, array->chunk_bytes, 1) != (int)array->chunk_bytes)
            atomic_store(&plain->status, -EIO);
        else
            copy_chunk(array, at, chunk);
    }
    if (chunk == NULL)
        atomic_store(&plain->status, -ENOMEM);
    free(chunk);
    free(file);
    return NULL;
}

static int read_plain(const struct array *array, unsigned threads, double *seconds)
{
    struct plain plain = {.array = array};
    pthread_t *handles = calloc(threads, sizeof(*handles));
    unsigned started = 0;
    double began = now();

    if (handles == NULL)
        return -ENOMEM;
    while (started < threads && pthread_create(&handles[started], NULL, plain_thread, &plain) == 0)
        started++;
    for (unsigned i = 0; i < started; i++)
        pthread_join(handles[i], NULL);
    *seconds = now() - began;
    free(handles);
    return started == threads ? atomic_load(&plain.status) : -EAGAIN;
}

/* -------------------------------------------------------------------- what the writer says -- */

static uint32_t crc_table[8][256];

static void make_crc_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int bit = 0; bit < 8; bit++)
            c = c >> 1 ^ (c & 1 ? 0xedb88320 : 0);
        crc_table[0][i] = c;
    }
    for (int k = 1; k < 8; k++) {
        for (int i = 0; i < 256; i++)
            crc_table[k][i] = crc_table[k - 1][i] >> 8 ^ crc_table[0][crc_table[k - 1][i] & 255];
    }
}

static uint32_t crc32_of(const void *data, uint64_t bytes)
{
    const uint32_t(*t)[256] = crc_table;
    const uint8_t *p = data;
    uint32_t crc = 0xffffffff;

    for (; bytes >= 8; bytes -= 8, p += 8) {
        crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        crc = t[7][crc & 255] ^ t[6][crc >> 8 & 255] ^ t[5][crc >> 16 & 255] ^
              t[4][crc >> 24] ^ t[3][p[4]] ^ t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]];
    }
    for (; bytes > 0; bytes--)
        crc = crc >> 8 ^ t[0][(crc ^ *p++) & 255];
    return ~crc;
}

/* Each time step's CRC-32 and mean against the file `expected`. */
static int compare_with_writer(const struct array *array, const char *folder)
{
    uint64_t step_floats = array->shape[1] * array->shape[2], steps = 0;
    char path[600];
    unsigned long long step;
    unsigned crc;
    double mean;
    FILE *file;

    snprintf(path, sizeof(path), "%s/expected", folder);
    file = fopen(path, "r");
    if (file == NULL)
        return -errno;
    while (fscanf(file, "%llu %x %lf", &step, &crc, &mean) == 3 && step < array->shape[0]) {
        const float *values = array->values + step * step_floats;
        double sum = 0;

        for (uint64_t i = 0; i < step_floats; i++)
            sum += (double)values[i];
        sum = sum / (double)step_floats - mean;
        if (crc32_of(values, step_floats * sizeof(float)) != crc || sum > 2e-6 || sum < -2e-6) {
            fprintf(stderr, "time step %llu is not what was written\n", step);
            break;
        }
        steps++;
    }
    fclose(file);
    return steps == array->shape[0] ? 0 : LSIO_E_CORRUPT;
}

/* ------------------------------------------------------------------------------------ main -- */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *numbers, int count)
{
    qsort(numbers, (size_t)count, sizeof(*numbers), compare_doubles);
    return numbers[count / 2];
}

/* Runs both in turn, compares what each has read, and prints the medians. */
static int compare_speeds(struct lsio_context *context, struct reading *reading,
                          struct array *array, const char *folder)
{
    double lsio[PAIRS], plain[PAIRS], ratio[PAIRS], gib = (double)array->bytes / (1 << 30);
    unsigned threads = lsio_context_workers(context);
    int status = 0;

    for (int i = 0; status == 0 && i < PAIRS; i++) {
        memset(array->values, 0, array->bytes); /* and so both write to memory that is there */
        status = read_by_lsio(context, reading, &lsio[i]);
        if (status == 0)
            status = compare_with_writer(array, folder);
        memset(array->values, 0, array->bytes);
        if (status == 0)
            status = read_plain(array, threads, &plain[i]);
        if (status == 0)
            status = compare_with_writer(array, folder);
        ratio[i] = plain[i] / lsio[i];
    }
    if (status != 0)
        return status;
    printf("%llu chunks, %llu x %llu x %llu values: every time step is what the writer says\n",
           (unsigned long long)array->chunk_count, (unsigned long long)array->shape[0],
           (unsigned long long)array->shape[1], (unsigned long long)array->shape[2]);
    printf("one lsio_read_batch(), %u workers:     %6.2f GiB/s\n", threads,
           gib / median(lsio, PAIRS));
    printf("read, decode, copy loop, %u threads:   %6.2f GiB/s\n", threads,
           gib / median(plain, PAIRS));
    printf("ratio %.2f (median of %d pairs, run in turn; files in the page cache)\n",
           median(ratio, PAIRS), PAIRS);
    return 0;
}

int main(int argc, char **argv)
{
    struct lsio_context *context = NULL;
    struct lsio_store *store = NULL;
    struct array array = {0};
    struct reading reading = {0};
    int status = -EINVAL;

    make_crc_table();
    if (argc == 2 && snprintf(array.folder, sizeof(array.folder), "%s/array.zarr", argv[1]) <
                         (int)sizeof(array.folder))
        status = lsio_context_create(NULL, &context);
    if (status == 0)
        status = lsio_store_open(context, array.folder, NULL, 0, &store);
    if (status == 0)
        status = read_shape(context, store, &array);
    if (status == 0) {
        array.values = malloc(array.bytes);
        status = array.values != NULL ? prepare(context, store, &array, &reading) : -ENOMEM;
    }
    if (status == 0)
        status = compare_speeds(context, &reading, &array, argv[1]);
    if (status != 0)
        report(context, status);
    finish(&reading);
    lsio_context_destroy(context);
    free(array.values);
    return status == 0 ? 0 : 1;
}
