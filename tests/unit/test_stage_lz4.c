/* SPDX-License-Identifier: MIT */
/*
 * The lz4 stage: numcodecs' framing, LZ4 frames, bare blocks; lies about sizes, damage.
 *
 * LSIO_ROWS: D1 D2 D5
 */
#include "stage_case.h"

#include <errno.h>

#ifdef LSIO_HAVE_LZ4

#include <lz4.h>
#include <lz4frame.h>

#define BYTES 200000u

static uint8_t plain[BYTES], packed[2 * BYTES];

static void begin(struct stage_case *c, uint32_t framing, uint64_t expected_bytes,
                  uint64_t max_bytes)
{
    struct lsio_lz4_options options = {sizeof(options), expected_bytes, max_bytes, framing, 0};
    struct lsio_stage stage;

    assert_int_equal(lsio_stage_lz4(&options, &stage), 0);
    case_begin(c, &stage, 1, 0);
}

static void put_le32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static size_t block(uint8_t *to, size_t bytes)
{
    int size =
        LZ4_compress_default((const char *)plain, (char *)to, (int)bytes, LZ4_compressBound(BYTES));

    assert_true(size > 0);
    return (size_t)size;
}

static size_t frame(uint8_t *to, const uint8_t *from, size_t bytes, int declares, int checksums)
{
    LZ4F_preferences_t preferences = {0};
    size_t size;

    preferences.frameInfo.contentSize = declares ? bytes : 0;
    preferences.frameInfo.contentChecksumFlag = checksums;
    preferences.frameInfo.blockChecksumFlag = checksums;
    preferences.frameInfo.blockSizeID = LZ4F_max64KB;
    size = LZ4F_compressFrame(to, BYTES, from, bytes, &preferences);
    assert_false(LZ4F_isError(size));
    return size;
}

static void numcodecs(void **state)
{
    size_t n = 4 + block(packed + 4, BYTES);
    struct stage_case c;

    (void)state;
    put_le32(packed, BYTES);
    begin(&c, LSIO_LZ4_NUMCODECS, BYTES, 0);
    assert_int_equal(case_decode(&c, packed, n, BYTES, NULL), 0);
    case_expect(&c, plain, BYTES);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(case_decode(&c, packed, i, BYTES, NULL), LSIO_E_CORRUPT);
    put_le32(packed, BYTES - 1);
    assert_int_equal(case_decode(&c, packed, n, BYTES, NULL), LSIO_E_CORRUPT);
    case_expect_text(&c, "declares 199999 bytes; 200000 were expected");
    case_end(&c);
    begin(&c, LSIO_LZ4_NUMCODECS, 0, 0);
    assert_int_equal(case_decode(&c, packed, n, BYTES, NULL), LSIO_E_CORRUPT); /* one too many */
    put_le32(packed, BYTES + 1);
    assert_int_equal(case_decode(&c, packed, n, BYTES, NULL), LSIO_E_NO_SPACE);
    assert_int_equal(case_decode(&c, packed, n, BYTES + 1, NULL), LSIO_E_CORRUPT); /* one too few */
    put_le32(packed, UINT32_MAX);
    assert_int_equal(case_decode_alloc(&c, packed, n), LSIO_E_CORRUPT);
    put_le32(packed, BYTES);
    assert_int_equal(case_decode_alloc(&c, packed, n), 0);
    case_expect(&c, plain, BYTES);
    assert_int_equal(case_decode(&c, "\0\0\0\0\0", 5, 0, NULL), 0); /* an empty block */
    assert_int_equal(c.out_bytes, 0);
    n = 4 + block(packed + 4, 3000);
    put_le32(packed, 3000);
    case_damage(&c, packed, n, 3000, 1);
    case_end(&c);
}

