/* SPDX-License-Identifier: MIT */
/*
 * compare_era5.c - quickstart, quickstart-boxes: a Zarr-like array read, decoded and merged.
 *
 * The array is 64 x 721 x 1440 float32 (64 time steps of a global quarter-degree grid): smooth
 * waves with a little small-scale noise, rounded to 9 mantissa bits as archived fields often are,
 * blosc (lz4, byte shuffle), one file per chunk, all in the page cache. quickstart has one chunk
 * per time step, which is contiguous in the array; quickstart-boxes has chunks of 8 x 103 x 180.
 * Both sides write the same array, learn each file's size from the file, and use the same libblosc.
 * See baseline_era5.c for what makes the baseline quick.
 */
#define _GNU_SOURCE 1
#include "baseline.h"
#include "chains.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef LSIO_HAVE_BLOSC
#include <blosc.h>
#endif

#define TIMES       64u
#define LATS        721u
#define LONS        1440u
#define WAVES       6u
#define FIELD_COUNT ((size_t)LATS * LONS)
#define ARRAY_BYTES ((size_t)TIMES * FIELD_COUNT * sizeof(float))

struct shape {
    const char *set;
    uint32_t chunk[3];
    uint32_t counts[3];
    unsigned files;
};
static const struct shape plain = {"era5plain", {1, LATS, LONS}, {TIMES, 1, 1}, TIMES};
static const struct shape boxes = {"era5boxes", {8, 103, 180}, {8, 7, 8}, 8 * 7 * 8};

/* -------------------------------------------------------------------------------- the data -- */

/* Rounds to 9 bits of mantissa: the other 14 become zero. */
static float round_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, 4);
    bits = (bits + 0x1fffu + (bits >> 14 & 1)) & ~0x3fffu;
    memcpy(&value, &bits, 4);
    return value;
}

static void field_make(float *field, unsigned time)
{
    static float east[WAVES][LONS];
    uint64_t seed = 20260101u + time;
    for (unsigned w = 0; w < WAVES; w++) {
        for (unsigned x = 0; x < LONS; x++) {
            double angle = 2 * 3.14159265358979 * (w + 1) * x / LONS;
            east[w][x] = (float)sin(angle + 0.05 * time * (w + 1) + w);
        }
    }
    for (unsigned y = 0; y < LATS; y++) {
        double lat = (90.0 - 0.25 * y) * 3.14159265358979 / 180;
        float north[WAVES], base = (float)(250 + 50 * cos(lat) * cos(lat));
        for (unsigned w = 0; w < WAVES; w++) {
            north[w] = (float)(8.0 / (w + 1) * cos(lat * (w + 1) + 0.3 * w));
        }
        for (unsigned x = 0; x < LONS; x++) {
            float value = base;
            for (unsigned w = 0; w < WAVES; w++) {
                value += north[w] * east[w][x];
            }
            value += 3.0f * ((float)(bench_random(&seed) >> 40) / (float)(1 << 24) - 0.5f);
            field[(size_t)y * LONS + x] = round_bits(value);
        }
    }
}

static uint64_t chunk_first(const struct shape *shape, unsigned i)
{
    uint64_t z = i / (shape->counts[1] * shape->counts[2]);
    uint64_t y = i / shape->counts[2] % shape->counts[1], x = i % shape->counts[2];
    return z * shape->chunk[0] * FIELD_COUNT + y * shape->chunk[1] * LONS + x * shape->chunk[2];
}

static size_t chunk_bytes(const struct shape *shape)
{
    return (size_t)shape->chunk[0] * shape->chunk[1] * shape->chunk[2] * sizeof(float);
}

#ifdef LSIO_HAVE_BLOSC

static void chunk_write(const struct shape *shape, const float *array, unsigned i, const char *path,
                        void *raw, void *encoded)
{
    uint8_t *out = raw;
    const float *from = array + chunk_first(shape, i);
    size_t row_bytes = shape->chunk[2] * sizeof(float), bytes = chunk_bytes(shape);
    for (unsigned z = 0; z < shape->chunk[0]; z++) {
        for (unsigned y = 0; y < shape->chunk[1]; y++, out += row_bytes) {
            memcpy(out, from + z * FIELD_COUNT + y * LONS, row_bytes);
        }
    }
    int n = blosc_compress_ctx(5, BLOSC_SHUFFLE, sizeof(float), bytes, raw, encoded,
                               bytes + BLOSC_MAX_OVERHEAD, "lz4", 0, 1);
    if (n <= 0) {
        bench_die("blosc: %d", n);
    }
    bench_file_write(path, encoded, (uint64_t)n);
}

