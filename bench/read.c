/* SPDX-License-Identifier: MIT */
/*
 * read.c - lsio-bench read: how quick is LSIO on a user's own storage?
 *
 * Reads `count` chunks of `chunk` bytes from the objects that match, in one request, runs a chain
 * over each and throws the result away, and prints rates, CPU, latencies and what LSIO counted.
 * Bytes land in LSIO's own buffers: nothing is measured but reading and decoding. Caches are left
 * as they are, unless --drop asks to drop the objects' pages first (local stores).
 */
#define _GNU_SOURCE 1
#include "bench.h"
#include "chains.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STORE_OPTIONS_MAX 64u

struct read_options {
    struct bench_options bench;
    const char *store, *keys, *chain;
    uint64_t chunk_bytes; /* 0: whole objects */
    uint64_t count;       /* 0: all */
    bool random, drop;
    struct lsio_option store_options[STORE_OPTIONS_MAX];
    size_t store_option_count;
};

struct key_list {
    char **keys;
    uint64_t *sizes;
    size_t count, room;
    const char *glob;
};

static void keys_add(struct key_list *list, const char *key, uint64_t size)
{
    if (list->count == list->room) {
        list->room = list->room == 0 ? 1024 : list->room * 2;
        list->keys = realloc(list->keys, list->room * sizeof(*list->keys));
        list->sizes = realloc(list->sizes, list->room * sizeof(*list->sizes));
        if (list->keys == NULL || list->sizes == NULL) {
            bench_die("no memory for %zu keys", list->room);
        }
    }
    list->keys[list->count] = strdup(key);
    list->sizes[list->count++] = size;
}

static int keys_page(const struct lsio_list_entry *entries, size_t count, void *data)
{
    struct key_list *list = data;
    for (size_t i = 0; i < count; i++) {
        if (!entries[i].is_prefix && fnmatch(list->glob, entries[i].key, 0) == 0) {
            keys_add(list, entries[i].key, entries[i].size);
        }
    }
    return 0;
}

/* Lists below the last '/' before the first special character. */
static void keys_glob(struct key_list *list, struct lsio_store *store, const char *glob)
{
    char prefix[1024];
    size_t plain = strcspn(glob, "*?[");
    list->glob = glob;
    if (glob[plain] == '\0') {
        keys_add(list, glob, LSIO_SIZE_UNKNOWN);
        return;
    }
    while (plain > 0 && glob[plain - 1] != '/') {
        plain--;
    }
    snprintf(prefix, sizeof(prefix), "%.*s", (int)plain, glob);
    bench_check(lsio_list(store, prefix, 0, keys_page, list), "lsio_list");
}

static void keys_file(struct key_list *list, const char *path)
{
    char line[4096];
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (file == NULL) {
        bench_die("%s: %s", path, strerror(errno));
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0') {
            keys_add(list, line, LSIO_SIZE_UNKNOWN);
        }
    }
    if (file != stdin) {
        fclose(file);
    }
}

static void keys_sizes(struct key_list *list, struct lsio_context *context,
                       const struct lsio_object *objects)
{
    bool unknown = false;
    for (size_t i = 0; i < list->count; i++) {
        unknown = unknown || list->sizes[i] == LSIO_SIZE_UNKNOWN;
    }
    if (!unknown) {
        return;
    }
    struct lsio_object_info *infos = calloc(list->count, sizeof(*infos));
    int *statuses = calloc(list->count, sizeof(*statuses));
    if (infos == NULL || statuses == NULL) {
        bench_die("no memory for %zu sizes", list->count);
    }
    for (size_t i = 0; i < list->count; i++) {
        infos[i].struct_bytes = sizeof(*infos);
    }
    lsio_stat_batch(context, objects, list->count, infos, sizeof(*infos), statuses);
    for (size_t i = 0; i < list->count; i++) {
        bench_check(statuses[i], list->keys[i]);
        list->sizes[i] = infos[i].size;
    }
    free(infos);
    free(statuses);
}

/* ---------------------------------------------------------------------------------- chunks -- */

