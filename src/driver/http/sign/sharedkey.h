/* SPDX-License-Identifier: MIT */
/*
 * sharedkey.h - Azure's Shared Key signature for the Blob service, version 2015-02-21 and later.
 * Source: Microsoft, "Authorize with Shared Key" (Azure Storage REST API reference).
 *
 * Unlike AWS's, it covers Range and If-Match: each request is signed anew.
 */
#ifndef LSIO_DRIVER_HTTP_SIGN_SHAREDKEY_H
#define LSIO_DRIVER_HTTP_SIGN_SHAREDKEY_H

#include "driver/http/credential.h"
#include "driver/http/request.h"
#include "driver/http/sign/hash.h"

/*
 * Adds x-ms-date and Authorization to a request that has its other headers, x-ms-version among
 * them. The path must be the one that is sent, the emulator's with the account's name in it.
 * `string_to_sign` (may be NULL) keeps that string in `text`. -EINVAL if the credential is no
 * account key or the key no base64, -ENOBUFS. Threads: the owner of `hash`.
 */
int sharedkey_sign(struct hash *hash, const struct http_credential *credential, uint64_t unix_s,
                   struct http_request *request, struct http_text *text,
                   const char **string_to_sign);

#endif
