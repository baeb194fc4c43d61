/* SPDX-License-Identifier: MIT */
/*
 * compare_http.c - http-*: ranged GETs from a server on loopback (server_http.c).
 *
 * http-64k, http-8m: the client's CPU time against libcurl driven by hand (baseline_http.c), with
 * as many threads and requests in flight, the same receive buffer and the same destinations: what
 * planning, retrying, checking and telling cost on top. Nothing is joined or split.
 *
 * http-coalesce, http-split, http-clean-tail: LSIO against itself without joining, without
 * splitting, without hedging, where the server is far (30 ms), slow per connection, or late once in
 * a while.
 */
#define _GNU_SOURCE 1
#include "baseline.h"
#include "chains.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIB         ((uint64_t)1 << 10)
#define MIB         ((uint64_t)1 << 20)
#define IN_FLIGHT   32u
#define OPTIONS_MAX 8u

/* LSIO reading an object of the server. */
struct http_lsio {
    struct lsio_context *context;
    struct lsio_store *store;
    struct lsio_chain *chain; /* NULL: the chunks have destinations */
    struct lsio_chunk *chunks;
    size_t count;
    double amount;
    struct bench_sums sums;
};

static void lsio_open(struct http_lsio *lsio, const struct bench_options *options, const char *url,
                      const struct lsio_option *store_options)
{
    size_t count = 0;
    memset(lsio, 0, sizeof(*lsio));
    while (store_options[count].key != NULL) {
        count++;
    }
    lsio->context = bench_context(options, options->workers, 0);
    lsio->store = bench_store(lsio->context, url, store_options, count);
}

static void lsio_close(struct http_lsio *lsio)
{
    lsio_chain_destroy(lsio->chain);
    bench_check(lsio_store_close(lsio->store), "lsio_store_close");
    bench_check(lsio_context_destroy(lsio->context), "lsio_context_destroy");
}

static void lsio_consumes(struct http_lsio *lsio)
{
    const struct lsio_stage stage = chain_consume(&lsio->sums);
    bench_check(lsio_chain_create(lsio->context, &stage, 1, &lsio->chain), "lsio_chain_create");
}

static void lsio_run(void *state, unsigned rounds, struct bench_half *half)
{
    struct http_lsio *lsio = state;
    struct lsio_object object = {.store = lsio->store, .key = "object", .size = LSIO_SIZE_UNKNOWN};
    const struct lsio_request request = {.struct_bytes = sizeof(request),
                                         .objects = &object,
                                         .object_count = 1,
                                         .chunks = lsio->chunks,
                                         .chunk_count = lsio->count,
                                         .chain = lsio->chain};
    for (unsigned i = 0; i < rounds; i++) {
        bench_check(lsio_read_batch(lsio->context, &request), "http");
    }
    half->amount = lsio->amount * rounds;
}

/* -------------------------------------------------------------------- against libcurl by hand --
 */

struct http_curl {
    struct http_client *client;
    struct http_item *items;
    size_t count;
    double amount;
};

static void curl_run(void *state, unsigned rounds, struct bench_half *half)
{
    struct http_curl *curl = state;
    for (unsigned i = 0; i < rounds; i++) {
        http_client_run(curl->client, curl->items, curl->count);
    }
    half->amount = curl->amount * rounds;
}

struct http_ranges {
    uint8_t *array;
    uint64_t array_bytes;
    struct lsio_chunk *chunks;
    struct http_item *items;
    size_t count;
};

/* `count` ranges, `step_bytes` apart, shuffled, each to its place in one array. */
static void ranges_make(struct http_ranges *r, size_t count, uint64_t bytes, uint64_t step_bytes)
{
    r->count = count;
    r->array_bytes = count * bytes;
    r->array = bench_alloc(r->array_bytes);
    r->chunks = calloc(count, sizeof(*r->chunks));
    r->items = calloc(count, sizeof(*r->items));
    if (r->chunks == NULL || r->items == NULL) {
        bench_die("no memory for %zu ranges", count);
    }
    for (size_t i = 0; i < count; i++) {
        r->items[i] = (struct http_item){
            .offset = i * step_bytes, .bytes = bytes, .to = r->array + i * bytes};
    }
    bench_shuffle(r->items, count, sizeof(*r->items), 2026);
    for (size_t i = 0; i < count; i++) {
        r->chunks[i] = (struct lsio_chunk){.offset = (int64_t)r->items[i].offset,
                                           .length = bytes,
                                           .dst = r->items[i].to,
                                           .dst_bytes = bytes};
    }
}

