/* SPDX-License-Identifier: MIT */
/*
 * crc32c.c - CRC-32C, and the stage that checks it.
 *
 * Design: the processor's crc32 instruction takes 8 bytes a cycle but has a latency of three, so
 * three lanes of the input are summed at once. Their sums are joined by carry-less multiplication:
 * appending n zero bytes to a message multiplies its sum by x^(8n) modulo the polynomial, so the
 * first lane's sum is shifted over the two lanes behind it, the second's over one (Gopal et al.,
 * "Fast CRC computation for iSCSI polynomial using CRC32 instruction", Intel 2011). Two lane
 * lengths: long ones so that joining costs nothing, short ones for what is left. The multipliers
 * are x^(8n - 33) mod P, bit-reflected: a product of two reflected 32-bit numbers is one bit short,
 * and the crc32 instruction that reduces it multiplies by x^32 itself. Newer processors multiply
 * 512 bits at a time. There 256 bytes of the message are folded forward over the next 256 by two
 * multiplications per 16 bytes, until 64 are left (Gopal et al., "Fast CRC computation for generic
 * polynomials using PCLMULQDQ", Intel 2009). Without these instructions a table does the same a
 * byte at a time.
 *
 * Threads: nothing is shared; which code runs is asked of the processor, not stored.
 */
#include "base/mark.h"
#include "stage/stage.h"

#include <errno.h>

#if STAGE_X86
#include <immintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

