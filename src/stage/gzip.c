/* SPDX-License-Identifier: MIT */
/*
 * gzip.c - the stage that decodes deflate, in gzip, zlib or no framing.
 *
 * Design: inflate.c decodes one stream; a gzip file may be several of them, one after another (RFC
 * 1952 section 2.2), which decode to their concatenation. Zero bytes behind the last member are
 * padding, as gzip(1) has it; anything else there is damage. No framing declares the size of its
 * output in front. The last four bytes of a gzip file hold that of its last member modulo 2^32: a
 * hint for where nothing better is known, and no more.
 *
 * Threads: each worker has its own inflater, made on its first chunk; nothing else is shared.
 */
#include "stage/stage.h"

#include <errno.h>

#include "base/mark.h"
#include "stage/inflate.h"

#if STAGE_HAVE_INFLATE

#include <stdbool.h>

#define GZIP_BYTES_MIN 18
#define HINT_BYTES_MAX ((uint32_t)1 << 30)

struct gzip_stage { /* frozen */
    struct stage_limits limits;
    uint32_t framing; /* enum lsio_gzip_framing */
};

static int gzip_init(void *user, uint32_t worker, void **state)
{
    (void)user;
    (void)worker;
    *state = inflater_create();
    return *state ? 0 : -ENOMEM;
}

static void gzip_finish(void *user, uint32_t worker, void *state)
{
    (void)user;
    (void)worker;
    inflater_destroy(state);
}

static bool gzip_begins(const uint8_t *in, uint64_t bytes)
{
    return bytes >= 2 && in[0] == 0x1f && in[1] == 0x8b;
}

static bool zeros_only(const uint8_t *in, size_t bytes)
{
    while (bytes && !in[bytes - 1])
        bytes--;
    return bytes == 0;
}

static int gzip_fail(struct lsio_call *call, size_t at)
{
    LSIO_MARK(gzip_corrupt);
    return lsio_call_fail(
        call, LSIO_E_CORRUPT, "gzip: the stream at byte %llu of %llu is damaged (%s)",
        (unsigned long long)at, (unsigned long long)call->in_bytes, inflater_library());
}

/* Decodes all streams of the input. */
static int streams_decode(struct lsio_call *call, enum inflate_framing framing, uint8_t *room,
                          size_t room_bytes, size_t *used)
{
    const struct gzip_stage *stage = call->user;
    const uint8_t *in = call->in;
    size_t in_bytes = (size_t)call->in_bytes, at = 0, out = 0;

    do {
        size_t in_used = 0, out_used = 0;
        enum inflate_result result =
            inflater_run(call->state, framing, in + at, in_bytes - at, room + out, room_bytes - out,
                         &in_used, &out_used);
        if (result == INFLATE_NO_MEMORY)
            return lsio_call_fail(call, -ENOMEM, "gzip: no memory (%s)", inflater_library());
        if (result == INFLATE_NO_SPACE) {
            LSIO_MARK(gzip_too_long);
            return stage_overflow(call, &stage->limits, STAGE_SIZE_UNKNOWN, room_bytes);
        }
        if (result != INFLATE_OK || in_used == 0)
            return gzip_fail(call, at);
        at += in_used;
        out += out_used;
    } while (framing == INFLATE_GZIP && gzip_begins(in + at, in_bytes - at));
    if (at < in_bytes && (framing != INFLATE_GZIP || !zeros_only(in + at, in_bytes - at))) {
        LSIO_MARK(gzip_garbage_behind);
        return lsio_call_fail(call, LSIO_E_CORRUPT,
                              "gzip: %llu bytes lie behind the end of the data",
                              (unsigned long long)(in_bytes - at));
    }
    *used = out;
    return 0;
}

static int gzip_run(struct lsio_call *call)
{
    const struct gzip_stage *stage = call->user;
    enum inflate_framing framing = INFLATE_RAW;
    struct stage_limits limits = stage->limits;
    uint64_t room_bytes;
    size_t used = 0;
    void *room;
    int status;

    if (stage->framing != LSIO_GZIP_RAW)
        framing = stage->framing == LSIO_GZIP_GZIP || (stage->framing == LSIO_GZIP_AUTO &&
                                                       gzip_begins(call->in, call->in_bytes))
                      ? INFLATE_GZIP
                      : INFLATE_ZLIB;
    if (!call->chunk->dst && !limits.max_bytes && framing == INFLATE_GZIP &&
        call->in_bytes >= GZIP_BYTES_MIN) {
        uint32_t hint = load_le32((const uint8_t *)call->in + call->in_bytes - 4);
        limits.max_bytes = hint && hint < HINT_BYTES_MAX ? hint : HINT_BYTES_MAX;
    }
    status = stage_room_bytes(call, &limits, STAGE_SIZE_UNKNOWN, &room_bytes);
    if (status == 0)
        status = lsio_call_out(call, room_bytes, &room);
    if (status == 0)
        status = streams_decode(call, framing, room, (size_t)room_bytes, &used);
    return status < 0 ? status : stage_commit(call, &limits, STAGE_SIZE_UNKNOWN, used);
}

int lsio_stage_gzip(const struct lsio_gzip_options *options, struct lsio_stage *out)
{
    struct lsio_gzip_options known;
    struct gzip_stage stage;
    int status = stage_options_read(&known, sizeof(known), options);

    if (status < 0 || !out || known.framing > LSIO_GZIP_RAW)
        return -EINVAL;
    stage.limits = (struct stage_limits){"gzip", known.expected_bytes, known.max_bytes};
    stage.framing = known.framing;
    status =
        stage_make(out, stage.limits.codec, gzip_run, LSIO_STAGE_WRITES, &stage, sizeof(stage));
    if (status == 0) {
        out->init = gzip_init;
        out->finish = gzip_finish;
    }
    return status;
}

#else

int lsio_stage_gzip(const struct lsio_gzip_options *options, struct lsio_stage *out)
{
    (void)options;
    (void)out;
    return LSIO_E_UNSUPPORTED;
}

#endif
