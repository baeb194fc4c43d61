/* SPDX-License-Identifier: MIT */
/*
 * sigv4.c - see sigv4.h.
 *
 * The signing key depends on the secret, the day, the region and the service only; deriving it
 * costs four HMACs, so the last one is kept. The secret itself is not kept but by its digest.
 *
 * What the request needs afterwards (date, list of signed headers, Authorization) and what only
 * the calculation needs (canonical request, string to sign) share one text: the latter is given
 * back before the Authorization header is built.
 *
 * The owner's thread only.
 */
#define _GNU_SOURCE /* explicit_bzero */

#include "driver/http/sign/sigv4.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "driver/http/encode.h"
#include "driver/http/sign/canonical.h"
#include "driver/http/sign/hash.h"

#define ALGORITHM     "AWS4-HMAC-SHA256"
#define SECRET_MAX    256u
#define EXPIRES_MAX_S (7u * 24 * 3600)

struct sigv4_scope {
    char region[64];
    char service[32];
    char day[9]; /* YYYYMMDD */
};

struct sigv4 {
    struct hash *hash;
    struct sigv4_scope scope; /* that `key` belongs to */
    uint8_t secret_digest[HASH_BYTES];
    uint8_t key[HASH_BYTES];
    bool has_key;
};

int sigv4_create(struct sigv4 **out)
{
    struct sigv4 *signer = calloc(1, sizeof(*signer));

    if (!signer)
        return -ENOMEM;
    if (hash_create(&signer->hash) < 0) {
        sigv4_destroy(signer);
        return -ENOMEM;
    }
    *out = signer;
    return 0;
}

void sigv4_destroy(struct sigv4 *signer)
{
    if (!signer)
        return;
    hash_destroy(signer->hash);
    explicit_bzero(signer, sizeof(*signer));
    free(signer);
}

/* ------------------------------------------------------------------------------ signing key -- */

static int derive_key(struct hash *hash, const char *secret, const struct sigv4_scope *scope,
                      uint8_t key[HASH_BYTES])
{
    char first[4 + SECRET_MAX + 1];
    int length = snprintf(first, sizeof(first), "AWS4%s", secret);
    int status = -EINVAL;

    if ((size_t)length < sizeof(first))
        status = hash_hmac(hash, first, (size_t)length, scope->day, strlen(scope->day), key);
    if (status == 0)
        status = hash_hmac(hash, key, HASH_BYTES, scope->region, strlen(scope->region), key);
    if (status == 0)
        status = hash_hmac(hash, key, HASH_BYTES, scope->service, strlen(scope->service), key);
    if (status == 0)
        status = hash_hmac(hash, key, HASH_BYTES, "aws4_request", 12, key);
    explicit_bzero(first, sizeof(first));
    return status;
}

static int find_key(struct sigv4 *signer, const char *secret, const struct sigv4_scope *scope)
{
    uint8_t digest[HASH_BYTES];
    int status = hash_sha256(signer->hash, secret, strlen(secret), digest);

    if (status < 0)
        return status;
    if (signer->has_key && memcmp(digest, signer->secret_digest, HASH_BYTES) == 0 &&
        memcmp(scope, &signer->scope, sizeof(*scope)) == 0)
        return 0;
    status = derive_key(signer->hash, secret, scope, signer->key);
    signer->has_key = status == 0;
    signer->scope = *scope;
    memcpy(signer->secret_digest, digest, HASH_BYTES);
    return status;
}

/* ------------------------------------------------------------------------ canonical request -- */

/* Left out of the signature: what changes from part to part of one object, and what proxies and
 * transports add or rewrite. */
static bool is_signed(const char *name)
{
    static const char *const unsigned_names[] = {"accept",
                                                 "accept-encoding",
                                                 "authorization",
                                                 "connection",
                                                 "expect",
                                                 "if-match",
                                                 "if-none-match",
                                                 "if-modified-since",
                                                 "if-range",
                                                 "range",
                                                 "te",
                                                 "traceparent",
                                                 "transfer-encoding",
                                                 "user-agent",
                                                 "via",
                                                 "if-unmodified-since",
                                                 "x-amzn-trace-id",
                                                 NULL};

    for (const char *const *at = unsigned_names; *at; at++) {
        if (strcmp(*at, name) == 0)
            return false;
    }
    return true;
}

