/* SPDX-License-Identifier: MIT */
/*
 * Design: as dumb as can be. The range table of lsio.h, then the stages one after the other over a
 * copy of the bytes. What can be wrong before any byte is read is collected, for the library may
 * find it in any order; what a chain finds has an order, so it is one status. Pure; any thread.
 */
#include "oracle.h"

#include <errno.h>
#include <string.h>

const uint8_t oracle_chains[ORACLE_CHAINS][ORACLE_STAGES_MAX + 1] = {
    {STAGE_END}, {STAGE_CRC}, {STAGE_SWAP}, {STAGE_LOOK}, {STAGE_COPY}, {STAGE_SLICE},
    {STAGE_DOUBLE}, {STAGE_FAIL}, {STAGE_ACT}, {STAGE_CRC, STAGE_COPY}, {STAGE_SLICE, STAGE_COPY},
    {STAGE_COPY, STAGE_SLICE}, {STAGE_COPY, STAGE_DOUBLE}, {STAGE_COPY, STAGE_FAIL},
    {STAGE_ACT, STAGE_COPY, STAGE_ACT}, {STAGE_SCRATCH, STAGE_COPY}, {STAGE_THIRD},
    {STAGE_DOUBLE, STAGE_THIRD}, {STAGE_COPY, STAGE_VAIN}, {STAGE_VAIN, STAGE_SLICE},
};

