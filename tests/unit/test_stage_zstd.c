/* SPDX-License-Identifier: MIT */
/*
 * The zstd stage: frames as writers make them, sizes known and unknown, lies, damage.
 *
 * LSIO_ROWS: D1 D2 D4 D5
 */
#include "stage_case.h"

#include <errno.h>

#ifdef LSIO_HAVE_ZSTD

#include <zstd.h>

#define BYTES 300000u

static uint8_t plain[BYTES], packed[2 * BYTES];

static void begin(struct stage_case *c, uint64_t expected_bytes, uint64_t max_bytes)
{
    struct lsio_zstd_options options = {sizeof(options), expected_bytes, max_bytes};
    struct lsio_stage stage;

    assert_int_equal(lsio_stage_zstd(&options, &stage), 0);
    case_begin(c, &stage, 1, 0);
}

/* One frame at `to`, with or without the size in its header. */
static size_t frame(uint8_t *to, const uint8_t *from, size_t bytes, int declares, int checksum)
{
    ZSTD_CCtx *encoder = ZSTD_createCCtx();
    size_t size;

    ZSTD_CCtx_setParameter(encoder, ZSTD_c_contentSizeFlag, declares);
    ZSTD_CCtx_setParameter(encoder, ZSTD_c_checksumFlag, checksum);
    if (declares) {
        size = ZSTD_compress2(encoder, to, ZSTD_compressBound(bytes), from, bytes);
    } else { /* streamed, so that no size is known */
        ZSTD_inBuffer in = {from, bytes, 0};
        ZSTD_outBuffer out = {to, ZSTD_compressBound(bytes) + 64, 0};
        assert_int_equal(ZSTD_compressStream2(encoder, &out, &in, ZSTD_e_continue) > bytes * 2, 0);
        assert_int_equal(ZSTD_compressStream2(encoder, &out, &in, ZSTD_e_end), 0);
        size = out.pos;
    }
    assert_false(ZSTD_isError(size));
    ZSTD_freeCCtx(encoder);
    return size;
}

/* Frames, one with no size, and a skippable one between. */
static size_t frames(void)
{
    size_t n = frame(packed, plain, 100000, 1, 0);

    memcpy(packed + n, "\x50\x2a\x4d\x18\x05\x00\x00\x00hello", 13);
    n += 13;
    n += frame(packed + n, plain + 100000, 50000, 0, 1);
    return n + frame(packed + n, plain + 150000, BYTES - 150000, 1, 1);
}

static void one_frame(void **state)
{
    struct stage_case c;

    (void)state;
    for (int declares = 0; declares < 2; declares++) {
        size_t n = frame(packed, plain, BYTES, declares, 0);
        begin(&c, BYTES, 0);
        for (int i = 0; i < 3; i++) { /* one decoder for all */
            assert_int_equal(case_decode(&c, packed, n, BYTES, NULL), 0);
            case_expect(&c, plain, BYTES);
        }
        assert_int_equal(case_decode(&c, packed, n, BYTES - 1, NULL), LSIO_E_NO_SPACE);
        case_end(&c);
        begin(&c, 0, 0);
        assert_int_equal(case_decode(&c, packed, n, BYTES + 10, NULL), 0);
        case_expect(&c, plain, BYTES);
        assert_int_equal(case_decode(&c, packed, n, BYTES - 1, NULL), LSIO_E_NO_SPACE);
        assert_int_equal(case_decode_alloc(&c, packed, n), declares ? 0 : LSIO_E_UNSUPPORTED);
        if (declares)
            case_expect(&c, plain, BYTES);
        else
            case_expect_text(&c, "expected_bytes");
        case_end(&c);
        begin(&c, 0, BYTES);
        assert_int_equal(case_decode_alloc(&c, packed, n), 0);
        case_expect(&c, plain, BYTES);
        case_end(&c);
        begin(&c, 0, BYTES - 1);
        assert_int_equal(case_decode_alloc(&c, packed, n), LSIO_E_NO_SPACE);
        case_end(&c);
    }
}