/* The path without `.`, `..` and empty segments (RFC 3986 section 5.2.4). */
static int normalize_path(const char *path, struct http_text *text, const char **out)
{
    const char *at = path;
    bool directory = true; /* the result ends in '/' */

    while (*at) {
        size_t length = strcspn(++at, "/");
        directory = true;
        if (length == 2 && at[0] == '.' && at[1] == '.') {
            while (http_text_length(text) > 0 && text->base[--text->used] != '/')
                continue;
        } else if (length > 0 && !(length == 1 && at[0] == '.')) {
            directory = false;
            http_text_puts(text, "/");
            http_text_append(text, at, length);
        }
        at += length;
    }
    if (directory)
        http_text_puts(text, "/");
    return http_text_end(text, out);
}

static int add_path(const struct http_request *request, uint32_t flags, struct http_text *text,
                    const char **out)
{
    const char *path = request->path;
    int status = 0;

    if (flags & SIGV4_NORMALIZE)
        status = normalize_path(path, text, &path);
    if (status == 0 && (flags & SIGV4_ENCODE_PATH)) {
        http_text_encode(text, path, strlen(path), HTTP_ENCODE_KEEP_SLASH);
        status = http_text_end(text, &path);
    }
    *out = path;
    return status;
}

static int canonical_request(const struct http_request *request, uint32_t flags,
                             const struct canonical_list *headers, const char *signed_names,
                             const char *payload_hash, struct http_text *text, const char **out)
{
    struct canonical_list query;
    const char *path = NULL;
    int status = add_path(request, flags, text, &path);

    if (status == 0)
        status = canonical_query(&query, request->query, CANONICAL_ENCODED, text);
    if (status < 0)
        return status;
    http_text_puts(text, request->method);
    http_text_puts(text, "\n");
    http_text_puts(text, path);
    http_text_puts(text, "\n");
    for (size_t i = 0; i < query.count; i++) {
        http_text_puts(text, i > 0 ? "&" : "");
        http_text_puts(text, query.pairs[i].name);
        http_text_puts(text, "=");
        http_text_puts(text, query.pairs[i].value);
    }
    http_text_puts(text, "\n");
    for (size_t i = 0; i < headers->count; i++) {
        http_text_puts(text, headers->pairs[i].name);
        http_text_puts(text, ":");
        http_text_puts(text, headers->pairs[i].value);
        http_text_puts(text, "\n");
    }
    http_text_puts(text, "\n");
    http_text_puts(text, signed_names);
    http_text_puts(text, "\n");
    http_text_puts(text, payload_hash);
    return http_text_end(text, out);
}

/* "host;x-amz-date" */
static int signed_names(const struct canonical_list *headers, struct http_text *text,
                        const char **out)
{
    for (size_t i = 0; i < headers->count; i++) {
        http_text_puts(text, i > 0 ? ";" : "");
        http_text_puts(text, headers->pairs[i].name);
    }
    return http_text_end(text, out);
}

/* --------------------------------------------------------------------------------- signing -- */

struct signing {
    struct sigv4_scope scope;
    char date[17]; /* YYYYMMDDTHHMMSSZ */
    char payload_hash[HASH_HEX_BYTES];
    char signature[HASH_HEX_BYTES];
};

static int signing_begin(struct sigv4 *signer, const struct sigv4_input *input,
                         const struct http_request *request, struct signing *signing)
{
    const struct http_credential *credential = input->credential;
    time_t seconds = (time_t)input->unix_s;
    uint8_t digest[HASH_BYTES];
    struct tm now;
    int status;

    memset(signing, 0, sizeof(*signing));
    if ((credential->kind != HTTP_CREDENTIAL_AWS && credential->kind != HTTP_CREDENTIAL_GS_HMAC) ||
        !credential->id || !credential->secret || request->path[0] != '/' ||
        strlen(input->region) >= sizeof(signing->scope.region) ||
        strlen(input->service) >= sizeof(signing->scope.service) || !gmtime_r(&seconds, &now) ||
        strftime(signing->date, sizeof(signing->date), "%Y%m%dT%H%M%SZ", &now) == 0)
        return -EINVAL;
    memcpy(signing->scope.day, signing->date, 8);
    strcpy(signing->scope.region, input->region);
    strcpy(signing->scope.service, input->service);
    status = hash_sha256(signer->hash, request->body, (size_t)request->body_bytes, digest);
    hash_hex(digest, signing->payload_hash);
    return status < 0 ? status : find_key(signer, credential->secret, &signing->scope);
}

static int signing_finish(struct sigv4 *signer, const struct sigv4_input *input,
                          const struct http_request *request, const struct canonical_list *headers,
                          const char *names, struct signing *signing, struct http_text *text,
                          struct sigv4_trace *trace)
{
    size_t used = text->used;
    const char *canonical, *to_sign;
    char hex[HASH_HEX_BYTES];
    uint8_t digest[HASH_BYTES];
    int status = canonical_request(
        request, input->flags, headers, names,
        input->payload_hash ? input->payload_hash : signing->payload_hash, text, &canonical);