uint32_t oracle_crc32c(const uint8_t *bytes, uint64_t count)
{
    uint32_t crc = UINT32_MAX;

    for (uint64_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

bool oracle_allows(const struct oracle_answer *answer, int status)
{
    for (unsigned i = 0; i < answer->status_count; i++)
        if (answer->statuses[i] == status)
            return true;
    return false;
}

void oracle_allow(struct oracle_answer *answer, int status)
{
    if (!oracle_allows(answer, status))
        answer->statuses[answer->status_count++] = status;
}

static bool is_writer(uint8_t stage)
{
    return stage == STAGE_SWAP || stage == STAGE_COPY || stage == STAGE_DOUBLE ||
           stage == STAGE_THIRD || stage == STAGE_VAIN;
}

/* None of them writes, or cuts a slice out. */
static bool stages_are_raw(const uint8_t *stage)
{
    while (*stage && !is_writer(*stage) && *stage != STAGE_CRC && *stage != STAGE_SLICE)
        stage++;
    return !*stage;
}

bool oracle_chain_is_raw(unsigned chain)
{
    return stages_are_raw(oracle_chains[chain]);
}

/* --------------------------------------------------------------------------------- the range -- */

/* The table of lsio.h: 0, -EINVAL or LSIO_E_TRUNCATED. */
static int range_of(const struct lsio_chunk *chunk, uint64_t size, uint64_t *offset,
                    uint64_t *length)
{
    uint64_t back = 0 - (uint64_t)chunk->offset;

    *offset = (uint64_t)chunk->offset;
    *length = chunk->length;
    if (chunk->length == 0)
        return 0;
    if (chunk->offset >= 0 && chunk->length == LSIO_TO_END) {
        *length = size - *offset;
        return *offset > size ? LSIO_E_TRUNCATED : 0;
    }
    if (chunk->offset >= 0)
        return chunk->length > size || *offset > size - chunk->length ? LSIO_E_TRUNCATED : 0;
    if (chunk->length == LSIO_TO_END) {
        *offset = back > size ? 0 : size - back;
        *length = size - *offset;
        return 0;
    }
    if (chunk->length > back)
        return -EINVAL;
    *offset = size - back;
    return back > size ? LSIO_E_TRUNCATED : 0;
}

/* Needs no object to be known. */
static bool range_is_absurd(const struct lsio_chunk *chunk)
{
    return chunk->offset >= 0 && chunk->length && chunk->length != LSIO_TO_END &&
           chunk->length > (uint64_t)INT64_MAX - (uint64_t)chunk->offset;
}

/* --------------------------------------------------------------------------------- the chain -- */

/* One stage over `count` bytes in place. A status. */
static int stage_apply(uint8_t stage, int code, uint8_t *bytes, uint64_t *count)
{
    uint64_t n = *count;
    uint32_t crc;

    switch (stage) {
    case STAGE_CRC:
        if (n < 4)
            return LSIO_E_CORRUPT;
        *count = n - 4;
        crc = oracle_crc32c(bytes, n - 4);
        for (unsigned i = 0; i < 4; i++)
            if (bytes[n - 4 + i] != (uint8_t)(crc >> 8 * i))
                return LSIO_E_CORRUPT;
        return 0;
    case STAGE_SWAP:
        if (n % 4)
            return LSIO_E_CORRUPT;
        for (uint64_t i = 0; i < n; i += 4) {
            uint8_t four[4] = {bytes[i + 3], bytes[i + 2], bytes[i + 1], bytes[i]};
            memcpy(bytes + i, four, 4);
        }
        return 0;
    case STAGE_SLICE:
        memmove(bytes, bytes + n / 7, n - n / 7 * 2);
        *count = n - n / 7 * 2;
        return 0;
    case STAGE_COPY:
        for (uint64_t i = 0; i < n; i++)
            bytes[i] ^= 0x5a;
        return 0;
    case STAGE_DOUBLE:
        for (uint64_t i = n; i-- > 0;)
            bytes[2 * i] = bytes[2 * i + 1] = bytes[i];
        *count = 2 * n;
        return 0;
    case STAGE_THIRD:
        *count = n / 3;
        return 0;
    case STAGE_FAIL: /* a status of the library stands as it is */
        return code && code != LSIO_E_CORRUPT ? LSIO_E_CALLBACK : code;
    default:
        return 0;
    }
}

static int chain_apply(const struct lsio_chunk *chunk, unsigned chain, int code, uint8_t *bytes,
                       uint64_t *count)
{
    for (const uint8_t *stage = oracle_chains[chain]; *stage; stage++) {
        uint64_t room = *stage == STAGE_DOUBLE ? *count * 2 : *count;
        int status = stage_apply(*stage, code, bytes, count);
        if (status)
            return status;
        /* the last writer's room is in dst, so it must fit there, but for slices that follow */
        if (chunk->dst && is_writer(*stage) && stages_are_raw(stage + 1) &&
            room > chunk->dst_bytes)
            return LSIO_E_NO_SPACE;
    }
    return chunk->dst && *count > chunk->dst_bytes ? LSIO_E_NO_SPACE : 0;
}

void oracle_read(const struct oracle_object *object, const struct lsio_chunk *chunk, unsigned chain,
                 int code, uint8_t *out, struct oracle_answer *answer)
{
    uint64_t offset, length;
    int status = range_of(chunk, object->size, &offset, &length);
    unsigned bad;

    memset(answer, 0, sizeof(*answer));
    answer->bytes = out;
    if (chunk->length && object->bad_key)
        oracle_allow(answer, -EINVAL);
    else if (chunk->length && (object->absent || object->directory))
        oracle_allow(answer, object->absent ? -ENOENT : LSIO_E_UNSUPPORTED);
    else if (status)
        oracle_allow(answer, status);
    if (status == -EINVAL)
        oracle_allow(answer, status);
    if (range_is_absurd(chunk))
        oracle_allow(answer, LSIO_E_TRUNCATED);
    bad = answer->status_count;
    if (!bad)
        answer->length = length;
    if (chunk->dst && oracle_chain_is_raw(chain) && chunk->dst_bytes < length &&
        (!bad || chunk->length != LSIO_TO_END))
        oracle_allow(answer, LSIO_E_NO_SPACE); /* known before anything is read */
    if (bad)
        return;
    if (length)
        memcpy(out, object->bytes + offset, length);
    answer->count = length;
    if (chunk->length) /* an empty read touches nothing, and runs nothing */
        status = chain_apply(chunk, chain, code, out, &answer->count);
    oracle_allow(answer, status);
}
