/* SPDX-License-Identifier: MIT */
/*
 * copy.c - copies past the cache.
 *
 * Design: an ordinary store first reads the cache line that it is about to overwrite. For an array
 * larger than the cache, that is a third of the memory traffic of a copy, and it drives out what is
 * useful. Streaming stores write whole lines straight to memory: only whole, aligned lines are
 * streamed, the pieces before and behind are stored as usual. Streaming stores are weakly ordered:
 * copy_fence() makes them visible before whatever is stored next. 512-bit stores were no faster
 * than 256-bit ones.
 *
 * Threads: pure functions.
 */
#include "stage/copy.h"

#include "stage/stage.h"

#if STAGE_X86
#include <immintrin.h>

#define LINE_BYTES 64u

/* Copies up to the first whole line of `out` and returns how much that was. */
static inline size_t copy_head(uint8_t *out, const uint8_t *in, size_t bytes)
{
    size_t head = (size_t)(-(uintptr_t)out & (LINE_BYTES - 1));

    head = head < bytes ? head : bytes;
    memcpy(out, in, head);
    return head;
}

static void stream_sse2(uint8_t *out, const uint8_t *in, size_t bytes)
{
    size_t i = copy_head(out, in, bytes);

    for (; i + LINE_BYTES <= bytes; i += LINE_BYTES) {
        const __m128i *from = (const __m128i *)(const void *)(in + i);
        __m128i *to = (__m128i *)(void *)(out + i);
        __m128i a = _mm_loadu_si128(from), b = _mm_loadu_si128(from + 1);
        __m128i c = _mm_loadu_si128(from + 2), d = _mm_loadu_si128(from + 3);
        _mm_stream_si128(to, a);
        _mm_stream_si128(to + 1, b);
        _mm_stream_si128(to + 2, c);
        _mm_stream_si128(to + 3, d);
    }
    memcpy(out + i, in + i, bytes - i);
}

__attribute__((target("avx"))) static void stream_avx(uint8_t *out, const uint8_t *in, size_t bytes)
{
    size_t i = copy_head(out, in, bytes);

    for (; i + LINE_BYTES <= bytes; i += LINE_BYTES) {
        const __m256i *from = (const __m256i *)(const void *)(in + i);
        __m256i *to = (__m256i *)(void *)(out + i);
        __m256i a = _mm256_loadu_si256(from), b = _mm256_loadu_si256(from + 1);
        _mm256_stream_si256(to, a);
        _mm256_stream_si256(to + 1, b);
    }
    memcpy(out + i, in + i, bytes - i);
}

copy_fn *copy_stream_find(void)
{
    return __builtin_cpu_supports("avx") ? stream_avx : stream_sse2;
}

void copy_fence(void)
{
    _mm_sfence();
}

#else

copy_fn *copy_stream_find(void)
{
    return NULL;
}

void copy_fence(void)
{
}

#endif