static void frames(void **state)
{
    struct stage_case c;

    (void)state;
    for (int declares = 0; declares < 2; declares++) {
        size_t one = frame(packed, plain, 150000, declares, 1), n = one;
        memcpy(packed + n, "\x50\x2a\x4d\x18\x05\x00\x00\x00hello", 13); /* skippable */
        n += 13;
        n += frame(packed + n, plain + 150000, BYTES - 150000, declares, 0);
        begin(&c, LSIO_LZ4_FRAME, BYTES, 0);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(case_decode(&c, packed, n, BYTES, NULL), 0);
            case_expect(&c, plain, BYTES);
            assert_int_equal(case_decode(&c, packed, n - 1, BYTES, NULL), LSIO_E_CORRUPT);
            case_expect_text(&c, "end within a frame");
            assert_int_equal(case_decode(&c, packed, one, BYTES, NULL), LSIO_E_CORRUPT);
            case_expect_text(&c, "150000 bytes came out; 200000 were expected");
        }
        case_end(&c);
        begin(&c, LSIO_LZ4_FRAME, 0, 0);
        assert_int_equal(case_decode(&c, packed, n, BYTES + 5, NULL), 0);
        case_expect(&c, plain, BYTES);
        assert_int_equal(case_decode(&c, packed, n, BYTES - 1, NULL), LSIO_E_NO_SPACE);
        assert_int_equal(case_decode_alloc(&c, packed, one), declares ? 0 : LSIO_E_UNSUPPORTED);
        assert_int_equal(c.out_bytes, declares ? 150000 : 0);
        assert_int_equal(case_decode(&c, packed, 0, 10, NULL), LSIO_E_CORRUPT);
        case_end(&c);
        begin(&c, LSIO_LZ4_FRAME, 0, BYTES);
        assert_int_equal(case_decode_alloc(&c, packed, n), 0);
        case_expect(&c, plain, BYTES);
        case_end(&c);
    }
}

static void frame_damage(void **state)
{
    size_t n = frame(packed, plain, 5000, 0, 1);
    struct stage_case c;

    (void)state;
    begin(&c, LSIO_LZ4_FRAME, 5000, 0);
    packed[n - 1] ^= 4;
    assert_int_equal(case_decode(&c, packed, n, 5000, NULL), LSIO_E_CORRUPT);
    case_expect_text(&c, "lz4: ");
    packed[n - 1] ^= 4;
    case_damage(&c, packed, n, 5000, 3);
    n = frame(packed, plain, 5000, 1, 0);
    case_damage(&c, packed, n, 5000, 4);
    assert_int_equal(case_decode(&c, packed, n, 5000, NULL), 0);
    case_expect(&c, plain, 5000);
    case_end(&c);
}

static void bare_block(void **state)
{
    size_t n = block(packed, BYTES);
    struct stage_case c;

    (void)state;
    begin(&c, LSIO_LZ4_BLOCK, 0, 0);
    assert_int_equal(case_decode(&c, packed, n, BYTES + 100, NULL), 0);
    case_expect(&c, plain, BYTES);
    assert_int_equal(case_decode_alloc(&c, packed, n), LSIO_E_UNSUPPORTED);
    case_end(&c);
    begin(&c, LSIO_LZ4_BLOCK, BYTES, 0);
    assert_int_equal(case_decode_alloc(&c, packed, n), 0);
    case_expect(&c, plain, BYTES);
    assert_int_equal(case_decode(&c, packed, 0, BYTES, NULL), LSIO_E_CORRUPT);
    case_end(&c);
}

static void options(void **state)
{
    struct lsio_lz4_options options = {.struct_bytes = sizeof(options), .framing = 3};
    struct lsio_stage stage;

    (void)state;
    assert_int_equal(lsio_stage_lz4(&options, &stage), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numcodecs),  cmocka_unit_test(frames),  cmocka_unit_test(frame_damage),
        cmocka_unit_test(bare_block), cmocka_unit_test(options),
    };

    for (uint32_t i = 0; i < BYTES; i++)
        plain[i] = (uint8_t)(i / 3 * (i / 700) >> 2);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void unsupported(void **state)
{
    struct lsio_stage stage;

    (void)state;
    assert_int_equal(lsio_stage_lz4(NULL, &stage), LSIO_E_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(unsupported)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