static void ranges_free(struct http_ranges *r)
{
    bench_free(r->array, r->array_bytes);
    free(r->chunks);
    free(r->items);
}

/* The bytes of a side's round, which must be the same for all. */
static uint64_t round_hash(const struct http_ranges *r, const struct bench_side *side)
{
    struct bench_half half;
    memset(r->array, 0, r->array_bytes);
    side->run(side->state, 1, &half);
    return bench_hash(r->array, r->array_bytes, 0);
}

static void http_cpu(const struct bench_options *options, const struct bench_report *report,
                     size_t count, uint64_t bytes, bool per_request)
{
    static struct bench_trial trial;
    static struct http_lsio lsio;
    const struct lsio_option store_options[] = {{"gap_bytes", "0"},
                                                {"split_bytes", "64M"},
                                                {"request_bytes_max", "64M"},
                                                {"concurrency_start", "32"},
                                                {"concurrency_max", "32"},
                                                {"inflight_max", "32"},
                                                {"proxy_url", ""},
                                                {NULL, NULL}};
    const char *arguments[] = {"--pattern", "/object=1073741824", NULL};
    struct http_curl socket = {0}, poll = {0};
    struct http_ranges ranges;
    struct bench_server server;
    char url[320];
    bench_server_start(&server, options, arguments);
    struct bench_pool *pool = bench_pool_create(options->workers);
    ranges_make(&ranges, count, bytes, 2 * bytes);
    lsio_open(&lsio, options, server.url, store_options);
    lsio.chunks = ranges.chunks;
    lsio.count = ranges.count;
    lsio.amount = per_request ? (double)count : (double)ranges.array_bytes / BENCH_GIB;
    snprintf(url, sizeof(url), "%s/object", server.url);
    socket = (struct http_curl){http_client_create(pool, url, IN_FLIGHT, HTTP_SOCKET), ranges.items,
                                count, lsio.amount};
    poll = socket;
    poll.client = http_client_create(pool, url, IN_FLIGHT, HTTP_POLL);
    trial = (struct bench_trial){
        .sides = {{"lsio", lsio_run, &lsio, 1},
                  {"multi_socket", curl_run, &socket, 1},
                  {"multi_poll", curl_run, &poll, 1}},
        .side_count = 3,
        .pairs = options->pairs > 0 ? options->pairs : 9,
    };
    uint64_t hash = round_hash(&ranges, &trial.sides[1]);
    if (round_hash(&ranges, &trial.sides[0]) != hash ||
        round_hash(&ranges, &trial.sides[2]) != hash) {
        bench_die("%s: the sides read different bytes", report->name);
    }
    struct lsio_stats before = bench_stats(lsio.context);
    bench_calibrate(&trial, 0, 3, options->seconds > 0 ? options->seconds : 1.0);
    bench_run(&trial);
    bench_expect_single(lsio.context, &before, report->name);
    bench_report(options, report, &trial, 0, 1);
    struct bench_report beside = *report;
    char name[64];
    snprintf(name, sizeof(name), "%s-poll", report->name);
    beside.name = name;
    beside.threshold = 0;
    beside.remark = "beside it: libcurl's multi_poll";
    bench_report(options, &beside, &trial, 0, 2);
    http_client_destroy(poll.client);
    http_client_destroy(socket.client);
    bench_pool_destroy(pool);
    lsio_close(&lsio);
    bench_server_stop(&server);
    ranges_free(&ranges);
}

static void http_64k(const struct bench_options *options)
{
    const struct bench_report report = {.name = "http-64k",
                                        .unit = "cpu_us/request",
                                        .metric = BENCH_CPU,
                                        .inverse = true,
                                        .scale = 1e6,
                                        .threshold = 1.15,
                                        .remark = "ratio is LSIO / baseline: smaller is better"};
    http_cpu(options, &report, 2048, 64 * KIB, true);
}

