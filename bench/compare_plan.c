/* SPDX-License-Identifier: MIT */
/*
 * compare_plan.c - plan-sorted, plan-shuffled, plan-bytes: the planner on ten million chunks.
 *
 * The ratio that is printed is LSIO's own figure: ns per chunk on one thread, or bytes per chunk.
 * The baseline is a bare walk over the same descriptors (56 bytes each, far more than any cache),
 * which is what their memory alone costs. Slabs have the size that the engine gives them; four are
 * used in turn, as workers hold some while another is planned. Half of the chunks are joined to
 * their neighbour, half are not. plan-shuffled plans two orders, shuffled as a whole (no slab is
 * dense: sorting could not join) and within each slab (all of it must be sorted), and reports the
 * slower.
 *
 * plan-first and plan-bytes go through the public API: the time from lsio_submit_batch() to the
 * first chunk's chain, and by how much the process grows during one lsio_read_batch().
 */
#define _GNU_SOURCE 1
#include "bench.h"
#include "plan/plan.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLAN_COUNT ((uint64_t)10000000)
#define PLAN_SLAB  65536u
#define PLAN_SLABS 4u

struct planning {
    struct lsio_chunk *chunks;
    struct plan_object objects[BENCH_GRID_FILES];
    struct plan_profile profile;
    struct plan_input input;
    struct planner *planner;
    struct plan_slab slabs[PLAN_SLABS];
    uint64_t operations, members, slabs_sorted, walked;
};

static bool plan_into_dst(const struct lsio_chain *chain)
{
    return chain == NULL;
}

static void planning_open(struct planning *planning)
{
    uint64_t per_object = PLAN_COUNT / BENCH_GRID_FILES;
    memset(planning, 0, sizeof(*planning));
    bench_check(plan_profile_builtin("nvme", &planning->profile), "profile nvme");
    planning->chunks = bench_alloc(PLAN_COUNT * sizeof(*planning->chunks));
    for (uint64_t i = 0; i < PLAN_COUNT; i++) {
        uint64_t at = i % per_object, pair = at / 2;
        planning->chunks[i] = (struct lsio_chunk){
            .object = (uint32_t)(i / per_object),
            .offset = (int64_t)(pair * (80u << 10) + (at & 1) * 8192),
            .length = 4096,
        };
    }
    for (unsigned i = 0; i < BENCH_GRID_FILES; i++) {
        atomic_init(&planning->objects[i].size, (uint64_t)1 << 40);
        planning->objects[i].profile = &planning->profile;
    }
    planning->input = (struct plan_input){
        .chunks = planning->chunks,
        .chunk_bytes = sizeof(*planning->chunks),
        .chunk_count = PLAN_COUNT,
        .objects = planning->objects,
        .object_bytes = sizeof(*planning->objects),
        .object_count = BENCH_GRID_FILES,
        .reads_into_dst = plan_into_dst,
        .join_bytes_max = 1u << 20,
    };
    bench_check(planner_create(PLAN_SLAB, &planning->planner), "planner_create");
    for (unsigned i = 0; i < PLAN_SLABS; i++) {
        planning->slabs[i].ops = bench_alloc(PLAN_SLAB * sizeof(struct plan_op));
        planning->slabs[i].order = bench_alloc(PLAN_SLAB * sizeof(uint32_t));
    }
}

static void planning_close(struct planning *planning)
{
    planner_destroy(planning->planner);
    for (unsigned i = 0; i < PLAN_SLABS; i++) {
        bench_free(planning->slabs[i].ops, PLAN_SLAB * sizeof(struct plan_op));
        bench_free(planning->slabs[i].order, PLAN_SLAB * sizeof(uint32_t));
    }
    bench_free(planning->chunks, PLAN_COUNT * sizeof(*planning->chunks));
}

/* Shuffles whole or, with a window, within each window. */
static void planning_shuffle(struct planning *planning, uint64_t window)
{
    for (uint64_t at = 0; at < PLAN_COUNT; at += window) {
        uint64_t count = PLAN_COUNT - at < window ? PLAN_COUNT - at : window;
        bench_shuffle(planning->chunks + at, count, sizeof(*planning->chunks), at + 1);
    }
}

static void plan_run(void *state, unsigned rounds, struct bench_half *half)
{
    struct planning *planning = state;
    for (unsigned r = 0; r < rounds; r++) {
        planning->operations = planning->members = planning->slabs_sorted = 0;
        for (uint64_t at = 0, turn = 0; at < PLAN_COUNT; at += PLAN_SLAB, turn++) {
            struct plan_slab *slab = &planning->slabs[turn % PLAN_SLABS];
            uint32_t count = PLAN_COUNT - at < PLAN_SLAB ? (uint32_t)(PLAN_COUNT - at) : PLAN_SLAB;
            plan_slab_build(planning->planner, &planning->input, at, count, slab);
            planning->operations += slab->op_count;
            planning->members += slab->chunk_count;
            planning->slabs_sorted += slab->sorted;
        }
    }
    half->amount = (double)PLAN_COUNT * rounds;
}

