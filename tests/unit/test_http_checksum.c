/* SPDX-License-Identifier: MIT */
/*
 * checksum.h and crc.h: check values of the catalogues, the same checksum whatever the length and
 * alignment, every form of header, which of several counts, and which answers none is of.
 *
 * LSIO_ROWS: H29
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "driver/http/crc.h"
#include "driver/http/head.h"
#include "lsio/lsio.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char digits[] = "123456789"; /* of which the catalogues give the values */

/* ---------------------------------------------------------------------------------- the sums -- */

/* Bit by bit, as the standards define them. */
static uint64_t crc_by_bits(uint64_t polynomial, uint64_t ones, const uint8_t *p, size_t n)
{
    uint64_t state = ones;

    for (; n; n--, p++) {
        state ^= *p;
        for (int i = 0; i < 8; i++)
            state = state & 1 ? state >> 1 ^ polynomial : state >> 1;
    }
    return state ^ ones;
}

static void check_values(void **state)
{
    (void)state;
    assert_true(http_crc64nvme(digits, 9) == UINT64_C(0xae8b14860a799888));
    assert_true(http_crc32(digits, 9) == 0xcbf43926u);
    assert_true(http_crc64nvme("", 0) == 0);
    assert_true(http_crc32("", 0) == 0);
}

static void every_length_and_alignment(void **state)
{
    uint8_t bytes[1200];
    uint64_t seed = 1;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = (uint8_t)(seed >> 33);
    }
    for (size_t count = 0; count <= sizeof(bytes) - 16; count += count < 300 ? 1 : 61) {
        const uint8_t *at = bytes + count % 16;
        assert_true(http_crc64nvme(at, count) ==
                    crc_by_bits(UINT64_C(0x9a6c9329ac4bc9b5), UINT64_MAX, at, count));
        assert_true(http_crc32(at, count) == crc_by_bits(0xedb88320, UINT32_MAX, at, count));
    }
}

/* ----------------------------------------------------------------------------------- headers -- */

#define CRC32C    "4waSgw=="
#define CRC64NVME "rosUhgp5mIg="
#define MD5       "JfnnlDI7RTiF9RgfG2JNCw=="
#define SHA256    "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="

static struct http_head head;

static void add(const char *name, const char *value)
{
    assert_int_equal(http_head_add(&head, name, strlen(name), value, strlen(value)), 0);
}

/* A 200 of the digits, with these headers: "name", "value", ..., NULL. */
static void answer(const char *const *headers)
{
    http_head_reset(&head, 200);
    add("content-length", "9");
    for (; *headers; headers += 2)
        add(headers[0], headers[1]);
}

static void every_header(void **state)
{
    static const struct {
        const char *headers[7];
        enum http_checksum_kind kind;
    } cases[] = {
        {{"x-amz-checksum-crc32c", CRC32C}, HTTP_CHECKSUM_CRC32C},
        {{"X-Amz-Checksum-CRC64NVME", CRC64NVME}, HTTP_CHECKSUM_CRC64NVME},
        {{"x-amz-checksum-crc32", "y/Q5Jg=="}, HTTP_CHECKSUM_CRC32},
        {{"x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="}, HTTP_CHECKSUM_SHA1},
        {{"x-amz-checksum-sha256", SHA256}, HTTP_CHECKSUM_SHA256},
        {{"x-amz-checksum-sha256", SHA256, "x-amz-checksum-type", "FULL_OBJECT"},
         HTTP_CHECKSUM_SHA256},
        {{"content-md5", " " MD5 " "}, HTTP_CHECKSUM_MD5},
        {{"x-ms-blob-content-md5", MD5}, HTTP_CHECKSUM_MD5},
        {{"x-goog-hash", "crc32c=" CRC32C ",md5=" MD5}, HTTP_CHECKSUM_CRC32C},
        {{"x-goog-hash", "md5=" MD5}, HTTP_CHECKSUM_MD5},
        {{"x-goog-hash", "md5=" MD5, "x-goog-hash", "crc32c=" CRC32C}, HTTP_CHECKSUM_CRC32C},
        {{"repr-digest", "sha-512=:AAAA:,\tsha-256=:" SHA256 ":"}, HTTP_CHECKSUM_SHA256},
        {{"content-digest", "sha-256=:" SHA256 ":"}, HTTP_CHECKSUM_SHA256},
        /* of several the one that costs least, wherever it stands */
        {{"content-md5", MD5, "x-amz-checksum-crc32c", CRC32C, "repr-digest",
          "sha-256=:" SHA256 ":"},
         HTTP_CHECKSUM_CRC32C},
    };
    char why[160];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        answer(cases[i].headers);
        assert_int_equal(head.checksum.kind, cases[i].kind);
        assert_true(http_checksum_covers(&head.checksum, &head, 0, 9));
        assert_int_equal(http_checksum_check(&head.checksum, digits, 9, why, sizeof(why)), 0);
        assert_int_equal(http_checksum_check(&head.checksum, "123456780", 9, why, sizeof(why)),
                         LSIO_E_CORRUPT);
        assert_non_null(strstr(why, "the server's header says "));
    }
    assert_non_null(strstr(why, "body's crc32c is "));
    assert_non_null(strstr(why, "says " CRC32C));
}

