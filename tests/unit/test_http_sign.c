/* SPDX-License-Identifier: MIT */
/*
 * hash.h, sharedkey.h, jwt.h: published digests; the strings that Azure's documentation gives;
 * tokens that OpenSSL verifies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#include "driver/http/sign/hash.h"
#include "driver/http/sign/jwt.h"
#include "driver/http/sign/sharedkey.h"

static char memory[16 * 1024];

static struct http_text text_make(void)
{
    struct http_text text;

    http_text_init(&text, memory, sizeof(memory));
    return text;
}

/* ------------------------------------------------------------------------------------- hash -- */

static void digests(void **state)
{
    uint8_t digest[HASH_BYTES];
    char hex[HASH_HEX_BYTES];
    struct hash *hash;

    (void)state;
    assert_int_equal(hash_create(&hash), 0);
    for (int round = 0; round < 2; round++) { /* a used context gives the same */
        assert_int_equal(hash_sha256(hash, "abc", 3, digest), 0); /* FIPS 180-2, B.1 */
        hash_hex(digest, hex);
        assert_string_equal(hex,
                            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_int_equal(hash_sha256(hash, NULL, 0, digest), 0);
        hash_hex(digest, hex);
        assert_string_equal(hex,
                            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        /* RFC 4231, case 2 */
        assert_int_equal(hash_hmac(hash, "Jefe", 4, "what do ya want for nothing?", 28, digest), 0);
        hash_hex(digest, hex);
        assert_string_equal(hex,
                            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
    hash_destroy(hash);
    hash_destroy(NULL);
}

static void base64(void **state)
{
    static const struct {
        const char *plain, *encoded, *url;
    } cases[] = {/* RFC 4648 section 10, and the two letters that differ */
                 {"", "", ""},
                 {"f", "Zg==", "Zg"},
                 {"fo", "Zm8=", "Zm8"},
                 {"foo", "Zm9v", "Zm9v"},
                 {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
                 {"\xfb\xff\xfe", "+//+", "-__-"}};
    static const char *const bad[] = {"Zg=", "Z===", "Zg==Zg==", "Zm9v!", "====", "Zm9v\n", "Z g="};
    uint8_t bytes[64];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t count = strlen(cases[i].plain);
        struct http_text text = text_make();
        const char *out;
        http_text_base64(&text, cases[i].plain, count, false);
        assert_int_equal(http_text_end(&text, &out), 0);
        assert_string_equal(out, cases[i].encoded);
        assert_int_equal(http_base64_decode(out, bytes, sizeof(bytes)), count);
        assert_memory_equal(bytes, cases[i].plain, count);
        if (count > 0)
            assert_int_equal(http_base64_decode(out, bytes, count - 1), -EINVAL);
        http_text_base64(&text, cases[i].plain, count, true);
        assert_int_equal(http_text_end(&text, &out), 0);
        assert_string_equal(out, cases[i].url);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(http_base64_decode(bad[i], bytes, sizeof(bytes)), -EINVAL);
}

/* -------------------------------------------------------------------------------- sharedkey -- */

/* The emulator's account and key, which Microsoft publishes; and the account of its examples. */
static const struct http_credential azure = {
    .kind = HTTP_CREDENTIAL_AZURE_KEY,
    .id = (char *)(uintptr_t) "myaccount",
    .secret = (char *)(uintptr_t) "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/"
                                  "K1SZFPTOtr/KBHBeksoGMGw=="};

#define JUNE_2015 1435361952u /* Fri, 26 Jun 2015 23:39:12 GMT */

static const char *sign_azure(const struct http_credential *credential,
                              struct http_request *request, struct http_text *text)
{
    const char *string = NULL;
    struct hash *hash;

    assert_int_equal(hash_create(&hash), 0);
    assert_int_equal(sharedkey_sign(hash, credential, JUNE_2015, request, text, &string), 0);
    hash_destroy(hash);
    return string;
}

/* "Authorize with Shared Key": Get Container Metadata. The signature was computed by another
 * program. */
static void azure_documentation(void **state)
{
    struct http_request request = {.method = "GET",
                                   .host = "myaccount.blob.core.windows.net",
                                   .path = "/mycontainer",
                                   .query = "comp=metadata&restype=container&timeout=20"};
    struct http_text text = text_make();

    (void)state;
    assert_int_equal(http_request_header(&request, "x-ms-version", "2015-02-21"), 0);
    assert_string_equal(sign_azure(&azure, &request, &text),
                        "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\n"
                        "x-ms-version:2015-02-21\n/myaccount/mycontainer\n"
                        "comp:metadata\nrestype:container\ntimeout:20");
    assert_string_equal(http_request_find(&request, "Authorization"),
                        "SharedKey myaccount:1u9lui2jDxj0+fpbHjQ5m5NnastJRSYM+PSmfi8TXx4=");
    assert_string_equal(http_request_find(&request, "x-ms-date"), "Fri, 26 Jun 2015 23:39:12 GMT");
}

/* Unlike S3, a range and a precondition are signed; repeated parameters are joined. */
static void azure_signs_ranges(void **state)
{
    struct http_request request = {
        .method = "GET", .host = "h", .path = "/c/a%20b", .query = "B=x&a=2&a=1%2C&Comp=list&d"};
    struct http_text text = text_make();

    (void)state;
    assert_int_equal(http_request_header(&request, "Range", "bytes=0-9"), 0);
    assert_int_equal(http_request_header(&request, "If-Match", "\"0x1\""), 0);
    assert_int_equal(http_request_header(&request, "X-Ms-Version", " 2023-11-03 "), 0);
    assert_string_equal(sign_azure(&azure, &request, &text),
                        "GET\n\n\n\n\n\n\n\n\"0x1\"\n\n\nbytes=0-9\n"
                        "x-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2023-11-03\n"
                        "/myaccount/c/a%20b\na:1,,2\nb:x\ncomp:list\nd:");
}

static void azure_body_and_emulator(void **state)
{
    struct http_credential credential = azure;
    struct http_request request = {.method = "PUT",
                                   .host = "127.0.0.1:10000",
                                   .path = "/devstoreaccount1/c/key",
                                   .body = "0123456789",
                                   .body_bytes = 10};
    struct http_text text = text_make();

    (void)state;
    credential.id = (char *)(uintptr_t) "devstoreaccount1";
    assert_string_equal(sign_azure(&credential, &request, &text),
                        "PUT\n\n\n10\n\n\n\n\n\n\n\n\n"
                        "x-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\n"
                        "/devstoreaccount1/devstoreaccount1/c/key");
}

static void azure_refuses(void **state)
{
    struct http_credential credential = azure;
    struct http_request request = {.method = "GET", .host = "h", .path = "/"};
    struct http_text text = text_make();
    struct hash *hash;

    (void)state;
    assert_int_equal(hash_create(&hash), 0);
    credential.secret = (char *)(uintptr_t) "not base64!";
    assert_int_equal(sharedkey_sign(hash, &credential, 0, &request, &text, NULL), -EINVAL);
    request.header_count = 0;
    credential = azure;
    credential.kind = HTTP_CREDENTIAL_AWS;
    assert_int_equal(sharedkey_sign(hash, &credential, 0, &request, &text, NULL), -EINVAL);
    request.header_count = 0;
    http_text_init(&text, memory, 100);
    assert_int_equal(sharedkey_sign(hash, &azure, 0, &request, &text, NULL), -ENOBUFS);
    request.header_count = 0;
    text = text_make();
    assert_int_equal(sharedkey_sign(hash, &azure, 0, &request, &text, NULL), 0);
    assert_true(text.used < 120); /* the string to sign was given back */
    hash_destroy(hash);
}

/* -------------------------------------------------------------------------------------- jwt -- */

static const struct jwt_claims claims = {
    .key_id = "k1",
    .issuer = "reader@project.example.com",
    .subject = "user",
    .scope = "read \"only\"\\\n",
    .audience = "https://"
                "token.example.com/",
    .issued_unix_s = 1700000000,
    .life_s = 3600,
};

/* A key as PEM text, NUL-terminated, in `pem`. */
static EVP_PKEY *key_make(const char *type, char *pem, size_t room)
{
    EVP_PKEY *key = strcmp(type, "RSA") == 0 ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    BIO *bio = BIO_new(BIO_s_mem());
    int length;

    assert_non_null(key);
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    length = BIO_read(bio, pem, (int)room - 1);
    assert_true(length > 0);
    pem[length] = '\0';
    BIO_free(bio);
    return key;
}

/* Decodes a part of a token that has no padding; returns its length. */
static size_t part_decode(const char *part, size_t count, uint8_t *out, size_t room)
{
    char copy[2048];
    int64_t length;

    assert_true(count + 4 < sizeof(copy));
    for (size_t i = 0; i < count; i++)
        copy[i] = (char)(part[i] == '-' ? '+' : part[i] == '_' ? '/' : part[i]);
    for (; count % 4; count++)
        copy[count] = '=';
    copy[count] = '\0';
    length = http_base64_decode(copy, out, room - 1);
    assert_true(length > 0);
    out[length] = '\0';
    return (size_t)length;
}

static void jwt_verifies(void **state)
{
    char pem[4096];
    EVP_PKEY *key = key_make("RSA", pem, sizeof(pem));
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    struct http_text text = text_make();
    const char *token, *first, *second;
    uint8_t bytes[2048];
    size_t length;

    (void)state;
    assert_int_equal(jwt_sign_rs256(&claims, pem, &text, &token), 0);
    first = strchr(token, '.');
    second = strchr(first + 1, '.');
    part_decode(token, (size_t)(first - token), bytes, sizeof(bytes));
    assert_string_equal((const char *)bytes, "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"k1\"}");
    part_decode(first + 1, (size_t)(second - first - 1), bytes, sizeof(bytes));
    assert_string_equal((const char *)bytes, "{\"iss\":\"reader@project.example.com\","
                               "\"sub\":\"user\","
                               "\"scope\":\"read \\\"only\\\"\\\\\\u000a\","
                               "\"aud\":\"https://"
                               "token.example.com/\","
                               "\"iat\":1700000000,\"exp\":1700003600}");
    length = part_decode(second + 1, strlen(second + 1), bytes, sizeof(bytes));
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestVerify(context, bytes, length, (const unsigned char *)token,
                                      (size_t)(second - token)),
                     1);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
}

static void jwt_refuses(void **state)
{
    char pem[4096];
    struct http_text text = text_make();
    const char *token = NULL;

    (void)state;
    assert_int_equal(jwt_sign_rs256(&claims, "no key", &text, &token), -EINVAL);
    EVP_PKEY_free(key_make("EC", pem, sizeof(pem)));
    assert_int_equal(jwt_sign_rs256(&claims, pem, &text, &token), -EINVAL);
    EVP_PKEY_free(key_make("RSA", pem, sizeof(pem)));
    for (size_t room = 0; room < 500; room += 99) {
        http_text_init(&text, memory, room);
        assert_int_equal(jwt_sign_rs256(&claims, pem, &text, &token), -ENOBUFS);
        assert_int_equal(text.used, 0);
    }
    assert_null(token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests),
        cmocka_unit_test(base64),
        cmocka_unit_test(azure_documentation),
        cmocka_unit_test(azure_signs_ranges),
        cmocka_unit_test(azure_body_and_emulator),
        cmocka_unit_test(azure_refuses),
        cmocka_unit_test(jwt_verifies),
        cmocka_unit_test(jwt_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
