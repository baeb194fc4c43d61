/* SPDX-License-Identifier: MIT */
/*
 * lz4.c - the stage that decodes LZ4 blocks and frames.
 *
 * Design: a block decodes in one call into room of fixed size. A frame goes through LZ4F, which
 * decodes straight into the room (stableDst: what it refers back to lies there); frames follow one
 * another, and the sizes that their headers may declare are not needed, because the room is fixed
 * first: by what is expected, or by the first frame's size if that frame is all there is, else by
 * dst or max_bytes.
 *
 * Threads: each worker has its own LZ4F decoder, made on its first chunk; nothing else is shared.
 */
#include "base/mark.h"
#include "stage/stage.h"

#include <errno.h>

#ifdef LSIO_HAVE_LZ4

#include <lz4.h>
#include <lz4frame.h>

#define SIZE_PREFIX_BYTES 4

struct lz4_stage { /* frozen */
    struct stage_limits limits;
    uint32_t framing;
};

static int lz4_init(void *user, uint32_t worker, void **state)
{
    LZ4F_dctx *decoder = NULL;

    (void)user;
    (void)worker;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&decoder, LZ4F_VERSION)))
        return -ENOMEM;
    *state = decoder;
    return 0;
}

static void lz4_finish(void *user, uint32_t worker, void *state)
{
    (void)user;
    (void)worker;
    LZ4F_freeDecompressionContext(state);
}

/* -------------------------------------------------------------------------------------- blocks --
 */

static int block_run(struct lsio_call *call)
{
    const struct lz4_stage *stage = call->user;
    const char *in = call->in;
    uint64_t in_bytes = call->in_bytes, declared = STAGE_SIZE_UNKNOWN, room_bytes;
    void *room;
    int used, status;

    if (stage->framing == LSIO_LZ4_NUMCODECS) {
        if (in_bytes < SIZE_PREFIX_BYTES) {
            LSIO_MARK(lz4_no_prefix);
            return lsio_call_fail(call, LSIO_E_CORRUPT, "lz4: %llu bytes cannot hold a size",
                                  (unsigned long long)in_bytes);
        }
        declared = load_le32(in);
        in += SIZE_PREFIX_BYTES;
        in_bytes -= SIZE_PREFIX_BYTES;
    }
    if (in_bytes > INT32_MAX || (declared != STAGE_SIZE_UNKNOWN && declared > LZ4_MAX_INPUT_SIZE)) {
        LSIO_MARK(lz4_prefix_lies);
        return lsio_call_fail(call, LSIO_E_CORRUPT, "lz4: no block has %llu bytes, or %llu decoded",
                              (unsigned long long)in_bytes, (unsigned long long)declared);
    }
    status = stage_room_bytes(call, &stage->limits, declared, &room_bytes);
    if (status == 0 && room_bytes > LZ4_MAX_INPUT_SIZE)
        room_bytes = LZ4_MAX_INPUT_SIZE; /* no block decodes to more */
    if (status == 0)
        status = lsio_call_out(call, room_bytes, &room);
    if (status < 0)
        return status;
    used = LZ4_decompress_safe(in, room, (int)in_bytes, (int)room_bytes);
    if (used < 0) {
        LSIO_MARK(lz4_block_corrupt);
        return lsio_call_fail(call, LSIO_E_CORRUPT,
                              "lz4: a block of %llu bytes for at most %llu is damaged (at byte %d)",
                              (unsigned long long)in_bytes, (unsigned long long)room_bytes,
                              -used - 1);
    }
    return stage_commit(call, &stage->limits, declared, (uint64_t)used);
}

/* -------------------------------------------------------------------------------------- frames --
 */

static int frame_fail(struct lsio_call *call, size_t code)
{
    LSIO_MARK(lz4_frame_corrupt);
    LZ4F_resetDecompressionContext(call->state);
    return lsio_call_fail(call, LSIO_E_CORRUPT, "lz4: %llu bytes of frames: %s",
                          (unsigned long long)call->in_bytes, LZ4F_getErrorName(code));
}

