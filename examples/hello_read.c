/* SPDX-License-Identifier: MIT */
/* hello_read FOLDER FILE - reads the first 16 KiB of a file in 16 pieces by one call, each into its
 * place in memory, and adds up the bytes of each piece on the way. */
#include "lsio/lsio.h"

#include <stdio.h>

enum { PIECES = 16, PIECE_BYTES = 1024 };

/* [readme] */
/* A stage: called with a chunk's bytes on the core where they have just arrived. */
static int add_up(struct lsio_call *call)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < call->in_bytes; i++)
        sum += ((const uint8_t *)call->in)[i];
    *(uint64_t *)call->data = sum;
    return 0;
}

static int read_pieces(struct lsio_context *context, struct lsio_store *store, const char *key,
                       const struct lsio_chain *chain, uint8_t *dst, uint64_t *sums)
{
    struct lsio_object object = {.store = store, .key = key, .size = LSIO_SIZE_UNKNOWN};
    struct lsio_chunk chunks[PIECES];
    for (int i = 0; i < PIECES; i++)
        chunks[i] = (struct lsio_chunk){.offset = i * PIECE_BYTES, .length = PIECE_BYTES,
            .dst = dst + i * PIECE_BYTES, .dst_bytes = PIECE_BYTES, .data = &sums[i]};
    struct lsio_request request = {.struct_bytes = sizeof(request), .objects = &object,
        .object_count = 1, .chunks = chunks, .chunk_count = PIECES, .chain = chain};
    return lsio_read_batch(context, &request); /* plans, reads, runs each chunk's chain, waits */
}
/* [end readme] */

int main(int argc, char **argv)
{
    static uint8_t dst[PIECES * PIECE_BYTES];
    struct lsio_stage stage = {.struct_bytes = sizeof(stage), .name = "add_up", .run = add_up,
        .flags = LSIO_STAGE_READS_ONLY};
    struct lsio_context *context = NULL;
    struct lsio_store *store = NULL;
    struct lsio_chain *chain = NULL;
    uint64_t sums[PIECES] = {0};
    int status = argc == 3 ? lsio_context_create(NULL, &context) : -22;

    if (status == 0)
        status = lsio_store_open(context, argv[1], NULL, 0, &store);
    if (status == 0)
        status = lsio_chain_create(context, &stage, 1, &chain);
    if (status == 0)
        status = read_pieces(context, store, argv[2], chain, dst, sums);
    for (int i = 0; status == 0 && i < PIECES; i++)
        printf("piece %2d: sum %llu\n", i, (unsigned long long)sums[i]);
    printf("%s: %s\n", argc == 3 ? argv[2] : "usage: hello_read FOLDER FILE",
           lsio_status_text(status));
    lsio_context_destroy(context); /* and with it the store and the chain */
    return status == 0 ? 0 : 1;
}
