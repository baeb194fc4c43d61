/* SPDX-License-Identifier: MIT */
/*
 * Design: objects that were encrypted with a key of the customer's are read by sending that key and
 * a digest of it with each request, and the server decrypts. So it goes to the store's own server
 * only (redirects drop it), over TLS or within this machine.
 *
 * Sources: Amazon S3, "Using server-side encryption with customer-provided keys"; Azure Storage,
 * "Provide an encryption key on a request to Blob storage".
 *
 * Threads: made when a store is opened, frozen afterwards.
 */
#define _GNU_SOURCE /* explicit_bzero */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "driver/http/credential/provider.h"
#include "driver/http/http.h"
#include "driver/http/sign/hash.h"

#define AES256_KEY_BYTES 32u

static bool is_s3(const struct http_store *store)
{
    return store->settings.address.dialect == HTTP_DIALECT_S3;
}

int http_customer_key_make(struct http_store *store, char *why, size_t why_bytes)
{
    const struct http_address *address = &store->settings.address;
    uint8_t key[AES256_KEY_BYTES], digest[EVP_MAX_MD_SIZE];
    char url[300];
    const char *text_end;
    struct http_text text;
    unsigned digest_bytes;
    int64_t key_bytes;
    int status = 0;

    if (!store->settings.customer_key)
        return 0;
    snprintf(url, sizeof(url), "%s://%s", http_address_scheme(address), address->host);
    key_bytes = http_base64_decode(store->settings.customer_key, key, sizeof(key));
    if (key_bytes != AES256_KEY_BYTES || !credential_url_is_safe(url)) {
        if (why)
            snprintf(why, why_bytes, "a customer's key is 32 bytes in base64, and needs https");
        status = -EINVAL;
    } else if (EVP_Digest(key, sizeof(key), digest, &digest_bytes,
                          is_s3(store) ? EVP_md5() : EVP_sha256(), NULL) != 1) {
        status = -EIO;
    } else {
        http_text_init(&text, store->customer_digest, sizeof(store->customer_digest));
        http_text_base64(&text, digest, digest_bytes, false);
        status = http_text_end(&text, &text_end);
    }
    explicit_bzero(key, sizeof(key));
    return status;
}

int http_customer_key_send(const struct http_store *store, struct http_request *request)
{
    static const char *const names[2][3] = {
        {"x-ms-encryption-algorithm", "x-ms-encryption-key", "x-ms-encryption-key-sha256"},
        {"x-amz-server-side-encryption-customer-algorithm",
         "x-amz-server-side-encryption-customer-key",
         "x-amz-server-side-encryption-customer-key-md5"}};
    const char *const values[] = {"AES256", store->settings.customer_key, store->customer_digest};
    int status = 0;

    for (int i = 0; store->settings.customer_key && i < 3 && !status; i++)
        status = http_request_header(request, names[is_s3(store)][i], values[i]);
    return status;
}
