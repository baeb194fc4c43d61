/* SPDX-License-Identifier: MIT */
/*
 * byteswap.c - the stage that turns big-endian elements into little-endian ones, or back.
 *
 * Design: within each 16 bytes a byte permutation reverses the elements, whatever their size, so
 * one loop per vector width serves all; the permutation is made with the stage. The output goes to
 * the next stage's room, never over the input, which is shared.
 *
 * Threads: the stage is frozen; nothing else is shared.
 */
#include "stage/stage.h"

#include <errno.h>
#include <stdbool.h>

#if STAGE_X86
#include <immintrin.h>
#endif

/* Swaps whole vectors from the front and returns how many bytes it has done. */
typedef size_t byteswap_fn(const uint8_t *permutation, const uint8_t *in, size_t bytes,
                           uint8_t *out);

struct byteswap_stage { /* frozen */
    uint32_t typesize;
    uint8_t permutation[16];
    byteswap_fn *swap; /* NULL: none for this processor */
};

#if STAGE_X86

__attribute__((target("ssse3"))) static size_t
swap_ssse3(const uint8_t *permutation, const uint8_t *in, size_t bytes, uint8_t *out)
{
    __m128i order = _mm_loadu_si128((const __m128i *)(const void *)permutation);
    size_t i = 0;

    for (; i + 16 <= bytes; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(in + i));
        _mm_storeu_si128((__m128i *)(void *)(out + i), _mm_shuffle_epi8(v, order));
    }
    return i;
}

__attribute__((target("avx2"))) static size_t
swap_avx2(const uint8_t *permutation, const uint8_t *in, size_t bytes, uint8_t *out)
{
    __m256i order =
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)permutation));
    size_t i = 0;

    for (; i + 64 <= bytes; i += 64) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(in + i));
        __m256i w = _mm256_loadu_si256((const __m256i *)(const void *)(in + i + 32));
        _mm256_storeu_si256((__m256i *)(void *)(out + i), _mm256_shuffle_epi8(v, order));
        _mm256_storeu_si256((__m256i *)(void *)(out + i + 32), _mm256_shuffle_epi8(w, order));
    }
    return i;
}

__attribute__((target("avx512bw"))) static size_t
swap_avx512(const uint8_t *permutation, const uint8_t *in, size_t bytes, uint8_t *out)
{
    __m512i order =
        _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)permutation));
    size_t i = 0;

    for (; i + 128 <= bytes; i += 128) {
        __m512i v = _mm512_loadu_si512(in + i);
        __m512i w = _mm512_loadu_si512(in + i + 64);
        _mm512_storeu_si512(out + i, _mm512_shuffle_epi8(v, order));
        _mm512_storeu_si512(out + i + 64, _mm512_shuffle_epi8(w, order));
    }
    return i;
}

static byteswap_fn *swap_find(void)
{
    if (__builtin_cpu_supports("avx512bw"))
        return swap_avx512;
    if (__builtin_cpu_supports("avx2"))
        return swap_avx2;
    return __builtin_cpu_supports("ssse3") ? swap_ssse3 : NULL;
}

#else

static byteswap_fn *swap_find(void)
{
    return NULL;
}

#endif

static void swap_elements(uint32_t typesize, const uint8_t *in, size_t bytes, uint8_t *out)
{
    for (size_t i = 0; i < bytes; i += typesize)
        for (uint32_t j = 0; j < typesize; j++)
            out[i + j] = in[i + typesize - 1 - j];
}

static int byteswap_run(struct lsio_call *call)
{
    const struct byteswap_stage *stage = call->user;
    size_t bytes = (size_t)call->in_bytes;
    const uint8_t *in = call->in;
    size_t done = 0;
    void *room;
    int status;

    if (bytes % stage->typesize)
        return lsio_call_fail(call, LSIO_E_CORRUPT,
                              "byteswap: %llu bytes are not whole elements of %u",
                              (unsigned long long)call->in_bytes, stage->typesize);
    if (stage->typesize == 1 || bytes == 0)
        return 0; /* the same bytes go on */
    status = lsio_call_out(call, bytes, &room);
    if (status < 0)
        return status;
    if (stage->swap)
        done = stage->swap(stage->permutation, in, bytes, room);
    swap_elements(stage->typesize, in + done, bytes - done, (uint8_t *)room + done);
    return lsio_call_commit(call, bytes);
}

int lsio_stage_byteswap(const struct lsio_byteswap_options *options, struct lsio_stage *out)
{
    struct lsio_byteswap_options known;
    struct byteswap_stage stage;
    int status = stage_options_read(&known, sizeof(known), options);
    uint32_t size = known.typesize;

    if (status < 0 || !out || (size != 1 && size != 2 && size != 4 && size != 8 && size != 16))
        return -EINVAL;
    stage.typesize = size;
    for (uint32_t i = 0; i < 16; i++)
        stage.permutation[i] = (uint8_t)(i / size * size + (size - 1 - i % size));
    stage.swap = swap_find();
    return stage_make(out, "byteswap", byteswap_run, LSIO_STAGE_WRITES, &stage, sizeof(stage));
}