/* table[i]: the sum of the byte i, without inversions. */
static const uint32_t crc_table[256] = {
    0x00000000, 0xf26b8303, 0xe13b70f7, 0x1350f3f4, 0xc79a971f, 0x35f1141c, 0x26a1e7e8, 0xd4ca64eb,
    0x8ad958cf, 0x78b2dbcc, 0x6be22838, 0x9989ab3b, 0x4d43cfd0, 0xbf284cd3, 0xac78bf27, 0x5e133c24,
    0x105ec76f, 0xe235446c, 0xf165b798, 0x030e349b, 0xd7c45070, 0x25afd373, 0x36ff2087, 0xc494a384,
    0x9a879fa0, 0x68ec1ca3, 0x7bbcef57, 0x89d76c54, 0x5d1d08bf, 0xaf768bbc, 0xbc267848, 0x4e4dfb4b,
    0x20bd8ede, 0xd2d60ddd, 0xc186fe29, 0x33ed7d2a, 0xe72719c1, 0x154c9ac2, 0x061c6936, 0xf477ea35,
    0xaa64d611, 0x580f5512, 0x4b5fa6e6, 0xb93425e5, 0x6dfe410e, 0x9f95c20d, 0x8cc531f9, 0x7eaeb2fa,
    0x30e349b1, 0xc288cab2, 0xd1d83946, 0x23b3ba45, 0xf779deae, 0x05125dad, 0x1642ae59, 0xe4292d5a,
    0xba3a117e, 0x4851927d, 0x5b016189, 0xa96ae28a, 0x7da08661, 0x8fcb0562, 0x9c9bf696, 0x6ef07595,
    0x417b1dbc, 0xb3109ebf, 0xa0406d4b, 0x522bee48, 0x86e18aa3, 0x748a09a0, 0x67dafa54, 0x95b17957,
    0xcba24573, 0x39c9c670, 0x2a993584, 0xd8f2b687, 0x0c38d26c, 0xfe53516f, 0xed03a29b, 0x1f682198,
    0x5125dad3, 0xa34e59d0, 0xb01eaa24, 0x42752927, 0x96bf4dcc, 0x64d4cecf, 0x77843d3b, 0x85efbe38,
    0xdbfc821c, 0x2997011f, 0x3ac7f2eb, 0xc8ac71e8, 0x1c661503, 0xee0d9600, 0xfd5d65f4, 0x0f36e6f7,
    0x61c69362, 0x93ad1061, 0x80fde395, 0x72966096, 0xa65c047d, 0x5437877e, 0x4767748a, 0xb50cf789,
    0xeb1fcbad, 0x197448ae, 0x0a24bb5a, 0xf84f3859, 0x2c855cb2, 0xdeeedfb1, 0xcdbe2c45, 0x3fd5af46,
    0x7198540d, 0x83f3d70e, 0x90a324fa, 0x62c8a7f9, 0xb602c312, 0x44694011, 0x5739b3e5, 0xa55230e6,
    0xfb410cc2, 0x092a8fc1, 0x1a7a7c35, 0xe811ff36, 0x3cdb9bdd, 0xceb018de, 0xdde0eb2a, 0x2f8b6829,
    0x82f63b78, 0x709db87b, 0x63cd4b8f, 0x91a6c88c, 0x456cac67, 0xb7072f64, 0xa457dc90, 0x563c5f93,
    0x082f63b7, 0xfa44e0b4, 0xe9141340, 0x1b7f9043, 0xcfb5f4a8, 0x3dde77ab, 0x2e8e845f, 0xdce5075c,
    0x92a8fc17, 0x60c37f14, 0x73938ce0, 0x81f80fe3, 0x55326b08, 0xa759e80b, 0xb4091bff, 0x466298fc,
    0x1871a4d8, 0xea1a27db, 0xf94ad42f, 0x0b21572c, 0xdfeb33c7, 0x2d80b0c4, 0x3ed04330, 0xccbbc033,
    0xa24bb5a6, 0x502036a5, 0x4370c551, 0xb11b4652, 0x65d122b9, 0x97baa1ba, 0x84ea524e, 0x7681d14d,
    0x2892ed69, 0xdaf96e6a, 0xc9a99d9e, 0x3bc21e9d, 0xef087a76, 0x1d63f975, 0x0e330a81, 0xfc588982,
    0xb21572c9, 0x407ef1ca, 0x532e023e, 0xa145813d, 0x758fe5d6, 0x87e466d5, 0x94b49521, 0x66df1622,
    0x38cc2a06, 0xcaa7a905, 0xd9f75af1, 0x2b9cd9f2, 0xff56bd19, 0x0d3d3e1a, 0x1e6dcdee, 0xec064eed,
    0xc38d26c4, 0x31e6a5c7, 0x22b65633, 0xd0ddd530, 0x0417b1db, 0xf67c32d8, 0xe52cc12c, 0x1747422f,
    0x49547e0b, 0xbb3ffd08, 0xa86f0efc, 0x5a048dff, 0x8ecee914, 0x7ca56a17, 0x6ff599e3, 0x9d9e1ae0,
    0xd3d3e1ab, 0x21b862a8, 0x32e8915c, 0xc083125f, 0x144976b4, 0xe622f5b7, 0xf5720643, 0x07198540,
    0x590ab964, 0xab613a67, 0xb831c993, 0x4a5a4a90, 0x9e902e7b, 0x6cfbad78, 0x7fab5e8c, 0x8dc0dd8f,
    0xe330a81a, 0x115b2b19, 0x020bd8ed, 0xf0605bee, 0x24aa3f05, 0xd6c1bc06, 0xc5914ff2, 0x37faccf1,
    0x69e9f0d5, 0x9b8273d6, 0x88d28022, 0x7ab90321, 0xae7367ca, 0x5c18e4c9, 0x4f48173d, 0xbd23943e,
    0xf36e6f75, 0x0105ec76, 0x12551f82, 0xe03e9c81, 0x34f4f86a, 0xc69f7b69, 0xd5cf889d, 0x27a40b9e,
    0x79b737ba, 0x8bdcb4b9, 0x988c474d, 0x6ae7c44e, 0xbe2da0a5, 0x4c4623a6, 0x5f16d052, 0xad7d5351,
};

static uint32_t crc_by_table(uint32_t crc, const uint8_t *p, size_t n)
{
    for (; n; n--, p++)
        crc = crc >> 8 ^ crc_table[(crc ^ *p) & 0xff];
    return crc;
}

#if STAGE_X86

#define LANE_LONG  4096 /* a multiple of 8 */
#define LANE_SHORT 256
#define FOLD_MIN   1024 /* below this the 512-bit code is not faster */

