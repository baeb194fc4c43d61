/* SPDX-License-Identifier: MIT */
/*
 * blosc.c - the stage that decodes Blosc 1 containers.
 *
 * Design: a container is a header, a table of block starts, and blocks that were shuffled and
 * compressed one by one; a block may be split into one stream per byte of the element ("plane"),
 * and a stream that did not shrink is stored as it is (README_CHUNK_FORMAT.rst and blosc.c of
 * c-blosc 1.21). The container is walked here, over liblz4, libzstd and the inflater, with a
 * decoder and scratch memory that are kept: libblosc allocates both for each chunk. A plane that
 * was stored is unshuffled from where it lies in the input, which saves a copy of what is most of
 * the data in floating-point arrays. A container that was not compressed at all is passed on as a
 * slice. Bit shuffle, BloscLZ, Snappy, and anything else unusual goes to libblosc, with one thread.
 *
 * Every number of the container is checked against the input's and the room's size before it is
 * used; the table, like all of the input, may be unaligned.
 *
 * Threads: each worker has its own decoders, made on its first chunk; the rest is frozen.
 */
#include "stage/stage.h"

#include <errno.h>

#ifdef LSIO_HAVE_BLOSC

#include <blosc.h>
#include <stdbool.h>
#include <stdlib.h>
#ifdef LSIO_HAVE_LZ4
#include <lz4.h>
#endif
#ifdef LSIO_HAVE_ZSTD
#include <zstd.h>
#endif

#include "base/mark.h"
#include "stage/inflate.h"
#include "stage/unshuffle.h"

#define HEADER_BYTES       16
#define FORMAT_VERSION     2
#define CODEC_VERSION      1 /* of the codecs decoded here */
#define FLAG_SHUFFLE       0x01
#define FLAG_STORED        0x02
#define FLAG_BITSHUFFLE    0x04
#define FLAG_RESERVED      0x08
#define FLAG_DONT_SPLIT    0x10
#define CODEC_LZ4          1
#define CODEC_ZLIB         3
#define CODEC_ZSTD         4
#define SPLIT_TYPESIZE_MAX 16  /* only smaller elements are split, */
#define SPLIT_ELEMENTS_MIN 128 /* and only in blocks of at least so many */

struct blosc_stage { /* frozen */
    struct stage_limits limits;
    unshuffle_fn *unshuffle[UNSHUFFLE_PLANES_MAX + 1]; /* by typesize */
};

struct blosc_state { /* one worker's */
    char unused;     /* in a build with neither */
#ifdef LSIO_HAVE_ZSTD
    ZSTD_DCtx *zstd;
#endif
#if STAGE_HAVE_INFLATE
    struct inflater *inflater;
#endif
};

/* A container whose header has been checked. */
struct container {
    const uint8_t *in;
    uint32_t in_bytes; /* all of it */
    uint32_t nbytes;   /* what comes out */
    uint32_t blocksize;
    uint32_t typesize;
    uint32_t codec;
    uint8_t flags;
};

/* What a block is decoded with. */
struct decoding {
    struct lsio_call *call;
    const struct container *container;
    struct blosc_state *state;
    unshuffle_fn *unshuffle;
    uint8_t *scratch; /* blocksize bytes, if there is a shuffle to undo */
};

/* ------------------------------------------------------------------------------------ streams --
 */

static int stream_fail(struct lsio_call *call, const char *codec, const char *why, uint32_t bytes,
                       uint32_t room)
{
    LSIO_MARK(blosc_stream_corrupt);
    return lsio_call_fail(call, LSIO_E_CORRUPT, "blosc: a %s stream of %u bytes for %u: %s", codec,
                          bytes, room, why);
}

#ifdef LSIO_HAVE_LZ4
static int stream_lz4(struct decoding *decoding, const uint8_t *in, uint32_t bytes, uint8_t *out,
                      uint32_t room)
{
    int used = LZ4_decompress_safe((const char *)in, (char *)out, (int)bytes, (int)room);

    if (used < 0 || (uint32_t)used != room)
        return stream_fail(decoding->call, "lz4", "damaged", bytes, room);
    return 0;
}
#endif