/* All chunks there are, in order; then shuffled and cut to the count wanted. */
static struct lsio_chunk *chunks_make(const struct read_options *options,
                                      const struct key_list *list, size_t *count)
{
    size_t all = 0, at = 0;
    for (size_t i = 0; i < list->count; i++) {
        all += options->chunk_bytes == 0 ? 1 : list->sizes[i] / options->chunk_bytes;
    }
    if (all == 0) {
        bench_die("no object is as long as one chunk");
    }
    struct lsio_chunk *chunks = calloc(all, sizeof(*chunks));
    if (chunks == NULL) {
        bench_die("no memory for %zu chunks", all);
    }
    for (size_t i = 0; i < list->count; i++) {
        size_t n = options->chunk_bytes == 0 ? 1 : list->sizes[i] / options->chunk_bytes;
        for (size_t k = 0; k < n; k++) {
            chunks[at++] = (struct lsio_chunk){
                .object = (uint32_t)i,
                .offset = (int64_t)(k * options->chunk_bytes),
                .length = options->chunk_bytes == 0 ? LSIO_TO_END : options->chunk_bytes,
            };
        }
    }
    if (options->random) {
        bench_shuffle(chunks, all, sizeof(*chunks), (uint64_t)(bench_now() * 1e9));
    }
    *count = options->count > 0 && options->count < all ? options->count : all;
    if (options->count > all) {
        bench_note("there are only %zu chunks", all);
    }
    return chunks;
}

static void drop_pages(const struct read_options *options, const struct key_list *list)
{
    const char *root = options->store;
    root = strncmp(root, "file://", 7) == 0 ? root + 7 : root;
    int dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        bench_die("--drop: %s is no local directory", root);
    }
    for (size_t i = 0; i < list->count; i++) {
        int fd = openat(dir, list->keys[i], O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            fsync(fd);
            posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
            close(fd);
        }
    }
    close(dir);
}

/* --------------------------------------------------------------------------------- running -- */

static void progress_show(struct lsio_batch *batch, double start)
{
    struct lsio_progress p = {.struct_bytes = sizeof(p)};
    char bar[41];
    if (lsio_batch_progress(batch, &p) != 0 || p.chunk_count == 0) {
        return;
    }
    unsigned filled = (unsigned)(p.chunks_done * 40 / p.chunk_count);
    for (unsigned i = 0; i < 40; i++) {
        bar[i] = i < filled ? '#' : '.';
    }
    bar[40] = '\0';
    fprintf(stderr, "\r[%s] %llu/%llu chunks, %.1f s ", bar, (unsigned long long)p.chunks_done,
            (unsigned long long)p.chunk_count, bench_now() - start);
}

static int read_all(struct lsio_context *context, const struct lsio_request *request)
{
    struct lsio_batch *batch = NULL;
    int status = 0;
    bool terminal = isatty(STDERR_FILENO) != 0;
    double start = bench_now();
    bench_check(lsio_submit_batch(context, request, &batch), "lsio_submit_batch");
    while (lsio_batch_wait(batch, terminal ? 100 : LSIO_FOREVER, &status) == -ETIMEDOUT) {
        progress_show(batch, start);
    }
    if (terminal) {
        fprintf(stderr, "\r%70s\r", "");
    }
    if (status != 0) {
        struct lsio_error error = {.struct_bytes = sizeof(error)};
        for (size_t i = 0; request->results != NULL && i < request->chunk_count; i++) {
            if (request->results[i].status < 0 && lsio_batch_error(batch, i, &error) == 0) {
                bench_note("chunk %zu: %s", i, error.text);
                break;
            }
        }
    }
    lsio_batch_destroy(batch);
    return status;
}

struct read_figures {
    double wall_s, cpu_s, gib;
    uint64_t chunks;
    struct lsio_stats stats;
};

static void figures_text(const struct read_figures *f)
{
    const struct lsio_stats *s = &f->stats;
    printf("%.3f GiB/s, %.0f chunks/s, %.4f CPU-s/GiB (%llu chunks, %.3f GiB, %.3f s)\n",
           f->gib / f->wall_s, (double)f->chunks / f->wall_s, f->cpu_s / f->gib,
           (unsigned long long)f->chunks, f->gib, f->wall_s);
    printf("latency of reads that were not there at once: p50 %.0f us, p90 %.0f us, p99 %.0f us\n",
           (double)s->latency_ns[0] / 1e3, (double)s->latency_ns[1] / 1e3,
           (double)s->latency_ns[2] / 1e3);
    printf(
        "operations %llu (direct %llu, joined %llu, inline %llu), read %.3f GiB, wasted %.3f GiB, "
        "retries %llu, throttles %llu\n",
        (unsigned long long)s->operations, (unsigned long long)s->operations_direct,
        (unsigned long long)s->operations_joined, (unsigned long long)s->operations_inline,
        (double)s->bytes_read / BENCH_GIB, (double)s->bytes_wasted / BENCH_GIB,
        (unsigned long long)s->retries, (unsigned long long)s->throttles);
    printf(
        "loop %s (%s), %llu workers, %llu steals, %llu system calls, %.1f MiB of memory reserved\n",
        s->loop, s->loop_reason, (unsigned long long)s->workers, (unsigned long long)s->steals,
        (unsigned long long)s->loop_enters, (double)s->memory_bytes_peak / (1 << 20));
    if (s->first_byte_ns > 0) {
        printf("server: first byte after %.1f ms, then %.1f MB/s per stream, %llu requests at a "
               "time\n",
               (double)s->first_byte_ns / 1e6, (double)s->stream_bytes_per_second / 1e6,
               (unsigned long long)s->requests_limit);
    }
}

