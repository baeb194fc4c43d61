/* SPDX-License-Identifier: MIT */
/*
 * CRC-32C: known sums, all lengths and alignments against the definition, and the stage's three
 * places.
 *
 * LSIO_ROWS: D6
 */
#include "stage_case.h"

#include <errno.h>

/* The definition, a bit at a time. */
static uint32_t crc_slow(uint32_t crc, const uint8_t *p, size_t n)
{
    crc = ~crc;
    for (; n; n--, p++) {
        crc ^= *p;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static void known_sums(void **state)
{
    uint8_t bytes[32];

    (void)state;
    assert_int_equal(lsio_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(lsio_crc32c(0, "", 0), 0);
    memset(bytes, 0, 32); /* RFC 3720, B.4 */
    assert_int_equal(lsio_crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(lsio_crc32c(0, bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(lsio_crc32c(0, bytes, 32), 0x46dd794e);
}

static void all_lengths(void **state)
{
    const size_t size = 70000;
    uint8_t *block = malloc(size);
    uint64_t seed = 3;

    (void)state;
    for (size_t i = 0; i < size; i++)
        block[i] = (uint8_t)case_random(&seed);
    for (size_t n = 0; n < 3000; n++) {
        const uint8_t *from =
            block + size - n - n % 9; /* all alignments; often to the block's end */
        assert_int_equal(lsio_crc32c((uint32_t)n, from, n), crc_slow((uint32_t)n, from, n));
    }
    for (int i = 0; i < 60; i++) {
        size_t n = case_random(&seed) % (size - 64);
        const uint8_t *from = block + case_random(&seed) % 64;
        uint32_t whole = lsio_crc32c(0, from, n);
        assert_int_equal(whole, crc_slow(0, from, n));
        assert_int_equal(whole, lsio_crc32c(lsio_crc32c(0, from, n / 3), from + n / 3, n - n / 3));
    }
    free(block);
}

static void put_le32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static void begin(struct stage_case *c, uint32_t where, uint32_t skip_check, uint64_t data_offset)
{
    struct lsio_crc32c_options options = {sizeof(options), where, skip_check, data_offset};
    struct lsio_stage stage;

    assert_int_equal(lsio_stage_crc32c(&options, &stage), 0);
    case_begin(c, &stage, 1, 0);
}

static void in_the_chunk(void **state)
{
    uint8_t chunk[1004], payload[1000];
    struct stage_case c;

    (void)state;
    for (uint32_t where = LSIO_CRC32C_TRAILING; where <= LSIO_CRC32C_LEADING; where++) {
        uint32_t at = where == LSIO_CRC32C_LEADING ? 4 : 0;
        memset(payload, 'x', sizeof(payload));
        memcpy(chunk + at, payload, sizeof(payload));
        put_le32(chunk + (at ? 0 : 1000), crc_slow(0, payload, sizeof(payload)));
        begin(&c, where, 0, 0);
        assert_int_equal(case_decode(&c, chunk, 1004, 1000, NULL), 0);
        case_expect(&c, payload, 1000);
        for (uint32_t i = 0; i < 1004; i++) {
            chunk[i] ^= 1;
            assert_int_equal(case_decode(&c, chunk, 1004, 1000, NULL), LSIO_E_CORRUPT);
            chunk[i] ^= 1;
        }
        case_expect_text(&c, "crc32c: 1000 bytes have checksum 0x");
        for (uint32_t i = 0; i < 4; i++)
            assert_int_equal(case_decode(&c, chunk, i, 1000, NULL), LSIO_E_CORRUPT);
        put_le32(chunk, 0); /* the sum of nothing */
        assert_int_equal(case_decode(&c, chunk, 4, 1000, NULL), 0);
        assert_int_equal(c.out_bytes, 0);
        case_end(&c);
        begin(&c, where, 1, 0); /* stripped unseen */
        chunk[3] = 77;
        assert_int_equal(case_decode(&c, chunk, 1004, 1000, NULL), 0);
        assert_int_equal(c.out_bytes, 1000);
        case_end(&c);
    }
}

static void in_the_callers_data(void **state)
{
    struct {
        char other[3];
        uint32_t expected;
    } data;
    struct stage_case c;

    (void)state;
    begin(&c, LSIO_CRC32C_DATA, 0, offsetof(__typeof__(data), expected));
    assert_true(chain_reads_into_dst(c.chain));
    data.expected = crc_slow(0, (const uint8_t *)"abc", 3);
    assert_int_equal(case_decode(&c, "abc", 3, 3, &data), 0);
    case_expect(&c, "abc", 3);
    data.expected++;
    assert_int_equal(case_decode(&c, "abc", 3, 3, &data), LSIO_E_CORRUPT);
    case_end(&c);
}

static void options(void **state)
{
    struct lsio_crc32c_options wrong = {sizeof(wrong), 3, 0, 0};
    struct {
        struct lsio_crc32c_options known;
        uint64_t unknown;
    } longer = {{sizeof(longer), 0, 0, 0}, 0};
    struct lsio_stage stage;

    (void)state;
    assert_int_equal(lsio_stage_crc32c(&wrong, &stage), -EINVAL);
    wrong.where = 0;
    assert_int_equal(lsio_stage_crc32c(&wrong, NULL), -EINVAL);
    wrong.struct_bytes = 0;
    assert_int_equal(lsio_stage_crc32c(&wrong, &stage), -EINVAL);
    assert_int_equal(lsio_stage_crc32c(&longer.known, &stage), 0); /* of a later version, unused */
    stage.destroy(stage.user);
    longer.unknown = 1;
    assert_int_equal(lsio_stage_crc32c(&longer.known, &stage), -EINVAL);
    assert_int_equal(lsio_stage_crc32c(NULL, &stage), 0);
    assert_int_equal(stage.flags, LSIO_STAGE_PASSES_SLICE);
    stage.destroy(stage.user);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_sums),   cmocka_unit_test(all_lengths),
        cmocka_unit_test(in_the_chunk), cmocka_unit_test(in_the_callers_data),
        cmocka_unit_test(options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