#ifdef LSIO_HAVE_ZSTD
static int stream_zstd(struct decoding *decoding, const uint8_t *in, uint32_t bytes, uint8_t *out,
                       uint32_t room)
{
    size_t used = ZSTD_decompressDCtx(decoding->state->zstd, out, room, in, bytes);

    if (ZSTD_isError(used))
        return stream_fail(decoding->call, "zstd", ZSTD_getErrorName(used), bytes, room);
    return used == room ? 0
                        : stream_fail(decoding->call, "zstd", "too little came out", bytes, room);
}
#endif

#if STAGE_HAVE_INFLATE
static int stream_zlib(struct decoding *decoding, const uint8_t *in, uint32_t bytes, uint8_t *out,
                       uint32_t room)
{
    size_t in_used, out_used;

    if (inflater_run(decoding->state->inflater, INFLATE_ZLIB, in, bytes, out, room, &in_used,
                     &out_used) != INFLATE_OK ||
        out_used != room)
        return stream_fail(decoding->call, "zlib", "damaged", bytes, room);
    return 0;
}
#endif

static bool codec_known(uint32_t codec)
{
#ifdef LSIO_HAVE_LZ4
    if (codec == CODEC_LZ4)
        return true;
#endif
#ifdef LSIO_HAVE_ZSTD
    if (codec == CODEC_ZSTD)
        return true;
#endif
    return STAGE_HAVE_INFLATE && codec == CODEC_ZLIB;
}

static int stream_decode(struct decoding *decoding, const uint8_t *in, uint32_t bytes, uint8_t *out,
                         uint32_t room)
{
    switch (decoding->container->codec) {
#ifdef LSIO_HAVE_LZ4
    case CODEC_LZ4:
        return stream_lz4(decoding, in, bytes, out, room);
#endif
#ifdef LSIO_HAVE_ZSTD
    case CODEC_ZSTD:
        return stream_zstd(decoding, in, bytes, out, room);
#endif
#if STAGE_HAVE_INFLATE
    case CODEC_ZLIB:
        return stream_zlib(decoding, in, bytes, out, room);
#endif
    default:
        return LSIO_E_UNSUPPORTED;
    }
}

/* ------------------------------------------------------------------------------------- blocks --
 */

/* Decodes the block that begins at `at` into out, which has room for `bytes`. */
static int block_decode(struct decoding *decoding, uint32_t at, uint32_t bytes, uint8_t *out)
{
    const struct container *container = decoding->container;
    const uint8_t *planes[UNSHUFFLE_PLANES_MAX];
    uint32_t typesize = container->typesize;
    bool split = !(container->flags & FLAG_DONT_SPLIT) && typesize <= SPLIT_TYPESIZE_MAX &&
                 bytes == container->blocksize && bytes / typesize >= SPLIT_ELEMENTS_MIN;
    uint32_t streams = split ? typesize : 1;
    uint32_t room = bytes / streams;
    uint8_t *to = decoding->scratch ? decoding->scratch : out;

    if (bytes % streams)
        return lsio_call_fail(decoding->call, LSIO_E_CORRUPT,
                              "blosc: blocks of %u bytes are not whole elements of %u", bytes,
                              typesize);
    for (uint32_t i = 0; i < streams; i++, to += room) {
        uint32_t length;
        int status = 0;
        if (at > container->in_bytes || container->in_bytes - at < 4) {
            LSIO_MARK(blosc_stream_begins_outside);
            return lsio_call_fail(decoding->call, LSIO_E_CORRUPT,
                                  "blosc: a stream begins at %u of %u bytes", at,
                                  container->in_bytes);
        }
        length = load_le32(container->in + at);
        at += 4;
        if (length > container->in_bytes - at) {
            LSIO_MARK(blosc_stream_ends_outside);
            return lsio_call_fail(decoding->call, LSIO_E_CORRUPT,
                                  "blosc: a stream of %u bytes begins at %u of %u", length, at,
                                  container->in_bytes);
        }
        planes[i] = to;
        if (length != room)
            status = stream_decode(decoding, container->in + at, length, to, room);
        else if (decoding->scratch)
            planes[i] = container->in + at;
        else
            memcpy(to, container->in + at, room);
        if (status < 0)
            return status;
        at += length;
    }
    if (decoding->scratch && split)
        decoding->unshuffle(planes, typesize, room, out);
    else if (decoding->scratch)
        unshuffle_block(decoding->unshuffle, planes[0], typesize, bytes, out);
    return 0;
}