static void http_8m(const struct bench_options *options)
{
    const struct bench_report report = {.name = "http-8m",
                                        .unit = "cpu_s/GiB",
                                        .metric = BENCH_CPU,
                                        .inverse = true,
                                        .threshold = 1.15,
                                        .remark = "ratio is LSIO / baseline: smaller is better"};
    http_cpu(options, &report, 64, 8 * MIB, false);
}

/* --------------------------------------------------------------------- LSIO against itself -- */

/* Two stores on a server, one as `with` says and one as `without` says. */
static void http_pair(const struct bench_options *options, const struct bench_report *report,
                      const char *const *arguments, const struct lsio_option *with,
                      const struct lsio_option *without, struct lsio_chunk *chunks, size_t count)
{
    static struct bench_trial trial;
    static struct http_lsio sides[2];
    struct bench_server server;
    uint64_t sums[2];
    bench_server_start(&server, options, arguments);
    for (int i = 0; i < 2; i++) {
        struct bench_half half;
        lsio_open(&sides[i], options, server.url, i == 0 ? with : without);
        lsio_consumes(&sides[i]);
        sides[i].chunks = chunks;
        sides[i].count = count;
        for (size_t k = 0; k < count; k++) {
            sides[i].amount += (double)chunks[k].length / BENCH_GIB;
        }
        lsio_run(&sides[i], 1, &half);
        sums[i] = bench_sums_take(&sides[i].sums);
    }
    if (sums[0] != sums[1]) {
        bench_die("%s: the sides read different bytes", report->name);
    }
    trial = (struct bench_trial){
        .sides = {{"with", lsio_run, &sides[0], 1}, {"without", lsio_run, &sides[1], 1}},
        .side_count = 2,
        .pairs = options->pairs > 0 ? options->pairs : 5,
    };
    struct lsio_stats before = bench_stats(sides[0].context);
    bench_run(&trial);
    struct lsio_stats after = bench_stats(sides[0].context);
    bench_note("%s: %.1f requests for a batch of %zu, %.2f of its bytes wasted", report->name,
               (double)(after.operations - before.operations) / trial.pairs, count,
               (double)(after.bytes_wasted - before.bytes_wasted) /
                   (double)(after.bytes_asked - before.bytes_asked));
    bench_note("%s: in the end up to %llu requests at a time", report->name,
               (unsigned long long)after.requests_limit);
    bench_report(options, report, &trial, 0, 1);
    lsio_close(&sides[0]);
    lsio_close(&sides[1]);
    bench_server_stop(&server);
    bench_note("%s: %u connections, of both sides together", report->name, server.connections);
}

static void http_coalesce(const struct bench_options *options)
{
    enum { COUNT = 4096 };
    static struct lsio_chunk chunks[COUNT];
    const char *arguments[] = {"--pattern", "/object=536870912", "--latency-ms", "30", NULL};
    const struct lsio_option joined[] = {{"concurrency_start", "16"},
                                         {"concurrency_max", "16"},
                                         {"inflight_max", "16"},
                                         {"proxy_url", ""},
                                         {NULL, NULL}};
    const struct lsio_option apart[] = {{"concurrency_start", "16"}, {"concurrency_max", "16"},
                                        {"inflight_max", "16"},      {"proxy_url", ""},
                                        {"gap_bytes", "0"},          {NULL, NULL}};
    const struct bench_report report = {.name = "http-coalesce",
                                        .unit = "GiB/s",
                                        .metric = BENCH_WALL,
                                        .threshold = 4,
                                        .remark = "against LSIO with gap_bytes=0"};
    for (unsigned i = 0; i < COUNT; i++) {
        chunks[i] = (struct lsio_chunk){.offset = (int64_t)(i * 128 * KIB), .length = 64 * KIB};
    }
    http_pair(options, &report, arguments, joined, apart, chunks, COUNT);
}

