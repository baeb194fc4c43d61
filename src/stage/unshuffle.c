/* SPDX-License-Identifier: MIT */
/*
 * unshuffle.c - the byte unshuffle, for the shuffle and blosc stages.
 *
 * Design: for a typesize of 2^r, interleaving the bytes of plane j with those of plane j + typesize
 * / 2, for all j, r times over, is the transposition wanted: each round is the perfect shuffle that
 * the unpack instructions do. One vector per plane is read, r rounds run in registers, and whole
 * elements are written in order. With AVX2 the unpack instructions work in two halves, so the
 * halves are sorted before they are stored. Other typesizes are copied a plane at a time, in tiles
 * that stay in the first-level cache.
 *
 * Planes are separate pointers, so that a plane that was stored uncompressed is read where it lies.
 *
 * Threads: pure functions; the choice is made when a stage is made, and kept in it.
 */
#include "stage/unshuffle.h"

#include <stdbool.h>

#include "stage/stage.h"

#if STAGE_X86
#include <immintrin.h>
#endif

#define TILE_ELEMENTS 512

#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

static void unshuffle_from(const uint8_t *const *planes, uint32_t typesize, size_t from, size_t to,
                           uint8_t *dst)
{
    for (uint32_t j = 0; j < typesize; j++)
        for (size_t i = from; i < to; i++)
            dst[i * typesize + j] = planes[j][i];
}

static void unshuffle_any(const uint8_t *const *planes, uint32_t typesize, size_t elements,
                          uint8_t *dst)
{
    for (size_t i = 0; i < elements; i += TILE_ELEMENTS)
        unshuffle_from(planes, typesize, i,
                       elements - i < TILE_ELEMENTS ? elements : i + TILE_ELEMENTS, dst);
}

#if STAGE_X86

/* rounds: log2(typesize). Both arrays stay in registers once the loops are unrolled. */
#define ROUNDS(VECTOR, LO, HI)                                                                     \
    UNROLL for (uint32_t round = 0; round < rounds; round++)                                       \
    {                                                                                              \
        VECTOR next[UNSHUFFLE_PLANES_MAX];                                                         \
        UNROLL for (uint32_t j = 0; j < typesize / 2; j++)                                         \
        {                                                                                          \
            next[2 * j] = LO(v[j], v[j + typesize / 2]);                                           \
            next[2 * j + 1] = HI(v[j], v[j + typesize / 2]);                                       \
        }                                                                                          \
        UNROLL for (uint32_t j = 0; j < typesize; j++) v[j] = next[j];                             \
    }

__attribute__((always_inline)) static inline void unshuffle_sse2(const uint8_t *const *planes,
                                                                 uint32_t typesize, uint32_t rounds,
                                                                 size_t elements, uint8_t *dst)
{
    size_t i = 0;

    for (; i + 16 <= elements; i += 16) {
        __m128i v[UNSHUFFLE_PLANES_MAX];
        uint8_t *to = dst + i * typesize;
        UNROLL for (uint32_t j = 0; j < typesize; j++) v[j] =
            _mm_loadu_si128((const __m128i *)(const void *)(planes[j] + i));
        ROUNDS(__m128i, _mm_unpacklo_epi8, _mm_unpackhi_epi8)
        UNROLL for (uint32_t j = 0; j < typesize; j++)
            _mm_storeu_si128((__m128i *)(void *)(to + (size_t)16 * j), v[j]);
    }
    unshuffle_from(planes, typesize, i, elements, dst);
}

__attribute__((target("avx2"), always_inline)) static inline void
unshuffle_avx2(const uint8_t *const *planes, uint32_t typesize, uint32_t rounds, size_t elements,
               uint8_t *dst)
{
    size_t i = 0;

    for (; i + 32 <= elements; i += 32) {
        __m256i v[UNSHUFFLE_PLANES_MAX];
        uint8_t *low = dst + i * typesize; /* elements i .. i + 15, then i + 16 .. i + 31 */
        uint8_t *high = low + (size_t)16 * typesize;
        UNROLL for (uint32_t j = 0; j < typesize; j++) v[j] =
            _mm256_loadu_si256((const __m256i *)(const void *)(planes[j] + i));
        ROUNDS(__m256i, _mm256_unpacklo_epi8, _mm256_unpackhi_epi8)
        UNROLL for (uint32_t j = 0; j < typesize; j += 2)
        {
            _mm256_storeu_si256((__m256i *)(void *)(low + (size_t)16 * j),
                                _mm256_permute2x128_si256(v[j], v[j + 1], 0x20));
            _mm256_storeu_si256((__m256i *)(void *)(high + (size_t)16 * j),
                                _mm256_permute2x128_si256(v[j], v[j + 1], 0x31));
        }
    }
    unshuffle_from(planes, typesize, i, elements, dst);
}

#define UNSHUFFLE(SIZE, LOG2)                                                                      \
    static void unshuffle_sse2_##SIZE(const uint8_t *const *planes, uint32_t typesize,             \
                                      size_t elements, uint8_t *dst)                               \
    {                                                                                              \
        (void)typesize;                                                                            \
        unshuffle_sse2(planes, SIZE, LOG2, elements, dst);                                         \
    }                                                                                              \
    __attribute__((target("avx2"))) static void unshuffle_avx2_##SIZE(                             \
        const uint8_t *const *planes, uint32_t typesize, size_t elements, uint8_t *dst)            \
    {                                                                                              \
        (void)typesize;                                                                            \
        unshuffle_avx2(planes, SIZE, LOG2, elements, dst);                                         \
    }
UNSHUFFLE(2, 1)
UNSHUFFLE(4, 2)
UNSHUFFLE(8, 3)
UNSHUFFLE(16, 4)

unshuffle_fn *unshuffle_find(uint32_t typesize)
{
    bool avx2 = __builtin_cpu_supports("avx2");

    switch (typesize) {
    case 2:
        return avx2 ? unshuffle_avx2_2 : unshuffle_sse2_2;
    case 4:
        return avx2 ? unshuffle_avx2_4 : unshuffle_sse2_4;
    case 8:
        return avx2 ? unshuffle_avx2_8 : unshuffle_sse2_8;
    case 16:
        return avx2 ? unshuffle_avx2_16 : unshuffle_sse2_16;
    default:
        return typesize <= UNSHUFFLE_PLANES_MAX ? unshuffle_any : NULL;
    }
}

#else

unshuffle_fn *unshuffle_find(uint32_t typesize)
{
    return typesize <= UNSHUFFLE_PLANES_MAX ? unshuffle_any : NULL;
}

#endif

void unshuffle_block(unshuffle_fn *unshuffle, const uint8_t *in, uint32_t typesize, size_t bytes,
                     uint8_t *dst)
{
    const uint8_t *planes[UNSHUFFLE_PLANES_MAX];
    size_t elements = bytes / typesize;
    size_t whole = elements * typesize;

    if (unshuffle) {
        for (uint32_t j = 0; j < typesize; j++)
            planes[j] = in + j * elements;
        unshuffle(planes, typesize, elements, dst);
    } else { /* large elements: by tiles of planes, so that what is written stays in the cache */
        for (uint32_t j = 0; j < typesize; j += 64)
            for (size_t i = 0; i < elements; i++)
                for (uint32_t k = j; k < typesize && k < j + 64; k++)
                    dst[i * typesize + k] = in[k * elements + i];
    }
    if (bytes > whole)
        memcpy(dst + whole, in + whole, bytes - whole);
}
