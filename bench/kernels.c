/* SPDX-License-Identifier: MIT */
/*
 * kernels.c - crc32c, byte swap, sum and streaming copy for the baselines.
 *
 * A baseline whose steps are slow would flatter LSIO (or hide what LSIO gains, where memory is not the
 * limit), so these are as quick as LSIO's own: three interleaved streams of the crc32 instruction, and
 * 32-byte vectors. The sum is used by both sides. Other CPUs get plain loops.
 */
#include "baseline.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define KERNEL_X86 1
#include <immintrin.h>
#endif

/* ---------------------------------------------------------------------------------- crc32c -- */

#define CRC_POLYNOMIAL 0x82f63b78u
#define LANE_BYTES 4096u /* of each of three streams */

static uint32_t crc_bytes[256];
static uint32_t crc_skip[4][256]; /* what LANE_BYTES zero bytes do to each byte of a crc */

static uint32_t crc_plain(uint32_t crc, const uint8_t *p, size_t n)
{
    while (n-- > 0) {
        crc = crc_bytes[(crc ^ *p++) & 0xff] ^ (crc >> 8);
    }
    return crc;
}

__attribute__((constructor)) static void crc_tables(void)
{
    static const uint8_t zeros[LANE_BYTES];
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (crc & 1 ? CRC_POLYNOMIAL : 0);
        }
        crc_bytes[i] = crc;
    }
    for (uint32_t k = 0; k < 4; k++) {
        for (uint32_t i = 0; i < 256; i++) {
            crc_skip[k][i] = crc_plain(i << (8 * k), zeros, LANE_BYTES);
        }
    }
}

#ifdef KERNEL_X86

static uint32_t crc_shift(uint32_t crc)
{
    return crc_skip[0][crc & 0xff] ^ crc_skip[1][crc >> 8 & 0xff] ^ crc_skip[2][crc >> 16 & 0xff] ^
           crc_skip[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t crc_streams(uint32_t crc, const uint8_t *p,
                                                              size_t n)
{
    while (n >= 3 * LANE_BYTES) {
        uint64_t a = crc, b = 0, c = 0, w[3];
        for (size_t i = 0; i < LANE_BYTES; i += 8) {
            memcpy(&w[0], p + i, 8);
            memcpy(&w[1], p + LANE_BYTES + i, 8);
            memcpy(&w[2], p + 2 * LANE_BYTES + i, 8);
            a = _mm_crc32_u64(a, w[0]);
            b = _mm_crc32_u64(b, w[1]);
            c = _mm_crc32_u64(c, w[2]);
        }
        crc = crc_shift(crc_shift((uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
        p += 3 * LANE_BYTES;
        n -= 3 * LANE_BYTES;
    }
    uint64_t rest = crc, word;
    for (; n >= 8; p += 8, n -= 8) {
        memcpy(&word, p, 8);
        rest = _mm_crc32_u64(rest, word);
    }
    return crc_plain((uint32_t)rest, p, n);
}

#endif

uint32_t kernel_crc32c(const void *bytes, size_t length)
{
#ifdef KERNEL_X86
    if (__builtin_cpu_supports("sse4.2")) {
        return ~crc_streams(~0u, bytes, length);
    }
#endif
    return ~crc_plain(~0u, bytes, length);
}

/* -------------------------------------------------------------------------- swap, sum, copy -- */

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
    const __m256i order = _mm256_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 3, 2,
                                           1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
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