/* Destinations, as a chain would need all of the object at once. */
static void http_split(const struct bench_options *options)
{
    const uint64_t bytes = 256 * MIB;
    const char *arguments[] = {"--pattern", "/object=268435456", "--bandwidth", "50000000", NULL};
    const struct lsio_option split[] = {{"profile", "cloud"}, {"proxy_url", ""}, {NULL, NULL}};
    const struct lsio_option single[] = {{"profile", "cloud"},
                                         {"proxy_url", ""},
                                         {"split_bytes", "1G"},
                                         {"request_bytes_max", "1G"},
                                         {NULL, NULL}};
    const struct bench_report report = {.name = "http-split",
                                        .unit = "GiB/s",
                                        .metric = BENCH_WALL,
                                        .threshold = 6,
                                        .remark = "against one GET"};
    uint8_t *array = bench_alloc(bytes);
    struct lsio_chunk chunk = {.length = bytes, .dst = array, .dst_bytes = bytes};
    http_pair(options, &report, arguments, split, single, &chunk, 1);
    bench_free(array, bytes);
}

/* ---------------------------------------------------------------------------------- the tail -- */

#define TAIL_READS   2000u
#define TAIL_THREADS 16u
#define TAIL_BYTES   (64 * KIB)

struct tail {
    struct http_lsio lsio;
    struct bench_pool *pool;
    double seconds[TAIL_READS];
};

/* One read after the other, each timed as the application sees it. */
static void tail_thread(void *data, unsigned thread)
{
    struct tail *tail = data;
    uint8_t *to = malloc(TAIL_BYTES);
    for (unsigned i = thread; i < TAIL_READS; i += TAIL_THREADS) {
        double start = bench_now();
        bench_check(lsio_read(tail->lsio.context, tail->lsio.store, "object",
                              (int64_t)(i * TAIL_BYTES), TAIL_BYTES, to, TAIL_BYTES, NULL),
                    "http-clean-tail");
        tail->seconds[i] = bench_now() - start;
    }
    free(to);
}

static int seconds_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void tail_run(void *state, unsigned rounds, struct bench_half *half)
{
    struct tail *tail = state;
    (void)rounds;
    bench_pool_run(tail->pool, tail_thread, tail);
    qsort(tail->seconds, TAIL_READS, sizeof(double), seconds_compare);
    half->amount = 1;
    half->wall_s = tail->seconds[TAIL_READS * 99 / 100];
}

static void http_clean_tail(const struct bench_options *options)
{
    static struct bench_trial trial;
    static struct tail sides[2];
    const char *arguments[] = {"--pattern", "/object=134217728", "--faults", "1:20:late", NULL};
    const struct bench_report report = {.name = "http-clean-tail",
                                        .unit = "1/s",
                                        .metric = BENCH_WALL,
                                        .threshold = 3,
                                        .remark = "1 / p99 of the reads' times; hedge on and off"};
    struct bench_server server;
    bench_server_start(&server, options, arguments);
    for (int i = 0; i < 2; i++) {
        const struct lsio_option store_options[] = {{"hedge", i == 0 ? "true" : "false"},
                                                    {"concurrency_start", "16"},
                                                    {"proxy_url", ""},
                                                    {NULL, NULL}};
        lsio_open(&sides[i].lsio, options, server.url, store_options);
        sides[i].pool = bench_pool_create(TAIL_THREADS);
    }
    trial = (struct bench_trial){
        .sides = {{"hedge", tail_run, &sides[0], 1}, {"no hedge", tail_run, &sides[1], 1}},
        .side_count = 2,
        .pairs = options->pairs > 0 ? options->pairs : 5,
    };
    bench_run(&trial);
    bench_report(options, &report, &trial, 0, 1);
    for (int i = 0; i < 2; i++) {
        bench_pool_destroy(sides[i].pool);
        lsio_close(&sides[i].lsio);
    }
    bench_server_stop(&server);
}

const struct bench_compare bench_http_compares[] = {
    {"http-64k", "random 64 KiB by ranged GET; libcurl's multi_socket by hand; CPU per request",
     "<= 1.15", http_64k},
    {"http-8m", "random 8 MiB by ranged GET; the same, CPU per GiB", "<= 1.15", http_8m},
    {"http-coalesce", "64 KiB ranges 64 KiB apart, 30 ms away; LSIO with gap_bytes=0; wall", ">= 4",
     http_coalesce},
    {"http-split", "256 MiB at 50 MB/s per connection; one GET; wall", ">= 6", http_split},
    {"http-clean-tail", "2 % of the answers late by 1 s; LSIO without hedging; p99", ">= 3",
     http_clean_tail},
    {NULL, NULL, NULL, NULL},
};
