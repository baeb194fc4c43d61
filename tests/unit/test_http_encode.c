/* SPDX-License-Identifier: MIT */
/*
 * encode.h, request.h, credential.h: percent-encoding, queries, the text buffer's bounds, headers
 * that would split a request, credentials that own their strings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "driver/http/credential.h"
#include "driver/http/encode.h"

static char memory[4096];

static const char *encode(const char *bytes, size_t count, enum http_encode_mode mode)
{
    struct http_text text;
    const char *out;

    http_text_init(&text, memory, sizeof(memory));
    http_text_encode(&text, bytes, count, mode);
    assert_int_equal(http_text_end(&text, &out), 0);
    return out;
}

static void every_byte_comes_back(void **state)
{
    char bytes[256], decoded[256];

    (void)state;
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    for (int mode = 0; mode < 2; mode++) {
        const char *encoded = encode(bytes, 256, (enum http_encode_mode)mode);
        /* RFC 3986 section 2.3: 66 bytes stand for themselves, and '/' in paths */
        assert_int_equal(strlen(encoded),
                         66u + 190u * 3 - (mode == HTTP_ENCODE_KEEP_SLASH ? 2 : 0));
        assert_int_equal(strspn(encoded, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                         "0123456789-._~%/"),
                         strlen(encoded));
        assert_int_equal(http_decode(decoded, encoded, strlen(encoded)), 256);
        assert_memory_equal(decoded, bytes, 256);
    }
}

static void keys_are_encoded(void **state)
{
    (void)state;
    assert_string_equal(encode("", 0, HTTP_ENCODE_ALL), "");
    assert_string_equal(encode("a//b/./x", 8, HTTP_ENCODE_KEEP_SLASH), "a//b/./x");
    assert_string_equal(encode("+=%/\xc3\xa9~ ", 8, HTTP_ENCODE_KEEP_SLASH),
                        "%2B%3D%25/%C3%A9~%20");
    assert_string_equal(encode("a/b", 3, HTTP_ENCODE_ALL), "a%2Fb");
}

static void bad_escapes(void **state)
{
    static const char *const bad[] = {"%", "%2", "a%", "%zz", "%2g", "%%20"};
    char out[16];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(http_decode(out, bad[i], strlen(bad[i])), -EINVAL);
    assert_int_equal(http_decode(out, "%2f+%2F", 7), 3);
    assert_memory_equal(out, "/+/", 3);
    assert_int_equal(http_decode(out, "%20", 2), -EINVAL); /* only two characters belong to it */
}

static void queries(void **state)
{
    struct http_text text;
    const char *out;

    (void)state;
    http_text_init(&text, memory, sizeof(memory));
    http_text_query(&text, "list-type", "2");
    http_text_query(&text, "prefix", "a/b&c=d e");
    http_text_query(&text, "location", NULL);
    http_text_query(&text, "empty", "");
    assert_int_equal(http_text_end(&text, &out), 0);
    assert_string_equal(out, "list-type=2&prefix=a%2Fb%26c%3Dd%20e&location&empty=");
}

/* ------------------------------------------------------------------------------------- text -- */

static void text_never_overflows(void **state)
{
    (void)state;
    for (size_t room = 0; room < 40; room++) {
        char block[41];
        struct http_text text;
        const char *first = NULL, *second = NULL;
        int status;
        memset(block, '#', sizeof(block));
        http_text_init(&text, block, room);
        http_text_puts(&text, "0123456789");
        http_text_printf(&text, "%s-%d", "abc", 7);
        status = http_text_end(&text, &first);
        assert_int_equal(status, room >= 16 ? 0 : -ENOBUFS);
        assert_int_equal(text.used, room >= 16 ? 16 : 0);
        http_text_append(&text, "xy", 2);
        assert_int_equal(http_text_end(&text, &second),
                         text.room >= (room >= 16 ? 19u : 3u) ? 0 : -ENOBUFS);
        if (first)
            assert_string_equal(first, "0123456789abc-7");
        if (second)
            assert_string_equal(second, "xy");
        for (size_t i = room; i < sizeof(block); i++)
            assert_int_equal(block[i], '#');
    }
}