static int blocks_decode(struct decoding *decoding, uint8_t *out)
{
    const struct container *container = decoding->container;
    uint32_t left = container->nbytes;

    for (uint32_t i = 0; left; i++) {
        uint32_t bytes = left < container->blocksize ? left : container->blocksize;
        uint32_t at = load_le32(container->in + HEADER_BYTES + 4 * (size_t)i);
        int status = block_decode(decoding, at, bytes, out);
        if (status < 0)
            return status;
        out += bytes;
        left -= bytes;
    }
    return 0;
}

/* ------------------------------------------------------------------------------- the stage -- */

/* Reads and checks what holds for every container. */
static int container_open(struct lsio_call *call, struct container *container)
{
    const uint8_t *in = call->in;
    uint32_t cbytes;

    if (call->in_bytes < HEADER_BYTES) {
        LSIO_MARK(blosc_no_header);
        return lsio_call_fail(call, LSIO_E_CORRUPT, "blosc: %llu bytes are too few for a header",
                              (unsigned long long)call->in_bytes);
    }
    container->in = in;
    container->flags = in[2];
    container->codec = in[2] >> 5;
    container->typesize = in[3];
    container->nbytes = load_le32(in + 4);
    container->blocksize = load_le32(in + 8);
    cbytes = load_le32(in + 12);
    if (cbytes != call->in_bytes) {
        LSIO_MARK(blosc_cbytes_lies);
        return lsio_call_fail(call, LSIO_E_CORRUPT,
                              "blosc: the header declares %u bytes; there are %llu", cbytes,
                              (unsigned long long)call->in_bytes);
    }
    container->in_bytes = cbytes;
    if (container->nbytes > BLOSC_MAX_BUFFERSIZE || container->typesize == 0 ||
        (container->nbytes &&
         (container->blocksize == 0 || container->blocksize > container->nbytes))) {
        LSIO_MARK(blosc_sizes_lie);
        return lsio_call_fail(call, LSIO_E_CORRUPT,
                              "blosc: %u bytes in blocks of %u with elements of %u make no sense",
                              container->nbytes, container->blocksize, container->typesize);
    }
    return 0;
}

static bool container_is_ours(const struct container *container)
{
    return container->in[0] == FORMAT_VERSION && container->in[1] == CODEC_VERSION &&
           codec_known(container->codec) && !(container->flags & (FLAG_BITSHUFFLE | FLAG_RESERVED));
}

static int decode_ours(struct lsio_call *call, const struct container *container, uint8_t *room)
{
    const struct blosc_stage *stage = call->user;
    struct decoding decoding = {.call = call, .container = container, .state = call->state};
    uint64_t blocks =
        ((uint64_t)container->nbytes + container->blocksize - 1) / container->blocksize;

    if (HEADER_BYTES + 4 * blocks > container->in_bytes) {
        LSIO_MARK(blosc_too_many_blocks);
        return lsio_call_fail(call, LSIO_E_CORRUPT, "blosc: %u bytes cannot hold %llu blocks",
                              container->in_bytes, (unsigned long long)blocks);
    }
    if ((container->flags & FLAG_SHUFFLE) && container->typesize > 1) {
        void *scratch;
        int status = lsio_call_scratch(call, container->blocksize, &scratch);
        if (status < 0)
            return status;
        decoding.scratch = scratch;
        if (container->typesize <= UNSHUFFLE_PLANES_MAX)
            decoding.unshuffle = stage->unshuffle[container->typesize];
    }
    return blocks_decode(&decoding, room);
}

