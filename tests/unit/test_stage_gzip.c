/* SPDX-License-Identifier: MIT */
/*
 * The gzip stage: the three framings as zlib writes them, several members, padding, lies, damage.
 *
 * LSIO_ROWS: D1 D2 D5
 */
#include "stage_case.h"

#include <errno.h>

#ifdef LSIO_HAVE_ZLIB

#include <zlib.h>

#define BYTES 200000u

static uint8_t plain[BYTES], packed[2 * BYTES];

static void begin(struct stage_case *c, uint32_t framing, uint64_t expected_bytes,
                  uint64_t max_bytes)
{
    struct lsio_gzip_options options = {sizeof(options), expected_bytes, max_bytes, framing, 0};
    struct lsio_stage stage;

    assert_int_equal(lsio_stage_gzip(&options, &stage), 0);
    case_begin(c, &stage, 1, 0);
}

/* framing: enum lsio_gzip_framing */
static size_t stream(uint8_t *to, const uint8_t *from, size_t bytes, uint32_t framing)
{
    int window = framing == LSIO_GZIP_GZIP ? 31 : framing == LSIO_GZIP_ZLIB ? 15 : -15;
    z_stream z = {0};

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)from;
    z.avail_in = (uInt)bytes;
    z.next_out = to;
    z.avail_out = BYTES;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

static void framings(void **state)
{
    struct stage_case c;

    (void)state;
    for (uint32_t framing = LSIO_GZIP_GZIP; framing <= LSIO_GZIP_RAW; framing++) {
        size_t n = stream(packed, plain, BYTES, framing);
        for (int automatic = 0; automatic < (framing == LSIO_GZIP_RAW ? 1 : 2); automatic++) {
            begin(&c, automatic ? LSIO_GZIP_AUTO : framing, BYTES, 0);
            assert_int_equal(case_decode(&c, packed, n, BYTES, NULL), 0);
            case_expect(&c, plain, BYTES);
            packed[n] = 1; /* junk behind */
            assert_int_equal(case_decode(&c, packed, n + 1, BYTES, NULL), LSIO_E_CORRUPT);
            assert_int_equal(case_decode(&c, packed, n - 1, BYTES, NULL), LSIO_E_CORRUPT);
            for (uint32_t i = 0; i < 4; i++)
                assert_int_equal(case_decode(&c, packed, i, BYTES, NULL), LSIO_E_CORRUPT);
            case_end(&c);
        }
        for (int d = -1; d <= 1; d += 2) {
            begin(&c, framing, (uint64_t)((int64_t)BYTES + d), 0);
            assert_int_equal(case_decode(&c, packed, n, BYTES + 10, NULL), LSIO_E_CORRUPT);
            case_expect_text(&c, "gzip: ");
            case_end(&c);
        }
        begin(&c, framing, 0, 0);
        assert_int_equal(case_decode(&c, packed, n, BYTES + 10, NULL), 0);
        case_expect(&c, plain, BYTES);
        assert_int_equal(case_decode(&c, packed, n, BYTES - 1, NULL), LSIO_E_NO_SPACE);
        assert_int_equal(case_decode_alloc(&c, packed, n),
                         framing == LSIO_GZIP_GZIP ? 0 : LSIO_E_UNSUPPORTED);
        if (framing == LSIO_GZIP_GZIP)
            case_expect(&c, plain, BYTES);
        case_end(&c);
        begin(&c, framing, 0, BYTES + 5);
        assert_int_equal(case_decode_alloc(&c, packed, n), 0);
        case_expect(&c, plain, BYTES);
        case_end(&c);
    }
}

static void members(void **state)
{
    size_t n = stream(packed, plain, 70000, LSIO_GZIP_GZIP), one = n;
    struct stage_case c;

    (void)state;
    n += stream(packed + n, plain, 0, LSIO_GZIP_GZIP); /* an empty one */
    n += stream(packed + n, plain + 70000, BYTES - 70000, LSIO_GZIP_GZIP);
    begin(&c, LSIO_GZIP_AUTO, BYTES, 0);
    assert_int_equal(case_decode(&c, packed, n, BYTES, NULL), 0);
    case_expect(&c, plain, BYTES);
    memset(packed + n, 0, 100); /* padding */
    assert_int_equal(case_decode(&c, packed, n + 100, BYTES, NULL), 0);
    case_expect(&c, plain, BYTES);
    packed[n + 99] = 1;
    assert_int_equal(case_decode(&c, packed, n + 100, BYTES, NULL), LSIO_E_CORRUPT);
    case_expect_text(&c, "100 bytes lie behind");
    assert_int_equal(case_decode(&c, packed, one, BYTES, NULL), LSIO_E_CORRUPT);
    case_end(&c);
    begin(&c, LSIO_GZIP_AUTO, 0, 0); /* the last member's size is too small a hint */
    assert_int_equal(case_decode_alloc(&c, packed, n), LSIO_E_NO_SPACE);
    case_end(&c);
}

static void damage(void **state)
{
    struct stage_case c;

    (void)state;
    for (uint32_t framing = LSIO_GZIP_GZIP; framing <= LSIO_GZIP_RAW; framing++) {
        size_t n = stream(packed, plain, 4000, framing);
        begin(&c, framing, 4000, 0);
        if (framing != LSIO_GZIP_RAW) {
            packed[framing == LSIO_GZIP_GZIP ? n - 5 : n - 1] ^= 1; /* the checksum */
            assert_int_equal(case_decode(&c, packed, n, 4000, NULL), LSIO_E_CORRUPT);
            packed[framing == LSIO_GZIP_GZIP ? n - 5 : n - 1] ^= 1;
        }
        case_damage(&c, packed, n, 4000, framing);
        assert_int_equal(case_decode(&c, packed, n, 4000, NULL), 0);
        case_expect(&c, plain, 4000);
        case_end(&c);
    }
}

static void options(void **state)
{
    struct lsio_gzip_options options = {.struct_bytes = sizeof(options), .framing = 4};
    struct lsio_stage stage;

    (void)state;
    assert_int_equal(lsio_stage_gzip(&options, &stage), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(framings),
        cmocka_unit_test(members),
        cmocka_unit_test(damage),
        cmocka_unit_test(options),
    };

    for (uint32_t i = 0; i < BYTES; i++)
        plain[i] = (uint8_t)(i / 3 * (i / 700) >> 2);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void maybe_unsupported(void **state)
{
    struct lsio_stage stage;
    int status = lsio_stage_gzip(NULL, &stage);

    (void)state;
    if (status == 0) /* with libdeflate, but without zlib to write what is to be read */
        stage.destroy(stage.user);
    else
        assert_int_equal(status, LSIO_E_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(maybe_unsupported)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
