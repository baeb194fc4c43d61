/* SPDX-License-Identifier: MIT */
/*
 * hash.c - see hash.h. The algorithms are fetched once per hash: fetching takes a lock in OpenSSL
 * and is dearer than digesting a request. The owner's thread only.
 */
#define _GNU_SOURCE /* explicit_bzero */

#include "driver/http/sign/hash.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

struct hash {
    EVP_MD *sha256;
    EVP_MD_CTX *digest;
    EVP_MAC *hmac;
    EVP_MAC_CTX *mac;
};

int hash_create(struct hash **out)
{
    char name[] = "SHA256"; /* OSSL_PARAM wants it writable, and does not write */
    OSSL_PARAM params[2] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                            OSSL_PARAM_construct_end()};
    struct hash *hash = calloc(1, sizeof(*hash));

    if (!hash)
        return -ENOMEM;
    hash->sha256 = EVP_MD_fetch(NULL, name, NULL);
    hash->digest = EVP_MD_CTX_new();
    hash->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    hash->mac = hash->hmac ? EVP_MAC_CTX_new(hash->hmac) : NULL;
    if (!hash->sha256 || !hash->digest || !hash->mac ||
        EVP_MAC_CTX_set_params(hash->mac, params) != 1) {
        hash_destroy(hash);
        return -ENOMEM;
    }
    *out = hash;
    return 0;
}

void hash_destroy(struct hash *hash)
{
    if (!hash)
        return;
    EVP_MAC_CTX_free(hash->mac);
    EVP_MAC_free(hash->hmac);
    EVP_MD_CTX_free(hash->digest);
    EVP_MD_free(hash->sha256);
    free(hash);
}

int hash_sha256(struct hash *hash, const void *bytes, size_t count, uint8_t out[HASH_BYTES])
{
    if (EVP_DigestInit_ex(hash->digest, hash->sha256, NULL) != 1 ||
        EVP_DigestUpdate(hash->digest, bytes, count) != 1 ||
        EVP_DigestFinal_ex(hash->digest, out, NULL) != 1)
        return -EIO;
    return 0;
}

int hash_hmac(struct hash *hash, const void *key, size_t key_bytes, const void *bytes, size_t count,
              uint8_t out[HASH_BYTES])
{
    size_t length;

    if (EVP_MAC_init(hash->mac, key, key_bytes, NULL) != 1 ||
        EVP_MAC_update(hash->mac, bytes, count) != 1 ||
        EVP_MAC_final(hash->mac, out, &length, HASH_BYTES) != 1)
        return -EIO;
    return 0;
}

void hash_hex(const uint8_t digest[HASH_BYTES], char out[HASH_HEX_BYTES])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < HASH_BYTES; i++) {
        *out++ = digits[digest[i] >> 4];
        *out++ = digits[digest[i] & 15];
    }
    *out = '\0';
}

void http_text_base64(struct http_text *text, const void *bytes, size_t count, bool url)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < count; i += 3) {
        unsigned char group[5];
        int input = count - i < 3 ? (int)(count - i) : 3;
        int length = EVP_EncodeBlock(group, at + i, input);
        for (int k = 0; url && k < length; k++) {
            if (group[k] == '+')
                group[k] = '-';
            else if (group[k] == '/')
                group[k] = '_';
        }
        http_text_append(text, group, url ? (size_t)input + 1 : (size_t)length);
    }
}

int64_t http_base64_decode(const char *text, uint8_t *out, size_t room)
{
    size_t count = strlen(text);
    int64_t length = 0;

    if (count % 4 != 0)
        return -EINVAL;
    for (size_t i = 0; i < count; i += 4) {
        uint8_t group[3];
        size_t padding = 0;
        int decoded;
        if (i + 4 == count)
            padding = text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;
        if (memchr(text + i, '=', 4 - padding))
            return -EINVAL;
        decoded = EVP_DecodeBlock(group, (const unsigned char *)text + i, 4);
        if (decoded != 3 || (size_t)length + 3 - padding > room)
            return -EINVAL;
        memcpy(out + length, group, 3 - padding);
        length += (int64_t)(3 - padding);
        explicit_bzero(group, sizeof(group));
    }
    return length;
}