static void walk_run(void *state, unsigned rounds, struct bench_half *half)
{
    struct planning *planning = state;
    uint64_t sum = 0;
    for (unsigned r = 0; r < rounds; r++) {
        for (uint64_t i = 0; i < PLAN_COUNT; i++) {
            const struct lsio_chunk *chunk = &planning->chunks[i];
            sum += chunk->object + (uint64_t)chunk->offset + chunk->length;
        }
        planning->walked ^= sum; /* keeps the walk */
    }
    half->amount = (double)PLAN_COUNT * rounds;
}

struct plan_figures {
    double ns[BENCH_PAIRS_MAX], walk[BENCH_PAIRS_MAX];
    unsigned count;
};

static void plan_measure(const struct bench_options *options, struct planning *planning,
                         const char *what, struct plan_figures *figures)
{
    static struct bench_trial trial;
    trial = (struct bench_trial){
        .sides = {{"planner", plan_run, planning, 1}, {"walk", walk_run, planning, 1}},
        .side_count = 2,
        .pairs = options->pairs > 0 ? options->pairs : 5,
    };
    struct bench_half half;
    plan_run(planning, 1, &half); /* touches all bookkeeping */
    bench_run(&trial);
    figures->count = trial.pairs;
    for (unsigned i = 0; i < trial.pairs; i++) {
        figures->ns[i] = trial.halves[i][0].wall_s / trial.halves[i][0].amount * 1e9;
        figures->walk[i] = trial.halves[i][1].wall_s / trial.halves[i][1].amount * 1e9;
    }
    if (planning->members != PLAN_COUNT || planning->operations == 0) {
        bench_die("the planner covered %llu of %llu chunks", (unsigned long long)planning->members,
                  (unsigned long long)PLAN_COUNT);
    }
    bench_note("%s: %.1f ns per chunk, %.2f operations per chunk, %llu of %llu slabs sorted", what,
               bench_median(figures->ns, figures->count),
               (double)planning->operations / (double)PLAN_COUNT,
               (unsigned long long)planning->slabs_sorted,
               (unsigned long long)((PLAN_COUNT + PLAN_SLAB - 1) / PLAN_SLAB));
}

static void plan_print(const struct bench_options *options, const char *name, double threshold,
                       const struct plan_figures *figures)
{
    const struct bench_report report = {.name = name,
                                        .unit = "ns/chunk",
                                        .metric = BENCH_WALL,
                                        .inverse = true,
                                        .threshold = threshold};
    bench_print(options, &report, figures->ns, figures->count,
                bench_median(figures->ns, figures->count),
                bench_median(figures->walk, figures->count));
}

/* ------------------------------------------------------------------ through the public API -- */

#define API_LENGTH 64u

struct through_api {
    struct bench_files files;
    struct lsio_context *context;
    struct lsio_store *store;
    struct lsio_chain *chain;
    struct lsio_object *objects;
    struct lsio_chunk *chunks;
    _Atomic int64_t first_ns; /* when a chain ran first; 0: not yet */
};

static int first_stage(struct lsio_call *call)
{
    struct through_api *api = call->user;
    if (atomic_load_explicit(&api->first_ns, memory_order_relaxed) == 0) {
        int64_t none = 0;
        atomic_compare_exchange_strong(&api->first_ns, &none, (int64_t)(bench_now() * 1e9));
    }
    return 0;
}

static void api_open(struct through_api *api, const struct bench_options *options)
{
    memset(api, 0, sizeof(*api));
    bench_grid_open(&api->files, options);
    bench_files_warm(&api->files);
    uint64_t per_file = PLAN_COUNT / BENCH_GRID_FILES, step = BENCH_GRID_BYTES / per_file;
    api->context = bench_context(options, options->workers, 0);
    api->store = bench_store(api->context, options->dir, NULL, 0);
    api->objects = bench_objects(api->store, &api->files);
    const struct lsio_stage stage = {.struct_bytes = sizeof(stage),
                                     .name = "first",
                                     .run = first_stage,
                                     .user = api,
                                     .flags = LSIO_STAGE_READS_ONLY};
    bench_check(lsio_chain_create(api->context, &stage, 1, &api->chain), "lsio_chain_create");
    api->chunks = bench_alloc(PLAN_COUNT * sizeof(*api->chunks));
    for (uint64_t i = 0; i < PLAN_COUNT; i++) {
        api->chunks[i] = (struct lsio_chunk){.object = (uint32_t)(i / per_file),
                                             .offset = (int64_t)(i % per_file * step),
                                             .length = API_LENGTH};
    }
}

static void api_close(struct through_api *api)
{
    lsio_chain_destroy(api->chain);
    bench_check(lsio_store_close(api->store), "lsio_store_close");
    bench_check(lsio_context_destroy(api->context), "lsio_context_destroy");
    bench_free(api->chunks, PLAN_COUNT * sizeof(*api->chunks));
    free(api->objects);
    bench_files_close(&api->files);
}