static void data_make(const struct bench_options *options)
{
    const struct shape *const shapes[] = {&plain, &boxes};
    float *array = bench_alloc(ARRAY_BYTES);
    size_t room = chunk_bytes(&plain) + BLOSC_MAX_OVERHEAD;
    void *raw = bench_alloc(room), *encoded = bench_alloc(room);
    bench_note("making the era5 arrays in %s", options->dir);
    for (unsigned t = 0; t < TIMES; t++) {
        field_make(array + t * FIELD_COUNT, t);
    }
    for (unsigned s = 0; s < 2; s++) {
        char path[1024];
        snprintf(path, sizeof(path), "%s/%s", options->dir, shapes[s]->set);
        bench_mkdirs(path);
        for (unsigned i = 0; i < shapes[s]->files; i++) {
            snprintf(path, sizeof(path), "%s/%s/%03u.bin", options->dir, shapes[s]->set, i);
            chunk_write(shapes[s], array, i, path, raw, encoded);
        }
    }
    bench_free(array, ARRAY_BYTES);
    bench_free(raw, room);
    bench_free(encoded, room);
}

#else

static void data_make(const struct bench_options *options)
{
    (void)options;
    bench_die("this comparison needs libblosc, which this build lacks");
}

#endif

/* ----------------------------------------------------------------------------------- sides -- */

struct era5 {
    const struct shape *shape;
    struct bench_files files;
    float *array;
    struct bench_pool *pool;
    struct decode_pool *decode;
    struct decode_item *items;
    int root;
    struct lsio_context *context;
    struct lsio_store *store;
    struct lsio_chain *chain;
    struct lsio_object *objects;
    struct lsio_chunk *chunks;
    struct lsio_scatter_box *places;
};

static void era5_lsio_run(void *state, unsigned rounds, struct bench_half *half)
{
    struct era5 *era5 = state;
    const struct lsio_request request = {.struct_bytes = sizeof(request),
                                         .objects = era5->objects,
                                         .object_count = era5->files.count,
                                         .chunks = era5->chunks,
                                         .chunk_count = era5->files.count,
                                         .chain = era5->chain};
    for (unsigned r = 0; r < rounds; r++) {
        bench_check(lsio_read_batch(era5->context, &request), "era5");
    }
    half->amount = (double)ARRAY_BYTES / BENCH_GIB * rounds;
}

static void era5_baseline_run(void *state, unsigned rounds, struct bench_half *half)
{
    struct era5 *era5 = state;
    for (unsigned r = 0; r < rounds; r++) {
        decode_run(era5->decode);
    }
    half->amount = (double)ARRAY_BYTES / BENCH_GIB * rounds;
}

static void era5_prepare(void *state)
{
    bench_files_warm(&((struct era5 *)state)->files);
}

static void era5_open_lsio(struct era5 *era5, const struct bench_options *options)
{
    const struct shape *shape = era5->shape;
    const uint64_t chunk_shape[] = {shape->chunk[0], shape->chunk[1], shape->chunk[2]};
    const int64_t strides[] = {FIELD_COUNT * sizeof(float), LONS * sizeof(float), sizeof(float)};
    const struct lsio_scatter_options scatter = {.struct_bytes = sizeof(scatter),
                                                 .typesize = sizeof(float),
                                                 .rank = 3,
                                                 .chunk_shape = chunk_shape,
                                                 .strides = strides,
                                                 .array = era5->array,
                                                 .array_bytes = ARRAY_BYTES};
    era5->context = bench_context(options, options->workers, 0);
    era5->store = bench_store(era5->context, options->dir, NULL, 0);
    era5->objects = bench_objects(era5->store, &era5->files);
    era5->chain = chain_blosc_scatter(era5->context, chunk_bytes(shape), &scatter);
    era5->chunks = calloc(shape->files, sizeof(*era5->chunks));
    era5->places = calloc(shape->files, sizeof(*era5->places));
    if (era5->chunks == NULL || era5->places == NULL) {
        bench_die("no memory");
    }
    for (unsigned i = 0; i < shape->files; i++) {
        era5->places[i].dst = era5->array + chunk_first(shape, i);
        era5->chunks[i] =
            (struct lsio_chunk){.object = i, .length = LSIO_TO_END, .data = &era5->places[i]};
    }
}

