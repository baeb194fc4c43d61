/* SPDX-License-Identifier: MIT */
/*
 * The blosc stage against libblosc's encoder: each compressor, shuffle and element size; stored
 * chunks; headers that lie; damage.
 *
 * LSIO_ROWS: D1 D2 D3 D5
 */
#include "stage_case.h"

#include <errno.h>

#ifdef LSIO_HAVE_BLOSC

#include <blosc.h>

#define BYTES (600u * 1024)

static uint8_t plain[BYTES], packed[BYTES + 1024];

static void begin(struct stage_case *c, uint64_t expected_bytes)
{
    struct lsio_blosc_options options = {sizeof(options), expected_bytes, 0};
    struct lsio_stage stage;

    assert_int_equal(lsio_stage_blosc(&options, &stage), 0);
    case_begin(c, &stage, 1, 1 << 20);
}

static size_t pack(const char *compressor, int shuffle, size_t typesize, size_t bytes,
                   size_t blocksize)
{
    int size = blosc_compress_ctx(5, shuffle, typesize, bytes, plain, packed, sizeof(packed),
                                  compressor, blocksize, 1);

    assert_true(size > 0);
    return (size_t)size;
}

static void put_le32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static void all_kinds(void **state)
{
    static const char *const compressors[] = {"lz4", "lz4hc", "zstd", "zlib", "blosclz", "snappy"};
    static const size_t typesizes[] = {1, 2, 3, 4, 8, 12, 16, 17, 64, 255};
    static const size_t lengths[] = {0, 1, 3, 15, 127, 129, 2049, 5000, 20000, 65537};
    struct stage_case c;

    (void)state;
    begin(&c, 0);
    for (size_t k = 0; k < sizeof(compressors) / sizeof(compressors[0]); k++) {
        int code = blosc_compname_to_compcode(compressors[k]);
        for (size_t t = 0; code >= 0 && t < sizeof(typesizes) / sizeof(typesizes[0]); t++) {
            for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
                for (int shuffle = 0; shuffle < 3; shuffle++) {
                    size_t n =
                        pack(compressors[k], shuffle, typesizes[t], lengths[l], l % 2 ? 2048 : 0);
                    assert_int_equal(case_decode(&c, packed, n, lengths[l], NULL), 0);
                    case_expect(&c, plain, lengths[l]);
                }
            }
        }
    }
    case_end(&c);
}

static void large_chunks(void **state)
{
    static const char *const compressors[] = {"lz4", "zstd", "zlib"};
    struct stage_case c;

    (void)state;
    begin(&c, BYTES);
    for (size_t k = 0; k < 3; k++) {
        for (size_t typesize = 2; typesize <= 16; typesize *= 2) {
            size_t n = pack(compressors[k], 1, typesize, BYTES, 0);
            assert_int_equal(case_decode(&c, packed, n, BYTES, NULL), 0);
            case_expect(&c, plain, BYTES);
            assert_int_equal(case_decode_alloc(&c, packed, n), 0);
            case_expect(&c, plain, BYTES);
            assert_int_equal(case_decode(&c, packed, n, BYTES - 1, NULL), LSIO_E_NO_SPACE);
        }
    }
    case_end(&c);
}

static void stored(void **state)
{
    uint64_t seed = 5;
    uint8_t *noise = malloc(20000);
    struct stage_case c;
    int n;

    (void)state;
    for (int i = 0; i < 20000; i++)
        noise[i] = (uint8_t)case_random(&seed);
    n = blosc_compress_ctx(0, 1, 4, 20000, noise, packed, sizeof(packed), "lz4", 0, 1);
    assert_int_equal(n, 20016);
    assert_true(packed[2] & 2);
    begin(&c, 20000);
    assert_int_equal(case_decode(&c, packed, 20016, 20000, NULL), 0);
    case_expect(&c, noise, 20000);
    put_le32(packed + 12, 20015);
    assert_int_equal(case_decode(&c, packed, 20015, 20000, NULL), LSIO_E_CORRUPT);
    case_end(&c);
    free(noise);
}

#ifdef LSIO_HAVE_LZ4 /* else libblosc decodes it, and words it otherwise */

