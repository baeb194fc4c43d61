/* SPDX-License-Identifier: MIT */
/*
 * stage.c - what the ready-made stages share.
 *
 * Design: a codec asks stage_room_bytes() once, before it decodes, and decodes into that much room
 * and no more. So a lie about a size, or a bomb, costs at most what the caller has allowed; a size
 * that contradicts what was expected costs nothing.
 *
 * Threads: the constructors' by anyone, the rest by the worker that runs the stage. Nothing is
 * shared.
 */
#include "stage/stage.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mark.h"

#define OPTIONS_BYTES_MAX 4096
#define MAX_BYTES_DEFAULT ((uint64_t)1 << 30)

int stage_options_read(void *known, size_t known_bytes, const void *options)
{
    size_t bytes;

    memset(known, 0, known_bytes);
    if (!options)
        return 0;
    memcpy(&bytes, options, sizeof(bytes));
    if (bytes < sizeof(bytes) || bytes > OPTIONS_BYTES_MAX)
        return -EINVAL;
    for (size_t i = known_bytes; i < bytes; i++)
        if (((const uint8_t *)options)[i])
            return -EINVAL;
    memcpy(known, options, bytes < known_bytes ? bytes : known_bytes);
    return 0;
}

int stage_make(struct lsio_stage *out, const char *name, lsio_stage_fn *run, uint32_t flags,
               const void *user, size_t user_bytes)
{
    void *copy = malloc(user_bytes);

    if (!copy)
        return -ENOMEM;
    memcpy(copy, user, user_bytes);
    *out = (struct lsio_stage){.struct_bytes = sizeof(*out),
                               .name = name,
                               .run = run,
                               .user = copy,
                               .flags = flags,
                               .destroy = free};
    return 0;
}

int stage_room_bytes(struct lsio_call *call, const struct stage_limits *limits, uint64_t declared,
                     uint64_t *room_bytes)
{
    const struct lsio_chunk *chunk = call->chunk;
    uint64_t max = limits->max_bytes;

    if (limits->expected_bytes) {
        if (declared != STAGE_SIZE_UNKNOWN && declared != limits->expected_bytes) {
            LSIO_MARK(codec_declares_other_size);
            return lsio_call_fail(call, LSIO_E_CORRUPT,
                                  "%s: the data declares %llu bytes; %llu were expected",
                                  limits->codec, (unsigned long long)declared,
                                  (unsigned long long)limits->expected_bytes);
        }
        *room_bytes = limits->expected_bytes;
        return 0;
    }
    if (declared == STAGE_SIZE_UNKNOWN) {
        if (!chunk->dst && !max) {
            LSIO_MARK(codec_declares_no_size);
            return lsio_call_fail(call, LSIO_E_UNSUPPORTED,
                                  "%s: the data does not declare its size: set expected_bytes or "
                                  "max_bytes",
                                  limits->codec);
        }
        *room_bytes = chunk->dst && (!max || chunk->dst_bytes < max) ? chunk->dst_bytes : max;
        return 0;
    }
    if (!max)
        max = chunk->dst ? UINT64_MAX : MAX_BYTES_DEFAULT;
    if (declared > max) {
        LSIO_MARK(codec_declares_too_much);
        return lsio_call_fail(call, LSIO_E_NO_SPACE,
                              "%s: the data declares %llu bytes; the limit is %llu", limits->codec,
                              (unsigned long long)declared, (unsigned long long)max);
    }
    *room_bytes = declared;
    return 0;
}

int stage_overflow(struct lsio_call *call, const struct stage_limits *limits, uint64_t declared,
                   uint64_t room_bytes)
{
    if (limits->expected_bytes || declared != STAGE_SIZE_UNKNOWN)
        return lsio_call_fail(call, LSIO_E_CORRUPT,
                              "%s: %llu bytes of input hold more than %llu bytes", limits->codec,
                              (unsigned long long)call->in_bytes, (unsigned long long)room_bytes);
    LSIO_MARK(codec_output_beyond_room);
    return lsio_call_fail(call, LSIO_E_NO_SPACE,
                          "%s: %llu bytes of input need more room than %llu bytes", limits->codec,
                          (unsigned long long)call->in_bytes, (unsigned long long)room_bytes);
}

int stage_commit(struct lsio_call *call, const struct stage_limits *limits, uint64_t declared,
                 uint64_t used)
{
    uint64_t wanted = limits->expected_bytes ? limits->expected_bytes : declared;

    if (wanted != STAGE_SIZE_UNKNOWN && used != wanted) {
        LSIO_MARK(codec_output_too_short);
        return lsio_call_fail(call, LSIO_E_CORRUPT, "%s: %llu bytes came out; %llu were expected",
                              limits->codec, (unsigned long long)used, (unsigned long long)wanted);
    }
    return lsio_call_commit(call, used);
}