static struct lsio_request api_request(struct through_api *api, uint64_t count)
{
    return (struct lsio_request){.struct_bytes = sizeof(struct lsio_request),
                                 .objects = api->objects,
                                 .object_count = api->files.count,
                                 .chunks = api->chunks,
                                 .chunk_count = count,
                                 .chain = api->chain,
                                 .flags = LSIO_BORROW};
}

static void plan_first(const struct bench_options *options, struct through_api *api)
{
    double ms[5];
    struct lsio_request request = api_request(api, PLAN_COUNT);
    for (unsigned i = 0; i < 5; i++) {
        struct lsio_batch *batch = NULL;
        atomic_store(&api->first_ns, 0);
        int64_t start = (int64_t)(bench_now() * 1e9);
        bench_check(lsio_submit_batch(api->context, &request, &batch), "lsio_submit_batch");
        while (atomic_load(&api->first_ns) == 0) {
            usleep(100);
        }
        ms[i] = (double)(atomic_load(&api->first_ns) - start) * 1e-6;
        lsio_batch_cancel(batch);
        bench_check(lsio_batch_wait(batch, LSIO_FOREVER, NULL), "lsio_batch_wait");
        bench_check(lsio_batch_destroy(batch), "lsio_batch_destroy");
    }
    const struct bench_report report = {.name = "plan-first",
                                        .unit = "ms",
                                        .metric = BENCH_WALL,
                                        .inverse = true,
                                        .threshold = 2,
                                        .remark = "submit of 10 million chunks to the first chain"};
    bench_print(options, &report, ms, 5, bench_median(ms, 5), 0);
}

/* Resident bytes now, or their highest since reset. */
static double resident_bytes(const char *field)
{
    char line[256];
    double kib = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, field, strlen(field)) == 0) {
            kib = strtod(line + strlen(field) + 1, NULL);
        }
    }
    if (file == NULL || kib == 0) {
        bench_die("/proc/self/status does not say %s", field);
    }
    fclose(file);
    return kib * 1024;
}

static void resident_peak_reset(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "5", 1) != 1) {
        bench_die("/proc/self/clear_refs cannot be written: the peak of memory is not known");
    }
    close(fd);
}

/* -------------------------------------------------------------------------------- compares -- */

static void plan_sorted(const struct bench_options *options)
{
    static struct planning planning;
    static struct through_api api;
    struct plan_figures figures;
    planning_open(&planning);
    plan_measure(options, &planning, "in order", &figures);
    plan_print(options, "plan-sorted", 40, &figures);
    planning_close(&planning);
    api_open(&api, options);
    plan_first(options, &api);
    api_close(&api);
}

static void plan_shuffled(const struct bench_options *options)
{
    static struct planning planning;
    struct plan_figures within, whole;
    planning_open(&planning);
    planning_shuffle(&planning, PLAN_SLAB);
    plan_measure(options, &planning, "shuffled within slabs", &within);
    planning_shuffle(&planning, PLAN_COUNT);
    plan_measure(options, &planning, "shuffled as a whole", &whole);
    bool within_slower =
        bench_median(within.ns, within.count) > bench_median(whole.ns, whole.count);
    plan_print(options, "plan-shuffled", 150, within_slower ? &within : &whole);
    planning_close(&planning);
}

static void plan_bytes(const struct bench_options *options)
{
    static struct through_api api;
    double bytes[3];
    api_open(&api, options);
    struct lsio_request request = api_request(&api, 2000);
    bench_check(lsio_read_batch(api.context, &request),
                "plan-bytes"); /* touches the data buffers */
    request.chunk_count = PLAN_COUNT;
    for (unsigned i = 0; i < 3; i++) {
        resident_peak_reset();
        double before = resident_bytes("VmRSS:");
        bench_check(lsio_read_batch(api.context, &request), "plan-bytes");
        bytes[i] = (resident_bytes("VmHWM:") - before) / (double)PLAN_COUNT;
    }
    /* Slabs are kept for the next batch, so the first run is the one that grows. */
    bench_note("plan-bytes: growth of the process in three runs: %.3f, %.3f, %.3f bytes per chunk; "
               "a slab of %u chunks has %.1f bytes per chunk",
               bytes[0], bytes[1], bytes[2], PLAN_SLAB,
               (double)plan_slab_bytes(PLAN_SLAB) / PLAN_SLAB);
    const struct bench_report report = {.name = "plan-bytes",
                                        .unit = "bytes/chunk",
                                        .metric = BENCH_WALL,
                                        .inverse = true,
                                        .threshold = 16,
                                        .remark = "resident growth during the first read of 10 "
                                                  "million chunks in order"};
    bench_print(options, &report, bytes, 1, bytes[0], sizeof(struct lsio_chunk));
    api_close(&api);
}

const struct bench_compare bench_plan_compares[] = {
    {"plan-sorted",
     "ns per chunk to plan 10 million chunks in order; and, as plan-first, ms to the "
     "first chain (<= 2)",
     "<= 40", plan_sorted},
    {"plan-shuffled", "the same, shuffled", "<= 150", plan_shuffled},
    {"plan-bytes", "growth of the process per chunk while it reads 10 million in order", "<= 16",
     plan_bytes},
    {NULL, NULL, NULL, NULL},
};
