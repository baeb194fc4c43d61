/* SPDX-License-Identifier: MIT */
/*
 * stage.h - what the ready-made stages share: reading options, filling a struct lsio_stage,
 * little-endian loads, and the rules by which a codec's output size is fixed before it decodes.
 */
#ifndef LSIO_STAGE_STAGE_H
#define LSIO_STAGE_STAGE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lsio/stages.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define STAGE_X86 1
#else
#define STAGE_X86 0
#endif

/* Reads size-first options into `known` (zeroed first), which is known_bytes long: what the
 * caller's version lacks stays 0; what ours lacks must be 0. -EINVAL otherwise. NULL options: all
 * 0. */
int stage_options_read(void *known, size_t known_bytes, const void *options);

/* A copy of `user` on the heap as the user of *out; destroy frees it. 0 or -ENOMEM. */
int stage_make(struct lsio_stage *out, const char *name, lsio_stage_fn *run, uint32_t flags,
               const void *user, size_t user_bytes);

/* -------------------------------------------------------------------------------------- codecs --
 */

#define STAGE_SIZE_UNKNOWN UINT64_MAX

/* First member of every codec's user. */
struct stage_limits {
    const char *codec;
    uint64_t expected_bytes;
    uint64_t max_bytes;
};

/* How much room to take, for data that declares `declared` bytes: 0, or a status already explained.
 */
int stage_room_bytes(struct lsio_call *call, const struct stage_limits *limits, uint64_t declared,
                     uint64_t *room_bytes);
/* The decoder has filled the room and is not at its end. */
int stage_overflow(struct lsio_call *call, const struct stage_limits *limits, uint64_t declared,
                   uint64_t room_bytes);
/* Commits `used` bytes, if that is the size that was declared and expected. */
int stage_commit(struct lsio_call *call, const struct stage_limits *limits, uint64_t declared,
                 uint64_t used);

/* ------------------------------------------------------------------------------ byte order -- */

static inline uint32_t load_le32(const void *from)
{
    const uint8_t *p = from;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

#endif
