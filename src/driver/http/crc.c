/* SPDX-License-Identifier: MIT */
/*
 * Design: both checks are bit-reflected with all ones before and after, so one piece of code serves
 * both: the state is the low `width` bits of 64, and only the constants differ. Polynomials: NVM
 * Express, "NVM Command Set Specification" (64-bit CRC), and the catalogue of parametrised CRC
 * algorithms (reveng), where they are CRC-64/NVME and CRC-32/ISO-HDLC.
 *
 * Where the processor multiplies without carries, 64 bytes of the message are folded over the next
 * 64 by two multiplications per 16 bytes (Gopal et al., "Fast CRC computation for generic
 * polynomials using PCLMULQDQ", Intel 2009), until 16 bytes are left that have the same remainder.
 * Those, and all bytes of other processors, go through a table of half bytes: 128 bytes of it stay
 * in the cache beside what was read.
 *
 * A multiplier for a distance of d bits is x^(d + 63) or x^(d - 1) mod P, in 64 bits, reflected:
 * the first for the half of the 16 bytes that comes first. One less than the distance, because the
 * product of two reflected numbers is one bit short.
 *
 * Threads: nothing is shared; which code runs is asked of the processor, not stored.
 */
#include "driver/http/crc.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define CRC_X86 1
#else
#define CRC_X86 0
#endif

#define FOLD_MIN 64u

struct crc {
    uint64_t ones;      /* the state's bits */
    uint64_t table[16]; /* what a half byte adds */
    uint64_t far[2];    /* multipliers for 64 bytes */
    uint64_t near[2];   /* for 16 */
};

static const struct crc crc64nvme = {
    .ones = UINT64_MAX,
    .table = {0x0000000000000000, 0x78e0ff3b88be6f81, 0xf1c1fe77117cdf02, 0x8921014c99c2b083,
              0xd75adabd7a6e2d6f, 0xafba2586f2d042ee, 0x269b24ca6b12f26d, 0x5e7bdbf1e3ac9dec,
              0x9a6c9329ac4bc9b5, 0xe28c6c1224f5a634, 0x6bad6d5ebd3716b7, 0x134d926535897936,
              0x4d364994d625e4da, 0x35d6b6af5e9b8b5b, 0xbcf7b7e3c7593bd8, 0xc41748d84fe75459},
    .far = {0x0c32cdb31e18a84a, 0x62242240ace5045a},
    .near = {0xeadc41fd2ba3d420, 0x21e9761e252621ac},
};

static const struct crc crc32 = {
    .ones = UINT32_MAX,
    .table = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158,
              0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4,
              0xa00ae278, 0xbdbdf21c},
    .far = {0x653d982200000000, 0xcad38e8f00000000},
    .near = {0x65673b4600000000, 0x9ba54c6f00000000},
};

static uint64_t by_table(const struct crc *crc, uint64_t state, const uint8_t *p, size_t n)
{
    for (; n; n--, p++) {
        state ^= *p;
        state = state >> 4 ^ crc->table[state & 15];
        state = state >> 4 ^ crc->table[state & 15];
    }
    return state;
}

#if CRC_X86

__attribute__((target("pclmul"), always_inline)) static inline __m128i fold(__m128i sum, __m128i by,
                                                                            __m128i next)
{
    return _mm_xor_si128(
        _mm_xor_si128(_mm_clmulepi64_si128(sum, by, 0x00), _mm_clmulepi64_si128(sum, by, 0x11)),
        next);
}

static inline __m128i load(const void *from)
{
    return _mm_loadu_si128(from);
}

/* Folds n >= FOLD_MIN bytes, a multiple of 16, into 16. */
__attribute__((target("pclmul"))) static void fold_all(const struct crc *crc, uint64_t state,
                                                       const uint8_t *p, size_t n, uint8_t out[16])
{
    const __m128i far = load(crc->far), near = load(crc->near);
    __m128i s0 = load(p), s1 = load(p + 16), s2 = load(p + 32), s3 = load(p + 48);

    s0 = _mm_xor_si128(s0, _mm_cvtsi64_si128((int64_t)state));
    for (p += 64, n -= 64; n >= 64; p += 64, n -= 64) {
        s0 = fold(s0, far, load(p));
        s1 = fold(s1, far, load(p + 16));
        s2 = fold(s2, far, load(p + 32));
        s3 = fold(s3, far, load(p + 48));
    }
    s0 = fold(fold(fold(s0, near, s1), near, s2), near, s3);
    for (; n; p += 16, n -= 16)
        s0 = fold(s0, near, load(p));
    _mm_storeu_si128((__m128i *)(void *)out, s0);
}

#endif

static uint64_t crc_of(const struct crc *crc, const uint8_t *p, size_t n)
{
    uint64_t state = crc->ones;

#if CRC_X86
    if (n >= FOLD_MIN && __builtin_cpu_supports("pclmul")) {
        size_t whole = n & ~(size_t)15;
        uint8_t folded[16];
        fold_all(crc, state, p, whole, folded);
        state = by_table(crc, 0, folded, sizeof(folded));
        p += whole;
        n -= whole;
    }
#endif
    return by_table(crc, state, p, n) ^ crc->ones;
}

uint64_t http_crc64nvme(const void *bytes, size_t count)
{
    return crc_of(&crc64nvme, bytes, count);
}

uint32_t http_crc32(const void *bytes, size_t count)
{
    return (uint32_t)crc_of(&crc32, bytes, count);
}