static void figures_json(const struct read_figures *f)
{
    const struct lsio_stats *s = &f->stats;
    printf(
        "{\"gib_per_s\": %.4f, \"chunks_per_s\": %.1f, \"cpu_s_per_gib\": %.5f, \"chunks\": %llu, "
        "\"gib\": %.6f, \"wall_s\": %.6f, \"latency_us\": [%.1f, %.1f, %.1f], ",
        f->gib / f->wall_s, (double)f->chunks / f->wall_s, f->cpu_s / f->gib,
        (unsigned long long)f->chunks, f->gib, f->wall_s, (double)s->latency_ns[0] / 1e3,
        (double)s->latency_ns[1] / 1e3, (double)s->latency_ns[2] / 1e3);
    printf("\"operations\": %llu, \"operations_direct\": %llu, \"operations_joined\": %llu, "
           "\"bytes_read\": %llu, \"bytes_wasted\": %llu, \"retries\": %llu, \"throttles\": %llu, "
           "\"steals\": %llu, "
           "\"loop_enters\": %llu, \"loop\": \"%s\", \"workers\": %llu, ",
           (unsigned long long)s->operations, (unsigned long long)s->operations_direct,
           (unsigned long long)s->operations_joined, (unsigned long long)s->bytes_read,
           (unsigned long long)s->bytes_wasted, (unsigned long long)s->retries,
           (unsigned long long)s->throttles, (unsigned long long)s->steals,
           (unsigned long long)s->loop_enters, s->loop, (unsigned long long)s->workers);
    printf("\"first_byte_ns\": %llu, \"stream_bytes_per_second\": %llu, "
           "\"requests_limit\": %llu}\n",
           (unsigned long long)s->first_byte_ns, (unsigned long long)s->stream_bytes_per_second,
           (unsigned long long)s->requests_limit);
}

static void read_run(const struct read_options *options)
{
    struct key_list list = {0};
    size_t count = 0;
    struct lsio_context *context = bench_context(&options->bench, options->bench.workers, 0);
    if (lsio_context_workers(context) > BENCH_THREADS_MAX) {
        bench_die("use --workers: at most %u", BENCH_THREADS_MAX);
    }
    struct lsio_store *store =
        bench_store(context, options->store, options->store_options, options->store_option_count);
    if (options->keys[0] == '@') {
        keys_file(&list, options->keys + 1);
    } else {
        keys_glob(&list, store, options->keys);
    }
    if (list.count == 0) {
        bench_die("no object matches %s", options->keys);
    }
    struct lsio_object *objects = calloc(list.count, sizeof(*objects));
    for (size_t i = 0; objects != NULL && i < list.count; i++) {
        objects[i] = (struct lsio_object){store, list.keys[i], LSIO_SIZE_UNKNOWN, NULL};
    }
    keys_sizes(&list, context, objects);
    struct lsio_chunk *chunks = chunks_make(options, &list, &count);
    struct lsio_result *results = calloc(count, sizeof(*results));
    static struct bench_sums sums;
    struct lsio_chain *chain = chain_by_name(context, options->chain, &sums);
    if (options->drop) {
        drop_pages(options, &list);
    }
    const struct lsio_request request = {.struct_bytes = sizeof(request),
                                         .objects = objects,
                                         .object_count = list.count,
                                         .chunks = chunks,
                                         .chunk_count = count,
                                         .results = results,
                                         .chain = chain,
                                         .flags = LSIO_BORROW};
    struct read_figures figures = {.chunks = count};
    figures.cpu_s = bench_cpu();
    figures.wall_s = bench_now();
    bench_check(read_all(context, &request), "read");
    figures.wall_s = bench_now() - figures.wall_s;
    figures.cpu_s = bench_cpu() - figures.cpu_s;
    figures.stats = bench_stats(context);
    figures.gib = ((double)figures.stats.bytes_asked + 1e-9) / BENCH_GIB; /* never 0 */
    if (options->bench.json) {
        figures_json(&figures);
    } else {
        figures_text(&figures);
    }
    lsio_chain_destroy(chain);
    bench_check(lsio_store_close(store), "lsio_store_close");
    bench_check(lsio_context_destroy(context), "lsio_context_destroy");
    for (size_t i = 0; i < list.count; i++) {
        free(list.keys[i]);
    }
    free(list.keys);
    free(list.sizes);
    free(objects);
    free(chunks);
    free(results);
}

