/* SPDX-License-Identifier: MIT */
/*
 * mean.c - mean, minimum and maximum of all float32 values below a folder, however many there are.
 *
 * No value is ever kept: chunks have no destination, and the one stage of their chain consumes them
 * where they arrive. Each worker adds to state of its own (lsio_stage.init), so nothing is locked
 * or shared while reading; lsio_stage.finish puts the parts together when the chain is destroyed.
 * Values that are not numbers are left out.
 *
 * usage: mean [FOLDER]         (without FOLDER: makes 8 files of 4 MiB in a temporary one)
 */
#define _POSIX_C_SOURCE 200809L
#include "lsio/lsio.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILES = 8, FILE_FLOATS = 1024 * 1024, CHUNK_BYTES = 256 * 1024 };

struct moments {
    uint64_t count;
    double sum;
    float min, max;
};

/* ------------------------------------------------------------------------------- the stage -- */

static int start_part(void *user, uint32_t worker, void **state)
{
    struct moments *part = aligned_alloc(64, 64); /* a cache line of its own */

    (void)user;
    (void)worker;
    if (part == NULL)
        return -ENOMEM;
    *part = (struct moments){.min = INFINITY, .max = -INFINITY};
    *state = part;
    return 0;
}

static int add_chunk(struct lsio_call *call)
{
    struct moments *part = call->state;
    const float *values = call->in;
    double sum = 0;

    for (uint64_t i = 0; i < call->in_bytes / sizeof(float); i++) {
        float value = values[i];

        if (!isnan(value)) {
            sum += value;
            part->min = value < part->min ? value : part->min;
            part->max = value > part->max ? value : part->max;
            part->count++;
        }
    }
    part->sum += sum;
    return 0;
}

static void finish_part(void *user, uint32_t worker, void *state)
{
    struct moments *whole = user, *part = state;

    (void)worker;
    whole->count += part->count;
    whole->sum += part->sum;
    whole->min = fminf(whole->min, part->min);
    whole->max = fmaxf(whole->max, part->max);
    free(part);
}

/* ---------------------------------------------------------------------- what is to be read -- */

struct listing {
    struct lsio_store *store;
    struct lsio_object *objects;
    size_t object_count;
    struct lsio_chunk *chunks;
    size_t chunk_count;
};

static int add_object(struct listing *listing, const char *key, uint64_t size)
{
    size_t chunk_count = (size_t)((size + CHUNK_BYTES - 1) / CHUNK_BYTES);
    struct lsio_object *objects =
        realloc(listing->objects, (listing->object_count + 1) * sizeof(*objects));
    struct lsio_chunk *chunks;
    char *name;

    if (objects == NULL)
        return -ENOMEM;
    listing->objects = objects;
    chunks = realloc(listing->chunks, (listing->chunk_count + chunk_count) * sizeof(*chunks) + 1);
    if (chunks == NULL)
        return -ENOMEM;
    listing->chunks = chunks;
    name = strdup(key);
    if (name == NULL)
        return -ENOMEM;
    for (uint64_t offset = 0; offset < size; offset += CHUNK_BYTES) {
        uint64_t length = size - offset < CHUNK_BYTES ? size - offset : CHUNK_BYTES;

        chunks[listing->chunk_count++] = (struct lsio_chunk){
            .object = (uint32_t)listing->object_count, .offset = (int64_t)offset, .length = length};
    }
    objects[listing->object_count++] =
        (struct lsio_object){.store = listing->store, .key = name, .size = size};
    return 0;
}

static int on_page(const struct lsio_list_entry *entries, size_t count, void *data)
{
    int status = 0;

    for (size_t i = 0; status == 0 && i < count; i++) {
        if (!entries[i].is_prefix)
            status = add_object(data, entries[i].key, entries[i].size);
    }
    return status;
}

static void free_listing(struct listing *listing)
{
    for (size_t i = 0; i < listing->object_count; i++)
        free((void *)(uintptr_t)listing->objects[i].key);
    free(listing->objects);
    free(listing->chunks);
}

static int read_moments(const char *folder, struct moments *whole)
{
    struct lsio_stage stage = {.struct_bytes = sizeof(stage), .name = "moments", .run = add_chunk,
        .user = whole, .flags = LSIO_STAGE_READS_ONLY, .init = start_part, .finish = finish_part};
    struct lsio_context *context = NULL;
    struct lsio_chain *chain = NULL;
    struct listing listing = {0};
    int status = lsio_context_create(NULL, &context);

    *whole = (struct moments){.min = INFINITY, .max = -INFINITY};
    if (status == 0)
        status = lsio_store_open(context, folder, NULL, 0, &listing.store);
    if (status == 0)
        status = lsio_list(listing.store, "", 0, on_page, &listing);
    if (status == 0)
        status = lsio_chain_create(context, &stage, 1, &chain);
    if (status == 0) {
        struct lsio_request request = {.struct_bytes = sizeof(request),
            .objects = listing.objects, .object_count = listing.object_count,
            .chunks = listing.chunks, .chunk_count = listing.chunk_count, .chain = chain};

        status = lsio_read_batch(context, &request);
    }
    lsio_chain_destroy(chain); /* from here on `whole` is complete */
    lsio_context_destroy(context);
    free_listing(&listing);
    return status;
}

/* --------------------------------------------------------------------------- data and main -- */

/* File f holds f, f + 1/4, f + 2/4, f + 3/4, again and again, and one value that is none. */
static int make_files(const char *folder)
{
    float *values = malloc(FILE_FLOATS * sizeof(float));
    int good = values != NULL;

    for (int f = 0; good && f < FILES; f++) {
        char path[128];
        FILE *file;

        for (int i = 0; i < FILE_FLOATS; i++)
            values[i] = (float)f + (float)(i % 4) / 4;
        values[0] = NAN;
        snprintf(path, sizeof(path), "%s/part-%d.f32", folder, f);
        file = fopen(path, "wb");
        good = file != NULL && fwrite(values, FILE_FLOATS * sizeof(float), 1, file) == 1;
        if (file != NULL)
            good &= fclose(file) == 0;
    }
    free(values);
    return good ? 0 : -EIO;
}

static void remove_files(const char *folder)
{
    for (int f = 0; f < FILES; f++) {
        char path[128];

        snprintf(path, sizeof(path), "%s/part-%d.f32", folder, f);
        unlink(path);
    }
    rmdir(folder);
}

static int check(const struct moments *whole)
{
    double count = (double)FILES * (FILE_FLOATS - 1), sum = 0;

    for (int f = 0; f < FILES; f++)
        sum += (double)FILE_FLOATS * (f + 0.375) - f;
    return (double)whole->count == count && fabs(whole->sum - sum) < 1e-6 * sum &&
                   whole->min == 0.0F && whole->max == FILES - 0.25F
               ? 0
               : LSIO_E_CORRUPT;
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/lsio-mean-XXXXXX";
    struct moments whole;
    int status = 0;

    if (argc > 1) {
        status = read_moments(argv[1], &whole);
    } else {
        if (mkdtemp(folder) == NULL)
            return 1;
        status = make_files(folder);
        if (status == 0)
            status = read_moments(folder, &whole);
        if (status == 0)
            status = check(&whole);
        remove_files(folder);
    }
    if (status == 0)
        printf("%llu values: mean %g, min %g, max %g\n", (unsigned long long)whole.count,
               whole.sum / (double)whole.count, (double)whole.min, (double)whole.max);
    else
        fprintf(stderr, "mean: %s\n", lsio_status_text(status));
    return status == 0 ? 0 : 1;
}