static int decode_libblosc(struct lsio_call *call, const struct container *container, uint8_t *room)
{
    size_t nbytes = 0;
    int used;

    if (blosc_cbuffer_validate(call->in, (size_t)call->in_bytes, &nbytes) < 0 ||
        nbytes != container->nbytes)
        return lsio_call_fail(call, LSIO_E_CORRUPT, "blosc: libblosc finds the header damaged");
    used = blosc_decompress_ctx(call->in, room, nbytes, 1);
    if (used == -5)
        return lsio_call_fail(call, LSIO_E_UNSUPPORTED, "blosc: libblosc lacks compressor %u",
                              container->codec);
    if (used < 0 || (size_t)used != nbytes)
        return lsio_call_fail(call, LSIO_E_CORRUPT,
                              "blosc: libblosc decodes %u bytes to %u: status %d",
                              container->in_bytes, container->nbytes, used);
    return 0;
}

static int blosc_run(struct lsio_call *call)
{
    const struct blosc_stage *stage = call->user;
    struct container container = {0};
    uint64_t room_bytes;
    void *room;
    int status = container_open(call, &container);

    if (status == 0)
        status = stage_room_bytes(call, &stage->limits, container.nbytes, &room_bytes);
    if (status < 0)
        return status;
    if ((container.flags & FLAG_STORED) && container.in[0] == FORMAT_VERSION) {
        if (container.nbytes + HEADER_BYTES != container.in_bytes)
            return lsio_call_fail(call, LSIO_E_CORRUPT,
                                  "blosc: %u stored bytes in a container of %u", container.nbytes,
                                  container.in_bytes);
        return lsio_call_pass(call, container.in + HEADER_BYTES, container.nbytes);
    }
    status = lsio_call_out(call, room_bytes, &room);
    if (status == 0 && container.nbytes)
        status = container_is_ours(&container) ? decode_ours(call, &container, room)
                                               : decode_libblosc(call, &container, room);
    return status < 0 ? status : lsio_call_commit(call, container.nbytes);
}

static void state_destroy(void *user, uint32_t worker, void *state)
{
    struct blosc_state *ours = state;

    (void)user;
    (void)worker;
#ifdef LSIO_HAVE_ZSTD
    ZSTD_freeDCtx(ours->zstd);
#endif
#if STAGE_HAVE_INFLATE
    inflater_destroy(ours->inflater);
#endif
    free(ours);
}

static int state_create(void *user, uint32_t worker, void **state)
{
    struct blosc_state *ours = calloc(1, sizeof(*ours));
    bool complete = true;

    if (!ours)
        return -ENOMEM;
#ifdef LSIO_HAVE_ZSTD
    ours->zstd = ZSTD_createDCtx();
    complete = complete && ours->zstd;
#endif
#if STAGE_HAVE_INFLATE
    ours->inflater = inflater_create();
    complete = complete && ours->inflater;
#endif
    if (!complete) {
        state_destroy(user, worker, ours);
        return -ENOMEM;
    }
    *state = ours;
    return 0;
}

int lsio_stage_blosc(const struct lsio_blosc_options *options, struct lsio_stage *out)
{
    struct lsio_blosc_options known;
    struct blosc_stage stage = {0};
    int status = stage_options_read(&known, sizeof(known), options);

    if (status < 0 || !out)
        return -EINVAL;
    stage.limits = (struct stage_limits){"blosc", known.expected_bytes, known.max_bytes};
    for (uint32_t typesize = 1; typesize <= UNSHUFFLE_PLANES_MAX; typesize++)
        stage.unshuffle[typesize] = unshuffle_find(typesize);
    status = stage_make(out, "blosc", blosc_run, LSIO_STAGE_WRITES, &stage, sizeof(stage));
    if (status == 0) {
        out->init = state_create;
        out->finish = state_destroy;
    }
    return status;
}

#else

int lsio_stage_blosc(const struct lsio_blosc_options *options, struct lsio_stage *out)
{
    (void)options;
    (void)out;
    return LSIO_E_UNSUPPORTED;
}

#endif
