/* SPDX-License-Identifier: MIT */
/*
 * copy.h - copies past the cache, for the scatter stage.
 */
#ifndef LSIO_STAGE_COPY_H
#define LSIO_STAGE_COPY_H

#include <stddef.h>
#include <stdint.h>

/* Copies `bytes` from `in` to `out` with streaming stores for whole cache lines of `out`.
 * copy_fence() must follow before another thread may look. Nothing needs alignment. */
typedef void copy_fn(uint8_t *out, const uint8_t *in, size_t bytes);

/* Rows shorter than this are not worth streaming. */
#define COPY_STREAM_MIN 128

/* The fastest on this processor; NULL: none. */
copy_fn *copy_stream_find(void);
void copy_fence(void);

#endif
