/* SPDX-License-Identifier: MIT */
/*
 * lsio_side.c - what the benchmarks do with LSIO alike: contexts, stores, objects, statistics.
 *
 * Only the public API is used, with the settings that a user could choose; nothing is tuned for a
 * benchmark but what its line says.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void side_log(int level, const char *text, void *data)
{
    (void)level;
    (void)data;
    bench_note("lsio: %s", text);
}

struct lsio_context *bench_context(const struct bench_options *options, unsigned workers,
                                   uint64_t cache_bytes)
{
    struct lsio_context *context = NULL;
    struct lsio_config config = {
        .struct_bytes = sizeof(config),
        .workers = workers,
        .cache_bytes = cache_bytes,
        .loop = options->loop,
        .log = side_log,
    };
    bench_check(lsio_context_create(&config, &context), "lsio_context_create");
    return context;
}

struct lsio_store *bench_store(struct lsio_context *context, const char *dir,
                               const struct lsio_option *options, size_t count)
{
    struct lsio_store *store = NULL;
    bench_check(lsio_store_open(context, dir, options, count, &store), dir);
    return store;
}

struct lsio_stats bench_stats(struct lsio_context *context)
{
    struct lsio_stats stats = {.struct_bytes = sizeof(stats)};
    bench_check(lsio_context_stats(context, &stats), "lsio_context_stats");
    return stats;
}

void bench_expect_single(struct lsio_context *context, const struct lsio_stats *before,
                         const char *name)
{
    struct lsio_stats now = bench_stats(context);
    uint64_t chunks = now.chunks_done - before->chunks_done;
    uint64_t operations = now.operations - before->operations;
    if (now.chunks_failed != before->chunks_failed) {
        bench_die("%s: chunks failed", name);
    }
    if (operations != chunks || now.operations_joined != before->operations_joined) {
        bench_die("%s: %llu chunks became %llu operations, %llu of them joined; this benchmark is "
                  "of single reads",
                  name, (unsigned long long)chunks, (unsigned long long)operations,
                  (unsigned long long)(now.operations_joined - before->operations_joined));
    }
}

struct lsio_object *bench_objects(struct lsio_store *store, const struct bench_files *files)
{
    struct lsio_object *objects = calloc(files->count, sizeof(*objects));
    if (objects == NULL) {
        bench_die("no memory for %u objects", files->count);
    }
    for (unsigned i = 0; i < files->count; i++) {
        objects[i] = (struct lsio_object){store, files->keys[i], LSIO_SIZE_UNKNOWN, NULL};
    }
    return objects;
}
