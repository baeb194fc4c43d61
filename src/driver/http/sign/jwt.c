/* SPDX-License-Identifier: MIT */
/*
 * jwt.c - see jwt.h. Any thread; nothing is shared. The key lives in OpenSSL's memory for the call
 * only. A key that asks for a passphrase is refused rather than prompted for.
 */
#include "driver/http/sign/jwt.h"

#include <inttypes.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/error.h"
#include "driver/http/sign/hash.h"

#define RSA_BYTES_MAX 1024u /* a modulus of 8192 bits */
#define JSON_BYTES    4096u

static int no_passphrase(char *buffer, int size, int writing, void *data)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)data;
    return -1;
}

/* RFC 8259 section 7 */
static void put_json(struct http_text *text, const char *before, const char *string)
{
    http_text_puts(text, before);
    http_text_puts(text, "\"");
    for (const char *at = string; *at; at++) {
        if ((unsigned char)*at < ' ') {
            http_text_printf(text, "\\u%04x", (unsigned)(unsigned char)*at);
            continue;
        }
        if (*at == '"' || *at == '\\')
            http_text_puts(text, "\\");
        http_text_append(text, at, 1);
    }
    http_text_puts(text, "\"");
}

/* header.claims, each in base64url */
static int put_unsigned(const struct jwt_claims *claims, struct http_text *text)
{
    char memory[JSON_BYTES];
    struct http_text json;
    const char *string;
    int status;

    http_text_init(&json, memory, sizeof(memory));
    http_text_puts(&json, "{\"alg\":\"RS256\",\"typ\":\"JWT\"");
    if (claims->key_id)
        put_json(&json, ",\"kid\":", claims->key_id);
    http_text_puts(&json, "}");
    status = http_text_end(&json, &string);
    if (status < 0)
        return status;
    http_text_base64(text, string, strlen(string), true);
    http_text_puts(text, ".");
    put_json(&json, "{\"iss\":", claims->issuer);
    if (claims->subject)
        put_json(&json, ",\"sub\":", claims->subject);
    if (claims->scope)
        put_json(&json, ",\"scope\":", claims->scope);
    put_json(&json, ",\"aud\":", claims->audience);
    http_text_printf(&json, ",\"iat\":%" PRIu64 ",\"exp\":%" PRIu64 "}", claims->issued_unix_s,
                     claims->issued_unix_s + claims->life_s);
    status = http_text_end(&json, &string);
    if (status == 0)
        http_text_base64(text, string, strlen(string), true);
    return status;
}

static int read_key(const char *pem, EVP_PKEY **out)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);

    if (!bio)
        return -ENOMEM;
    *out = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    if (*out && EVP_PKEY_is_a(*out, "RSA") == 1 && EVP_PKEY_get_size(*out) <= (int)RSA_BYTES_MAX)
        return 0;
    EVP_PKEY_free(*out);
    *out = NULL;
    return -EINVAL;
}

int jwt_sign_rs256(const struct jwt_claims *claims, const char *pem, struct http_text *text,
                   const char **out)
{
    unsigned char signature[RSA_BYTES_MAX];
    size_t length = sizeof(signature);
    EVP_MD_CTX *context = NULL;
    EVP_PKEY *key = NULL;
    int status = read_key(pem, &key);

    if (status < 0)
        goto done;
    status = put_unsigned(claims, text);
    if (status < 0)
        goto done;
    if (text->full) {
        status = -ENOBUFS;
        goto done;
    }
    status = -ENOMEM;
    context = EVP_MD_CTX_new();
    if (!context || EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(context, signature, &length, (const unsigned char *)text->base + text->start,
                       http_text_length(text)) != 1)
        goto done;
    http_text_puts(text, ".");
    http_text_base64(text, signature, length, true);
    status = http_text_end(text, out);
done:
    if (status < 0)
        http_text_rewind(text, text->start);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    ERR_clear_error(); /* TLS on this thread would take what is left there for its own */
    return status;
}
