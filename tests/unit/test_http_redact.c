/* SPDX-License-Identifier: MIT */
/*
 * redact.h: no form in which a secret appears in URLs, headers, bodies or messages gets through,
 * encoded or not; ordinary text is left as it is; output never passes its room.
 *
 * LSIO_ROWS: H19
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "driver/http/redact.h"

struct redact_case {
    const char *text;
    const char *want;
};

static void check(const struct redact_case *cases, size_t count,
                  const struct http_credential *known)
{
    for (size_t i = 0; i < count; i++) {
        char out[512];
        http_redact(out, sizeof(out), cases[i].text, known);
        assert_string_equal(out, cases[i].want);
        assert_null(strstr(out, "CANARY"));
    }
}

#define CHECK(cases, known) check(cases, sizeof(cases) / sizeof((cases)[0]), known)

static void urls(void **state)
{
    static const struct redact_case cases[] = {
        {"https://"
         "user:CANARY@host/path",
         "https://"
         "***@host/path"},
        {"http://"
         "CANARY:a@b@host:80",
         "http://"
         "***@host:80"},
        {"https%3A%2F%2FCANARY%40host%2F", "https%3A%2F%2F***%40host%2F"},
        {"http://"
         "user:CANARY%2FCANARY%3F%40@host/a@b",
         "http://"
         "***@host/a@b"},
        {"https%3A%2F%2Fuser%3ACANARY%252FCANARY%40host%2Fa@b", "https%3A%2F%2F***%40host%2Fa@b"},
        {"https://"
         "host/a@b?x=c@d",
         "https://"
         "host/a@b?x=c@d"},
        {"GET /k?X-Amz-Signature=CANARY&X-Amz-Date=1", "GET /k?X-Amz-Signature=***&X-Amz-Date=1"},
        {"?x-amz-credential=CANARY%2F2024&a=b", "?x-amz-credential=***&a=b"},
        {"a?X-Amz-Security-Token=CANARY%2Fx%3D%3D", "a?X-Amz-Security-Token=***"},
        {"u=a%3FX-Amz-Signature%3DCANARY%26b%3Dc", "u=a%3FX-Amz-Signature%3D***%26b%3Dc"},
        {"u=a%253Fsig%253DCANARY%2526b%253Dc", "u=a%253Fsig%253D***%2526b%253Dc"},
        {"/c/k?sv=2022&se=2030&sig=CANARY%2B%3D", "/c/k?sv=***&se=***&sig=***"},
        {"?access_token=CANARY#x", "?access_token=***"},
        {"?prefix=sig/&st=5&key=abc", "?prefix=sig/&st=***&key=abc"},
        {"?continuation-token=abc&max-keys=2", "?continuation-token=abc&max-keys=2"},
    };

    (void)state;
    CHECK(cases, NULL);
}

static void headers_and_bodies(void **state)
{
    static const struct redact_case cases[] = {
        {"Authorization: AWS4-HMAC-SHA256 Credential=CANARY, Signature=CANARY\r\nHost: h",
         "Authorization: ***\r\nHost: h"},
        {"proxy-authorization:Basic CANARY", "proxy-authorization:***"},
        {"X-Amz-Security-Token: CANARY CANARY", "X-Amz-Security-Token: ***"},
        {"x-aws-ec2-metadata-token: CANARY", "x-aws-ec2-metadata-token: ***"},
        {"X-IDENTITY-HEADER: CANARY", "X-IDENTITY-HEADER: ***"},
        {"sent Bearer CANARYCANARY to", "sent Bearer *** to"},
        {"SharedKey account:CANARYCANARY=", "SharedKey ***"},
        {"{\"access_token\": \"CANARY\", \"a\":\"b\"}", "{\"access_token\": \"***\", \"a\":\"b\"}"},
        {"{\"private_key\":\"-----BEGIN\\nCANARY\\\"CANARY\"}", "{\"private_key\":\"***\"}"},
        {"{\\\"SecretAccessKey\\\": \\\"CANARY\\\"}", "{\\\"SecretAccessKey\\\": \\\"***\"}"},
        {"{'client_secret': 'CANARY'}", "{'client_secret': '***'}"},
        {"<SessionToken>CANARY</SessionToken>", "<SessionToken>***</SessionToken>"},
        {"<StringToSign>CANARY\nCANARY</StringToSign>", "<StringToSign>***</StringToSign>"},
        {"<Code>SignatureDoesNotMatch</Code>", "<Code>SignatureDoesNotMatch</Code>"},
        {"AccountName=a;AccountKey=CANARY==;B=c", "AccountName=a;AccountKey=***;B=c"},
        {"aws_secret_access_key = CANARY\nregion = x", "aws_secret_access_key = ***\nregion = x"},
        {"client_id=a&client_secret=CANARY&x=1", "client_id=a&client_secret=***&x=1"},
        {"password=\"CANARY CANARY\" b", "password=\"***\" b"},
    };

    (void)state;
    CHECK(cases, NULL);
}

static void sentences_stay(void **state)
{
    static const struct redact_case cases[] = {
        {"", ""},
        {"web identity token: the file is missing", "web identity token: the file is missing"},
        {"no secret was found; the token is old", "no secret was found; the token is old"},
        {"signature refused (403)", "signature refused (403)"},
        {"100% = all, 5%2", "100% = all, 5%2"},
        {"password=", "password="},
    };

    (void)state;
    CHECK(cases, NULL);
}

static void known_secrets(void **state)
{
    static const struct http_credential known = {.secret = (char *)(uintptr_t) "CANARY/+%2Fsecret=",
                                                 .token = (char *)(uintptr_t) "CANARY-token"};
    static const struct http_credential brief = {.secret = (char *)(uintptr_t) "abc"};
    static const struct redact_case cases[] = {
        {"it said CANARY/+%2Fsecret=!", "it said ***!"},
        {"xCANARY%2F%2B%252Fsecret%3Dx", "x***x"},
        {"CANARY%2D%74oken", "***"},
    };
    char out[32];

    (void)state;
    CHECK(cases, &known);
    http_redact(out, sizeof(out), "abcabc", &brief);
    assert_string_equal(out, "abcabc");
}

static void room(void **state)
{
    static const char text[] = "http://"
                               "user:pw@host/?sig=CANARY%3D&a=%41";
    char whole[128];

    (void)state;
    http_redact(whole, sizeof(whole), text, NULL);
    for (size_t bytes = 1; bytes < sizeof(whole); bytes++) {
        char out[sizeof(whole) + 1];
        memset(out, '#', sizeof(out));
        http_redact(out, bytes, text, NULL);
        assert_int_equal(strlen(out), bytes - 1 < strlen(whole) ? bytes - 1 : strlen(whole));
        assert_memory_equal(out, whole, strlen(out));
        assert_int_equal(out[bytes], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls),           cmocka_unit_test(headers_and_bodies),
        cmocka_unit_test(sentences_stay), cmocka_unit_test(known_secrets),
        cmocka_unit_test(room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
