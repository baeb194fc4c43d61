/* SPDX-License-Identifier: MIT */
/*
 * unshuffle.h - puts the bytes of elements together again that a byte shuffle has taken apart.
 */
#ifndef LSIO_STAGE_UNSHUFFLE_H
#define LSIO_STAGE_UNSHUFFLE_H

#include <stddef.h>
#include <stdint.h>

#define UNSHUFFLE_PLANES_MAX 16

/* Byte j of element i is planes[j][i]; it goes to dst[i * typesize + j]. typesize <=
 * UNSHUFFLE_PLANES_MAX. Planes may lie anywhere, but not in dst. Nothing needs alignment. */
typedef void unshuffle_fn(const uint8_t *const *planes, uint32_t typesize, size_t elements,
                          uint8_t *dst);

/* The fastest way that this processor has for a typesize. */
unshuffle_fn *unshuffle_find(uint32_t typesize);

/* The same for planes that lie one after another, with any typesize; `bytes` need not be whole
 * elements: what is left is copied as it is. `unshuffle` is from unshuffle_find(), or NULL above
 * its typesizes. */
void unshuffle_block(unshuffle_fn *unshuffle, const uint8_t *in, uint32_t typesize, size_t bytes,
                     uint8_t *dst);

#endif