/* Sums of `lane` bytes at p, p + lane and p + 2 * lane, the first continuing crc, joined. k1 and k2
 * shift over one and two lanes. */
__attribute__((target("sse4.2,pclmul"), always_inline)) static inline uint32_t
crc_three_lanes(uint32_t crc, const uint8_t *p, size_t lane, uint32_t k1, uint32_t k2)
{
    uint64_t sum0 = crc, sum1 = 0, sum2 = 0;
    uint64_t w0, w1, w2;
    __m128i first, second;

    for (size_t i = 0; i < lane; i += 8) {
        memcpy(&w0, p + i, 8);
        memcpy(&w1, p + lane + i, 8);
        memcpy(&w2, p + 2 * lane + i, 8);
        sum0 = _mm_crc32_u64(sum0, w0);
        sum1 = _mm_crc32_u64(sum1, w1);
        sum2 = _mm_crc32_u64(sum2, w2);
    }
    first = _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)sum0), _mm_cvtsi32_si128((int)k2), 0);
    second = _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)sum1), _mm_cvtsi32_si128((int)k1), 0);
    first = _mm_xor_si128(first, second);
    return (uint32_t)(_mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(first)) ^ sum2);
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t
crc_by_instruction(uint32_t crc, const uint8_t *p, size_t n)
{
    uint64_t sum, word;

    for (; n && ((uintptr_t)p & 7); n--, p++)
        crc = _mm_crc32_u8(crc, *p);
    for (; n >= 3 * LANE_LONG; n -= 3 * LANE_LONG, p += 3 * LANE_LONG)
        crc = crc_three_lanes(crc, p, LANE_LONG, 0x82f89c77, 0x54a86326);
    for (; n >= 3 * LANE_SHORT; n -= 3 * LANE_SHORT, p += 3 * LANE_SHORT)
        crc = crc_three_lanes(crc, p, LANE_SHORT, 0xb9e02b86, 0xdd7e3b0c);
    sum = crc;
    for (; n >= 8; n -= 8, p += 8) {
        memcpy(&word, p, 8);
        sum = _mm_crc32_u64(sum, word);
    }
    crc = (uint32_t)sum;
    for (; n; n--, p++)
        crc = _mm_crc32_u8(crc, *p);
    return crc;
}

/* One fold: the 64 message bytes in `sum`, moved forward over the distance that k stands for. */
__attribute__((target("avx512f,vpclmulqdq"), always_inline)) static inline __m512i
crc_fold(__m512i sum, __m512i k, __m512i next)
{
    return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(sum, k, 0x00),
                                     _mm512_clmulepi64_epi128(sum, k, 0x11), next, 0x96);
}

/* Folds n >= 256 bytes, a multiple of 64, into 64 bytes that have the same sum. The multipliers are
 * x^(8d + 32) and x^(8d - 32) mod P for a distance of d bytes, reflected and doubled. */
__attribute__((target("avx512f,vpclmulqdq"))) static void
crc_fold_all(uint32_t crc, const uint8_t *p, size_t n, uint8_t out[64])
{
    const __m512i far = _mm512_set4_epi64(0xb9e02b86, 0xdcb17aa4, 0xb9e02b86, 0xdcb17aa4); /* 256 */
    const __m512i near = _mm512_set4_epi64(0x9e4addf8, 0x740eef02, 0x9e4addf8, 0x740eef02); /* 64 */
    __m512i s0 = _mm512_loadu_si512(p), s1 = _mm512_loadu_si512(p + 64);
    __m512i s2 = _mm512_loadu_si512(p + 128), s3 = _mm512_loadu_si512(p + 192);

    s0 = _mm512_xor_si512(s0, _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)crc)));
    for (p += 256, n -= 256; n >= 256; p += 256, n -= 256) {
        s0 = crc_fold(s0, far, _mm512_loadu_si512(p));
        s1 = crc_fold(s1, far, _mm512_loadu_si512(p + 64));
        s2 = crc_fold(s2, far, _mm512_loadu_si512(p + 128));
        s3 = crc_fold(s3, far, _mm512_loadu_si512(p + 192));
    }
    s0 = crc_fold(crc_fold(crc_fold(s0, near, s1), near, s2), near, s3);
    for (; n; p += 64, n -= 64)
        s0 = crc_fold(s0, near, _mm512_loadu_si512(p));
    _mm512_storeu_si512(out, s0);
}

