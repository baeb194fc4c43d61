/* SPDX-License-Identifier: MIT */
/*
 * inflate.c - one deflate stream into fixed room.
 *
 * Design: libdeflate decodes whole buffers and is twice as fast as zlib; zlib is for builds without
 * it. zlib counts in unsigned int, so it is fed in portions of up to 1 GiB. Its window is made when
 * it is first needed, and kept.
 *
 * Threads: an inflater belongs to one worker.
 */
#include "stage/inflate.h"

#if STAGE_HAVE_INFLATE

#ifdef LSIO_HAVE_DEFLATE

#include <libdeflate.h>

struct inflater *inflater_create(void)
{
    return (struct inflater *)(void *)libdeflate_alloc_decompressor();
}

void inflater_destroy(struct inflater *inflater)
{
    if (inflater)
        libdeflate_free_decompressor((struct libdeflate_decompressor *)(void *)inflater);
}

enum inflate_result inflater_run(struct inflater *inflater, enum inflate_framing framing,
                                 const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes,
                                 size_t *in_used, size_t *out_used)
{
    struct libdeflate_decompressor *decoder = (struct libdeflate_decompressor *)(void *)inflater;
    enum libdeflate_result result;

    if (framing == INFLATE_GZIP)
        result =
            libdeflate_gzip_decompress_ex(decoder, in, in_bytes, out, out_bytes, in_used, out_used);
    else if (framing == INFLATE_ZLIB)
        result =
            libdeflate_zlib_decompress_ex(decoder, in, in_bytes, out, out_bytes, in_used, out_used);
    else
        result = libdeflate_deflate_decompress_ex(decoder, in, in_bytes, out, out_bytes, in_used,
                                                  out_used);
    if (result == LIBDEFLATE_SUCCESS)
        return INFLATE_OK;
    return result == LIBDEFLATE_INSUFFICIENT_SPACE ? INFLATE_NO_SPACE : INFLATE_DAMAGED;
}

const char *inflater_library(void)
{
    return "libdeflate";
}

#else

#include <stdlib.h>
#include <zlib.h>

#define PORTION_BYTES ((size_t)1 << 30)

struct inflater {
    z_stream stream;
};

struct inflater *inflater_create(void)
{
    struct inflater *inflater = calloc(1, sizeof(*inflater));

    if (inflater && inflateInit2(&inflater->stream, 15) != Z_OK) {
        free(inflater);
        return NULL;
    }
    return inflater;
}

void inflater_destroy(struct inflater *inflater)
{
    if (!inflater)
        return;
    inflateEnd(&inflater->stream);
    free(inflater);
}

static uInt portion(size_t bytes)
{
    return (uInt)(bytes < PORTION_BYTES ? bytes : PORTION_BYTES);
}

enum inflate_result inflater_run(struct inflater *inflater, enum inflate_framing framing,
                                 const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes,
                                 size_t *in_used, size_t *out_used)
{
    z_stream *stream = &inflater->stream;
    uint8_t none; /* zlib refuses a NULL output, even of no length */
    size_t in_at = 0, out_at = 0;
    int status = inflateReset2(stream, framing == INFLATE_GZIP   ? 15 + 16
                                       : framing == INFLATE_ZLIB ? 15
                                                                 : -15);

    while (status == Z_OK) {
        uInt in_now = portion(in_bytes - in_at), out_now = portion(out_bytes - out_at);
        stream->next_in = (Bytef *)(uintptr_t)(in + in_at);
        stream->avail_in = in_now;
        stream->next_out = out ? out + out_at : &none;
        stream->avail_out = out_now;
        status = inflate(stream, Z_NO_FLUSH);
        in_at += in_now - stream->avail_in;
        out_at += out_now - stream->avail_out;
    }
    *in_used = in_at;
    *out_used = out_at;
    if (status == Z_STREAM_END)
        return INFLATE_OK;
    if (status == Z_MEM_ERROR)
        return INFLATE_NO_MEMORY;
    return status == Z_BUF_ERROR && out_at == out_bytes && in_at < in_bytes ? INFLATE_NO_SPACE
                                                                            : INFLATE_DAMAGED;
}

const char *inflater_library(void)
{
    return "zlib";
}

#endif
#else

typedef int inflate_is_empty; /* a translation unit may not be */

#endif
