/* SPDX-License-Identifier: MIT */
/*
 * s3_ranges.c - the first and the last bytes of some objects of a bucket, all in one call.
 *
 *     AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... AWS_REGION=... \
 *         s3_ranges s3://bucket/prefix KEY...
 *
 * The URL may as well be gs://, az://, http:// or a directory. Keys, region and server come from
 * the environment, as with the vendors' tools; README.md has the table. No size is asked for
 * first: LSIO learns it from the answers.
 */
#include <stdio.h>
#include <stdlib.h>

#include <lsio/lsio.h>

#define BYTES 16

static void on_log(int level, const char *text, void *data)
{
    (void)level;
    (void)data;
    fprintf(stderr, "%s\n", text);
}

static void show(const char *key, const char *what, const struct lsio_result *result)
{
    printf("%s %s", key, what);
    if (result->status < 0)
        printf(" %s", lsio_status_name(result->status));
    for (uint64_t i = 0; result->status == 0 && i < result->bytes; i++)
        printf(" %02x", ((const unsigned char *)result->data)[i]);
    printf("\n");
}

/* Two chunks for each key: one from the front, one from the end. */
static int read_ends(struct lsio_context *context, struct lsio_store *store, char **keys,
                     uint32_t count)
{
    struct lsio_object *objects = calloc(count, sizeof(*objects));
    struct lsio_chunk *chunks = calloc(2 * (size_t)count, sizeof(*chunks));
    struct lsio_result *results = calloc(2 * (size_t)count, sizeof(*results));
    unsigned char(*ends)[BYTES] = calloc(2 * (size_t)count, BYTES);
    struct lsio_request request = {.struct_bytes = sizeof(request),
                                   .objects = objects,
                                   .object_count = count,
                                   .chunks = chunks,
                                   .chunk_count = 2 * (size_t)count,
                                   .results = results};
    struct lsio_error error = {.struct_bytes = sizeof(error)};
    int status = -1;

    if (objects && chunks && results && ends) {
        for (uint32_t i = 0; i < count; i++) {
            objects[i] = (struct lsio_object){.store = store, .key = keys[i]};
            chunks[2 * i] = (struct lsio_chunk){
                .object = i, .length = BYTES, .dst = ends[2 * i], .dst_bytes = BYTES};
            chunks[2 * i + 1] = chunks[2 * i];
            chunks[2 * i + 1].offset = -BYTES;
            chunks[2 * i + 1].dst = ends[2 * i + 1];
        }
        status = lsio_read_batch(context, &request);
        for (uint32_t i = 0; i < 2 * count; i++)
            show(keys[i / 2], i % 2 ? "ends" : "begins", &results[i]);
        if (status < 0 && lsio_last_error(context, &error) == 0)
            fprintf(stderr, "%s (%s, %u attempts)\n", error.text, error.url, error.attempts);
    }
    free(objects);
    free(chunks);
    free(results);
    free(ends);
    return status;
}

int main(int argc, char **argv)
{
    struct lsio_config config = {.struct_bytes = sizeof(config), .log = on_log};
    struct lsio_context *context;
    struct lsio_store *store;
    int status;

    if (argc < 3) {
        fprintf(stderr, "usage: s3_ranges URL KEY...\n");
        return 2;
    }
    status = lsio_context_create(&config, &context);
    if (status < 0) {
        fprintf(stderr, "%s\n", lsio_status_text(status));
        return 1;
    }
    status = lsio_store_open(context, argv[1], NULL, 0, &store); /* the log says why not */
    if (status == 0)
        status = read_ends(context, store, argv + 2, (uint32_t)(argc - 2));
    lsio_context_destroy(context);
    return status == 0 ? 0 : 1;
}