static void era5_open(struct era5 *era5, const struct bench_options *options,
                      const struct shape *shape)
{
    memset(era5, 0, sizeof(*era5));
    era5->shape = shape;
    if (!bench_files_exist(&era5->files, options->dir, shape->set, shape->files)) {
        data_make(options);
        if (!bench_files_exist(&era5->files, options->dir, shape->set, shape->files)) {
            bench_die("the era5 files cannot be opened");
        }
    }
    era5->array = bench_alloc(ARRAY_BYTES);
    era5->pool = bench_pool_create(options->workers);
    era5->items = calloc(shape->files, sizeof(*era5->items));
    era5->root = open(options->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (era5->items == NULL || era5->root < 0) {
        bench_die("cannot open %s", options->dir);
    }
    for (unsigned i = 0; i < shape->files; i++) {
        era5->items[i] = (struct decode_item){era5->files.keys[i],
                                              chunk_first(shape, i),
                                              {shape->chunk[0], shape->chunk[1], shape->chunk[2]}};
    }
    const struct decode_set set = {.root = era5->root,
                                   .items = era5->items,
                                   .count = shape->files,
                                   .array = era5->array,
                                   .stride = {FIELD_COUNT, LONS},
                                   .encoded_bytes_max = era5->files.file_bytes,
                                   .decoded_bytes = chunk_bytes(shape),
                                   .in_place = shape == &plain};
    era5->decode = decode_pool_create(era5->pool, &set);
    era5_open_lsio(era5, options);
}

static void era5_close(struct era5 *era5)
{
    lsio_chain_destroy(era5->chain);
    bench_check(lsio_store_close(era5->store), "lsio_store_close");
    bench_check(lsio_context_destroy(era5->context), "lsio_context_destroy");
    decode_pool_destroy(era5->decode);
    bench_pool_destroy(era5->pool);
    close(era5->root);
    bench_free(era5->array, ARRAY_BYTES);
    bench_files_close(&era5->files);
    free(era5->items);
    free(era5->objects);
    free(era5->chunks);
    free(era5->places);
}

/* Both sides must make the array that the data was made from. */
static void era5_verify(struct era5 *era5)
{
    struct bench_half half;
    float *field = bench_alloc(FIELD_COUNT * sizeof(float));
    for (int side = 0; side < 2; side++) {
        memset(era5->array, 0, ARRAY_BYTES);
        if (side == 0) {
            era5_baseline_run(era5, 1, &half);
        } else {
            era5_lsio_run(era5, 1, &half);
        }
        for (unsigned t = 0; t < TIMES; t++) {
            field_make(field, t);
            if (memcmp(field, era5->array + t * FIELD_COUNT, FIELD_COUNT * sizeof(float)) != 0) {
                bench_die("%s made a wrong array (time %u); if the data files are from another "
                          "version, delete era5* in --dir",
                          side == 0 ? "the baseline" : "LSIO", t);
            }
        }
    }
    bench_free(field, FIELD_COUNT * sizeof(float));
}

static void era5_run(const struct bench_options *options, const struct bench_report *report,
                     const struct shape *shape)
{
    static struct bench_trial trial;
    struct era5 era5;
    era5_open(&era5, options, shape);
    era5_prepare(&era5);
    era5_verify(&era5);
    trial = (struct bench_trial){
        .sides = {{"lsio", era5_lsio_run, &era5, 1}, {"decode loop", era5_baseline_run, &era5, 1}},
        .side_count = 2,
        .pairs = options->pairs > 0 ? options->pairs : 9,
        .prepare = era5_prepare,
        .prepare_state = &era5,
    };
    bench_calibrate(&trial, 0, 2, options->seconds > 0 ? options->seconds : 0.5);
    bench_run(&trial);
    bench_report(options, report, &trial, 0, 1);
    era5_close(&era5);
}

static void quickstart(const struct bench_options *options)
{
    const struct bench_report report = {
        .name = "quickstart", .unit = "GiB/s", .metric = BENCH_WALL, .threshold = 0.97};
    era5_run(options, &report, &plain);
}

static void quickstart_boxes(const struct bench_options *options)
{
    const struct bench_report report = {
        .name = "quickstart-boxes", .unit = "GiB/s", .metric = BENCH_WALL, .threshold = 1.15};
    era5_run(options, &report, &boxes);
}

const struct bench_compare bench_era5_compares[] = {
    {"quickstart",
     "64 contiguous blosc chunks into one array; a loop that decodes into place; wall", ">= 0.97",
     quickstart},
    {"quickstart-boxes", "448 chunks of 8 x 103 x 180 of the same data; decode and copy; wall",
     ">= 1.15", quickstart_boxes},
    {NULL, NULL, NULL, NULL},
};