    if (status == 0)
        status = hash_sha256(signer->hash, canonical, strlen(canonical), digest);
    if (status < 0)
        return status;
    hash_hex(digest, hex);
    http_text_printf(text, ALGORITHM "\n%s\n%s/%s/%s/aws4_request\n%s", signing->date,
                     signing->scope.day, signing->scope.region, signing->scope.service, hex);
    status = http_text_end(text, &to_sign);
    if (status == 0)
        status = hash_hmac(signer->hash, signer->key, HASH_BYTES, to_sign, strlen(to_sign), digest);
    if (status < 0)
        return status;
    hash_hex(digest, signing->signature);
    if (!trace) {
        http_text_rewind(text, used);
        return 0;
    }
    trace->canonical_request = canonical;
    trace->string_to_sign = to_sign;
    http_text_puts(text, signing->signature);
    return http_text_end(text, &trace->signature);
}

static int add_copy(struct http_request *request, const char *name, const char *value,
                    struct http_text *text)
{
    const char *copy;
    int status;

    http_text_puts(text, value);
    status = http_text_end(text, &copy);
    return status < 0 ? status : http_request_header(request, name, copy);
}

int sigv4_sign_header(struct sigv4 *signer, const struct sigv4_input *input,
                      struct http_request *request, struct http_text *text,
                      struct sigv4_trace *trace)
{
    const struct http_credential *credential = input->credential;
    struct canonical_list headers;
    struct signing signing;
    const char *names, *authorization;
    int status = signing_begin(signer, input, request, &signing);

    if (status == 0)
        status = add_copy(request, "x-amz-date", signing.date, text);
    if (status == 0 && credential->token)
        status =
            add_copy(request, input->token_header ? input->token_header : "x-amz-security-token",
                     credential->token, text);
    if (status == 0 && (input->flags & SIGV4_CONTENT_SHA256))
        status = add_copy(request, "x-amz-content-sha256",
                          input->payload_hash ? input->payload_hash : signing.payload_hash, text);
    if (status == 0)
        status = canonical_headers(&headers, request, is_signed, true, text);
    if (status == 0)
        status = signed_names(&headers, text, &names);
    if (status == 0)
        status = signing_finish(signer, input, request, &headers, names, &signing, text, trace);
    if (status < 0)
        return status;
    http_text_printf(text,
                     ALGORITHM " Credential=%s/%s/%s/%s/aws4_request, SignedHeaders=%s, "
                               "Signature=%s",
                     credential->id, signing.scope.day, signing.scope.region, signing.scope.service,
                     names, signing.signature);
    status = http_text_end(text, &authorization);
    return status < 0 ? status : http_request_header(request, "Authorization", authorization);
}

int sigv4_sign_query(struct sigv4 *signer, const struct sigv4_input *input,
                     struct http_request *request, struct http_text *text,
                     struct sigv4_trace *trace)
{
    const struct http_credential *credential = input->credential;
    struct canonical_list headers;
    struct signing signing;
    const char *names;
    int status = signing_begin(signer, input, request, &signing);

    if (status == 0 && (input->expires_s == 0 || input->expires_s > EXPIRES_MAX_S))
        status = -EINVAL;
    if (status == 0)
        status = canonical_headers(&headers, request, is_signed, true, text);
    if (status == 0)
        status = signed_names(&headers, text, &names);
    if (status < 0)
        return status;
    http_text_puts(text, request->query ? request->query : "");
    http_text_query(text, "X-Amz-Algorithm", ALGORITHM);
    http_text_query(text, "X-Amz-Credential", credential->id);
    http_text_printf(text, "%%2F%s%%2F%s%%2F%s%%2Faws4_request&X-Amz-Expires=%u", signing.scope.day,
                     signing.scope.region, signing.scope.service, input->expires_s);
    http_text_query(text, "X-Amz-Date", signing.date);
    http_text_query(text, "X-Amz-SignedHeaders", names);
    if (credential->token)
        http_text_query(text, "X-Amz-Security-Token", credential->token);
    status = http_text_end(text, &request->query);
    if (status == 0)
        status = signing_finish(signer, input, request, &headers, names, &signing, text, trace);
    if (status < 0)
        return status;
    http_text_puts(text, request->query);
    http_text_query(text, "X-Amz-Signature", signing.signature);
    return http_text_end(text, &request->query);
}
