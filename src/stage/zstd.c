/* SPDX-License-Identifier: MIT */
/*
 * zstd.c - the stage that decodes Zstandard.
 *
 * Design: libzstd decodes all frames of a chunk in one call into room of fixed size, which needs no
 * window buffer: what a frame refers back to lies in the output. So the window size that a frame
 * declares costs nothing and needs no limit (ZSTD_d_windowLogMax is for streaming). If no size is
 * expected, the frames' headers are added up first; frames without one leave the size unknown.
 *
 * Threads: each worker has its own decoder, made on its first chunk; nothing else is shared.
 */
#include "base/mark.h"
#include "stage/stage.h"

#include <errno.h>

#ifdef LSIO_HAVE_ZSTD

#include <stdbool.h>
#include <zstd.h>
#include <zstd_errors.h>

static int zstd_init(void *user, uint32_t worker, void **state)
{
    (void)user;
    (void)worker;
    *state = ZSTD_createDCtx();
    return *state ? 0 : -ENOMEM;
}

static void zstd_finish(void *user, uint32_t worker, void *state)
{
    (void)user;
    (void)worker;
    ZSTD_freeDCtx(state);
}

static int zstd_fail(struct lsio_call *call, size_t code)
{
    LSIO_MARK(zstd_corrupt);
    return lsio_call_fail(call, LSIO_E_CORRUPT, "zstd: %llu bytes of input: %s",
                          (unsigned long long)call->in_bytes, ZSTD_getErrorName(code));
}

/* Adds up what all frames declare; STAGE_SIZE_UNKNOWN if one declares nothing. */
static int zstd_declared(struct lsio_call *call, uint64_t *declared)
{
    const uint8_t *in = call->in;
    size_t left = (size_t)call->in_bytes;
    uint64_t sum = 0;
    bool unknown = false;

    while (left) {
        unsigned long long content = ZSTD_getFrameContentSize(in, left);
        size_t frame = ZSTD_findFrameCompressedSize(in, left);
        if (ZSTD_isError(frame))
            return zstd_fail(call, frame);
        if (content == ZSTD_CONTENTSIZE_ERROR)
            return lsio_call_fail(call, LSIO_E_CORRUPT, "zstd: a frame's header is damaged");
        if (content == ZSTD_CONTENTSIZE_UNKNOWN)
            unknown = true;
        else if (__builtin_add_overflow(sum, (uint64_t)content, &sum))
            return lsio_call_fail(call, LSIO_E_CORRUPT,
                                  "zstd: frames declare more than 2^64 bytes");
        in += frame;
        left -= frame;
    }
    *declared = unknown ? STAGE_SIZE_UNKNOWN : sum;
    return 0;
}

static int zstd_run(struct lsio_call *call)
{
    const struct stage_limits *limits = call->user;
    uint64_t declared = STAGE_SIZE_UNKNOWN, room_bytes;
    void *room;
    size_t used;
    int status;

    if (call->in_bytes == 0)
        return lsio_call_fail(call, LSIO_E_CORRUPT, "zstd: there is no frame in 0 bytes");
    if (limits
            ->expected_bytes) { /* one frame must not declare more; the sum is checked at the end */
        unsigned long long first = ZSTD_getFrameContentSize(call->in, (size_t)call->in_bytes);
        if (first < ZSTD_CONTENTSIZE_ERROR && first > limits->expected_bytes)
            declared = first;
        status = 0;
    } else {
        status = zstd_declared(call, &declared);
    }
    if (status == 0)
        status = stage_room_bytes(call, limits, declared, &room_bytes);
    if (status == 0)
        status = lsio_call_out(call, room_bytes, &room);
    if (status < 0)
        return status;
    used = ZSTD_decompressDCtx(call->state, room, (size_t)room_bytes, call->in,
                               (size_t)call->in_bytes);
    if (ZSTD_isError(used)) {
        if (ZSTD_getErrorCode(used) == ZSTD_error_dstSize_tooSmall) {
            LSIO_MARK(zstd_too_long);
            return stage_overflow(call, limits, declared, room_bytes);
        }
        return zstd_fail(call, used);
    }
    return stage_commit(call, limits, declared, used);
}

int lsio_stage_zstd(const struct lsio_zstd_options *options, struct lsio_stage *out)
{
    struct lsio_zstd_options known;
    struct stage_limits limits;
    int status = stage_options_read(&known, sizeof(known), options);

    if (status < 0 || !out)
        return -EINVAL;
    limits = (struct stage_limits){"zstd", known.expected_bytes, known.max_bytes};
    status = stage_make(out, limits.codec, zstd_run, LSIO_STAGE_WRITES, &limits, sizeof(limits));
    if (status == 0) {
        out->init = zstd_init;
        out->finish = zstd_finish;
    }
    return status;
}

#else

int lsio_stage_zstd(const struct lsio_zstd_options *options, struct lsio_stage *out)
{
    (void)options;
    (void)out;
    return LSIO_E_UNSUPPORTED;
}

#endif
