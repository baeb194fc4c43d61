/* SPDX-License-Identifier: MIT */
/*
 * range.c - what the range forms of lsio.h mean, in one place for the planner and all drivers.
 *
 * Pure and total: any offset, length and size gives a status, and a range that is returned ends at
 * INT64_MAX at most, so that nobody after this has to think of overflow (off_t is signed). No
 * object is longer than that; a range that would be is beyond the end of any object, hence
 * TRUNCATED even while the size is unknown. What is wrong whatever the size is refused before the
 * size is asked for, which saves a request.
 */
#include "plan/plan.h"

#include "base/error.h"

/* `back` bytes before the end, and on for `length` bytes. */
static int range_from_end(uint64_t back, uint64_t length, uint64_t size, uint64_t *offset,
                          uint64_t *bytes)
{
    if (length != LSIO_TO_END && length > back) {
        return -EINVAL;
    }
    if (size == LSIO_SIZE_UNKNOWN) {
        return PLAN_NEEDS_SIZE;
    }
    if (size > INT64_MAX || (length != LSIO_TO_END && back > size)) {
        return LSIO_E_TRUNCATED;
    }
    *offset = back > size ? 0 : size - back;
    *bytes = length == LSIO_TO_END ? size - *offset : length;
    return 0;
}

int plan_chunk_range(const struct lsio_chunk *chunk, uint64_t size, uint64_t *offset,
                     uint64_t *length)
{
    uint64_t start = (uint64_t)chunk->offset;
    uint64_t bytes = chunk->length;

    if (chunk->flags & ~PLAN_CHUNK_FLAGS) {
        return -EINVAL;
    }
    if (bytes == 0) {
        *offset = chunk->offset < 0 ? 0 : start;
        *length = 0;
        return 0;
    }
    if (chunk->offset < 0) {
        return range_from_end(0 - start, bytes, size, offset, length);
    }
    if (bytes == LSIO_TO_END) {
        if (size == LSIO_SIZE_UNKNOWN) {
            return PLAN_NEEDS_SIZE;
        }
        if (start > size || size > INT64_MAX) {
            return LSIO_E_TRUNCATED;
        }
        *offset = start;
        *length = size - start;
        return 0;
    }
    /* An unknown size is the greatest number, so it passes. */
    if (bytes > (uint64_t)INT64_MAX - start || start + bytes > size) {
        return LSIO_E_TRUNCATED;
    }
    *offset = start;
    *length = bytes;
    return 0;
}