static void many_frames(void **state)
{
    size_t n = frames();
    struct stage_case c;

    (void)state;
    begin(&c, BYTES, 0);
    assert_int_equal(case_decode(&c, packed, n, BYTES, NULL), 0);
    case_expect(&c, plain, BYTES);
    case_end(&c);
    begin(&c, 0, 0);
    assert_int_equal(case_decode(&c, packed, n, BYTES + 1, NULL), 0);
    case_expect(&c, plain, BYTES);
    assert_int_equal(case_decode(&c, packed, 13, 0, NULL), LSIO_E_CORRUPT);
    assert_int_equal(case_decode(&c, "\x50\x2a\x4d\x18\0\0\0\0", 8, 0, NULL),
                     0); /* nothing to say */
    assert_int_equal(c.out_bytes, 0);
    assert_int_equal(case_decode(&c, packed, 0, 0, NULL), LSIO_E_CORRUPT);
    case_end(&c);
}

static void wrong_sizes(void **state)
{
    size_t n = frame(packed, plain, BYTES, 1, 0);
    size_t size_at = 6; /* magic, descriptor, window: here a 4-byte size follows */
    struct stage_case c;

    (void)state;
    for (int d = -1; d <= 1; d += 2) { /* more and less than was expected */
        begin(&c, (uint64_t)((int64_t)BYTES + d), 0);
        assert_int_equal(case_decode(&c, packed, n, BYTES + 10, NULL), LSIO_E_CORRUPT);
        case_expect_text(&c, "zstd: ");
        case_expect_text(&c, "300000 bytes");
        case_end(&c);
    }
    n = frame(packed, plain, BYTES, 0, 0);
    for (int d = -1; d <= 1; d += 2) {
        begin(&c, (uint64_t)((int64_t)BYTES + d), 0);
        assert_int_equal(case_decode(&c, packed, n, BYTES + 10, NULL), LSIO_E_CORRUPT);
        case_end(&c);
    }
    n = frame(packed, plain, BYTES, 1, 0);
    if (!(packed[4] & 0x20)) {
        assert_int_equal(packed[4] >> 6, 2);
        packed[size_at + 3] = 0x3f; /* a bomb's header: 1 GiB */
        begin(&c, 0, 0);
        assert_int_equal(case_decode(&c, packed, n, BYTES, NULL), LSIO_E_NO_SPACE);
        packed[size_at + 3] = 0xff;
        assert_int_equal(case_decode_alloc(&c, packed, n), LSIO_E_NO_SPACE);
        case_end(&c);
    }
}

static void damage(void **state)
{
    struct stage_case c;
    size_t n;

    (void)state;
    begin(&c, 5000, 0);
    n = frame(packed, plain, 5000, 1, 1);
    case_damage(&c, packed, n, 5000, 1);
    packed[n - 1] ^= 1; /* the frame's own checksum */
    assert_int_equal(case_decode(&c, packed, n, 5000, NULL), LSIO_E_CORRUPT);
    case_expect_text(&c, "zstd: ");
    packed[n - 1] ^= 1;
    assert_int_equal(case_decode(&c, packed, n - 1, 5000, NULL), LSIO_E_CORRUPT);
    assert_int_equal(case_decode(&c, packed, n, 5000, NULL), 0);
    case_expect(&c, plain, 5000);
    case_end(&c);
    begin(&c, 0, 6000);
    n = frame(packed, plain, 3000, 0, 0);
    n += frame(packed + n, plain + 3000, 2000, 1, 0);
    case_damage(&c, packed, n, 6000, 2);
    case_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_frame),
        cmocka_unit_test(many_frames),
        cmocka_unit_test(wrong_sizes),
        cmocka_unit_test(damage),
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
    assert_int_equal(lsio_stage_zstd(NULL, &stage), LSIO_E_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(unsupported)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
