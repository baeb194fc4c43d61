/* SPDX-License-Identifier: MIT */
/*
 * sigv4.h: AWS's 38 vectors, by header and by query; the examples of the S3 documentation; what S3
 * does differently; the kept signing key; what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "driver/http/sign/sigv4.h"

struct expected {
    const char *canonical_request;
    const char *string_to_sign;
    const char *signature;
};

struct vector {
    const char *name;
    const char *request;
    const char *token;
    bool normalize;
    bool sign_body;
    bool token_unsigned; /* the token is added after signing: signed as if there were none */
    struct expected header, query;
};

static const struct vector vectors[] = {
#include "sigv4_vectors.inc"
};

static char memory[64 * 1024];

static struct sigv4 *signer_make(void **state)
{
    struct sigv4 *signer;

    (void)state;
    assert_int_equal(sigv4_create(&signer), 0);
    return signer;
}

/* ---------------------------------------------------------------------------------- vectors -- */

/* Cuts `text`, a request as the suite writes it, into its parts. */
static void parse_request(char *text, struct http_request *request)
{
    char *line_end = strchr(text, '\n');
    char *target_end;

    memset(request, 0, sizeof(*request));
    *line_end = '\0';
    request->method = text;
    request->path = strchr(text, ' ') + 1;
    *strchr(text, ' ') = '\0';
    target_end = strstr(request->path, " HTTP/1.1");
    assert_non_null(target_end);
    *target_end = '\0';
    if (strchr(request->path, '?')) {
        request->query = strchr(request->path, '?') + 1;
        *strchr(request->path, '?') = '\0';
    }
    for (char *line = line_end + 1; *line && *line != '\n'; line = line_end + 1) {
        char *colon = strchr(line, ':');
        line_end = strchr(line, '\n');
        while (line_end[1] == ' ') /* a folded header goes on */
            line_end = strchr(line_end + 1, '\n');
        *colon = *line_end = '\0';
        if (strcmp(line, "Host") == 0) {
            request->host = colon + 1;
        } else {
            request->headers[request->header_count].name = line;
            request->headers[request->header_count++].value = colon + 1;
        }
    }
    if (line_end[1] == '\n') {
        request->body = line_end + 2;
        request->body_bytes = strlen(line_end + 2);
    }
}

static void vector_run(struct sigv4 *signer, const struct vector *vector, bool by_query)
{
    struct http_credential credential = {
        .kind = HTTP_CREDENTIAL_AWS,
        .id = (char *)(uintptr_t) "AKIDEXAMPLE",
        .secret = (char *)(uintptr_t) "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        .token = vector->token_unsigned ? NULL : (char *)(uintptr_t)vector->token};
    struct sigv4_input input = {.credential = &credential,
                                .region = "us-east-1",
                                .service = "service",
                                .unix_s = 1440938160,
                                .expires_s = 3600,
                                .flags = SIGV4_ENCODE_PATH};
    const struct expected *want = by_query ? &vector->query : &vector->header;
    struct http_request request;
    struct sigv4_trace trace;
    struct http_text text;
    char copy[2048];
    int status;

    input.flags |= vector->normalize ? SIGV4_NORMALIZE : 0;
    input.flags |= vector->sign_body ? SIGV4_CONTENT_SHA256 : 0;
    snprintf(copy, sizeof(copy), "%s", vector->request);
    parse_request(copy, &request);
    http_text_init(&text, memory, sizeof(memory));
    status = by_query ? sigv4_sign_query(signer, &input, &request, &text, &trace)
                      : sigv4_sign_header(signer, &input, &request, &text, &trace);
    if (status != 0 || strcmp(trace.signature, want->signature) != 0)
        print_error("case %s\n", vector->name);
    assert_int_equal(status, 0);
    assert_string_equal(trace.canonical_request, want->canonical_request);
    assert_string_equal(trace.string_to_sign, want->string_to_sign);
    assert_string_equal(trace.signature, want->signature);
    if (by_query)
        assert_non_null(strstr(request.query, want->signature));
    else
        assert_non_null(strstr(http_request_find(&request, "authorization"), want->signature));
}

static void aws_vectors(void **state)
{
    struct sigv4 *signer = signer_make(state);

    assert_int_equal(sizeof(vectors) / sizeof(vectors[0]), 38);
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        vector_run(signer, &vectors[i], false);
        vector_run(signer, &vectors[i], true);
    }
    sigv4_destroy(signer);
}

