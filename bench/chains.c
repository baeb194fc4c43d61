/* SPDX-License-Identifier: MIT */
/*
 * chains.c - the chains of LSIO's side, made of its ready-made stages with default options.
 */
#include "chains.h"

#include <string.h>

static struct lsio_chain *chain_make(struct lsio_context *context, struct lsio_stage *stages,
                                     size_t count)
{
    struct lsio_chain *chain = NULL;
    bench_check(lsio_chain_create(context, stages, count, &chain), "lsio_chain_create");
    return chain;
}

static void crc_and_swap(struct lsio_stage *stages)
{
    const struct lsio_byteswap_options swap = {.struct_bytes = sizeof(swap), .typesize = 4};
    bench_check(lsio_stage_crc32c(NULL, &stages[0]), "lsio_stage_crc32c");
    bench_check(lsio_stage_byteswap(&swap, &stages[1]), "lsio_stage_byteswap");
}

struct lsio_chain *chain_crc_swap_user(struct lsio_context *context, lsio_stage_fn *run, void *user)
{
    struct lsio_stage stages[3] = {0};
    crc_and_swap(stages);
    stages[2] = (struct lsio_stage){.struct_bytes = sizeof(stages[2]),
                                    .name = "user",
                                    .run = run,
                                    .user = user,
                                    .flags = LSIO_STAGE_READS_ONLY};
    return chain_make(context, stages, 3);
}

struct lsio_chain *chain_crc_swap_scatter(struct lsio_context *context,
                                          const struct lsio_scatter_options *scatter)
{
    struct lsio_stage stages[3] = {0};
    crc_and_swap(stages);
    bench_check(lsio_stage_scatter(scatter, &stages[2]), "lsio_stage_scatter");
    return chain_make(context, stages, 3);
}

struct lsio_chain *chain_blosc_scatter(struct lsio_context *context, uint64_t decoded_bytes,
                                       const struct lsio_scatter_options *scatter)
{
    const struct lsio_blosc_options blosc = {.struct_bytes = sizeof(blosc),
                                             .expected_bytes = decoded_bytes};
    struct lsio_stage stages[2] = {0};
    bench_check(lsio_stage_blosc(&blosc, &stages[0]), "lsio_stage_blosc");
    bench_check(lsio_stage_scatter(scatter, &stages[1]), "lsio_stage_scatter");
    return chain_make(context, stages, 2);
}

static int consume(struct lsio_call *call)
{
    if (call->in_bytes >= sizeof(uint64_t)) {
        bench_consume(call->user, call->worker, call->in);
    }
    return 0;
}

struct lsio_stage chain_consume(struct bench_sums *sums)
{
    return (struct lsio_stage){.struct_bytes = sizeof(struct lsio_stage),
                               .name = "consume",
                               .run = consume,
                               .user = sums,
                               .flags = LSIO_STAGE_READS_ONLY};
}

struct lsio_chain *chain_by_name(struct lsio_context *context, const char *name,
                                 struct bench_sums *sums)
{
    struct lsio_stage stages[2] = {0};
    size_t count = 1;
    if (strcmp(name, "crc32c") == 0) {
        bench_check(lsio_stage_crc32c(NULL, &stages[0]), name);
    } else if (strcmp(name, "zstd") == 0) {
        bench_check(lsio_stage_zstd(NULL, &stages[0]), name);
    } else if (strcmp(name, "lz4") == 0) {
        bench_check(lsio_stage_lz4(NULL, &stages[0]), name);
    } else if (strcmp(name, "blosc") == 0) {
        bench_check(lsio_stage_blosc(NULL, &stages[0]), name);
    } else if (strcmp(name, "gzip") == 0) {
        bench_check(lsio_stage_gzip(NULL, &stages[0]), name);
    } else if (strcmp(name, "none") == 0) {
        count = 0;
    } else {
        bench_die("no chain is called %s: none crc32c zstd lz4 blosc gzip", name);
    }
    stages[count] = chain_consume(sums);
    return chain_make(context, stages, count + 1);
}
