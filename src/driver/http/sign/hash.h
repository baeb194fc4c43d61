/* SPDX-License-Identifier: MIT */
/*
 * hash.h - SHA-256, HMAC-SHA-256 (RFC 2104), base64 and hexadecimal digits for the signers.
 *
 * A `hash` holds OpenSSL's contexts, so that digesting allocates nothing. Threads: one at a time;
 * each worker has its own.
 */
#ifndef LSIO_DRIVER_HTTP_SIGN_HASH_H
#define LSIO_DRIVER_HTTP_SIGN_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "driver/http/request.h"

#define HASH_BYTES     32u
#define HASH_HEX_BYTES (2 * HASH_BYTES + 1)

struct hash;

int hash_create(struct hash **out); /* -ENOMEM */
void hash_destroy(struct hash *hash);

/* 0, or -EIO if OpenSSL refuses. */
int hash_sha256(struct hash *hash, const void *bytes, size_t count, uint8_t out[HASH_BYTES]);
int hash_hmac(struct hash *hash, const void *key, size_t key_bytes, const void *bytes, size_t count,
              uint8_t out[HASH_BYTES]);

/* Lower case, NUL-terminated. */
void hash_hex(const uint8_t digest[HASH_BYTES], char out[HASH_HEX_BYTES]);

/* Adds base64 (RFC 4648) to the text's current string; `url`: the URL-safe alphabet, no padding. */
void http_text_base64(struct http_text *text, const void *bytes, size_t count, bool url);

/* Decodes base64 with padding. Returns the bytes, or -EINVAL for what is none or does not fit. */
int64_t http_base64_decode(const char *text, uint8_t *out, size_t room);

#endif