/* What is none, or of something else: nothing is checked. */
static void no_checksum(void **state)
{
    static const char *const cases[][5] = {
        {NULL},
        {"x-amz-checksum-crc32c", ""},
        {"x-amz-checksum-crc32c", "4waSgw==-3"},
        {"x-amz-checksum-crc32c", "4waSgw"},
        {"x-amz-checksum-crc32c", "4waS"},
        {"x-amz-checksum-crc32c", CRC64NVME},
        {"x-amz-checksum-crc32c", "????????"},
        {"x-amz-checksum-crc32c", CRC32C, "x-amz-checksum-type", "COMPOSITE"},
        {"x-amz-checksum-type", "composite", "x-amz-checksum-crc32c", CRC32C},
        {"x-amz-checksum-mode", CRC32C},
        {"x-goog-hash", CRC32C},
        {"x-goog-hash", "crc32c="},
        {"x-goog-hash", ",,,crc32=" CRC32C},
        {"repr-digest", "sha-256=" SHA256},
        {"repr-digest", "sha-256=:" SHA256},
        {"repr-digest", "sha-256=:"},
        {"repr-digest", "md5=:" MD5 ":"},
        {"content-md5", SHA256},
    };
    char longer[4096];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        answer(cases[i]);
        assert_false(http_checksum_covers(&head.checksum, &head, 0, 9));
    }
    memset(longer, 'A', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    answer((const char *const[]){"content-md5", longer, NULL});
    assert_int_equal(head.checksum.kind, HTTP_CHECKSUM_NONE);
    /* what is worse does not take the place of what is good */
    answer((const char *const[]){"content-md5", MD5, "x-amz-checksum-crc32c", "AAAA", NULL});
    assert_int_equal(head.checksum.kind, HTTP_CHECKSUM_MD5);
}

/* Only an answer that brings the whole object. */
static void what_it_is_of(void **state)
{
    (void)state;
    answer((const char *const[]){"x-goog-hash", "crc32c=" CRC32C, NULL});
    assert_true(http_checksum_covers(&head.checksum, &head, 0, 9));
    assert_false(http_checksum_covers(&head.checksum, &head, 0, 8));
    assert_false(http_checksum_covers(&head.checksum, &head, 1, 9));
    http_head_reset(&head, 206);
    add("content-length", "9");
    add("content-range", "bytes 0-8/9");
    add("x-goog-hash", "crc32c=" CRC32C);
    assert_true(http_checksum_covers(&head.checksum, &head, 0, 9));
    http_head_reset(&head, 206);
    assert_int_equal(head.checksum.kind, HTTP_CHECKSUM_NONE);
    add("content-length", "9");
    add("content-range", "bytes 0-8/10");
    add("x-goog-hash", "crc32c=" CRC32C);
    assert_false(http_checksum_covers(&head.checksum, &head, 0, 9));
    http_head_reset(&head, 200); /* of unknown length */
    add("x-goog-hash", "crc32c=" CRC32C);
    assert_false(http_checksum_covers(&head.checksum, &head, 0, 9));
}

static void empty_objects(void **state)
{
    char why[160];

    (void)state;
    http_head_reset(&head, 200);
    add("content-length", "0");
    add("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==");
    assert_true(http_checksum_covers(&head.checksum, &head, 0, 0));
    assert_int_equal(http_checksum_check(&head.checksum, NULL, 0, why, sizeof(why)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_values),  cmocka_unit_test(every_length_and_alignment),
        cmocka_unit_test(every_header),  cmocka_unit_test(no_checksum),
        cmocka_unit_test(what_it_is_of), cmocka_unit_test(empty_objects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