/* --------------------------------------------------------------------------------- options -- */

static void read_usage(FILE *out)
{
    fputs("usage: lsio-bench read --store URL --keys GLOB|@FILE [options]\n"
          "  --keys GLOB      objects below the store's root: name, or pattern with * ? [] (* "
          "matches "
          "/, too)\n"
          "  --keys @FILE     one key per line (@-: standard input)\n"
          "  --chunk BYTES    length of a chunk, with K M G; or `all`: whole objects (default: "
          "256K)\n"
          "  --count N        so many chunks (default: all)\n"
          "  --order seq|random   default: random\n"
          "  --chain NAME     none crc32c zstd lz4 blosc gzip (default: none)\n"
          "  --direct auto|on|off, --profile NAME, --option KEY=VALUE   options of the store, any\n"
          "                   number of times (README.md has those of buckets)\n"
          "  --workers N      default: one per CPU\n"
          "  --loop NAME      uring or epoll\n"
          "  --drop           drop the objects' pages from the page cache first\n"
          "  --json           one JSON object instead of text\n",
          out);
}

static uint64_t bytes_number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (end == text || value == 0 || (shift > 0 ? end[1] : end[0]) != '\0') {
        bench_die("\"%s\" is no number of bytes", text);
    }
    return value << shift;
}

static void option_add(struct read_options *options, const char *key, const char *value)
{
    if (options->store_option_count == STORE_OPTIONS_MAX) {
        bench_die("at most %u store options", STORE_OPTIONS_MAX);
    }
    options->store_options[options->store_option_count++] = (struct lsio_option){key, value};
}

static bool option_take(struct read_options *options, int c, char *value)
{
    char *equals;
    switch (c) {
    case 's':
        options->store = value;
        return true;
    case 'k':
        options->keys = value;
        return true;
    case 'b':
        options->chunk_bytes = strcmp(value, "all") == 0 ? 0 : bytes_number(value);
        return true;
    case 'n':
        options->count = strtoull(value, NULL, 10);
        return true;
    case 'o':
        options->random = strcmp(value, "random") == 0;
        return options->random || strcmp(value, "seq") == 0;
    case 'c':
        options->chain = value;
        return true;
    case 'd':
        option_add(options, "direct", value);
        return true;
    case 'p':
        option_add(options, "profile", value);
        return true;
    case 'O':
        equals = strchr(value, '=');
        if (equals == NULL) {
            return false;
        }
        *equals = '\0';
        option_add(options, value, equals + 1);
        return true;
    case 'w':
        options->bench.workers = (unsigned)strtoul(value, NULL, 10);
        return options->bench.workers <= BENCH_THREADS_MAX;
    case 'l':
        options->bench.loop = value;
        return true;
    case 'D':
        options->drop = true;
        return true;
    case 'j':
        options->bench.json = true;
        return true;
    default:
        return false;
    }
}

int bench_read_main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"store", required_argument, NULL, 's'},
        {"keys", required_argument, NULL, 'k'},
        {"chunk", required_argument, NULL, 'b'},
        {"count", required_argument, NULL, 'n'},
        {"order", required_argument, NULL, 'o'},
        {"chain", required_argument, NULL, 'c'},
        {"direct", required_argument, NULL, 'd'},
        {"profile", required_argument, NULL, 'p'},
        {"option", required_argument, NULL, 'O'},
        {"workers", required_argument, NULL, 'w'},
        {"loop", required_argument, NULL, 'l'},
        {"drop", no_argument, NULL, 'D'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct read_options options = {.chunk_bytes = 256u << 10, .random = true, .chain = "none"};
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        if (c == 'h') {
            read_usage(stdout);
            return 0;
        }
        if (!option_take(&options, c, optarg)) {
            read_usage(stderr);
            return 2;
        }
    }
    if (options.store == NULL || options.keys == NULL || optind != argc) {
        read_usage(stderr);
        return 2;
    }
    read_run(&options);
    return 0;
}
