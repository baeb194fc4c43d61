/* SPDX-License-Identifier: MIT */
/* source.h - numbers drawn from a fuzzer's input; zeros when it has no more. */
#ifndef LSIO_TESTS_FUZZ_SOURCE_H
#define LSIO_TESTS_FUZZ_SOURCE_H

#include <stddef.h>
#include <stdint.h>

struct source {
    const uint8_t *bytes;
    size_t count;
};

/* The next `width` bytes, the most significant first. */
static inline uint64_t source_draw(struct source *source, unsigned width)
{
    uint64_t value = 0;

    for (; width; width--) {
        value <<= 8;
        if (source->count) {
            value |= *source->bytes++;
            source->count--;
        }
    }
    return value;
}

#endif