/* What the first frame declares. Whether it is the only one shows when it has been decoded. */
static int frame_declared(struct lsio_call *call, uint64_t *declared)
{
    LZ4F_frameInfo_t info;
    size_t bytes = (size_t)call->in_bytes;
    size_t code;

    LZ4F_resetDecompressionContext(call->state);
    code = LZ4F_getFrameInfo(call->state, &info, call->in, &bytes);
    LZ4F_resetDecompressionContext(call->state);
    if (LZ4F_isError(code))
        return frame_fail(call, code);
    *declared =
        info.frameType == LZ4F_frame && info.contentSize ? info.contentSize : STAGE_SIZE_UNKNOWN;
    return 0;
}

static int frames_decode(struct lsio_call *call, uint8_t *room, size_t room_bytes, size_t *used)
{
    const struct lz4_stage *stage = call->user;
    const LZ4F_decompressOptions_t options = {.stableDst = 1};
    const uint8_t *in = call->in;
    size_t at = 0, out = 0, in_bytes = (size_t)call->in_bytes;
    size_t expects = 0; /* 0: between frames */

    LZ4F_resetDecompressionContext(call->state);
    while (at < in_bytes || expects) {
        size_t in_now = in_bytes - at, out_now = room_bytes - out;
        expects = LZ4F_decompress(call->state, room + out, &out_now, in + at, &in_now, &options);
        if (LZ4F_isError(expects))
            return frame_fail(call, expects);
        at += in_now;
        out += out_now;
        if (expects && !in_now && !out_now) {
            LZ4F_resetDecompressionContext(call->state);
            if (out == room_bytes && at < in_bytes) {
                LSIO_MARK(lz4_frame_too_long);
                return stage_overflow(call, &stage->limits, STAGE_SIZE_UNKNOWN, room_bytes);
            }
            LSIO_MARK(lz4_frame_cut_off);
            return lsio_call_fail(call, LSIO_E_CORRUPT, "lz4: %llu bytes end within a frame",
                                  (unsigned long long)in_bytes);
        }
    }
    *used = out;
    return 0;
}

static int frame_run(struct lsio_call *call)
{
    const struct lz4_stage *stage = call->user;
    uint64_t declared = STAGE_SIZE_UNKNOWN, room_bytes;
    size_t used = 0;
    void *room;
    int status = 0;

    if (call->in_bytes == 0)
        return lsio_call_fail(call, LSIO_E_CORRUPT, "lz4: there is no frame in 0 bytes");
    /* Only where there is no other bound must a single frame's own word do. */
    if (!stage->limits.expected_bytes && !call->chunk->dst && !stage->limits.max_bytes)
        status = frame_declared(call, &declared);
    if (status == 0)
        status = stage_room_bytes(call, &stage->limits, declared, &room_bytes);
    if (status == 0)
        status = lsio_call_out(call, room_bytes, &room);
    if (status == 0)
        status = frames_decode(call, room, (size_t)room_bytes, &used);
    return status < 0 ? status : stage_commit(call, &stage->limits, STAGE_SIZE_UNKNOWN, used);
}

/* ------------------------------------------------------------------------------- the stage -- */

int lsio_stage_lz4(const struct lsio_lz4_options *options, struct lsio_stage *out)
{
    struct lsio_lz4_options known;
    struct lz4_stage stage;
    int status = stage_options_read(&known, sizeof(known), options);

    if (status < 0 || !out || known.framing > LSIO_LZ4_BLOCK)
        return -EINVAL;
    stage.limits = (struct stage_limits){"lz4", known.expected_bytes, known.max_bytes};
    stage.framing = known.framing;
    status =
        stage_make(out, stage.limits.codec, known.framing == LSIO_LZ4_FRAME ? frame_run : block_run,
                   LSIO_STAGE_WRITES, &stage, sizeof(stage));
    if (status == 0 && known.framing == LSIO_LZ4_FRAME) {
        out->init = lz4_init;
        out->finish = lz4_finish;
    }
    return status;
}

#else

int lsio_stage_lz4(const struct lsio_lz4_options *options, struct lsio_stage *out)
{
    (void)options;
    (void)out;
    return LSIO_E_UNSUPPORTED;
}

#endif