static uint32_t crc_by_folding(uint32_t crc, const uint8_t *p, size_t n)
{
    uint8_t folded[64];
    size_t whole = n & ~(size_t)63;

    crc_fold_all(crc, p, whole, folded);
    return crc_by_instruction(crc_by_instruction(0, folded, sizeof(folded)), p + whole, n - whole);
}

#elif defined(__ARM_FEATURE_CRC32)

static uint32_t crc_by_instruction(uint32_t crc, const uint8_t *p, size_t n)
{
    uint64_t word;

    for (; n >= 8; n -= 8, p += 8) {
        memcpy(&word, p, 8);
        crc = __crc32cd(crc, word);
    }
    for (; n; n--, p++)
        crc = __crc32cb(crc, *p);
    return crc;
}

#endif

uint32_t lsio_crc32c(uint32_t crc, const void *bytes, size_t count)
{
#if STAGE_X86
    if (count >= FOLD_MIN && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("sse4.2"))
        return ~crc_by_folding(~crc, bytes, count);
    if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
        return ~crc_by_instruction(~crc, bytes, count);
#elif defined(__ARM_FEATURE_CRC32)
    return ~crc_by_instruction(~crc, bytes, count);
#endif
    return ~crc_by_table(~crc, bytes, count);
}

/* ------------------------------------------------------------------------------- the stage -- */

struct crc32c_stage { /* frozen */
    uint32_t where;
    uint32_t skip_check;
    uint64_t data_offset;
};

static int crc32c_check(struct lsio_call *call, uint32_t expected, const void *bytes,
                        uint64_t count)
{
    const struct crc32c_stage *stage = call->user;
    uint32_t found;

    if (stage->skip_check)
        return 0;
    found = lsio_crc32c(0, bytes, (size_t)count);
    if (found != expected) {
        LSIO_MARK(crc32c_differs);
        return lsio_call_fail(call, LSIO_E_CORRUPT,
                              "crc32c: %llu bytes have checksum 0x%08x; 0x%08x was expected",
                              (unsigned long long)count, found, expected);
    }
    return 0;
}

static int crc32c_run(struct lsio_call *call)
{
    const struct crc32c_stage *stage = call->user;
    const uint8_t *in = call->in;
    const uint8_t *payload = in;
    uint64_t count = call->in_bytes;
    uint32_t expected;
    int status;

    if (stage->where == LSIO_CRC32C_DATA) {
        memcpy(&expected, (const char *)call->data + stage->data_offset, sizeof(expected));
        return crc32c_check(call, expected, in, count);
    }
    if (count < 4) {
        LSIO_MARK(crc32c_cut_off);
        return lsio_call_fail(call, LSIO_E_CORRUPT, "crc32c: %llu bytes cannot hold a checksum",
                              (unsigned long long)count);
    }
    count -= 4;
    if (stage->where == LSIO_CRC32C_LEADING) {
        expected = load_le32(in);
        payload = in + 4;
    } else {
        expected = load_le32(in + count);
    }
    status = crc32c_check(call, expected, payload, count);
    return status < 0 ? status : lsio_call_pass(call, payload, count);
}

int lsio_stage_crc32c(const struct lsio_crc32c_options *options, struct lsio_stage *out)
{
    struct lsio_crc32c_options known;
    struct crc32c_stage stage;
    int status = stage_options_read(&known, sizeof(known), options);

    if (status < 0 || !out || known.where > LSIO_CRC32C_DATA)
        return -EINVAL;
    stage.where = known.where;
    stage.skip_check = known.skip_check;
    stage.data_offset = known.data_offset;
    return stage_make(out, "crc32c", crc32c_run,
                      known.where == LSIO_CRC32C_DATA ? LSIO_STAGE_READS_ONLY
                                                      : LSIO_STAGE_PASSES_SLICE,
                      &stage, sizeof(stage));
}
