/* SPDX-License-Identifier: MIT */
/*
 * jwt.h - signed JSON web tokens as Google's service accounts use them (RFC 7519, signed RS256 as
 * in RFC 7518; Google, "Using OAuth 2.0 for Server to Server Applications").
 */
#ifndef LSIO_DRIVER_HTTP_SIGN_JWT_H
#define LSIO_DRIVER_HTTP_SIGN_JWT_H

#include "driver/http/request.h"

struct jwt_claims {
    const char *key_id;   /* header kid; NULL: none */
    const char *issuer;   /* iss */
    const char *subject;  /* sub; NULL: none */
    const char *scope;    /* NULL: none */
    const char *audience; /* aud */
    uint64_t issued_unix_s;
    uint32_t life_s;
};

/* Makes the token in `text`. `pem` is the private key, PKCS #8 or PKCS #1, without a passphrase.
 * -EINVAL if it is no RSA key, -ENOBUFS, -ENOMEM. Allocates; it is needed once an hour. Threads:
 * any. */
int jwt_sign_rs256(const struct jwt_claims *claims, const char *pem, struct http_text *text,
                   const char **out);

#endif