/* --------------------------------------------------------------------------------------- S3 -- */

static const struct http_credential documented = {
    .kind = HTTP_CREDENTIAL_AWS,
    .id = (char *)(uintptr_t) "AKIAIOSFODNN7EXAMPLE",
    .secret = (char *)(uintptr_t) "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};

static struct sigv4_input s3_input(void)
{
    return (struct sigv4_input){.credential = &documented,
                                .region = "us-east-1",
                                .service = "s3",
                                .unix_s = 1369353600, /* 2013-05-24 */
                                .flags = SIGV4_FOR_S3};
}

static struct http_request s3_request(const char *path, const char *query)
{
    return (struct http_request){.method = "GET",
                                 .scheme = "https",
                                 .host = "examplebucket.s3.amazonaws.com",
                                 .path = path,
                                 .query = query};
}

static const char *sign_s3(struct sigv4 *signer, struct http_request *request,
                           const struct sigv4_input *input)
{
    static struct sigv4_trace trace;
    struct http_text text;

    http_text_init(&text, memory, sizeof(memory));
    assert_int_equal(sigv4_sign_header(signer, input, request, &text, &trace), 0);
    return trace.signature;
}

/* S3 API reference, "Signature Calculations for the Authorization Header: Examples", and "Using
 * Query Parameters: An Example". */
static void s3_documentation(void **state)
{
    struct sigv4 *signer = signer_make(state);
    struct sigv4_input input = s3_input();
    struct http_request request = s3_request("/", "lifecycle");
    struct sigv4_trace trace;
    struct http_text text;

    assert_string_equal(sign_s3(signer, &request, &input),
                        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    request = s3_request("/", "max-keys=2&prefix=J");
    assert_string_equal(sign_s3(signer, &request, &input),
                        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
    assert_string_equal(http_request_find(&request, "X-Amz-Content-SHA256"),
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_string_equal(http_request_find(&request, "X-Amz-Date"), "20130524T000000Z");
    request = s3_request("/test.txt", NULL);
    input.payload_hash = SIGV4_UNSIGNED_PAYLOAD;
    input.expires_s = 86400;
    http_text_init(&text, memory, sizeof(memory));
    assert_int_equal(sigv4_sign_query(signer, &input, &request, &text, &trace), 0);
    assert_string_equal(trace.signature,
                        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    assert_int_equal(request.header_count, 0);
    sigv4_destroy(signer);
}

/* One signed head serves every range and precondition of an object. */
static void range_is_not_signed(void **state)
{
    struct sigv4 *signer = signer_make(state);
    struct sigv4_input input = s3_input();
    struct http_request request = s3_request("/key", NULL);
    char before[65];

    snprintf(before, sizeof(before), "%s", sign_s3(signer, &request, &input));
    request = s3_request("/key", NULL);
    assert_int_equal(http_request_header(&request, "Range", "bytes=0-99"), 0);
    assert_int_equal(http_request_header(&request, "If-Match", "\"abc\""), 0);
    assert_int_equal(http_request_header(&request, "Accept-Encoding", "identity"), 0);
    assert_string_equal(sign_s3(signer, &request, &input), before);
    request = s3_request("/key", NULL);
    assert_int_equal(http_request_header(&request, "x-amz-request-payer", "requester"), 0);
    assert_string_not_equal(sign_s3(signer, &request, &input), before);
    sigv4_destroy(signer);
}

/* The path of an S3 request is signed as sent: neither normalised nor encoded once more. */
static void s3_path_is_literal(void **state)
{
    struct sigv4 *signer = signer_make(state);
    struct sigv4_input input = s3_input();
    struct http_request request = s3_request("/a//b/../%2B%C3%A9/./x", "b=%2f&a");
    struct sigv4_trace trace;
    struct http_text text;

    http_text_init(&text, memory, sizeof(memory));
    assert_int_equal(sigv4_sign_header(signer, &input, &request, &text, &trace), 0);
    assert_non_null(strstr(trace.canonical_request, "GET\n/a//b/../%2B%C3%A9/./x\na=&b=%2F\n"));
    sigv4_destroy(signer);
}

static void token_is_signed(void **state)
{
    struct sigv4 *signer = signer_make(state);
    struct http_credential credential = documented;
    struct sigv4_input input = s3_input();
    struct http_request request = s3_request("/key", NULL);

    credential.token = (char *)(uintptr_t) "session-token";
    input.credential = &credential;
    sign_s3(signer, &request, &input);
    assert_string_equal(http_request_find(&request, "x-amz-security-token"), "session-token");
    assert_non_null(strstr(http_request_find(&request, "authorization"), "x-amz-security-token"));
    request = s3_request("/key", NULL);
    input.token_header = "x-amz-s3session-token";
    sign_s3(signer, &request, &input);
    assert_null(http_request_find(&request, "x-amz-security-token"));
    assert_string_equal(http_request_find(&request, "x-amz-s3session-token"), "session-token");
    sigv4_destroy(signer);
}

/* ------------------------------------------------------------------------------------- state -- */

/* The kept key must follow the secret, the region, the service and the day. */
static void kept_key_follows(void **state)
{
    static const char *const regions[] = {"us-east-1", "eu-west-1"};
    static const char *const services[] = {"s3", "s3express"};
    struct sigv4 *kept = signer_make(state);

    for (unsigned i = 0; i < 32; i++) {
        struct sigv4 *fresh = signer_make(state);
        struct http_credential credential = documented;
        struct sigv4_input input = s3_input();
        struct http_request first = s3_request("/key", NULL), second = first;
        char before[65];
        input.region = regions[i & 1];
        input.service = services[i >> 1 & 1];
        input.unix_s += (i >> 2 & 1) * 86400;
        credential.secret = (char *)(uintptr_t)(i & 8 ? "another secret" : documented.secret);
        input.credential = &credential;
        snprintf(before, sizeof(before), "%s", sign_s3(kept, &first, &input));
        assert_string_equal(sign_s3(fresh, &second, &input), before);
        sigv4_destroy(fresh);
    }
    sigv4_destroy(kept);
}

/* Only what the request needs stays in the text. */
static void scratch_is_given_back(void **state)
{
    struct sigv4 *signer = signer_make(state);
    struct sigv4_input input = s3_input();
    struct http_request request = s3_request("/key", NULL);
    struct http_text text;

    http_text_init(&text, memory, sizeof(memory));
    assert_int_equal(sigv4_sign_header(signer, &input, &request, &text, NULL), 0);
    assert_true(text.used < 512);
    assert_null(strstr(http_request_find(&request, "authorization"), documented.secret));
    for (size_t room = 0; room < 1200; room += 7) { /* too little room is a status */
        int status;
        request = s3_request("/key", NULL);
        http_text_init(&text, memory, room);
        status = sigv4_sign_header(signer, &input, &request, &text, NULL);
        assert_true(status == 0 || status == -ENOBUFS);
        assert_true(text.used <= room);
    }
    sigv4_destroy(signer);
}

static void what_cannot_be_signed(void **state)
{
    struct sigv4 *signer = signer_make(state);
    struct http_credential credential = documented;
    struct sigv4_input input = s3_input();
    struct http_request request = s3_request("/", NULL);
    struct http_text text;
    char query[3 * 65 + 1] = "";

    http_text_init(&text, memory, sizeof(memory));
    credential.kind = HTTP_CREDENTIAL_BEARER;
    input.credential = &credential;
    assert_int_equal(sigv4_sign_header(signer, &input, &request, &text, NULL), -EINVAL);
    input = s3_input();
    input.region = "a-region-with-a-name-of-more-than-sixty-four-characters-cannot-be-one";
    assert_int_equal(sigv4_sign_header(signer, &input, &request, &text, NULL), -EINVAL);
    input = s3_input();
    assert_int_equal(sigv4_sign_query(signer, &input, &request, &text, NULL), -EINVAL);
    input.expires_s = 604801;
    assert_int_equal(sigv4_sign_query(signer, &input, &request, &text, NULL), -EINVAL);
    request = s3_request("/", "a=%zz");
    assert_int_equal(sigv4_sign_header(signer, &input, &request, &text, NULL), -EINVAL);
    for (int i = 0; i < 65; i++)
        strcat(query, "a=&");
    request = s3_request("/", query);
    assert_int_equal(sigv4_sign_header(signer, &input, &request, &text, NULL), -ENOBUFS);
    sigv4_destroy(signer);
    sigv4_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aws_vectors),           cmocka_unit_test(s3_documentation),
        cmocka_unit_test(range_is_not_signed),   cmocka_unit_test(s3_path_is_literal),
        cmocka_unit_test(token_is_signed),       cmocka_unit_test(kept_key_follows),
        cmocka_unit_test(scratch_is_given_back), cmocka_unit_test(what_cannot_be_signed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
