/* SPDX-License-Identifier: MIT */
/*
 * kernels.c - byte swap, sum and streaming copy for the baselines.
 *
 * A baseline whose steps are slow would flatter LSIO (or hide what LSIO gains, where memory is not
 * the limit), so these use 32-byte vectors, as LSIO's own do. The sum is used by both sides, and so
 * is lsio_crc32c(). Other CPUs get plain loops.
 */
#include "baseline.h"

#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define KERNEL_X86 1
#include <immintrin.h>
#endif

static void swap_plain(uint8_t *out, const uint8_t *in, size_t length)
{
    for (size_t i = 0; i + 4 <= length; i += 4) {
        uint32_t word;
        memcpy(&word, in + i, 4);
        word = __builtin_bswap32(word);
        memcpy(out + i, &word, 4);
    }
}

#ifdef KERNEL_X86

__attribute__((target("avx2"))) static size_t swap_vectors(uint8_t *out, const uint8_t *in,
                                                           size_t length)
{
    const __m256i order = _mm256_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 3,
                                           2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
    size_t i = 0;
    for (; i + 64 <= length; i += 64) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(in + i));
        __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(in + i + 32));
        _mm256_storeu_si256((__m256i *)(void *)(out + i), _mm256_shuffle_epi8(a, order));
        _mm256_storeu_si256((__m256i *)(void *)(out + i + 32), _mm256_shuffle_epi8(b, order));
    }
    return i;
}

__attribute__((target("avx2"))) static uint64_t sum_vectors(const uint8_t *p, size_t length,
                                                            size_t *used)
{
    const __m256i low = _mm256_set1_epi64x(0xffffffff);
    __m256i a = _mm256_setzero_si256(), b = a;
    uint64_t lanes[4];
    size_t i = 0;
    for (; i + 32 <= length; i += 32) {
        __m256i w = _mm256_loadu_si256((const __m256i *)(const void *)(p + i));
        a = _mm256_add_epi64(a, _mm256_and_si256(w, low));
        b = _mm256_add_epi64(b, _mm256_srli_epi64(w, 32));
    }
    _mm256_storeu_si256((__m256i *)(void *)lanes, _mm256_add_epi64(a, b));
    *used = i;
    return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

__attribute__((target("avx2"))) static size_t stream_vectors(uint8_t *out, const uint8_t *in,
                                                             size_t length)
{
    size_t i = 0;
    if (((uintptr_t)out & 31) != 0) {
        return 0;
    }
    for (; i + 64 <= length; i += 64) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(in + i));
        __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(in + i + 32));
        _mm256_stream_si256((__m256i *)(void *)(out + i), a);
        _mm256_stream_si256((__m256i *)(void *)(out + i + 32), b);
    }
    return i;
}

#endif

void kernel_byteswap4(void *out, const void *in, size_t length)
{
    size_t done = 0;
#ifdef KERNEL_X86
    if (__builtin_cpu_supports("avx2")) {
        done = swap_vectors(out, in, length);
    }
#endif
    swap_plain((uint8_t *)out + done, (const uint8_t *)in + done, length - done);
}

uint64_t kernel_sum4(const void *bytes, size_t length)
{
    const uint8_t *p = bytes;
    uint64_t sum = 0;
    size_t i = 0;
#ifdef KERNEL_X86
    if (__builtin_cpu_supports("avx2")) {
        sum = sum_vectors(p, length, &i);
    }
#endif
    for (; i + 4 <= length; i += 4) {
        uint32_t word;
        memcpy(&word, p + i, 4);
        sum += word;
    }
    return sum;
}

void kernel_scatter_rows(uint8_t *out, uint64_t out_stride, const uint8_t *in, uint64_t row_bytes,
                         uint64_t rows)
{
    for (uint64_t r = 0; r < rows; r++, out += out_stride, in += row_bytes) {
        size_t done = 0;
#ifdef KERNEL_X86
        if (__builtin_cpu_supports("avx2")) {
            done = stream_vectors(out, in, row_bytes);
        }
#endif
        memcpy(out + done, in + done, row_bytes - done);
    }
#ifdef KERNEL_X86
    _mm_sfence();
#endif
}
