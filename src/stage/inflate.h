/* SPDX-License-Identifier: MIT */
/*
 * inflate.h - one deflate stream into fixed room, by libdeflate or by zlib, for the gzip and blosc
 * stages.
 */
#ifndef LSIO_STAGE_INFLATE_H
#define LSIO_STAGE_INFLATE_H

#include <stddef.h>
#include <stdint.h>

#if defined(LSIO_HAVE_DEFLATE) || defined(LSIO_HAVE_ZLIB)
#define STAGE_HAVE_INFLATE 1
#else
#define STAGE_HAVE_INFLATE 0
#endif

struct inflater; /* reusable; one thread at a time */

enum inflate_framing { INFLATE_GZIP, INFLATE_ZLIB, INFLATE_RAW };
enum inflate_result {
    INFLATE_OK,
    INFLATE_DAMAGED,
    INFLATE_NO_SPACE, /* the stream holds more than out_bytes */
    INFLATE_NO_MEMORY
};

/* NULL: no memory. */
struct inflater *inflater_create(void);
void inflater_destroy(struct inflater *inflater); /* NULL is allowed */

/* Decodes the first stream in `in` and says how much of both sides it took (on INFLATE_OK only). */
enum inflate_result inflater_run(struct inflater *inflater, enum inflate_framing framing,
                                 const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes,
                                 size_t *in_used, size_t *out_used);

/* "libdeflate" or "zlib", for messages. */
const char *inflater_library(void);

#endif
