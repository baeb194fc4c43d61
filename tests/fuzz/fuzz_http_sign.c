/* SPDX-License-Identifier: MIT */
/*
 * Signing: the input is lines: flags, path, query, headers as "name: value". A request that can be
 * signed is signed the same by a fresh signer and by one that has signed others; what the signers
 * add are headers that may be sent; too little room is a status.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "driver/http/sign/hash.h"
#include "driver/http/sign/sharedkey.h"
#include "driver/http/sign/sigv4.h"

#define TEXT_BYTES (256u * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_credential aws = {.kind = HTTP_CREDENTIAL_AWS,
                                           .id = (char *)(uintptr_t) "id",
                                           .secret = (char *)(uintptr_t) "secret",
                                           .token = (char *)(uintptr_t) "token"};
static const struct http_credential azure = {.kind = HTTP_CREDENTIAL_AZURE_KEY,
                                             .id = (char *)(uintptr_t) "account",
                                             .secret = (char *)(uintptr_t) "c2VjcmV0"};

static void check_headers(const struct http_request *request, uint32_t first)
{
    for (uint32_t i = first; i < request->header_count; i++)
        assert(!strpbrk(request->headers[i].value, "\r\n"));
}

static int sign(struct sigv4 *signer, uint32_t flags, struct http_request *request,
                struct http_text *text, struct sigv4_trace *trace)
{
    const struct sigv4_input input = {.credential = &aws,
                                      .region = "us-east-1",
                                      .service = "s3",
                                      .unix_s = 1700000000,
                                      .expires_s = 60,
                                      .flags = flags & 7};
    uint32_t before = request->header_count;
    int status = flags & 8 ? sigv4_sign_query(signer, &input, request, text, trace)
                           : sigv4_sign_header(signer, &input, request, text, trace);

    assert(status == 0 || status == -EINVAL || status == -ENOBUFS);
    assert(text->used <= text->room);
    if (status == 0 && trace) {
        assert(strlen(trace->signature) == 64);
        check_headers(request, before);
    }
    return status;
}

static void check_request(const struct http_request *request, uint32_t flags)
{
    static struct sigv4 *kept;
    static struct hash *hash;
    static char memory[2][TEXT_BYTES];
    struct http_request copies[4] = {*request, *request, *request, *request};
    struct sigv4_trace traces[2];
    struct http_text text;
    struct sigv4 *fresh;
    int status;

    if (!kept)
        assert(sigv4_create(&kept) == 0 && hash_create(&hash) == 0);
    assert(sigv4_create(&fresh) == 0);
    http_text_init(&text, memory[0], TEXT_BYTES);
    status = sign(kept, flags, &copies[0], &text, &traces[0]);
    http_text_init(&text, memory[1], TEXT_BYTES);
    assert(sign(fresh, flags, &copies[1], &text, &traces[1]) == status);
    if (status == 0)
        assert(strcmp(traces[0].signature, traces[1].signature) == 0);
    sigv4_destroy(fresh);
    http_text_init(&text, memory[1], flags * 8u);
    sign(kept, flags, &copies[2], &text, NULL);
    http_text_init(&text, memory[1], TEXT_BYTES);
    status = sharedkey_sign(hash, &azure, 1700000000, &copies[3], &text, NULL);
    assert(status == 0 || status == -EINVAL || status == -ENOBUFS);
    check_headers(&copies[3], request->header_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 2);
    struct http_request request = {.method = "GET", .scheme = "https", .host = "host"};
    uint32_t flags = size > 0 ? data[0] : 0;
    int line = 0;

    if (size > 16384) {
        free(text);
        return 0;
    }
    memcpy(text, data, size);
    text[size] = text[size + 1] = '\0';
    for (char *at = text, *next; at; at = next, line++) {
        char *end = strchr(at, '\n');
        char *colon = strchr(at, ':');
        next = end ? end + 1 : NULL;
        if (end)
            *end = '\0';
        if (line == 1)
            request.path = at;
        else if (line == 2)
            request.query = at;
        else if (line > 2 && colon && colon < at + strlen(at)) {
            *colon = '\0';
            (void)http_request_header(&request, at, colon + 1);
        }
    }
    if (request.path && request.path[0] == '/')
        check_request(&request, flags);
    free(text);
    return 0;
}