static void lying_headers(void **state)
{
    size_t n = pack("lz4", 1, 4, 200000, 4096);
    struct stage_case c;
    uint8_t kept[64]; /* the header, the block starts, the first stream */

    (void)state;
    memcpy(kept, packed, sizeof(kept));
    begin(&c, 200000);
    for (size_t i = 0; i < 16; i++)
        assert_int_equal(case_decode(&c, packed, i, 200000, NULL), LSIO_E_CORRUPT);
#define LIE(change, text)                                                                          \
    do {                                                                                           \
        change;                                                                                    \
        assert_int_equal(case_decode(&c, packed, n, 200000, NULL), LSIO_E_CORRUPT);                \
        case_expect_text(&c, text);                                                                \
        memcpy(packed, kept, sizeof(kept));                                                        \
    } while (0)
    LIE(put_le32(packed + 4, 199999), "declares 199999 bytes; 200000 were expected");
    LIE(put_le32(packed + 4, UINT32_MAX), "make no sense");
    LIE(put_le32(packed + 8, 0), "make no sense");
    LIE(put_le32(packed + 8, 2000001), "make no sense");
    LIE(put_le32(packed + 8, UINT32_MAX), "make no sense");
    LIE(put_le32(packed + 8, 1), "cannot hold 200000 blocks");
    LIE(put_le32(packed + 12, (uint32_t)n - 1), "there are");
    LIE(put_le32(packed + 12, (uint32_t)n + 1), "there are");
    LIE(packed[3] = 0, "make no sense");
    LIE(put_le32(packed + 16, UINT32_MAX), "a stream begins at");
    LIE(put_le32(packed + 16, (uint32_t)n - 3), "a stream begins at");
    LIE(put_le32(packed + 16, (uint32_t)n), "a stream begins at");
    LIE(put_le32(packed + packed[16], UINT32_MAX), "a stream of 4294967295 bytes");
    LIE(packed[3] = 3, "blosc: ");
    LIE(packed[0] = 99, "blosc: ");
    assert_int_equal(case_decode(&c, packed, n, 200000, NULL), 0);
    case_expect(&c, plain, 200000);
    case_end(&c);
    n = pack("lz4", 1, 4, 0, 0);
    begin(&c, 5);
    assert_int_equal(case_decode(&c, packed, n, 5, NULL), LSIO_E_CORRUPT);
    case_end(&c);
}

static void without_scratch_memory(void **state)
{
    size_t n = pack("lz4", 1, 4, 20000, 0);
    struct stage_case c;

    (void)state;
    begin(&c, 20000);
    c.env.scratch_bytes = 1024;
    assert_int_equal(case_decode(&c, packed, n, 20000, NULL), LSIO_E_BUDGET);
    case_end(&c);
}

#endif

static void damage(void **state)
{
    static const char *const compressors[] = {"lz4", "zstd", "zlib"};
    struct stage_case c;

    (void)state;
    begin(&c, 0);
    for (size_t k = 0; k < 3; k++) {
        for (int shuffle = 0; shuffle < 2; shuffle++) {
            size_t n = pack(compressors[k], shuffle, 4, 5000, 2048);
            case_damage(&c, packed, n, 5000, k);
            assert_int_equal(case_decode(&c, packed, n, 5000, NULL), 0);
            case_expect(&c, plain, 5000);
        }
    }
    case_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kinds),
        cmocka_unit_test(large_chunks),
        cmocka_unit_test(stored),
#ifdef LSIO_HAVE_LZ4
        cmocka_unit_test(lying_headers),
        cmocka_unit_test(without_scratch_memory),
#endif
        cmocka_unit_test(damage),
    };
    uint64_t seed = 9;

    for (uint32_t i = 0; i < BYTES;
         i += 4) { /* the lowest byte is noise, so that planes are stored */
        uint32_t value = i * 40 + (uint32_t)case_random(&seed) % 256;
        memcpy(plain + i, &value, 4);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void unsupported(void **state)
{
    struct lsio_stage stage;

    (void)state;
    assert_int_equal(lsio_stage_blosc(NULL, &stage), LSIO_E_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(unsupported)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
