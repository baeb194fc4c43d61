/* SPDX-License-Identifier: MIT */
/*
 * sigv4.h - AWS Signature Version 4: S3 and what speaks its language, GCS with HMAC keys, STS.
 * Source: AWS, "Create a signed AWS API request" (IAM user guide), and "Authenticating Requests:
 * Using the Authorization Header" and "Using Query Parameters" (S3 API reference).
 *
 *     sigv4_create(&signer);                                     one per worker, kept
 *     sigv4_sign_header(signer, &input, &request, &text, NULL);  adds headers to the request
 *
 * Headers that differ between the requests for one object (Range, If-Match, ...) and those that
 * proxies touch are not signed: a signed head may be used again for other ranges.
 *
 * Threads: one at a time per signer.
 */
#ifndef LSIO_DRIVER_HTTP_SIGN_SIGV4_H
#define LSIO_DRIVER_HTTP_SIGN_SIGV4_H

#include "driver/http/credential.h"
#include "driver/http/request.h"

struct sigv4;

enum sigv4_flags {
    /* What all services but S3 ask for: `.` and `..` segments and doubled slashes are taken out of
     * the path, and the path is encoded once more. */
    SIGV4_NORMALIZE = 1u << 0,
    SIGV4_ENCODE_PATH = 1u << 1,
    /* S3: the x-amz-content-sha256 header, always. */
    SIGV4_CONTENT_SHA256 = 1u << 2
};

#define SIGV4_FOR_S3  SIGV4_CONTENT_SHA256
#define SIGV4_FOR_STS (SIGV4_NORMALIZE | SIGV4_ENCODE_PATH)

#define SIGV4_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"

struct sigv4_input {
    const struct http_credential *credential; /* AWS or GS_HMAC */
    const char *region;
    const char *service;      /* "s3", "s3express", "sts" */
    uint64_t unix_s;          /* now, by the server's clock as far as known */
    uint32_t flags;           /* enum sigv4_flags */
    const char *payload_hash; /* NULL: of request->body, else e.g. SIGV4_UNSIGNED_PAYLOAD */
    const char *token_header; /* NULL: x-amz-security-token */
    uint32_t expires_s;       /* sigv4_sign_query only; 1 .. 604800 */
};

/* What was signed, for tests and for messages about a refused signature; strings in the text. */
struct sigv4_trace {
    const char *canonical_request;
    const char *string_to_sign;
    const char *signature;
};

int sigv4_create(struct sigv4 **out); /* -ENOMEM */
void sigv4_destroy(struct sigv4 *signer);

/*
 * Adds x-amz-date, the token's header, x-amz-content-sha256 (if asked for) and Authorization to the
 * request; it must hold none of them yet. `trace` (may be NULL) keeps the intermediate strings in
 * `text`; else only what the request needs stays there. -ENOBUFS when text or headers are full,
 * -EINVAL for a request that cannot be signed (no AWS credential, too many query parameters); the
 * request is then of no use.
 */
int sigv4_sign_header(struct sigv4 *signer, const struct sigv4_input *input,
                      struct http_request *request, struct http_text *text,
                      struct sigv4_trace *trace);

/* The same by query parameters, which are added to request->query; no header is. */
int sigv4_sign_query(struct sigv4 *signer, const struct sigv4_input *input,
                     struct http_request *request, struct http_text *text,
                     struct sigv4_trace *trace);

#endif