static void numbers(void **state)
{
    static const struct {
        uint64_t number;
        const char *digits;
    } cases[] = {{0, "0"}, {9, "9"}, {10, "10"}, {UINT64_MAX, "18446744073709551615"}};
    struct http_text text;
    const char *out;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        http_text_init(&text, memory, sizeof(memory));
        http_text_number(&text, cases[i].number);
        assert_int_equal(http_text_end(&text, &out), 0);
        assert_string_equal(out, cases[i].digits);
    }
    http_text_init(&text, memory, 2);
    http_text_number(&text, 10); /* no room for the NUL */
    assert_int_equal(http_text_end(&text, &out), -ENOBUFS);
}

/* RFC 9110 section 5.6.2 */
static void names_are_tokens(void **state)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                  "!#$%&'*+-.^_`|~";

    (void)state;
    for (int letter = 1; letter < 256; letter++) {
        struct http_request request = {.method = "GET"};
        const char name[] = {'x', (char)letter, '\0'};
        assert_int_equal(http_request_header(&request, name, "v"),
                         strchr(letters, letter) ? 0 : -EINVAL);
    }
}

static void headers(void **state)
{
    struct http_request request = {.method = "GET"};

    (void)state;
    assert_int_equal(http_request_header(&request, "Range", "bytes=0-1"), 0);
    assert_string_equal(http_request_find(&request, "rANGE"), "bytes=0-1");
    assert_null(http_request_find(&request, "Rang"));
    assert_int_equal(http_request_header(&request, "X", "a\r\nHost: b"), -EINVAL);
    assert_int_equal(http_request_header(&request, "X", "a\nb"), -EINVAL);
    assert_int_equal(http_request_header(&request, "X", "a\x7f"), -EINVAL);
    assert_int_equal(http_request_header(&request, "X:Y", "a"), -EINVAL);
    assert_int_equal(http_request_header(&request, "", "a"), -EINVAL);
    assert_int_equal(request.header_count, 1);
    while (request.header_count < HTTP_HEADERS_MAX)
        assert_int_equal(http_request_header(&request, "X", "\xc3\xa9\t"), 0);
    assert_int_equal(http_request_header(&request, "X", ""), -ENOBUFS);
}

static void clean_text(void **state)
{
    (void)state;
    assert_true(http_text_is_clean(""));
    assert_true(http_text_is_clean("a b\xc3\xa9"));
    assert_false(http_text_is_clean("a\rb"));
    assert_false(http_text_is_clean("a\n"));
    assert_false(http_text_is_clean("\t"));
    assert_false(http_text_is_clean("\x7f"));
}

static void credentials_are_copied(void **state)
{
    char secret[] = "secret";
    struct http_credential from = {.kind = HTTP_CREDENTIAL_AWS,
                                   .id = secret,
                                   .secret = secret,
                                   .expires_unix_s = 9,
                                   .source = "test"};
    struct http_credential copy = {0};

    (void)state;
    assert_int_equal(http_credential_set(&copy, &from), 0);
    assert_int_equal(http_credential_set(&copy, &from), 0); /* the first copy is freed */
    secret[0] = 'S';
    assert_string_equal(copy.id, "secret");
    assert_string_equal(copy.secret, "secret");
    assert_null(copy.token);
    assert_int_equal(copy.expires_unix_s, 9);
    assert_string_equal(copy.source, "test");
    http_credential_wipe(&copy);
    assert_int_equal(copy.kind, HTTP_CREDENTIAL_NONE);
    assert_null(copy.secret);
    http_credential_wipe(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_comes_back),
        cmocka_unit_test(keys_are_encoded),
        cmocka_unit_test(bad_escapes),
        cmocka_unit_test(queries),
        cmocka_unit_test(text_never_overflows),
        cmocka_unit_test(numbers),
        cmocka_unit_test(names_are_tokens),
        cmocka_unit_test(headers),
        cmocka_unit_test(clean_text),
        cmocka_unit_test(credentials_are_copied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
